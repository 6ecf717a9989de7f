// Package wiretest writes the frames of PostgreSQL's protocol as lines of text and back, so that a conversation in a test is a page that a
// person reads. It knows nothing of what the frames mean together; that is left to the test.
//
// A line is a frame's name and its fields, those that are text in Go's quotes where they are not plain words:
//
//	Query "SELECT 1"
//	Parse s1 "SELECT $1" 23
//	Bind "" s1 hello
//	Error ERROR 42P01 "relation \"x\" does not exist" P=15
package wiretest

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Side says who sends a frame: both sides use some types for different messages.
type Side int

// The two sides.
const (
	Client Side = iota
	Server
)

// shape is how a frame's body is written: each letter is a field. s: null-terminated text; i: 32-bit number; h: 16-bit number; b: one byte as a
// character; r: the rest as raw text; S: texts up to an empty one; I: a count and 32-bit numbers; V: a Bind's values, all as text, without
// formats; R: a DataRow's values; T: a RowDescription's columns, name:table:number; E: an error's fields.
type shape struct {
	typ    byte
	fields string
}

var shapes = [2]map[string]shape{
	Client: {
		"Query": {'Q', "s"}, "Parse": {'P', "ssI"}, "Bind": {'B', "ssV"}, "Describe": {'D', "bs"}, "Execute": {'E', "si"}, "Close": {'C', "bs"},
		"Sync": {'S', ""}, "Flush": {'H', ""}, "CopyData": {'d', "r"}, "CopyDone": {'c', ""}, "CopyFail": {'f', "s"}, "Terminate": {'X', ""},
		"Password": {'p', "s"}, "Function": {'F', "ir"},
	},
	Server: {
		"Auth": {'R', "ir"}, "SASL": {'R', "S"}, "ParameterStatus": {'S', "ss"}, "BackendKeyData": {'K', "ii"}, "Ready": {'Z', "b"},
		"RowDescription": {'T', "T"}, "DataRow": {'D', "R"}, "CommandComplete": {'C', "s"}, "Error": {'E', "E"}, "Notice": {'N', "E"},
		"ParseComplete": {'1', ""}, "BindComplete": {'2', ""}, "CloseComplete": {'3', ""}, "NoData": {'n', ""}, "PortalSuspended": {'s', ""},
		"EmptyQuery": {'I', ""}, "ParameterDescription": {'t', "I"}, "CopyIn": {'G', "r"}, "CopyOut": {'H', "r"}, "CopyBoth": {'W', "r"},
		"CopyData": {'d', "r"}, "CopyDone": {'c', ""}, "FunctionResult": {'V', "r"}, "Notification": {'A', "iss"}, "NegotiateProtocol": {'v', "r"},
	},
}

const sasl = 10 // AuthenticationSASL

// Frames writes the frames of some lines; empty lines and those that begin with # are left out. Startup, SSLRequest, GSSRequest, Cancel and Raw are
// lines of a client that are no frames: Startup's fields are name=value.
func Frames(side Side, lines string) ([]byte, error) {
	var out []byte
	for _, line := range strings.Split(lines, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f, err := frame(side, line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		out = append(out, f...)
	}
	return out, nil
}

func frame(side Side, line string) ([]byte, error) {
	words, err := fields(line)
	if err != nil {
		return nil, err
	}
	name, words := words[0], words[1:]
	switch name {
	case "SSLRequest":
		return special(80877103, nil), nil
	case "GSSRequest":
		return special(80877104, nil), nil
	case "Cancel":
		return special(80877102, []byte("pid.key.")), nil
	case "Raw":
		return []byte(strings.Join(words, "")), nil
	case "Startup":
		var body []byte
		for _, w := range words {
			k, v, _ := strings.Cut(w, "=")
			body = append(append(append(append(body, k...), 0), v...), 0)
		}
		return special(3<<16, append(body, 0)), nil
	}
	s, ok := shapes[side][name]
	if !ok {
		return nil, fmt.Errorf("no frame is called %q", name)
	}
	out := []byte{s.typ, 0, 0, 0, 0}
	if name == "SASL" {
		out = binary.BigEndian.AppendUint32(out, sasl)
	}
	for _, f := range s.fields {
		var w string
		if strings.ContainsRune("sihb", f) {
			if len(words) == 0 {
				return nil, fmt.Errorf("a field is missing")
			}
			w, words = words[0], words[1:]
		}
		switch f {
		case 's':
			out = append(append(out, w...), 0)
		case 'b':
			out = append(out, w...)
		case 'i':
			n, err := strconv.ParseInt(w, 10, 64)
			if err != nil {
				return nil, err
			}
			out = binary.BigEndian.AppendUint32(out, uint32(n))
		default:
			if out, err = rest(out, f, words); err != nil {
				return nil, err
			}
			words = nil
		}
	}
	if len(words) > 0 {
		return nil, fmt.Errorf("%q is a field too many", words[0])
	}
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1))
	return out, nil
}

