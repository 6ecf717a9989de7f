package rewrite

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// update plans an UPDATE.
func (a *attempt) update(s *pg.UpdateStmt, ctes *cte) shape {
	ctes = a.with(s.WithClause, nil, ctes)
	target := a.tableItem(s.Relation, nil)
	// FROM does not see the target, not even by LATERAL.
	sc := &scope{}
	tree := a.from(s.FromClause, sc, ctes)
	sc.items = append([]*item{target}, sc.items...)
	a.condition(s.WhereClause, sc, ctes)
	out := a.targets(s.ReturningList, a.returning(sc, target), append([]*fromNode{{item: target}}, tree...), ctes)
	if target.lens != nil {
		a.assignments(s.TargetList, target, sc, ctes)
	} else {
		a.exprs(targetValues(s.TargetList), sc, ctes)
	}
	a.restrict(s.Relation.Location, s.WhereClause, a.asksOnUpdate(target, s.TargetList, int(s.Relation.Location)), sc.items[1:])
	return out
}

// delete plans a DELETE.
func (a *attempt) delete(s *pg.DeleteStmt, ctes *cte) shape {
	ctes = a.with(s.WithClause, nil, ctes)
	target := a.tableItem(s.Relation, nil)
	sc := &scope{}
	tree := a.from(s.UsingClause, sc, ctes)
	sc.items = append([]*item{target}, sc.items...)
	out := a.targets(s.ReturningList, a.returning(sc, target), append([]*fromNode{{item: target}}, tree...), ctes)
	a.condition(s.WhereClause, sc, ctes)
	a.restrict(s.Relation.Location, s.WhereClause, a.asksOnDelete(target, int(s.Relation.Location)), sc.items[1:])
	return out
}

// returning gives the scope of RETURNING, where servers from 18 on know the row before and after as old and new, unless something else is called so. Only qualified
// names reach them.
func (a *attempt) returning(sc *scope, target *item) *scope {
	if a.set.ServerMajor < 18 || target.lens == nil {
		return sc
	}
	out := &scope{items: slices.Clone(sc.items), merged: sc.merged, parent: sc.parent}
	for _, alias := range []string{"old", "new"} {
		if !slices.ContainsFunc(sc.items, func(it *item) bool { return it.alias == alias }) {
			out.items = append(out.items, &item{alias: alias, lens: target.lens, nullable: true, apart: true})
		}
	}
	return out
}

// targetValues gives the expressions of SET, a row's or sub-select's for several columns once.
func targetValues(list []*pg.Node) []*pg.Node {
	var out []*pg.Node
	for _, n := range list {
		v := n.GetResTarget().GetVal()
		if m := v.GetMultiAssignRef(); m != nil {
			if m.Colno != 1 {
				continue
			}
			v = m.Source
		}
		out = append(out, v)
	}
	return out
}

// assignment is one column that SET gives a value.
type assignment struct {
	given
	target *pg.ResTarget
	tok    int // of the column's name
	// list and values are the brackets of `(a, b) = [ROW] (x, y)`, as their closing tokens; 0 where the assignment stands alone.
	list, values int
	opaque       bool // the value cannot be taken apart: a sub-select for several columns, or a part of the column is assigned
	// source is the sub-select that the value is a column of: its place among the values, how many there are, and its brackets.
	source *rowSource
	place  int
}

