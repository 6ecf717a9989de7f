package copydata

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// ending is how a line ends, which the first line's end settles for all (PostgreSQL's EolType). A different end later is an error of the server's.
type ending int

const (
	unknown ending = iota
	newline
	carriage
	both
)

// lines is a stream in text or CSV format. It follows PostgreSQL's CopyReadLineText and CopyReadAttributes.
type lines struct {
	spec *Spec
	stop [256]bool // bytes that mean something

	eol    ending
	header bool // the line is the header
	over   bool // the data has ended, or is the server's to judge: all else passes
	begun  bool // the line has bytes
	field  int
	number int // of the line, from 1
	kept   []keep
	head   []byte // of the line, up to one byte more than is shown
	name   []byte // of the header's field
	said   string // the header, as far as it is shown
	saidAt int    // and the number of its line

	quoted, escaped bool // CSV: inside of quotes; behind an escape there
	backslash       bool // a backslash is held back
	dot             bool // and a dot behind it
	cr              bool // the line ended with \r, and \n may belong to it
	breaks          bool // the field has a line's end in it
}

type keep struct {
	text []byte
	none bool // NULL stands for it
}

func newLines(spec *Spec) *lines {
	l := &lines{spec: spec, header: spec.Header != NoHeader, number: 1, kept: make([]keep, len(spec.Added))}
	for _, c := range []byte{'\n', '\r', '\\', spec.Delimiter} {
		l.stop[c] = true
	}
	if spec.Format == CSV {
		l.stop[spec.Quote], l.stop[spec.Escape] = true, true
	}
	return l
}

func (l *lines) feed(dst, src []byte) []byte {
	if l.over {
		return append(dst, src...)
	}
	from := 0 // what has not been passed yet
	for i := 0; i < len(src); i++ {
		c := src[i]
		if !l.stop[c] && !l.cr && !l.backslash {
			j := i + 1
			for j < len(src) && !l.stop[src[j]] {
				j++
			}
			l.begun, l.escaped = true, false
			i = j - 1
			continue
		}
		if l.cr {
			l.cr = false
			if l.eol == unknown {
				if l.eol = carriage; c == '\n' {
					l.eol = both
				}
			}
			if c == '\n' && l.eol == both { // it is the end of the line before
				dst = append(dst, c)
				from = i + 1
				continue
			}
		}
		if l.backslash {
			var on, over bool
			if dst, on, over = l.behind(dst, src, &from, i); over {
				return append(dst, src[from:]...)
			}
			if on {
				continue
			}
		}
		switch {
		case l.quoted:
			l.inside(c)
		case c == l.spec.Quote && l.spec.Format == CSV:
			l.quoted = true
		case c == '\\' && (l.spec.Format == Text || !l.begun && l.spec.Marked):
			dst = l.pass(dst, src[from:i])
			from = i + 1 // held back
			l.backslash = true
			continue
		case c == l.spec.Delimiter:
			dst = l.pass(dst, src[from:i])
			from = i
			dst = l.endField(dst)
			l.begun = true
			dst = append(dst, c)
			l.see(src[i : i+1])
			from = i + 1
			continue
		case c == '\n' && (l.eol == unknown || l.eol == newline):
			l.eol = newline
			dst = l.pass(dst, src[from:i])
			dst = append(l.endLine(dst), c)
			from = i + 1
			continue
		case c == '\r' && l.eol != newline:
			dst = l.pass(dst, src[from:i])
			dst = append(l.endLine(dst), c)
			from = i + 1
			l.cr = true
			continue
		}
		l.begun = true
	}
	return l.pass(dst, src[from:])
}

// inside deals with a byte inside of quotes that means something.
func (l *lines) inside(c byte) {
	s := l.spec
	if c == s.Escape && s.Escape != s.Quote {
		l.escaped = !l.escaped
		return
	}
	if c == s.Quote && !l.escaped {
		l.quoted = false
	}
	if c == '\n' || c == '\r' {
		l.breaks = true
	}
	// The server counts one of the two, by how the first line ended; before that, \r.
	if c == '\n' && l.eol == newline || c == '\r' && l.eol != newline {
		l.number++
	}
	l.escaped = false
}

