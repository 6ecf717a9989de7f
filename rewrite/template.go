package rewrite

import (
	"slices"
	"strconv"
	"strings"
)

// template is a plan for all texts that differ in their constants, in the numbers of their parameters and in the lengths of their lists: its edits
// refer to tokens of the brief text, so they fit each of them.
type template struct {
	edits []edit // sorted
	like  *Plan  // all else of the plan; its texts are another statement's
	bytes int
	// within has the edits that lie inside of each kept element of each list, as a range of edits. It is nil where elements that are alike are not dealt
	// with alike: then the template serves texts with nothing left out only.
	within [][][2]int
	// at is where in the text a refusal points: a token and the bytes after its start. Refusals serve only long texts with something left out: others
	// are parsed whole, which finds errors in what is left out, too.
	at token
}

// maxWhole bounds the bytes of a text that is parsed whole to say why it is refused.
const maxWhole = 1 << 20

// templated are the statements whose plan does not depend on constants.
var templated = map[string]bool{"select": true, "insert": true, "update": true, "delete": true, "with": true, "merge": true, "values": true, "table": true}

// isTemplated says whether a word is one of templated, in whatever case.
func isTemplated(word string) bool {
	var b [len("select") + 1]byte
	n := copy(b[:], word)
	for i, c := range b[:n] {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return templated[string(b[:n])]
}

// key gives the key under which the template of a text is kept, and whether it can have one.
func (b *brief) key(settings string) (string, bool) {
	key, ok := b.appendKey(nil, settings)
	return string(key), ok
}

// appendKey appends key to buf.
func (b *brief) appendKey(buf []byte, settings string) ([]byte, bool) {
	if len(b.toks) == 0 || !isTemplated(b.text[b.toks[0].start:b.toks[0].end]) {
		return buf, false
	}
	buf = slices.Grow(buf, len(b.text)+len(settings)+2)
	var params numbering
	for i, t := range b.toks {
		switch {
		case t.kind == tokUQuoted:
			return buf, false // what it means can depend on the string behind UESCAPE
		case t.kind == tokPunct && b.text[t.start] == ';' && i < len(b.toks)-1:
			return buf, false // what comes after it may be of another kind
		case t.kind == tokParam:
			buf = append(strconv.AppendInt(append(buf, '$'), params.number(b.text[t.start:t.end]), 10), ' ')
		default:
			buf = appendToken(buf, b.text, t)
		}
	}
	// Where the lists are is part of it, so that what holds for one text's lists does for all.
	for i := range b.lists {
		buf = append(buf, 0)
		for _, e := range b.lists[i].kept {
			for _, n := range [...]int{e.from, e.to, e.shape} {
				buf = append(strconv.AppendInt(buf, int64(n), 36), ' ')
			}
		}
	}
	buf = append(buf, 0)
	return append(buf, settings...), true
}

// numbering numbers words in the order in which they come first.
type numbering struct {
	few  []string // the first ones
	many map[string]int64
}

func (n *numbering) number(word string) int64 {
	if i := slices.Index(n.few, word); i >= 0 {
		return int64(i)
	}
	if len(n.few) < 16 {
		n.few = append(n.few, word)
		return int64(len(n.few) - 1)
	}
	if n.many == nil {
		n.many = map[string]int64{}
	}
	i, ok := n.many[word]
	if !ok {
		i = int64(len(n.few) + len(n.many))
		n.many[word] = i
	}
	return i
}

// appendToken writes a token as keys have it: constants are left out, but not of which kind they are.
func appendToken(buf []byte, text string, t token) []byte {
	switch t.kind {
	case tokString:
		// The prefix counts: B'1' is of another type than '1', and a string with escapes may be no string.
		switch c := text[t.start]; c {
		case '\'', '$':
		default:
			buf = append(buf, c|0x20)
		}
		buf = append(buf, '\'')
	case tokNumber:
		buf = append(buf, '0')
	default:
		buf = append(buf, text[t.start:t.end]...)
	}
	return append(buf, ' ')
}

// template keeps a plan of a brief text for others; nil where it serves no other.
func (p *Plan) template(b *brief) *template {
	if p.unparsed {
		return nil // with other constants it may parse
	}
	t := &template{edits: p.edits, like: p, bytes: len(p.SQL) + len(b.text)}
	if p.Kind == Refuse {
		t.at = b.place(p.Refusal.Position, p.bytesOnly)
		return t
	}
	for i := range p.edits {
		for _, x := range p.edits[i].pieces {
			if !x.copied && namesParam(x.text) {
				return nil
			}
			t.bytes += len(x.text) + 48
		}
		t.bytes += 96
	}
	t.within = t.check(b)
	return t
}

// namesParam says whether SQL of ours names a parameter, whose number is another in another text.
func namesParam(s string) bool {
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			return false
		}
		if isDigit(next(s, i+1)) {
			return true
		}
		s = s[i+1:]
	}
}

