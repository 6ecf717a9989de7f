package wiretest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Lines writes frames as lines, the reverse of Frames. What is no whole frame, or one of an unknown type, becomes a Raw line.
func Lines(side Side, b []byte) []string {
	var out []string
	for len(b) > 0 {
		size := 0
		if len(b) >= 5 {
			size = 1 + int(binary.BigEndian.Uint32(b[1:]))
		}
		if size < 5 || size > len(b) {
			return append(out, fmt.Sprintf("Raw %q", b))
		}
		out = append(out, line(side, b[:size]))
		b = b[size:]
	}
	return out
}

func line(side Side, frame []byte) string {
	name, s := named(side, frame)
	if name == "" {
		return fmt.Sprintf("Raw %q", frame)
	}
	body := frame[5:]
	if name == "SASL" {
		body = body[4:]
	}
	words := []string{name}
	for _, f := range s.fields {
		var ws []string
		var ok bool
		ws, body, ok = read(f, body)
		if !ok {
			return fmt.Sprintf("Raw %q", frame)
		}
		words = append(words, ws...)
	}
	if len(body) > 0 {
		return fmt.Sprintf("Raw %q", frame)
	}
	return strings.Join(words, " ")
}

func named(side Side, frame []byte) (string, shape) {
	if side == Server && frame[0] == 'R' && len(frame) >= 9 && binary.BigEndian.Uint32(frame[5:]) == sasl {
		return "SASL", shapes[side]["SASL"]
	}
	for name, s := range shapes[side] {
		if s.typ == frame[0] && name != "SASL" {
			return name, s
		}
	}
	return "", shape{}
}

// read reads the words of one field.
func read(kind rune, b []byte) (words []string, rest []byte, ok bool) {
	switch kind {
	case 's':
		s, rest, ok := bytes.Cut(b, []byte{0})
		return []string{quote(string(s))}, rest, ok
	case 'b':
		if len(b) < 1 {
			return nil, b, false
		}
		return []string{quote(string(b[:1]))}, b[1:], true
	case 'i':
		if len(b) < 4 {
			return nil, b, false
		}
		return []string{strconv.Itoa(int(int32(binary.BigEndian.Uint32(b))))}, b[4:], true
	case 'r':
		if len(b) == 0 {
			return nil, nil, true
		}
		return []string{quote(string(b))}, nil, true
	case 'S', 'E':
		return readList(kind, b)
	case 'V':
		if len(b) < 4 || b[0] != 0 || b[1] != 0 {
			return nil, b, false
		}
		words, b, ok = read('R', b[2:])
		if len(b) < 2 || b[0] != 0 || b[1] != 0 {
			return nil, b, false
		}
		return words, b[2:], ok
	}
	if len(b) < 2 {
		return nil, b, false
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	for range n {
		var w string
		if w, b, ok = readItem(kind, b); !ok {
			return nil, b, false
		}
		words = append(words, w)
	}
	return words, b, true
}

// readList reads what a null byte ends: texts, or an error's fields.
func readList(kind rune, b []byte) (words []string, rest []byte, ok bool) {
	for len(b) > 0 && b[0] != 0 {
		code := b[0]
		if kind == 'E' {
			b = b[1:]
		}
		s, after, ok := bytes.Cut(b, []byte{0})
		if !ok {
			return nil, b, false
		}
		b = after
		switch {
		case kind == 'S' || strings.IndexByte("SCM", code) >= 0:
			words = append(words, quote(string(s)))
		case code != 'V':
			words = append(words, string(code)+"="+quote(string(s)))
		}
	}
	if len(b) == 0 {
		return nil, b, false
	}
	return words, b[1:], true
}

// readItem reads one of a counted list: a number, a value, a column.
func readItem(kind rune, b []byte) (word string, rest []byte, ok bool) {
	switch kind {
	case 'T':
		s, after, ok := bytes.Cut(b, []byte{0})
		if !ok || len(after) < 18 {
			return "", b, false
		}
		return fmt.Sprintf("%s:%d:%d", s, binary.BigEndian.Uint32(after), binary.BigEndian.Uint16(after[4:])), after[18:], true
	case 'R':
		if len(b) < 4 {
			return "", b, false
		}
		n := int(int32(binary.BigEndian.Uint32(b)))
		b = b[4:]
		if n < 0 {
			return "NULL", b, true
		}
		if n > len(b) {
			return "", b, false
		}
		return quote(string(b[:n])), b[n:], true
	default:
		if len(b) < 4 {
			return "", b, false
		}
		return strconv.FormatUint(uint64(binary.BigEndian.Uint32(b)), 10), b[4:], true
	}
}

// quote puts a text in quotes where it is no plain word.
func quote(s string) string {
	plain := s != "" && s != "NULL"
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			plain = false
		}
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}
