package rewrite

import (
	"sort"
	"strconv"
	"strings"
)

// maxKept bounds the elements that are kept of a list: one whose elements have more shapes is left whole.
const maxKept = 64

// brief is a text with its long lists shortened: of the rows of a VALUES list, and of the elements of an IN list or an ARRAY, the first two of each
// shape and the last are kept. Elements have the same shape where their tokens are the same but for constants, and for parameters that the text has
// once. Nothing that planning asks depends on how many elements of a shape there are, so that a plan of the brief text, which is all that is parsed,
// is one of the whole text once the edits of a kept element are done at all of its shape; template.check holds it to that.
type brief struct {
	text  string
	toks  []token
	runs  []tokenRun // how toks came from the whole text's tokens
	lists []longList
	whole int // tokens of the whole text
}

// tokenRun says that from a token of the brief text on, up to the next run, tokens are those of the whole text from full on.
type tokenRun struct{ at, full int }

// longList is one list that may be shortened. Token indexes are the brief text's.
type longList struct {
	kept    []element
	dropped []drop // in the order of the text
}

// element is a row or an element: its first and its last token, and the number of its shape.
type element struct{ from, to, shape int }

// drop is an element of the whole text that is left out: the whole text's first token of it, the kept element that it is like, and the kept element
// that it comes after.
type drop struct{ full, like, after int }

// shorten makes the brief text; where there is nothing to leave out, it is the text itself.
func shorten(sql string, toks []token) *brief {
	b := new(brief)
	b.shorten(sql, toks)
	return b
}

// shorten is the function of that name, for a brief of the caller's.
func (b *brief) shorten(sql string, toks []token) {
	*b = brief{text: sql, toks: toks, runs: append(b.runs[:0], tokenRun{}), whole: len(toks)}
	var shapes *shapes
	var lists []longList
	dropping := false
	effort := 4 * len(toks) // lists in lists are looked at once for each list that they are in
	for i := 0; i+1 < len(toks) && effort > 0; i++ {
		if !startsList(sql, toks, i) {
			continue
		}
		elements := listElements(sql, toks, i, &effort)
		if len(elements) < 3 {
			continue
		}
		if shapes == nil {
			shapes = newShapes(sql, toks)
		}
		l, ok := shapes.list(elements)
		if !ok {
			continue
		}
		lists = append(lists, l)
		dropping = dropping || len(l.dropped) > 0
		i = elements[len(elements)-1].to
	}
	b.lists = lists
	if dropping {
		b.cut(sql, toks)
	}
}

// startsList says whether a list may begin behind token i.
func startsList(sql string, toks []token, i int) bool {
	t := toks[i]
	if t.kind != tokIdent || toks[i+1].kind != tokPunct || i > 0 && toks[i-1].kind == tokPunct && sql[toks[i-1].start] == '.' {
		return false
	}
	open := sql[toks[i+1].start]
	switch t.end - t.start {
	case len("in"):
		return open == '(' && equalFold(sql[t.start:t.end], "in")
	case len("array"):
		return open == '[' && equalFold(sql[t.start:t.end], "array")
	case len("values"):
		return open == '(' && equalFold(sql[t.start:t.end], "values")
	}
	return false
}

// listElements finds the elements of the list behind token i; nil where it is no plain list: a sub-select, or one with more queries in it, whose
// elements may mean more than their values.
func listElements(sql string, toks []token, i int, effort *int) (elements []element) {
	rows := toks[i].end-toks[i].start == len("values")
	depth, base := 0, 1 // elements lie at depth base; rows are brackets themselves
	if rows {
		base = 0
	}
	from := -1
	for j := i + 1; j < len(toks); j++ {
		*effort--
		t := toks[j]
		if t.kind == tokIdent {
			if n := t.end - t.start; n >= 4 && n <= 6 && queryWords[lower(sql[t.start:t.end])] {
				return nil
			}
		}
		c := byte(0)
		if t.kind == tokPunct {
			c = sql[t.start]
		}
		switch c {
		case ';':
			return nil
		case '(', '[':
			depth++
			if depth == 1 && !rows {
				continue
			}
		case ')', ']':
			depth--
			if depth < base && (!rows || depth < 0) {
				if from < 0 || rows {
					return nil
				}
				return append(elements, element{from: from, to: j - 1})
			}
			if rows && depth == 0 {
				elements = append(elements, element{from: from, to: j})
				from = -1
				if j+2 >= len(toks) || toks[j+1].kind != tokPunct || sql[toks[j+1].start] != ',' || toks[j+2].kind != tokPunct || sql[toks[j+2].start] != '(' {
					return elements
				}
				j++ // the comma
				continue
			}
		case ',':
			if depth == base && !rows {
				if from < 0 {
					return nil
				}
				elements = append(elements, element{from: from, to: j - 1})
				from = -1
				continue
			}
		}
		if from < 0 {
			from = j
		}
	}
	return nil
}