// rest writes the fields of a kind that takes all words that are left.
func rest(out []byte, kind rune, words []string) ([]byte, error) {
	switch kind {
	case 'r':
		out = append(out, strings.Join(words, "")...)
	case 'S':
		for _, w := range words {
			out = append(append(out, w...), 0)
		}
		out = append(out, 0)
	case 'I':
		out = binary.BigEndian.AppendUint16(out, uint16(len(words)))
		for _, w := range words {
			n, err := strconv.ParseUint(w, 10, 32)
			if err != nil {
				return nil, err
			}
			out = binary.BigEndian.AppendUint32(out, uint32(n))
		}
	case 'V', 'R':
		if kind == 'V' {
			out = append(out, 0, 0)
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(words)))
		for _, w := range words {
			if w == "NULL" {
				out = append(out, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(w))), w...)
		}
		if kind == 'V' {
			out = append(out, 0, 0)
		}
	case 'T':
		out = binary.BigEndian.AppendUint16(out, uint16(len(words)))
		for _, w := range words {
			var table uint32
			var num uint16
			name, place, _ := strings.Cut(w, ":")
			if _, err := fmt.Sscanf(place, "%d:%d", &table, &num); place != "" && err != nil {
				return nil, fmt.Errorf("%q is no column such as name:table:number", w)
			}
			out = append(append(out, name...), 0)
			out = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(out, table), num)
			out = append(out, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0) // text, of no fixed length, no modifier, as text
		}
	case 'E':
		if len(words) < 3 {
			return nil, fmt.Errorf("an error needs severity, SQLSTATE and message")
		}
		for i, code := range "SVCM" {
			w := words[max(0, i-1)]
			out = append(append(append(out, byte(code)), w...), 0)
		}
		for _, w := range words[3:] {
			if len(w) < 2 || w[1] != '=' {
				return nil, fmt.Errorf("%q is no field such as P=7", w)
			}
			out = append(append(append(out, w[0]), w[2:]...), 0)
		}
		out = append(out, 0)
	}
	return out, nil
}

func special(code uint32, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(out, code), body...)
}

// fields splits a line at spaces, but for those in quotes.
func fields(line string) ([]string, error) {
	var out []string
	for line != "" {
		if line[0] == ' ' {
			line = line[1:]
			continue
		}
		end := strings.IndexByte(line, ' ')
		if end < 0 {
			end = len(line)
		}
		if q := strings.IndexByte(line[:end], '"'); q == 0 || q == 2 && line[1] == '=' || q > 0 && line[q-1] == '=' {
			prefix := line[:q]
			quoted, err := strconv.QuotedPrefix(line[q:])
			if err != nil {
				return nil, fmt.Errorf("the quotes do not end: %s", line)
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			out = append(out, prefix+text)
			line = line[q+len(quoted):]
			continue
		}
		out = append(out, line[:end])
		line = line[end:]
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("an empty line")
	}
	return out, nil
}
