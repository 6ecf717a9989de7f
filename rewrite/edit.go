package rewrite

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// piece is a part of what an edit puts in: SQL of ours, or a copy of a range of the client's tokens, in which the edits inside that
// range are carried out as they are at its own place.
type piece struct {
	text     string
	from, to int // tokens from..to where copied is set
	copied   bool
	nowhere  bool // PostgreSQL gives what the text stands for no place: an error at it has no position
}

func lit(s string) piece              { return piece{text: s} }
func copyOf(from, to int) piece       { return piece{from: from, to: to, copied: true} }
func sqlText(parts ...string) []piece { return []piece{lit(strings.Join(parts, ""))} }

type editKind uint8

// The order is that of edits at the same place.
const (
	after   editKind = iota // put in after token from
	before                  // put in before token from
	replace                 // in the place of the tokens from..to
)

// edit is one change of the client's text, at tokens.
type edit struct {
	kind     editKind
	from, to int
	pieces   []piece
	seq      int
	// moved says that what the edit replaces is written elsewhere: copies show the client's own text, not the replacement.
	moved bool
}

type edits struct {
	text string
	toks []token
	list []edit
}

func (e *edits) add(kind editKind, from, to int, p []piece) {
	e.list = append(e.list, edit{kind: kind, from: from, to: to, pieces: p, seq: len(e.list)})
}

// move replaces tokens whose text a copy of them has at another place.
func (e *edits) move(from, to int, p []piece) {
	e.add(replace, from, to, p)
	e.list[len(e.list)-1].moved = true
}

// span says where a run of the output came from. Verbatim runs map byte by byte; the others as a whole to where they were put in, or to no place (-1).
type span struct {
	out, src int
	verbatim bool
}

// sorted gives the edits in the order of their places, which is the same for every text with the same tokens.
func (e *edits) sorted() []edit {
	sort.SliceStable(e.list, func(i, j int) bool {
		a, b := &e.list[i], &e.list[j]
		if x, y := a.place(), b.place(); x != y {
			return x < y
		}
		if a.kind != b.kind {
			return a.kind < b.kind
		}
		if a.kind == replace && a.to != b.to {
			return a.to > b.to // the outer one first
		}
		if a.moved != b.moved {
			return a.moved // what it is moved from shows in the copy only
		}
		return a.seq < b.seq
	})
	return e.list
}

// place orders edits: twice the token, and one more behind it.
func (e *edit) place() int {
	if e.kind == after {
		return 2*e.from + 1
	}
	return 2 * e.from
}

// render gives the text with all edits, which are sorted, carried out. ok is false where two edits overlap, which is a defect: the
// statement is then refused.
func render(text string, toks []token, list []edit) (out string, spans []span, ok bool) {
	r := renderer{text: text, toks: toks, list: list, end: -1}
	size, runs := len(text)+len(list), 1
	for i := range list {
		runs += 1 + 2*len(list[i].pieces)
		for _, p := range list[i].pieces {
			if size += len(p.text); p.copied {
				size += toks[p.to].end - toks[p.from].start
			}
		}
	}
	r.b.Grow(size)
	r.spans = make([]span, 0, runs)
	if !r.rng(0, len(text), list, 0) {
		return "", nil, false
	}
	return r.b.String(), r.spans, true
}

type renderer struct {
	text  string
	toks  []token
	list  []edit
	b     strings.Builder
	spans []span
	end   int // where in the client's text the run that was written last ended; -1 after text of ours
}

func (r *renderer) offset(x *edit) int {
	if x.kind == after {
		return r.toks[x.from].end
	}
	return r.toks[x.from].start
}