var queryWords = map[string]bool{"select": true, "values": true, "with": true, "table": true, "join": true}

// shapes gives elements of one text their shapes.
type shapes struct {
	sql  string
	toks []token
	uses []uint8 // of each parameter by its number: 0, 1, or 2 for more
	buf  []byte
}

const maxParam = 65535

func newShapes(sql string, toks []token) *shapes {
	s := &shapes{sql: sql, toks: toks}
	for _, t := range toks {
		if t.kind != tokParam {
			continue
		}
		if n := param(sql, t); n <= maxParam {
			if s.uses == nil {
				s.uses = make([]uint8, maxParam+1)
			}
			s.uses[n] = min(s.uses[n]+1, 2)
		}
	}
	return s
}

// param gives a parameter's number, or more than maxParam.
func param(sql string, t token) int {
	n, err := strconv.ParseUint(sql[t.start+1:t.end], 10, 32)
	if err != nil {
		return maxParam + 1 // the server has the error
	}
	return int(n)
}

// list sorts elements into kept and dropped ones; indexes are the whole text's. ok is false where they have too many shapes.
func (s *shapes) list(elements []element) (l longList, ok bool) {
	known := map[string]int{}
	var seen, second []int // by shape: how often, and the second of them in kept
	last := len(elements) - 1
	for i := range elements {
		e := elements[i]
		s.buf = s.buf[:0]
		for _, t := range s.toks[e.from : e.to+1] {
			if t.kind == tokParam {
				if n := param(s.sql, t); n <= maxParam && s.uses[n] == 1 {
					s.buf = append(s.buf, "$ "...)
					continue
				}
			}
			s.buf = appendToken(s.buf, s.sql, t)
		}
		shape, have := known[string(s.buf)]
		if !have {
			shape = len(known)
			known[string(s.buf)] = shape
			seen, second = append(seen, 0), append(second, -1)
		}
		e.shape = shape
		seen[shape]++
		if seen[shape] <= 2 || i == last {
			if len(l.kept) == maxKept {
				return longList{}, false
			}
			if seen[shape] == 2 {
				second[shape] = len(l.kept)
			}
			l.kept = append(l.kept, e)
			continue
		}
		l.dropped = append(l.dropped, drop{full: e.from, like: second[shape], after: len(l.kept) - 1})
	}
	return l, true
}

// cut leaves the dropped elements out, and counts the tokens anew.
func (b *brief) cut(sql string, toks []token) {
	var text strings.Builder
	short := make([]token, 0, 64)
	b.runs = nil
	next, written := 0, 0 // the first token and the first byte that are not dealt with
	upTo := func(end, bytes int) {
		b.runs = append(b.runs, tokenRun{len(short), next})
		shift := text.Len() - written
		for _, t := range toks[next:end] {
			short = append(short, token{t.kind, t.start + shift, t.end + shift})
		}
		text.WriteString(sql[written:bytes])
	}
	for i := range b.lists {
		l := &b.lists[i]
		dropped := l.dropped
		for k := range l.kept {
			e := &l.kept[k]
			to := e.to
			e.from, e.to = e.from+len(short)-next, e.to+len(short)-next
			if len(dropped) == 0 || dropped[0].after != k {
				continue
			}
			for len(dropped) > 0 && dropped[0].after == k {
				dropped = dropped[1:]
			}
			// The comma before the next element that is kept stays.
			comma := l.kept[k+1].from - 1
			upTo(to+1, toks[to].end)
			next, written = comma, toks[comma-1].end
		}
	}
	upTo(len(toks), len(sql))
	b.text, b.toks = text.String(), short
}

// full gives the whole text's index of a token of the brief text.
func (b *brief) full(i int) int {
	r := sort.Search(len(b.runs), func(r int) bool { return b.runs[r].at > i }) - 1
	return i - b.runs[r].at + b.runs[r].full
}
