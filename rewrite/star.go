package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// star spreads `*` or `t.*` out where a migrating table is in it.
func (a *attempt) star(c *pg.ColumnRef, sc *scope, tree []*fromNode) shape {
	if c.Location < 0 {
		return a.tableCommand(tree)
	}
	from := a.tokenAt(c.Location)
	to := from + 2*(len(c.Fields)-1)
	if from < 0 || to >= len(a.toks) || a.tokText(to) != "*" {
		a.lost(c.Location, "*")
		return shape{open: true}
	}
	if len(c.Fields) > 1 {
		names := make([]string, 0, 3)
		for _, f := range c.Fields[:len(c.Fields)-1] {
			names = append(names, strOf(f))
		}
		it := qualified(sc, names)
		if it == nil {
			return shape{open: true}
		}
		if len(it.covers) > 0 {
			a.uncovered(int(c.Location), it.covers[0], "* of a join's alias", "Name the columns.")
			return shape{open: true}
		}
		if it.lens == nil {
			return shape{cols: it.cols, open: it.open || it.unordered, hidden: it.hidden}
		}
		text, s := a.spread(it, a.text[a.toks[from].start:a.toks[to-2].end])
		from, to = a.brackets(from, to)
		a.add(replace, from, to, sqlText(text))
		return s
	}
	if !slices.ContainsFunc(tree, (*fromNode).migrates) && (a.frame == nil || len(a.frame.joined) == 0) {
		return spreadShape(tree)
	}
	text, s, ok := a.spreadAll(tree)
	if !ok {
		a.uncovered(int(c.Location), a.visibleLens(sc, "", nil), "* over this join", "Name the columns, or use t.* for each table.")
		return shape{open: true}
	}
	a.add(replace, from, to, sqlText(text))
	return s
}

// brackets takes in the brackets around a target: columns in brackets would be a row.
func (a *attempt) brackets(from, to int) (int, int) {
	for a.isPunct(from-1, '(') && a.isPunct(to+1, ')') {
		from, to = from-1, to+1
	}
	return from, to
}

// tableCommand plans `TABLE t`, which is SELECT * FROM t.
func (a *attempt) tableCommand(tree []*fromNode) shape {
	if len(tree) != 1 || tree[0].item == nil || tree[0].item.lens == nil || tree[0].item.place == nil {
		return spreadShape(tree)
	}
	it := tree[0].item
	i := a.tokenAt(*it.place) - 1
	if a.isWord(i, "only") {
		i--
	}
	if !a.isWord(i, "table") {
		a.lost(*it.place, "TABLE")
		return shape{open: true}
	}
	text, s := a.spread(it, catalog.QuoteIdent(it.alias))
	a.add(replace, i, i, []piece{{text: "SELECT " + text, nowhere: true}, lit(" FROM")})
	return s
}

// spread writes out all columns of a migrating table as the code knows them.
func (a *attempt) spread(it *item, qualifier string) (string, shape) {
	a.usesShape(it.lens)
	var parts []string
	var s shape
	for n := range it.lens.Names {
		if it.lens.Column(n) == nil {
			s.hide(map[string]*lens.Lens{n: it.lens})
		}
	}
	for i := range it.lens.Columns {
		c := &it.lens.Columns[i]
		if c.Unreadable != "" {
			a.uncovered(0, it.lens, "the column "+catalog.QuoteIdent(c.Name), "Now, "+c.Unreadable+".")
		}
		parts = append(parts, spreadColumn(c, it, qualifier))
		r := &ref{item: it, lens: c}
		s.cols = append(s.cols, column{name: c.Name, typ: c.Type, origin: r.origin(), was: r.was()})
	}
	return strings.Join(parts, ", "), s
}

func spreadColumn(c *lens.Column, it *item, qualifier string) string {
	t := readOf(c, it, qualifier)
	if c.Read.Plain() != c.Name {
		t += " AS " + catalog.QuoteIdent(c.Name)
	}
	return t
}

// spreadShape gives the columns of `*` over tables that do not migrate.
func spreadShape(tree []*fromNode) shape {
	var s shape
	for _, f := range tree {
		if f.item == nil {
			l, lo := spreadJoin(f)
			s.cols = append(s.cols, l...)
			s.open = s.open || lo
			for _, it := range f.leaves() {
				s.hide(it.hidden)
			}
			continue
		}
		s.hide(f.item.hidden)
		s.cols = append(s.cols, f.item.cols...)
		s.open = s.open || f.item.open || f.item.unordered
	}
	return s
}