// rng writes the text from..to with those edits of the list that lie in it.
func (r *renderer) rng(from, to int, list []edit, depth int) bool {
	if depth > 20 || r.b.Len() > maxOutput {
		return false
	}
	at := from
	var covered *edit // the last range that was moved
	for i := range list {
		x := &list[i]
		off := r.offset(x)
		if off < at {
			if covered != nil && x.from >= covered.from && x.to <= covered.to {
				continue // it shows where the range was moved to
			}
			return false
		}
		r.verbatim(at, off)
		at = off
		for _, p := range x.pieces {
			if !p.copied {
				r.part(p.text, off)
				src := off
				if p.nowhere {
					src = -1
				}
				r.spans = append(r.spans, span{r.b.Len(), src, false})
				r.b.WriteString(p.text)
				r.end = -1
				continue
			}
			if !r.rng(r.toks[p.from].start, r.toks[p.to].end, r.within(p.from, p.to, x), depth+1) {
				return false
			}
		}
		if x.kind == replace {
			at = r.toks[x.to].end
			if x.moved {
				covered = x
			}
		}
	}
	if at > to {
		return false
	}
	r.verbatim(at, to)
	return true
}

// within gives the edits that lie inside the tokens from..to, but for the one that copies them.
func (r *renderer) within(from, to int, but *edit) []edit {
	var in []edit
	first := sort.Search(len(r.list), func(i int) bool { return r.list[i].place() >= 2*from })
	for _, x := range r.list[first:] {
		if x.place() > 2*to+1 {
			break
		}
		if x.seq == but.seq || x.moved || x.from < from || x.to > to {
			continue
		}
		// What is put in before the first or after the last token of a copied range belongs to its surroundings.
		if x.kind == before && x.from == from || x.kind == after && x.from == to {
			continue
		}
		in = append(in, x)
	}
	return in
}

func (r *renderer) verbatim(from, to int) {
	if from < to {
		if r.end != from {
			r.part(r.text[from:to], from)
		}
		r.spans = append(r.spans, span{r.b.Len(), from, true})
		r.b.WriteString(r.text[from:to])
		r.end = to
	}
}

// part keeps what comes next apart from what was written last, where the two would read as one token.
func (r *renderer) part(next string, src int) {
	if r.b.Len() == 0 || next == "" {
		return
	}
	last := r.last()
	word := isIdentByte(last) && isIdentByte(next[0])
	quote := (isIdentByte(last) || last == '&' || last == next[0]) && (next[0] == '"' || next[0] == '\'')
	if word || quote || isOpByte(last) && isOpByte(next[0]) {
		r.spans = append(r.spans, span{r.b.Len(), src, false})
		r.b.WriteByte(' ')
	}
}

// last gives the byte that was written last.
func (r *renderer) last() byte {
	s := r.b.String()
	return s[len(s)-1]
}

// maxOutput bounds what a statement can grow to, in bytes.
const maxOutput = 256 << 20

// ClientPosition maps an error position in the text that the server got to one in the client's text. Both count characters from 1; 0 is no position.
func (p *Plan) ClientPosition(server int) int {
	if p.Kind != Rewrite || server < 1 {
		return server
	}
	sent := p.SQL
	if p.sent != "" {
		sent = p.sent
	}
	off := byteOffset(sent, server-1, p.bytesOnly)
	i := sort.Search(len(p.spans), func(i int) bool { return p.spans[i].out > off }) - 1
	if i < 0 {
		return server
	}
	s := p.spans[i]
	src := s.src
	if src < 0 {
		return 0
	}
	if s.verbatim {
		src += off - s.out
	}
	if src > len(p.text) {
		src = len(p.text)
	}
	return p.chars(src) + 1
}

// chars counts the characters before a byte offset of the client's text.
func (p *Plan) chars(off int) int { return countChars(p.text[:off], p.bytesOnly) }

func countChars(s string, bytesOnly bool) int {
	if bytesOnly {
		return len(s)
	}
	return utf8.RuneCountInString(s)
}

func byteOffset(s string, chars int, bytesOnly bool) int {
	if bytesOnly {
		return min(chars, len(s))
	}
	off := 0
	for ; chars > 0 && off < len(s); chars-- {
		_, n := utf8.DecodeRuneInString(s[off:])
		off += n
	}
	return off
}