// assignments plans UPDATE SET and ON CONFLICT DO UPDATE SET: each side of a migrating column is written.
func (a *attempt) assignments(list []*pg.Node, target *item, sc *scope, ctes *cte) {
	a.exprs(targetValues(list), sc, ctes)
	l := target.lens
	ties := map[*lens.Tie][]assignment{}
	var order []*lens.Tie
	for i, n := range list {
		if a.refusal != nil {
			return
		}
		t := n.GetResTarget()
		c := l.Column(t.Name)
		if c == nil {
			if a.unknownTarget(t, l) {
				return
			}
			continue
		}
		if !c.Migrates() {
			continue
		}
		a.wrote(int(t.Location), c)
		as, ok := a.assignment(list, i, c)
		if !ok {
			a.lost(t.Location, "SET")
			return
		}
		if ties[c.Tie] == nil {
			order = append(order, c.Tie)
		}
		if slices.ContainsFunc(ties[c.Tie], func(x assignment) bool { return x.col == c && !(x.opaque && as.opaque) }) {
			a.refuse(&Refusal{Code: "42601", Message: fmt.Sprintf("multiple assignments to same column %q", t.Name)})
			return
		}
		ties[c.Tie] = append(ties[c.Tie], as)
	}
	rows := &rowSources{}
	for _, t := range order {
		if a.mayWrite(int(ties[t][0].target.Location), l, t) {
			a.assignTie(t, ties[t], target, rows)
		}
	}
	rows.put(a)
}

// assignment finds what the i-th target of SET is given.
func (a *attempt) assignment(list []*pg.Node, i int, c *lens.Column) (assignment, bool) {
	t := list[i].GetResTarget()
	as := assignment{given: given{col: c, node: t.Val}, target: t, tok: a.tokenAt(t.Location)}
	if !a.isName(as.tok) {
		return as, false
	}
	if len(t.Indirection) > 0 {
		as.opaque = true
		return as, true
	}
	m := t.Val.GetMultiAssignRef()
	if m == nil {
		as.toks = [2]int{as.tok + 2, a.exprEnd(as.tok + 2)}
		return as, a.tokText(as.tok+1) == "="
	}
	row := m.Source.GetRowExpr()
	open := a.tokenAt(list[i-int(m.Colno-1)].GetResTarget().Location) - 1
	if row == nil || len(row.Args) != int(m.Ncolumns) {
		as.opaque = true
		if end := a.closing(open); givesColumns(m.Source.GetSubLink().GetSubselect().GetSelectStmt(), int(m.Ncolumns)) && a.isPunct(open, '(') && end > 0 && a.tokText(end+1) == "=" && a.isPunct(end+2, '(') {
			as.source, as.place = &rowSource{list: end, from: end + 2, to: a.closing(end + 2), cells: make([]string, m.Ncolumns)}, int(m.Colno-1)
		}
		return as, true
	}
	if !a.isPunct(open, '(') {
		return as, false
	}
	as.list = a.closing(open)
	values := as.list + 2 // ) = [ROW] (
	if a.isWord(values, "row") {
		values++
	}
	if as.list < 0 || a.tokText(as.list+1) != "=" || !a.isPunct(values, '(') {
		return as, false
	}
	as.values = a.closing(values)
	cells := a.cells(values+1, as.values)
	if as.values < 0 || len(cells) != len(row.Args) {
		return as, false
	}
	as.node, as.toks = row.Args[m.Colno-1], cells[m.Colno-1]
	return as, true
}

// assignTie writes what SET gives to one tie.
func (a *attempt) assignTie(t *lens.Tie, list []assignment, target *item, rows *rowSources) {
	l := target.lens
	off := int(list[0].target.Location)
	g := tied{tie: t, given: map[string]given{}}
	opaque, row, alone := false, 0, 0
	for _, as := range list {
		g.given[as.col.Name] = as.given
		opaque = opaque || as.opaque
		if as.list > 0 {
			row++
		} else {
			alone++
		}
	}
	toOwn := func() {
		for _, as := range list {
			a.rename(as.tok, as.target.Name, as.col.Physical)
		}
	}
	mixed := row > 0 && alone > 0 || row > 1 && list[0].list != list[len(list)-1].list
	switch {
	case len(t.Others) == 0:
		toOwn()
	case t.Same && (!t.Own || !t.OldSide && (opaque || !a.once(g))):
		// One name for another; where both stand, the old one, and the guard fills the new one.
		for _, as := range list {
			a.rename(as.tok, as.target.Name, t.Others[0].Target)
		}
	case t.Own && t.OldSide && (opaque || mixed || !a.once(g)):
		toOwn() // the guard fills the other side
		a.assignDefaults(list)
	case opaque && rows.add(list):
		a.assignFromSource(g, list, target, rows)
	case opaque || mixed:
		a.uncovered(off, l, "this way of assigning a migrating column", "Assign the column alone, from one expression.")
	case !a.once(g) && alone > 0 && (t.Own || !g.foldable()):
		a.assignComputed(g, list, target)
	case !a.once(g) && !(t.Own && g.oldAlone()) && !g.foldable():
		a.uncovered(off, l, "a value that must be computed once for several columns", "Compute it first, and pass it as a parameter.")
	case t.Own && a.once(g):
		toOwn()
		a.assignBoth(g, list, target)
	default:
		a.assignOthers(g, list, target)
	}
}