func spreadJoin(f *fromNode) (cols []column, open bool) {
	if f.item != nil {
		return f.item.cols, f.item.open || f.item.unordered
	}
	l, lo := spreadJoin(f.left)
	r, ro := spreadJoin(f.right)
	for _, n := range f.using {
		cols = append(cols, column{name: n})
	}
	for _, c := range append(slices.Clone(l), r...) {
		if !slices.Contains(f.using, c.name) {
			cols = append(cols, c)
		}
	}
	return cols, lo || ro || f.unsure
}

// starPart is a part of a spread `*`: one column, or all of a table's.
type starPart struct {
	text string
	shape
}

// spreadAll writes out `*` over a FROM clause that has a migrating table in it.
func (a *attempt) spreadAll(tree []*fromNode) (string, shape, bool) {
	sp := spreader{leaves: leavesOf(tree)}
	for _, f := range tree {
		sp.merges = sp.merges || f.merges()
	}
	var parts []string
	var s shape
	for _, f := range tree {
		cols, ok := a.spreadNode(f, &sp, nil)
		if !ok {
			return "", shape{}, false
		}
		for _, c := range cols {
			parts = append(parts, c.text)
			s.cols = append(s.cols, c.cols...)
			s.open = s.open || c.open
			s.hide(c.hidden)
		}
	}
	return strings.Join(parts, ", "), s, true
}

type spreader struct {
	leaves []*item
	merges bool // some join merges columns, so that each column must be written out
}

func (f *fromNode) merges() bool {
	return f.item == nil && (len(f.using) > 0 || f.unsure || f.left.merges() || f.right.merges())
}

// spreadNode writes out one element; outer are the columns that the joins around it merge again.
func (a *attempt) spreadNode(f *fromNode, sp *spreader, outer []string) ([]starPart, bool) {
	if f.item != nil {
		return a.spreadLeaf(f.item, sp)
	}
	inner := append(slices.Clone(outer), f.using...)
	l, ok1 := a.spreadNode(f.left, sp, inner)
	r, ok2 := a.spreadNode(f.right, sp, inner)
	if !ok1 || !ok2 || f.unsure {
		return nil, false
	}
	var out []starPart
	for _, n := range f.using {
		// The merged column is reached by its bare name, if no table outside this join has it.
		if !slices.Contains(outer, n) && countColumn(sp.leaves, n) != countColumn(f.leaves(), n) {
			return nil, false
		}
		out = append(out, starPart{catalog.QuoteIdent(n), shape{cols: []column{{name: n}}}})
	}
	for _, c := range append(l, r...) {
		if len(f.using) > 0 && slices.Contains(f.using, c.cols[0].name) {
			continue
		}
		out = append(out, c)
	}
	return out, true
}

func countColumn(items []*item, name string) int {
	n := 0
	for _, it := range items {
		if it.column(name) != nil || it.lens != nil && it.lens.Column(name) != nil {
			n++
		}
	}
	return n
}

func (a *attempt) spreadLeaf(it *item, sp *spreader) ([]starPart, bool) {
	if it.alias == "" || len(it.covers) > 0 {
		return nil, false
	}
	q := catalog.QuoteIdent(it.alias)
	for _, other := range sp.leaves {
		if other != it && other.alias == it.alias {
			if it.schema == "" {
				return nil, false
			}
			q = catalog.QuoteQualified(it.schema, it.alias)
		}
	}
	if it.lens != nil {
		text, s := a.spread(it, q)
		var parts []starPart
		if !sp.merges {
			return []starPart{{text, s}}, true
		}
		for i := range it.lens.Columns {
			c := &it.lens.Columns[i]
			parts = append(parts, starPart{spreadColumn(c, it, q), shape{cols: s.cols[i : i+1], hidden: s.hidden}})
		}
		return parts, true
	}
	if !sp.merges {
		return []starPart{{q + ".*", shape{cols: it.cols, open: it.open || it.unordered, hidden: it.hidden}}}, true
	}
	if it.open || it.unordered {
		return nil, false
	}
	var parts []starPart
	for i, c := range it.cols {
		parts = append(parts, starPart{q + "." + catalog.QuoteIdent(c.name), shape{cols: it.cols[i : i+1], hidden: it.hidden}})
	}
	return parts, true
}

func leavesOf(tree []*fromNode) []*item {
	var all []*item
	for _, f := range tree {
		all = append(all, f.leaves()...)
	}
	return all
}
