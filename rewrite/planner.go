package rewrite

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/lens"
)

const (
	maxText    = 8 << 20 // bytes of a text that is planned
	maxTokens  = 500_000 // tokens of a text that goes to the parser, whose tree takes up to 700 bytes for each
	largeText  = 1 << 18 // bytes of a text of which one at a time is parsed and planned, in the whole process: its tree takes up to 350 MiB
	maxNesting = 1000    // levels of nesting that it may have, by a careful estimate: the parser's stack and its tree's decoder are bounded
	maxDerived = 16      // tables of a text that a sub-select may stand in for
	maxSides   = 8       // sides that are tried in version auto
)

// Plan plans one text, a Query's or a Parse's, for a session with these settings. It is pure and may be called from many
// goroutines at once; outcomes are cached.
func (s *State) Plan(sql string, set Settings) *Plan { return s.PlanAside(sql, set, func() {}) }

// PlanAside is Plan for a caller that has other things to do: long is called before what takes longer than finding a plan that is kept, which is parsing, or waiting for
// somebody who parses the same.
func (s *State) PlanAside(sql string, set Settings, long func()) *Plan {
	if !s.Mentions(sql) && !set.mentionsMember(sql) {
		return &Plan{Kind: Pass, SQL: sql}
	}
	if p, ok := s.planEncoded(sql, set, long); ok {
		return p
	}
	p := s.planMentioning(sql, set, long)
	if p.Kind == Refuse && !s.NamesTables(sql) && !set.mentionsMember(sql) {
		return &Plan{Kind: Pass, SQL: sql} // it reads a catalog in a way that is not covered: as it is
	}
	return p
}

// planMentioning plans a text that Mentions picked out.
func (s *State) planMentioning(sql string, set Settings, long func()) *Plan {
	if p := unplannable(sql, set); p != nil {
		return p
	}
	settings := set.key()
	if p := s.planBrief(sql, settings, &set, long); p != nil {
		return p
	}
	return s.plans.get(sql+"\x00"+settings, long, func() (*Plan, int) {
		p := s.plan(sql, set)
		return p, len(p.SQL) + 48*len(p.spans)
	})
}