// reads gives the siblings of an UPDATE: what the row holds.
func reads(target *item) sibling {
	q := catalog.QuoteIdent(target.alias)
	return func(name string) string { return "(" + target.lens.Column(name).Read.Over(q) + ")" }
}

// assignDefaults writes DEFAULT out: where both sides are written, the default may be the other column's for a while.
func (a *attempt) assignDefaults(list []assignment) {
	for _, as := range list {
		if !as.opaque && as.isDefault() {
			a.move(as.toks[0], as.toks[1], sqlText(defaultSQL(as.col)))
		}
	}
}

// assignBoth adds assignments of the other side's columns behind the client's.
func (a *attempt) assignBoth(g tied, list []assignment, target *item) {
	last := list[len(list)-1]
	a.assignDefaults(list)
	put := func(name string, value []piece) {
		if last.list > 0 {
			a.add(before, last.list, last.list, sqlText(", ", catalog.QuoteIdent(name)))
			a.add(before, last.values, last.values, append(sqlText(", "), value...))
			return
		}
		a.add(after, last.toks[1], last.toks[1], append(sqlText(", ", catalog.QuoteIdent(name), " = "), value...))
	}
	a.siblings(g, target, put)
	for _, o := range g.tie.Others {
		put(o.Target, a.other(g, o, reads(target)))
	}
}

// assignOthers puts assignments of the other side's columns in the place of the client's.
func (a *attempt) assignOthers(g tied, list []assignment, target *item) {
	first := list[0]
	if first.list > 0 {
		// The first one's places, in the list and among the values, take all; the others go with their commas.
		var targets, values []piece
		for i, o := range g.tie.Others {
			if i > 0 {
				targets, values = append(targets, lit(", ")), append(values, lit(", "))
			}
			targets = append(targets, lit(catalog.QuoteIdent(o.Target)))
			values = append(values, a.instead(g, o, target)...)
		}
		a.add(replace, first.tok, first.tok, targets)
		a.move(first.toks[0], first.toks[1], values)
		if open := first.list + 2; !a.isWord(open, "row") && !slices.ContainsFunc(a.list, func(e edit) bool { return e.kind == before && e.from == open }) {
			a.add(before, open, open, sqlText("ROW")) // which a list of one needs
		}
		for _, as := range list[1:] {
			a.add(replace, as.tok-1, as.tok, nil)
			a.move(as.toks[0]-1, as.toks[1], nil)
		}
		return
	}
	var all []piece
	for i, o := range g.tie.Others {
		if i > 0 {
			all = append(all, lit(", "))
		}
		all = append(all, lit(catalog.QuoteIdent(o.Target)+" = "))
		all = append(all, a.instead(g, o, target)...)
	}
	a.move(first.tok, first.toks[1], all)
	for _, as := range list[1:] {
		a.move(as.tok-1, as.toks[1], nil) // with its comma
	}
}

// instead gives what is assigned to a column of the other side in the place of the client's.
func (a *attempt) instead(g tied, o lens.Other, target *item) []piece {
	if g.alone = !a.once(g) && g.tie.Own; g.alone || !a.once(g) && g.foldable() {
		return a.folded(g, catalog.QuoteIdent(target.alias))
	}
	return a.other(g, o, reads(target))
}