// behind deals with the byte behind a backslash that was held back, which may be a dot. on says that the byte is dealt with; over, that the data ends here.
func (l *lines) behind(dst, src []byte, from *int, i int) (_ []byte, on, over bool) {
	c := src[i]
	switch {
	case l.spec.Format == Text && c == '.':
		// The line ends before it, whether there is one or not.
		if l.begun {
			dst = l.endLine(dst)
		}
		l.over = true
		return append(dst, '\\'), false, true
	case l.spec.Format == Text: // the byte is data, whatever it is
		l.backslash = false
		dst = l.pass(dst, []byte{'\\', c})
		*from = i + 1
		l.begun = true
		return dst, true, false
	case !l.dot && c == '.':
		l.dot = true
		*from = i + 1
		return dst, true, false
	case l.dot && (c == '\n' || c == '\r'):
		l.over = true
		return append(dst, `\.`...), false, true
	}
	return l.release(dst), false, false
}

// release passes what was held back, which is data.
func (l *lines) release(dst []byte) []byte {
	held := `\`
	if l.dot {
		held = `\.`
	}
	l.backslash, l.dot, l.begun = false, false, true
	return l.pass(dst, []byte(held))
}

// pass passes bytes of the line and keeps what is needed of them.
func (l *lines) pass(dst, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	l.see(b)
	if l.header {
		if l.spec.Names == nil {
			return append(dst, b...)
		}
		if l.name = append(l.name, b...); len(l.name) > maxName { // no column has such a name
			dst = append(dst, l.name...)
			l.name, l.header = nil, false
			l.over = true // the server refuses the header
		}
		return dst
	}
	for i, a := range l.spec.Added {
		if a.Kind != Copied || a.Field != l.field || l.kept[i].none {
			continue
		}
		k := &l.kept[i]
		if k.text = append(k.text, b...); len(k.text) > MaxField {
			k.text, k.none = k.text[:0], true
		}
	}
	return append(dst, b...)
}

// see keeps the beginning of the line.
func (l *lines) see(b []byte) {
	if n := shown + 1 - len(l.head); n > 0 {
		l.head = append(l.head, b[:min(n, len(b))]...)
	}
}

func (l *lines) endField(dst []byte) []byte {
	if l.header && l.spec.Names != nil {
		dst = l.endName(dst)
	}
	if l.breaks {
		for i, a := range l.spec.Added {
			if a.Kind == Copied && a.Field == l.field {
				l.kept[i] = keep{text: l.kept[i].text[:0], none: true}
			}
		}
	}
	l.breaks = false
	l.field++
	return dst
}

// endLine passes what comes before a line's end.
func (l *lines) endLine(dst []byte) []byte {
	dst = l.endField(dst)
	fields := l.field
	switch {
	case l.header:
		head, more := l.clipped()
		if l.said, l.saidAt = string(head), l.number; more {
			l.said += "..."
		}
	case fields == l.spec.Columns:
		for i := range l.spec.Added {
			dst = append(dst, l.spec.Delimiter)
			dst = l.added(dst, i)
		}
	case fields == l.spec.Columns+len(l.spec.Added) && len(l.spec.Added) > 0: // the server would take it
		dst = append(append(dst, l.spec.Delimiter), extra...)
	}
	for i := range l.kept {
		l.kept[i] = keep{text: l.kept[i].text[:0]}
	}
	l.header, l.begun, l.field, l.quoted, l.escaped = false, false, 0, false, false
	l.head = l.head[:0]
	l.number++
	return dst
}

// adds says whether something is put behind the line if its current field is the last.
func (l *lines) adds() bool {
	n := len(l.spec.Added)
	return n > 0 && !l.header && (l.field+1 == l.spec.Columns || l.field+1 == l.spec.Columns+n)
}

func (l *lines) added(dst []byte, i int) []byte {
	switch k := &l.kept[i]; {
	case l.spec.Added[i].Kind == Line:
		return l.line(dst)
	case l.spec.Added[i].Kind == Null, k.none:
		return append(dst, l.spec.Null...)
	default:
		return append(dst, k.text...)
	}
}

// clipped gives as much of the line as the server shows, and whether there is more.
func (l *lines) clipped() (head []byte, more bool) {
	head = l.head
	if more = len(head) > shown; more {
		head = head[:shown]
		for n := 0; l.spec.UTF8 && n < utf8.UTFMax && !utf8.RuneStart(l.head[len(head)]); n++ {
			head = head[:len(head)-1]
		}
	}
	return head, more
}

// line writes the line's number and its beginning as a field. A line's end in it must not be one in the field, since the server counts them.
func (l *lines) line(dst []byte) []byte {
	head, more := l.clipped()
	if l.spec.Format == CSV {
		dst = append(dst, l.spec.Quote)
	}
	dst = strconv.AppendInt(dst, int64(l.number), 10)
	dst = append(dst, ' ')
	for _, c := range head {
		switch {
		case c == '\n':
			dst = append(dst, lineFeed)
		case c == '\r':
			dst = append(dst, carriageReturn)
		case l.spec.Format == CSV:
			if c == l.spec.Quote || c == l.spec.Escape {
				dst = append(dst, l.spec.Escape)
			}
			dst = append(dst, c)
		default:
			if c == '\\' || c == l.spec.Delimiter {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
	}
	if more {
		dst = append(dst, "..."...)
	}
	if l.spec.Format == CSV {
		dst = append(dst, l.spec.Quote)
	}
	return dst
}

// What stands for the ends of lines in the field that says which line it is.
const (
	lineFeed       = 0x1e
	carriageReturn = 0x1f
)

// Place reads what an added field of kind Line says: the line's number and its beginning as the server shows it.
func Place(field string) (number, text string) {
	n, head, _ := bytes.Cut([]byte(field), []byte{' '})
	for i, c := range head {
		switch c {
		case lineFeed:
			head[i] = '\n'
		case carriageReturn:
			head[i] = '\r'
		}
	}
	return string(n), string(head)
}

// endName passes a name of the header, by what the server has to see.
func (l *lines) endName(dst []byte) []byte {
	raw := l.name
	l.name = l.name[:0]
	if l.field >= len(l.spec.Names) {
		return append(dst, raw...)
	}
	n := l.spec.Names[l.field]
	said := l.unquote(raw)
	switch {
	case n.Client == n.Server:
		return append(dst, raw...)
	case said == n.Client:
		return l.quote(dst, n.Server)
	case said == n.Server: // which the client must not say
		return l.quote(dst, said+" ")
	}
	return append(dst, raw...)
}

// unquote reads a name of the header as the server does.
func (l *lines) unquote(raw []byte) string {
	var b []byte
	quoted := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch s := l.spec; {
		case s.Format == Text && c == '\\' && i+1 < len(raw):
			i++
			b = append(b, raw[i]) // other escapes are in no name that is looked for but to be left as they are
		case s.Format == CSV && quoted && c == s.Escape && i+1 < len(raw) && (raw[i+1] == s.Quote || raw[i+1] == s.Escape):
			i++
			b = append(b, raw[i])
		case s.Format == CSV && c == s.Quote:
			quoted = !quoted
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// quote writes a name as a field of the header.
func (l *lines) quote(dst []byte, name string) []byte {
	csv := l.spec.Format == CSV
	if csv {
		dst = append(dst, l.spec.Quote)
	}
	for _, c := range []byte(name) {
		switch {
		case csv && (c == l.spec.Quote || c == l.spec.Escape):
			dst = append(dst, l.spec.Escape)
		case !csv && (c == '\\' || c == l.spec.Delimiter):
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	if csv {
		dst = append(dst, l.spec.Quote)
	}
	return dst
}

// finish ends the data; its last line may have no end.
func (l *lines) finish(dst []byte) []byte {
	if l.over {
		return dst
	}
	switch {
	case l.backslash && l.spec.Format == Text && l.adds():
		l.backslash, l.begun = false, true // the server leaves a last backslash out; here it would not be the last
	case l.backslash:
		dst = l.release(dst)
	}
	if !l.begun {
		return dst
	}
	if l.quoted { // the server will say so
		if l.header {
			dst = append(dst, l.name...)
		}
		return dst
	}
	return l.endLine(dst)
}
