package copydata

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var (
	text   = Spec{Format: Text, Delimiter: '\t', Null: `\N`, Columns: 2, UTF8: true}
	csv    = Spec{Format: CSV, Delimiter: ',', Quote: '"', Escape: '"', Columns: 2, Marked: true, UTF8: true}
	escape = Spec{Format: CSV, Delimiter: ';', Quote: '\'', Escape: '\\', Null: "none", Columns: 2, UTF8: true}
)

func with(s Spec, change func(*Spec)) *Spec {
	change(&s)
	return &s
}

func again(field int) func(*Spec) {
	return func(s *Spec) { s.Added = []Added{{Kind: Copied, Field: field}} }
}

func lineOf(s *Spec) { s.Added = []Added{{Kind: Line}} }

// all feeds data in one piece.
func all(s *Spec, data string) string {
	st := NewStream(s)
	return string(st.Finish(st.Feed(nil, []byte(data))))
}

func TestEdits(t *testing.T) {
	long := strings.Repeat("x", MaxField)
	match := func(s *Spec) {
		s.Header, s.Names = MatchHeader, []Name{{"id", "id"}, {"name", "full_name"}}
	}
	for _, c := range []struct {
		name       string
		spec       *Spec
		data, want string
	}{
		{"text", with(text, again(1)), "1\ta\n2\tb\n", "1\ta\ta\n2\tb\tb\n"},
		{"the first field", with(text, again(0)), "1\ta\n2\tb", "1\ta\t1\n2\tb\t2"},
		{"\\r\\n", with(text, again(1)), "1\ta\r\n2\tb\r\n", "1\ta\ta\r\n2\tb\tb\r\n"},
		{"\\r", with(text, again(1)), "1\ta\r2\tb\r", "1\ta\ta\r2\tb\tb\r"},
		{"other ends later are data", with(text, again(1)), "1\ta\n2\tb\r\n", "1\ta\ta\n2\tb\r\tb\r\n"},
		{"escapes", with(text, again(1)), "1\ta\\\tb\\\\\n2\t\\\n\n", "1\ta\\\tb\\\\\ta\\\tb\\\\\n2\t\\\n\t\\\n\n"},
		{"the end's mark", with(text, again(1)), "1\ta\n\\.\n2\tb\n", "1\ta\ta\n\\.\n2\tb\n"},
		{"the end's mark in a line", with(text, again(1)), "1\ta\\.\n2\tb\n", "1\ta\ta\\.\n2\tb\n"},
		{"a last backslash is left out", with(text, again(1)), "1\ta\\", "1\ta\ta"},
		{"too few", with(text, again(1)), "1\n\n2\tb\n", "1\n\n2\tb\tb\n"},
		{"as many as the server would take", with(text, again(1)), "1\ta\tb\n", "1\ta\tb\tsegue\n"},
		{"too many", with(text, again(1)), "1\ta\tb\tc\n", "1\ta\tb\tc\n"},
		{"empty", with(text, again(1)), "", ""},
		{"NULL", with(text, again(1)), "1\t\\N\n", "1\t\\N\t\\N\n"},
		{"added NULL", with(text, func(s *Spec) { s.Added = []Added{{Kind: Null}, {Kind: Copied}} }), "1\ta\n", "1\ta\t\\N\t1\n"},
		{"long", with(text, again(1)), "1\t" + long + "\n2\tx" + long + "\n", "1\t" + long + "\t" + long + "\n2\tx" + long + "\t\\N\n"},
		{"a header is left alone", with(text, func(s *Spec) { again(1)(s); s.Header = SkipHeader }), "a\tb\n1\ta\n", "a\tb\n1\ta\ta\n"},
		{"line", with(text, lineOf), "1\ta\\b\n2\t\n", "1\ta\\b\t1 1\\\ta\\\\b\n2\t\t2 2\\\t\n"},
		{"line without an end", with(text, lineOf), "1\ta", "1\ta\t1 1\\\ta"},
		{"long line", with(text, lineOf), "1\t" + strings.Repeat("é", 60) + "\n", "1\t" + strings.Repeat("é", 60) + "\t1 1\\\t" + strings.Repeat("é", 49) + "...\n"},

		{"CSV", with(csv, again(1)), "1,a\n2,\"b,\"\"c\"\"\"\n", "1,a,a\n2,\"b,\"\"c\"\"\",\"b,\"\"c\"\"\"\n"},
		{"quotes in the middle", with(csv, again(1)), "1,a\"b,c\"d\n", "1,a\"b,c\"d,a\"b,c\"d\n"},
		{"a line's end in quotes", with(csv, again(1)), "1,\"a\nb\"\n2,c\n", "1,\"a\nb\",\n2,c,c\n"},
		{"a line's end in another field", with(csv, again(0)), "1,\"a\nb\"\n", "1,\"a\nb\",1\n"},
		{"CSV's mark", with(csv, again(1)), "1,a\n\\.\n2,b\n", "1,a,a\n\\.\n2,b\n"},
		{"no mark", with(csv, again(1)), "\\.,a\n\\..,b\n\\,c\n", "\\.,a,a\n\\..,b,b\n\\,c,c\n"},
		{"no mark from 18 on", with(csv, func(s *Spec) { again(0)(s); s.Columns, s.Marked = 1, false }), "\\.\nb\n", "\\.,\\.\nb,b\n"},
		{"a mark without an end", with(csv, func(s *Spec) { again(0)(s); s.Columns = 1 }), "\\.", "\\.,\\."},
		{"open quotes", with(csv, again(1)), "1,\"a", "1,\"a"},
		{"NULL in CSV", with(csv, again(1)), "1,\n2,\"\"\n", "1,,\n2,\"\",\"\"\n"},
		{"escape", with(escape, again(1)), "1;'a\\';'\n2;'\\\\'\n3;'\n'\n", "1;'a\\';';'a\\';'\n2;'\\\\';'\\\\'\n3;'\n';none\n"},
		{"escape outside of quotes", with(escape, again(1)), "1;a\\'b;'\n", "1;a\\'b;';a\\'b;'\n"},
		// Before it knows how lines end, the server does not count \n in quotes.
		{"line in CSV", with(csv, func(s *Spec) { lineOf(s); s.Header = SkipHeader }), "\"h\nh\",i\n1,\"a\nb\"\n", "\"h\nh\",i\n1,\"a\nb\",\"3 1,\"\"a\x1eb\"\"\"\n"},

		{"header", with(csv, match), "id,name\n1,a\n", "id,\"full_name\"\n1,a\n"},
		{"quoted header", with(csv, match), "\"id\",\"name\"\r\n1,a\r\n", "\"id\",\"full_name\"\r\n1,a\r\n"},
		{"header in text", with(text, match), "id\tname\n1\ta\n", "id\tfull_name\n1\ta\n"},
		{"the server's name", with(csv, match), "id,full_name\n", "id,\"full_name \"\n"},
		{"another name", with(csv, match), "id,nam\n", "id,nam\n"},
		{"more names", with(csv, match), "id,name,x\n", "id,\"full_name\",x\n"},
		{"a long name", with(csv, match), "id," + long + "\n1,a\n", "id," + long + "\n1,a\n"},
		{"no line", with(csv, match), "id,name", "id,\"full_name\""},
	} {
		if got := all(c.spec, c.data); got != c.want {
			t.Errorf("%s: %.200q becomes %.200q, and not %.200q", c.name, c.data, got, c.want)
		}
	}
}