// scratch is what planning a text by its brief form needs for the while, and what is used again for the next one: none of it is kept by a plan or a template.
type scratch struct {
	toks  []token
	key   []byte
	brief brief
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch bounds what is kept of a large text's, in tokens and in the key's bytes.
const maxScratch = 4096

func (x *scratch) free() {
	if cap(x.toks) > maxScratch || cap(x.key) > maxScratch {
		return
	}
	x.toks, x.key, x.brief = x.toks[:0], x.key[:0], brief{runs: x.brief.runs[:0]}
	scratches.Put(x)
}

// planBrief plans a text by its brief form, which many texts share; nil where it has to be planned for itself.
func (s *State) planBrief(sql, settings string, set *Settings, long func()) *Plan {
	x := scratches.Get().(*scratch)
	defer x.free()
	var ok, odd bool
	if x.toks, ok, odd = lexInto(x.toks, sql); !ok || odd {
		return nil
	}
	b := &x.brief
	b.shorten(sql, x.toks)
	if x.key, ok = b.appendKey(x.key, settings); !ok {
		return nil
	}
	t, found := s.templates.look(x.key)
	if !found {
		var first *Plan
		if t, first = s.makeTemplate(string(x.key), b, *set, long); first != nil && len(b.toks) == len(x.toks) {
			return first
		}
	}
	if t == nil {
		return nil
	}
	return t.plan(sql, x.toks, b)
}

// makeTemplate gives the template of a brief text, or nil. Where this call makes it, it gives the brief text's plan, too.
func (s *State) makeTemplate(key string, b *brief, set Settings, long func()) (_ *template, first *Plan) {
	t := s.templates.get(key, long, func() (*template, int) {
		first = s.plan(b.text, set)
		t := first.template(b)
		if t == nil {
			return nil, 0
		}
		return t, t.bytes
	})
	return t, first
}

// unplannable refuses texts that must not reach the parser, whatever they say.
func unplannable(sql string, set Settings) *Plan {
	refused := func(code, message, hint string) *Plan {
		return &Plan{Kind: Refuse, Refusal: &Refusal{Code: code, Message: message, Hint: hint}, text: sql, bytesOnly: singleByte(set.Encoding)}
	}
	if (set.Encoding == "UTF8" || set.Encoding == "UNICODE") && !utf8.ValidString(sql) {
		return &Plan{Kind: Pass, SQL: sql} // the server looks at that first, and its error is the right one (22021)
	}
	if !ascii(sql) && (set.Encoding != "" && set.Encoding != "UTF8" && set.Encoding != "UNICODE" || !utf8.ValidString(sql)) {
		return refused("0A000", "segue: a statement on a migrating table has characters beyond ASCII while client_encoding is "+set.Encoding,
			"SET client_encoding TO 'UTF8', or pass the values as parameters.")
	}
	if set.Backslash && strings.Contains(sql, `\`) {
		return refused("0A000", "segue: a statement on a migrating table has a backslash while standard_conforming_strings is off",
			"SET standard_conforming_strings TO on, or write E'...' strings as parameters.")
	}
	if len(sql) > maxText {
		return refused("54000", fmt.Sprintf("segue: a statement on a migrating table is %d bytes long, and the limit is %d", len(sql), maxText),
			"Split it, pass the values as parameters, or use COPY.")
	}
	return nil
}

// large is taken while a large text is parsed and planned.
var large = make(chan struct{}, 1)

// plan parses and plans a text, without a look into the caches.
func (s *State) plan(sql string, set Settings) *Plan {
	if p := unplannable(sql, set); p != nil {
		return p
	}
	refused := func(code, message, hint string) *Plan {
		return &Plan{Kind: Refuse, Refusal: &Refusal{Code: code, Message: message, Hint: hint}, text: sql, bytesOnly: singleByte(set.Encoding)}
	}
	toks, lexes, odd := lex(sql)
	ok := lexes
	if odd {
		return refused("0A000", "segue: a statement on a migrating table has a string that goes on behind a comment, or a vertical tab", "Write the string in one piece.")
	}
	if len(toks) > maxTokens {
		return refused("54000", fmt.Sprintf("segue: a statement on a migrating table has %d words, numbers and signs, and the limit is %d", len(toks), maxTokens),
			"Split it, pass the values as an array in one parameter, or use COPY.")
	}
	if ok && nesting(sql, toks) > maxNesting {
		return refused("54001", fmt.Sprintf("segue: a statement on a migrating table is nested deeper than %d levels", maxNesting), "Split it.")
	}
	if len(sql) > largeText {
		large <- struct{}{}
		defer func() { <-large }()
	}
	var tree *pg.ParseResult
	if ok {
		var err error
		tree, err = pg.Parse(sql)
		ok = err == nil
	}
	if !ok {
		// A server whose grammar is the parser's or a part of it will not understand it either, and its error is the right one; no server understands what
		// does not end or close. (13 has operators behind their operand, which the parser does not know.)
		if set.ServerMajor == 0 || set.ServerMajor >= 14 && set.ServerMajor <= 16 || !lexes || !closed(sql, toks) {
			return &Plan{Kind: Pass, SQL: sql, unparsed: true}
		}
		p := refused("0A000", "segue: a statement that names a migrating table cannot be parsed", "This build knows PostgreSQL 16's grammar; write the statement in that.")
		p.unparsed = true
		return p
	}
	p := s.choose(sql, toks, tree, set)
	return p
}

// Parses says whether a text is one that PostgreSQL 16's grammar takes. Of what is too large for the parser, that is not known.
func Parses(sql string) (parses, known bool) {
	if len(sql) > largeText || !utf8.ValidString(sql) {
		return false, false
	}
	toks, lexes, odd := lex(sql)
	if odd || len(toks) > maxTokens {
		return false, false
	}
	if !lexes {
		return false, true
	}
	if nesting(sql, toks) > maxNesting {
		return false, false
	}
	_, err := pg.Parse(sql)
	return err == nil, true
}

// choose settles each migration's side by the session's version, in version auto by the names that the statement uses.
func (s *State) choose(sql string, toks []token, tree *pg.ParseResult, set Settings) *Plan {
	sides, auto := s.sides(set.Version)
	once := func(sides map[string]bool, derived map[int32]bool) *attempt {
		a := &attempt{
			derived: derived,
			edits:   edits{text: sql, toks: toks}, state: s, set: set, isNew: sides,
			lenses: map[uint32]*lens.Lens{}, touched: map[string]bool{}, oldNames: map[string]bool{}, renamed: map[*pg.ColumnRef]bool{},
		}
		for i, raw := range tree.Stmts {
			a.stmt, a.start, a.halved = i, int(raw.StmtLocation), nil
			a.statement(raw.Stmt)
			if a.refusal != nil {
				break
			}
		}
		return a
	}
	try := func(sides map[string]bool) *attempt {
		derived := map[int32]bool{}
		for {
			a := once(sides, derived)
			if a.needs == nil || derived[*a.needs] || len(derived) == maxDerived {
				return a
			}
			derived[*a.needs] = true
		}
	}
	a := try(sides)
	if !auto {
		return a.plan()
	}
	first, touched := a, maps.Clone(a.touched)
	for range maxSides {
		// The name is the other side's: the code was written for that.
		if a.blame == "" || sides[a.blame] {
			break
		}
		sides = maps.Clone(sides)
		sides[a.blame] = true
		a = try(sides)
		maps.Copy(touched, a.touched)
	}
	// A name that is ambiguous on this side may be good on another. An attempt that gets further touches more.
	for seen := 0; a.unresolved() && seen < len(touched); {
		seen = len(touched)
		for _, other := range combinations(first.isNew, touched) {
			b := try(other)
			maps.Copy(touched, b.touched)
			if !b.unresolved() {
				sides, a = other, b
				break
			}
		}
	}
	if a.unresolved() {
		return first.plan()
	}
	if a.refusal != nil {
		return a.plan()
	}
	for _, other := range combinations(sides, a.touched) {
		b := try(other)
		if b.refusal == nil && !b.doomed && !slices.Equal(a.resolved, b.resolved) {
			a.uncovered(0, nil, fmt.Sprintf("a statement that means different columns before and after migration %q", differing(sides, other)),
				"Say which schema the code was written for: options=-csegue.version=old, or new.")
			return a.plan()
		}
	}
	return a.plan()
}

// combinations gives the sides that differ from those given for some of the migrations, those that differ least first, at most maxSides of them.
func combinations(sides, touched map[string]bool) (all []map[string]bool) {
	names := slices.Sorted(maps.Keys(touched))
	names = names[:min(len(names), 4)]
	for flips := 1; flips <= len(names); flips++ {
		for set := 1; set < 1<<len(names) && len(all) < maxSides; set++ {
			if bits.OnesCount(uint(set)) != flips {
				continue
			}
			other := maps.Clone(sides)
			for i, m := range names {
				if set>>i&1 == 1 {
					other[m] = !other[m]
				}
			}
			all = append(all, other)
		}
	}
	return all
}

// differing names the first migration for which two choices differ.
func differing(a, b map[string]bool) string {
	for _, m := range slices.Sorted(maps.Keys(a)) {
		if a[m] != b[m] {
			return m
		}
	}
	return ""
}

// unresolved says whether the attempt failed at a name, or the server will.
func (a *attempt) unresolved() bool {
	return a.doomed && a.refusal == nil || a.refusal != nil && (a.blame != "" || a.refusal.Code == "42703" || a.refusal.Code == "42702")
}

// sides gives each migration's side for a version. auto is true where the statement is to settle it; the sides are then all old.
func (s *State) sides(v lens.Version) (sides map[string]bool, auto bool) {
	sides = make(map[string]bool, len(s.migrations))
	upto := int64(-1)
	for i := range s.migrations {
		if string(v) == s.migrations[i].Definition.Name {
			upto = s.migrations[i].Seq
		}
	}
	for i := range s.migrations {
		m := &s.migrations[i]
		sides[m.Definition.Name] = v == lens.New || m.Seq <= upto
	}
	return sides, v == lens.Auto || v == ""
}

// before plans the statements before the one that is refused; nil where they cannot be told apart.
func (a *attempt) before() *Plan {
	b := *a
	n := sort.Search(len(a.toks), func(i int) bool { return a.toks[i].start >= a.start })
	if n == 0 || !a.isPunct(n-1, ';') {
		return nil
	}
	b.text, b.toks, b.refusal, b.stmt = a.text[:a.start], a.toks[:n], nil, a.stmt-1
	b.list = slices.DeleteFunc(slices.Clone(a.list), func(e edit) bool { return e.from >= n })
	b.results = slices.DeleteFunc(slices.Clone(a.results), func(r Result) bool { return r.Statement >= a.stmt })
	b.copies = slices.DeleteFunc(slices.Clone(a.copies), func(c CopyIn) bool { return c.Statement >= a.stmt })
	if p := b.plan(); p.Kind != Refuse {
		return p
	}
	return nil
}

// plan makes the outcome of an attempt.
func (a *attempt) plan() *Plan {
	p := &Plan{Kind: Pass, SQL: a.text, text: a.text, bytesOnly: singleByte(a.set.Encoding), Results: a.results, Copies: a.copies}
	if len(a.prepares) > 0 && len(a.touched) > 0 {
		if a.stmt > 0 && a.refusal == nil {
			a.uncovered(0, nil, "PREPARE among other statements of one message", "Send it alone.")
		}
		p.Prepares = a.prepares[0]
	}
	p.Made = a.partitions
	if a.stmt == 0 { // else more than the statement itself would be undone
		p.again = a.again
	}
	p.lenses = slices.Collect(maps.Values(a.lenses))
	p.Migrations = slices.Sorted(maps.Keys(a.touched))
	p.OldNames = slices.Sorted(maps.Keys(a.oldNames))
	if len(p.Migrations) == 0 {
		p.Migrations, p.OldNames = nil, nil
	}
	if a.refusal != nil {
		p.Kind, p.Refusal, p.SQL = Refuse, a.refusal, ""
		if a.stmt > 0 && strings.HasPrefix(a.refusal.Code, "42") {
			p.Before = a.before()
		}
		return p
	}
	for _, l := range a.lenses {
		if s := shapeOfRows(l); s != nil {
			if p.rows == nil {
				p.rows = map[string]*rowShape{}
			}
			p.rows[l.Relation.Name] = s
		}
		for i := range l.Columns {
			if c := &l.Columns[i]; c.Tie != nil && c.Hides != "" {
				if p.names == nil {
					p.names = map[tableColumn]string{}
				}
				p.names[tableColumn{l.Relation.Name, c.Hides}] = c.Name
			}
		}
	}
	if len(a.list) == 0 {
		return p
	}
	list := a.sorted()
	out, spans, ok := render(a.text, a.toks, list)
	if !ok {
		a.uncovered(0, nil, "this combination of clauses", "Write the statement in a simpler way.")
		p.Kind, p.Refusal, p.SQL = Refuse, a.refusal, ""
		return p
	}
	p.Kind, p.SQL, p.spans, p.edits = Rewrite, out, spans, list
	p.placeStaged()
	return p
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// nesting estimates, on the safe side, how deep the tree of a text is: brackets, and at each level of brackets what can nest without them.
// AND and OR make flat lists, so each of their terms begins anew.
func nesting(text string, toks []token) int {
	deepest, sum := 0, 0
	var levels []int
	level := 0
	add := func() {
		level++
		sum++
		deepest = max(deepest, sum)
	}
	for _, t := range toks {
		switch t.kind {
		case tokOp:
			add()
		case tokIdent:
			if nestingWords[lower(text[t.start:min(t.end, t.start+12)])] {
				add()
			} else if t.end-t.start <= 3 && (equalWord(text[t.start:t.end], "and") || equalWord(text[t.start:t.end], "or")) {
				sum -= level
				level = 0
			}
		case tokPunct:
			switch text[t.start] {
			case '(', '[':
				levels = append(levels, level)
				level = 0
				add()
			case ')', ']':
				sum -= level
				level = 0
				if n := len(levels); n > 0 {
					level = levels[n-1] + 1
					sum++
					levels = levels[:n-1]
				}
			case ',', ';':
				sum -= level
				level = 0
			}
		}
	}
	return deepest
}

// closed says whether each bracket of a text is closed.
func closed(text string, toks []token) bool {
	var open []byte
	for _, t := range toks {
		if t.kind != tokPunct {
			continue
		}
		switch c := text[t.start]; c {
		case '(':
			open = append(open, ')')
		case '[':
			open = append(open, ']')
		case ')', ']':
			if len(open) == 0 || open[len(open)-1] != c {
				return false
			}
			open = open[:len(open)-1]
		}
	}
	return len(open) == 0
}

func equalWord(a, b string) bool { return len(a) == len(b) && equalFold(a, b) }

var nestingWords = map[string]bool{
	"not": true, "union": true, "intersect": true, "except": true, "join": true, "case": true, "when": true, "like": true, "ilike": true, "is": true,
	"isnull": true, "notnull": true, "in": true, "between": true, "similar": true, "collate": true, "at": true, "operator": true, "else": true,
}

// key tells settings apart under which a text may have different plans.
func (set *Settings) key() string {
	if set.made != "" {
		return set.made
	}
	temp := slices.Clone(set.Temp)
	sort.Strings(temp)
	for _, r := range set.TempTables {
		temp = append(temp, fmt.Sprint(r.OID, r.Name, r.Columns))
	}
	for _, r := range set.Members {
		temp = append(temp, fmt.Sprint(r.OID, r.Schema, r.Name, r.Kind, r.Parents, r.Columns))
	}
	var means strings.Builder
	for _, name := range slices.Sorted(maps.Keys(set.Means)) {
		fmt.Fprintf(&means, "%d %s\x01", set.Means[name], name)
	}
	return strings.Join([]string{
		means.String(),
		string(set.Version), strings.Join(set.Path, "\x01"), strings.Join(temp, "\x01"), set.Encoding, fmt.Sprint(set.Backslash, set.ServerMajor),
	}, "\x00")
}
