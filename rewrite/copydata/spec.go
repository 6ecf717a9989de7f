// Package copydata edits the data of a COPY FROM STDIN as it streams by: it puts further fields behind those of each line and other names into its
// header. It leaves to others which statement the data belongs to and how it is framed.
package copydata

import (
	"encoding/binary"
	"strconv"
)

// Format is COPY's FORMAT.
type Format int

// The formats that servers know.
const (
	Text Format = iota
	CSV
	Binary
)

// Header says what COPY does with the first line.
type Header int

// The kinds of HEADER.
const (
	NoHeader Header = iota
	SkipHeader
	MatchHeader // its names must be the columns'
)

// Kind says what an added field holds.
type Kind int

// The kinds of added fields.
const (
	// Copied repeats a field of the line as it is. A field of more than MaxField bytes, or with a line's end in it, which would make the server count
	// another number of lines, is not repeated: NULL stands for it.
	Copied Kind = iota
	// Null is NULL.
	Null
	// Line is the line's number and its first bytes, for Place. Not in Binary.
	Line
)

// Added is a field that is put behind those of each line.
type Added struct {
	Kind  Kind
	Field int // Copied: which one, from 0
}

// Spec says how data is written and what becomes of it. It is immutable.
type Spec struct {
	Format        Format
	Delimiter     byte
	Quote, Escape byte // CSV only
	Null          string
	Header        Header
	Columns       int // fields of a line, as the client sends them
	Added         []Added
	// Names are what the header's names become, by field, where it is matched; nil where they stay.
	Names []Name
	// Marked says that `\.` on a line of its own ends CSV data, which servers up to 17 take it for.
	Marked bool
	// UTF8 says that the data is in UTF-8, else it is in an encoding of one byte a character, or characters are not told apart.
	UTF8 bool
}

// Name is a name in the header: what the client has to say, and what the server has to see.
type Name struct{ Client, Server string }

// MaxField bounds a field that is repeated, in bytes.
const MaxField = 64 << 10

// maxName bounds a name in the header, in bytes with quotes and escapes: longer ones are no column's.
const maxName = 1 << 10

// shown is how many bytes of a line PostgreSQL shows in an error's context (MAX_COPY_DATA_DISPLAY).
const shown = 100

// extra is a field that makes a line fail which has as many fields too many as are added.
const extra = "segue"

// Stream is the data of one COPY on its way. What it holds is bounded by MaxField for each added field.
type Stream struct {
	spec   *Spec
	lines  *lines
	binary *tuples
}

// NewStream begins at the first byte of the data.
func NewStream(spec *Spec) *Stream {
	s := &Stream{spec: spec}
	if spec.Format == Binary {
		s.binary = newTuples(spec)
	} else {
		s.lines = newLines(spec)
	}
	return s
}

// Feed appends to dst what becomes of the next bytes of the data, which may end anywhere.
func (s *Stream) Feed(dst, src []byte) []byte {
	if s.binary != nil {
		return s.binary.feed(dst, src)
	}
	return s.lines.feed(dst, src)
}

// Finish appends to dst what comes at the end of data that the client has sent whole.
func (s *Stream) Finish(dst []byte) []byte {
	if s.binary != nil {
		return append(dst, s.binary.word...)
	}
	return s.lines.finish(dst)
}

// OddCount gives the number of fields of a binary row that has another number than it should, as the client sent it; ok is false where there was none.
func (s *Stream) OddCount() (n int, ok bool) {
	if s == nil || s.binary == nil {
		return 0, false
	}
	return s.binary.oddCount, s.binary.odd
}

// Header gives the header's line as the client sent it and as the server shows lines, and its number; ok is false where it has not come.
func (s *Stream) Header() (line, number string, ok bool) {
	if s == nil || s.lines == nil || s.lines.saidAt == 0 {
		return "", "", false
	}
	return s.lines.said, strconv.Itoa(s.lines.saidAt), true
}