// check finds the edits inside of each kept element. It gives nil where an edit lies neither inside of one nor outside of them all, or where two elements
// of a shape are not edited alike.
func (t *template) check(b *brief) [][][2]int {
	within := make([][][2]int, len(b.lists))
	for i := range b.lists {
		within[i] = make([][2]int, len(b.lists[i].kept))
	}
	// in gives the list and the element that a token lies in.
	type place struct{ list, elem int }
	in := func(tok int) (place, bool) {
		i, ok := slices.BinarySearchFunc(b.lists, tok, func(l longList, tok int) int {
			return order(l.kept[0].from, l.kept[len(l.kept)-1].to, tok)
		})
		if !ok {
			return place{}, false
		}
		k, ok := slices.BinarySearchFunc(b.lists[i].kept, tok, func(e element, tok int) int { return order(e.from, e.to, tok) })
		return place{i, k}, ok
	}
	// around says whether a range of tokens has each list whole or not at all.
	around := func(from, to int) bool {
		for i := range b.lists {
			first, last := b.lists[i].kept[0].from, b.lists[i].kept[len(b.lists[i].kept)-1].to
			if from <= last && to >= first && (from > first || to < last) {
				return false
			}
		}
		return true
	}
	for n := range t.edits {
		x := &t.edits[n]
		pl, inside := in(x.from)
		if inside {
			e := b.lists[pl.list].kept[pl.elem]
			first, last := pl.elem == 0, pl.elem == len(b.lists[pl.list].kept)-1
			switch {
			case x.kind == before && first && x.from == e.from, x.kind == after && last && x.to == e.to:
				inside = false // beside the list
			case x.to > e.to:
				if !first || x.from != e.from || !around(x.from, x.to) {
					return nil
				}
				inside = false
			}
			for _, p := range x.pieces {
				if inside && p.copied && (p.from < e.from || p.to > e.to) {
					return nil
				}
			}
			if inside {
				w := &within[pl.list][pl.elem]
				if w[0] == w[1] {
					w[0], w[1] = n, n
				}
				if w[1] != n {
					return nil
				}
				w[1] = n + 1
				continue
			}
		} else if !around(x.from, x.to) {
			return nil
		}
		for _, p := range x.pieces {
			if p.copied && !around(p.from, p.to) {
				return nil
			}
		}
	}
	for i := range b.lists {
		l := &b.lists[i]
		like := map[int]int{}
		for k, e := range l.kept {
			o, ok := like[e.shape]
			if !ok {
				like[e.shape] = k
				continue
			}
			if !t.alike(within[i][o], within[i][k], e.from-l.kept[o].from) {
				return nil
			}
		}
	}
	return within
}

// order compares a range with a token: 0 where it lies in it.
func order(from, to, tok int) int {
	switch {
	case to < tok:
		return -1
	case from > tok:
		return 1
	}
	return 0
}

// alike says whether two ranges of edits are the same but for being so many tokens apart.
func (t *template) alike(a, b [2]int, apart int) bool {
	return slices.EqualFunc(t.edits[a[0]:a[1]], t.edits[b[0]:b[1]], func(x, y edit) bool {
		return x.kind == y.kind && x.moved == y.moved && x.from+apart == y.from && x.to+apart == y.to &&
			slices.EqualFunc(x.pieces, y.pieces, func(p, q piece) bool {
				if p.copied != q.copied || !p.copied {
					return p == q
				}
				return p.from+apart == q.from && p.to+apart == q.to
			})
	})
}

// plan makes the plan of a text that has the template's tokens; nil where it cannot be.
func (t *template) plan(sql string, toks []token, b *brief) *Plan {
	p := *t.like
	p.SQL, p.text = sql, sql
	short := len(b.toks) < len(toks)
	switch {
	case p.Kind == Refuse && (!short || len(sql) <= maxWhole):
		return nil
	case p.Kind == Refuse:
		r := *p.Refusal
		if r.Position > 0 {
			r.Position = p.chars(toks[b.full(t.at.start)].start+t.at.end) + 1
		}
		p.Refusal, p.SQL = &r, ""
		return &p
	case len(t.edits) == 0:
		return &p
	case short && t.within == nil:
		return nil
	}
	edits := t.edits
	if short {
		edits = t.spread(b)
	}
	out, spans, ok := render(sql, toks, edits)
	if !ok {
		return nil
	}
	p.SQL, p.spans, p.edits = out, spans, nil // the edits are the template's
	return &p
}

// spread gives the template's edits for a whole text: those inside of an element are done at each that is like it.
func (t *template) spread(b *brief) []edit {
	all := make([]edit, 0, len(t.edits)+16)
	add := func(x edit, at func(int) int) {
		x.from, x.to = at(x.from), at(x.to)
		x.pieces = slices.Clone(x.pieces)
		for i := range x.pieces {
			if p := &x.pieces[i]; p.copied {
				p.from, p.to = at(p.from), at(p.to)
			}
		}
		x.seq = len(all)
		all = append(all, x)
	}
	n := 0
	upTo := func(tok int) { // the edits up to a token of the brief text
		for ; n < len(t.edits) && t.edits[n].from <= tok; n++ {
			add(t.edits[n], b.full)
		}
	}
	for i := range b.lists {
		l := &b.lists[i]
		for _, d := range l.dropped {
			upTo(l.kept[d.after].to)
			shift := d.full - l.kept[d.like].from
			w := t.within[i][d.like]
			for _, x := range t.edits[w[0]:w[1]] {
				add(x, func(tok int) int { return tok + shift })
			}
		}
	}
	upTo(len(b.toks))
	return all
}

// place gives a position in the text, in characters from 1, as a token and the bytes after its start.
func (b *brief) place(position int, bytesOnly bool) (at token) {
	if position == 0 || len(b.toks) == 0 {
		return at
	}
	off := byteOffset(b.text, position-1, bytesOnly)
	at.end = off - b.toks[0].start // before the first token
	for i, t := range b.toks {
		if t.start > off {
			break
		}
		at.start, at.end = i, off-t.start
	}
	return at
}