// rows writes rows in binary; nil is NULL.
func rows(fields int, values ...[]byte) []byte {
	b := append([]byte(nil), "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x03ext"...)
	for i, v := range values {
		if i%fields == 0 {
			b = binary.BigEndian.AppendUint16(b, uint16(fields))
		}
		if v == nil {
			b = append(b, nullField...)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return binary.BigEndian.AppendUint16(b, 0xffff)
}

func TestBinary(t *testing.T) {
	spec := &Spec{Format: Binary, Columns: 2, Added: []Added{{Kind: Copied, Field: 1}, {Kind: Null}}}
	long := bytes.Repeat([]byte("x"), MaxField+1)
	for _, c := range []struct{ data, want []byte }{
		{
			rows(2, []byte("1"), []byte("a"), nil, []byte{}, []byte("2"), nil, []byte("3"), long, []byte("4"), long[1:]),
			rows(4, []byte("1"), []byte("a"), []byte("a"), nil, nil, []byte{}, []byte{}, nil, []byte("2"), nil, nil, nil, []byte("3"), long, nil, nil, []byte("4"), long[1:], long[1:], nil),
		},
		{rows(3, []byte("1"), []byte("a"), []byte("b")), rows(3, []byte("1"), []byte("a"), []byte("b"))},
		{[]byte("PGCOPY"), []byte("PGCOPY")},
		{rows(2)[:21], rows(2)[:21]},
	} {
		if got := all(spec, string(c.data)); got != string(c.want) {
			t.Errorf("%.200q becomes %.200q, and not %.200q", c.data, got, c.want)
		}
	}
	s := NewStream(spec)
	if got := s.Feed(nil, rows(4, nil, nil, nil, nil)); bytes.Equal(got, rows(4, nil, nil, nil, nil)) {
		t.Error("a row with as many fields as the server expects, but not the client, is taken")
	}
	if n, ok := s.OddCount(); n != 4 || !ok {
		t.Error("the number of fields is not known:", n, ok)
	}
}

func TestClientLine(t *testing.T) {
	for _, c := range []struct {
		spec      *Spec
		line      string
		malformed bool
		want      string
	}{
		{with(text, again(1)), "1\ta\ta", false, "1\ta"},
		{with(text, again(1)), "1\ta\\\tb\ta\\...", false, "1\ta\\\tb"},
		{with(text, again(1)), "1\tlong...", false, "1\tlong..."},
		{with(text, again(1)), "1", true, "1"},
		{with(text, again(1)), "1\ta\tb\tsegue", true, "1\ta\tb"},
		{with(text, again(1)), "1\ta\tb\tc", true, "1\ta\tb\tc"},
		{with(csv, again(1)), "1,\"a,\"\"\n\",\"a", false, "1,\"a,\"\"\n\""},
		{with(escape, again(1)), "1;'\\';';'\\'", false, "1;'\\';'"},
		{&text, "1\ta\tb", false, "1\ta\tb"},
	} {
		if got := c.spec.ClientLine(c.line, c.malformed); got != c.want {
			t.Errorf("%q is shown as %q, and not %q", c.line, got, c.want)
		}
	}
}

// read reads lines as the server does, in a way of its own: whole. It gives the fields as they are written, NULL being what the spec says.
func read(s *Spec, data string) (lines [][]string) {
	var fields []string
	var field []byte
	quoted, any := false, false
	eol := ""
	for i := 0; i < len(data); i++ {
		c := data[i]
		any = true
		switch {
		case s.Format == Text && c == '\\' && i+1 < len(data) && data[i+1] == '.':
			if len(fields) > 0 || len(field) > 0 {
				lines = append(lines, append(fields, string(field)))
			}
			return lines
		case s.Format == Text && c == '\\' && i+1 < len(data):
			field = append(field, c, data[i+1])
			i++
		case s.Format == Text && c == '\\': // the last byte
		case quoted && s.Escape != s.Quote && c == s.Escape && i+1 < len(data):
			field = append(field, c)
			if data[i+1] == s.Quote || data[i+1] == s.Escape {
				field = append(field, data[i+1])
				i++
			}
		case s.Format == CSV && c == s.Quote:
			quoted = !quoted
			field = append(field, c)
		case quoted:
			field = append(field, c)
		case s.Format == CSV && s.Marked && c == '\\' && len(fields) == 0 && len(field) == 0 && i+2 < len(data) && data[i+1] == '.' && (data[i+2] == '\n' || data[i+2] == '\r'):
			return lines
		case c == s.Delimiter:
			fields = append(fields, string(field))
			field = nil
		case c == '\n' || c == '\r':
			end := string(c)
			if c == '\r' && i+1 < len(data) && data[i+1] == '\n' && (eol == "" || eol == "\r\n") {
				end = "\r\n"
			}
			if eol == "" {
				eol = end
			}
			if eol != end {
				return append(lines, nil) // the server's error
			}
			i += len(end) - 1
			lines = append(lines, append(fields, string(field)))
			fields, field, any = nil, nil, false
		default:
			field = append(field, c)
		}
	}
	if any && !quoted {
		lines = append(lines, append(fields, string(field)))
	}
	return lines
}

// FuzzStream feeds data in pieces, which must come out as it does whole; and where its lines have the fields that they should, each comes out with its
// own and then those that are added.
func FuzzStream(f *testing.F) {
	for i, data := range []string{
		"1\ta\n2\tb\n", "1\ta\\\tb\r\n\\.\r\n", "1,\"a\nb\"\n2,c\n", "1;'a\\';'\n", "\\.\n", "1\ta\r2\tb\r", "a,b\n1,\"\"\"\"\n", "1,a\"b\n", "1\t\\", "PGCOPY\n\xff\r\n\x00",
		string(rows(2, []byte("1"), []byte("a"), nil, []byte("b"))), "id,name\n1,a\n",
	} {
		f.Add([]byte(data), uint8(i), uint16(3*i))
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, cut uint16) {
		specs := []Spec{text, csv, escape, {Format: Binary, Columns: 2}}
		s := specs[kind&3]
		s.Added = [][]Added{{{Kind: Copied, Field: 1}}, {{Kind: Copied}, {Kind: Null}}, {{Kind: Line}}, nil}[kind>>2&3]
		if s.Format == Binary {
			s.Added = slices.DeleteFunc(slices.Clone(s.Added), func(a Added) bool { return a.Kind == Line })
		}
		switch kind >> 4 & 3 {
		case 1:
			s.Header = SkipHeader
		case 2:
			s.Header, s.Names, s.Added = MatchHeader, []Name{{"id", "id"}, {"name", "full_name"}}, nil
		}
		whole := all(&s, string(data))
		at := 0
		if len(data) > 0 {
			at = int(cut) % (len(data) + 1)
		}
		two := NewStream(&s)
		if got := two.Finish(two.Feed(two.Feed(nil, data[:at]), data[at:])); string(got) != whole {
			t.Fatalf("cut at %d, %q becomes %q, and not %q", at, data, got, whole)
		}
		one := NewStream(&s)
		var got []byte
		for i := range data {
			got = one.Feed(got, data[i:i+1])
		}
		if got = one.Finish(got); string(got) != whole {
			t.Fatalf("a byte at a time, %q becomes %q, and not %q", data, got, whole)
		}
		if s.Format == Binary || s.Header != NoHeader || bytes.IndexByte(data, 0) >= 0 {
			return
		}
		in, out := read(&s, string(data)), read(&s, whole)
		if len(in) != len(out) {
			t.Fatalf("%q has %d lines and becomes %q, with %d", data, len(in), whole, len(out))
		}
		for i, fields := range in {
			if fields == nil {
				return
			}
			want := slices.Clone(fields)
			if len(fields) == s.Columns {
				for _, a := range s.Added {
					switch {
					case a.Kind == Line:
						place := out[i][len(out[i])-1]
						if len(out[i]) != s.Columns+1 || !strings.Contains(place, " ") {
							t.Fatalf("line %d of %q becomes %q", i, data, out[i])
						}
						want = append(want, place)
					case a.Kind == Null || strings.ContainsAny(unescaped(&s, fields[a.Field]), "\r\n"):
						want = append(want, s.Null)
					default:
						want = append(want, fields[a.Field])
					}
				}
			} else if len(fields) == s.Columns+len(s.Added) && len(s.Added) > 0 {
				want = append(want, extra)
			}
			if !slices.Equal(out[i], want) {
				t.Fatalf("line %d of %q becomes %q, and not %q", i, data, out[i], want)
			}
		}
	})
}

// unescaped leaves out of a field in text format what is behind backslashes, where a line's end is none.
func unescaped(s *Spec, field string) string {
	if s.Format == CSV {
		return field
	}
	return ""
}

func BenchmarkStream(b *testing.B) {
	var data []byte
	for i := range 2000 {
		data = fmt.Appendf(data, "%d\tname of %d\tuser%d@example.com\n", i, i, i)
	}
	for name, s := range map[string]*Spec{
		"again": with(text, func(s *Spec) { again(1)(s); s.Columns = 3 }),
		"line":  with(text, func(s *Spec) { lineOf(s); s.Columns = 3 }),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			var out []byte
			for b.Loop() {
				st := NewStream(s)
				out = out[:0]
				for at := 0; at < len(data); at += 16 << 10 {
					out = st.Feed(out, data[at:min(len(data), at+16<<10)])
				}
			}
		})
	}
}