// tuples is a stream in binary format.
type tuples struct {
	spec    *Spec
	at      part
	need    int    // bytes of the part that have not come
	word    []byte // a number that has not come whole
	field   int    // index in the row
	fields  int
	kept    [][]byte // for each added field
	keeping []int    // the added fields that the current one is repeated in
	size    int32    // of the current field

	odd      bool
	oddCount int
}

type part int

const (
	signature part = iota // with the flags
	extension             // its length
	extended
	count
	length
	value
	rest // all else is the server's to judge
)

const signatureLen = 11 + 4

func newTuples(spec *Spec) *tuples {
	return &tuples{spec: spec, need: signatureLen, kept: make([][]byte, len(spec.Added))}
}

func (t *tuples) feed(dst, src []byte) []byte {
	for len(src) > 0 {
		switch t.at {
		case signature, extended, value:
			n := min(t.need, len(src))
			t.keep(src[:n])
			dst = append(dst, src[:n]...)
			src = src[n:]
			if t.need -= n; t.need == 0 {
				dst = t.ended(dst)
			}
		case rest:
			return append(dst, src...)
		case extension, count, length:
			n := min(t.wordLen()-len(t.word), len(src))
			t.word = append(t.word, src[:n]...)
			src = src[n:]
			if len(t.word) == t.wordLen() {
				dst = t.number(dst)
				t.word = t.word[:0]
			}
		}
	}
	return dst
}

func (t *tuples) wordLen() int {
	if t.at == count {
		return 2
	}
	return 4
}

// ended goes on behind a part of which the bytes have been passed.
func (t *tuples) ended(dst []byte) []byte {
	switch t.at {
	case signature:
		t.at = extension
	case extended:
		t.at = count
	default:
		return t.next(dst)
	}
	return dst
}

// number deals with a number that has come whole.
func (t *tuples) number(dst []byte) []byte {
	switch t.at {
	case extension:
		dst = append(dst, t.word...)
		t.need, t.at = int(int32(binary.BigEndian.Uint32(t.word))), extended
		if t.need <= 0 {
			t.at = count
		}
	case count:
		t.fields = int(int16(binary.BigEndian.Uint16(t.word)))
		switch {
		case t.fields == t.spec.Columns:
			t.field, t.at = -1, length
			return t.next(binary.BigEndian.AppendUint16(dst, uint16(t.fields+len(t.spec.Added))))
		case t.fields >= 0: // the server will say so, if it does not find the number that it looks for
			t.odd, t.oddCount = true, t.fields
			if t.fields == t.spec.Columns+len(t.spec.Added) {
				t.fields++
			}
		}
		t.at = rest
		dst = binary.BigEndian.AppendUint16(dst, uint16(t.fields))
	default:
		dst = append(dst, t.word...)
		t.size = int32(binary.BigEndian.Uint32(t.word))
		t.keeping = t.keeping[:0]
		for i, a := range t.spec.Added {
			if a.Kind == Copied && a.Field == t.field && t.size <= MaxField {
				t.keeping = append(t.keeping, i)
				t.kept[i] = append(t.kept[i][:0], t.word...)
			}
		}
		if t.need, t.at = int(t.size), value; t.need <= 0 {
			return t.next(dst)
		}
	}
	return dst
}

func (t *tuples) keep(b []byte) {
	if t.at == value {
		for _, i := range t.keeping {
			t.kept[i] = append(t.kept[i], b...)
		}
	}
}

var nullField = []byte{0xff, 0xff, 0xff, 0xff}

// next goes on to the next field, behind the last one to the next row.
func (t *tuples) next(dst []byte) []byte {
	if t.field++; t.field < t.fields {
		t.at = length
		return dst
	}
	for i := range t.kept {
		if len(t.kept[i]) == 0 {
			dst = append(dst, nullField...)
		}
		dst = append(dst, t.kept[i]...)
		t.kept[i] = t.kept[i][:0]
	}
	t.at = count
	return dst
}
