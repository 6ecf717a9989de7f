package rewrite

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// targetItem brings the table that a statement changes into scope.
func (a *attempt) targetItem(rv *pg.RangeVar) *item { return a.tableItem(rv, nil) }

// update plans an UPDATE.
func (a *attempt) update(s *pg.UpdateStmt, ctes *cte) shape {
	ctes = a.with(s.WithClause, nil, ctes)
	target := a.targetItem(s.Relation)
	// FROM does not see the target, not even by LATERAL.
	sc := &scope{}
	tree := a.from(s.FromClause, sc, ctes)
	sc.items = append([]*item{target}, sc.items...)
	a.condition(s.WhereClause, sc, ctes)
	out := a.targets(s.ReturningList, sc, append([]*fromNode{{item: target}}, tree...), ctes)
	if target.lens != nil {
		a.assignments(s.TargetList, target.lens, sc, ctes)
	} else {
		a.exprs(targetValues(s.TargetList), sc, ctes)
	}
	return out
}

// delete plans a DELETE.
func (a *attempt) delete(s *pg.DeleteStmt, ctes *cte) shape {
	ctes = a.with(s.WithClause, nil, ctes)
	target := a.targetItem(s.Relation)
	sc := &scope{}
	tree := a.from(s.UsingClause, sc, ctes)
	sc.items = append([]*item{target}, sc.items...)
	out := a.targets(s.ReturningList, sc, append([]*fromNode{{item: target}}, tree...), ctes)
	a.condition(s.WhereClause, sc, ctes)
	return out
}

// assignments plans the assignments of UPDATE SET and ON CONFLICT DO UPDATE SET: each side of a migrating column is written.
func (a *attempt) assignments(list []*pg.Node, l *lens.Lens, sc *scope, ctes *cte) {
	a.exprs(targetValues(list), sc, ctes)
	for i, n := range list {
		if a.refusal != nil {
			return
		}
		t := n.GetResTarget()
		c := l.Column(t.Name)
		if c == nil {
			if l.Names[t.Name] {
				a.unknownColumn(int(t.Location), l, t.Name, fmt.Sprintf("column %q of relation %q does not exist", t.Name, l.Relation.Name))
			}
			continue
		}
		if !c.Migrates() {
			continue
		}
		a.resolved = append(a.resolved, fmt.Sprintf("%d %s", t.Location, c.Migration))
		a.usesColumn(c)
		tok := a.tokenAt(t.Location)
		if !a.isName(tok) {
			a.lost(t.Location, "SET")
			return
		}
		m := t.Val.GetMultiAssignRef()
		switch {
		case len(c.Writes) == 1 || len(t.Indirection) > 0:
			a.rename(tok, t.Name, c.Alone.Target)
		case m != nil:
			a.assignRow(list, i, m, c, tok)
		default:
			a.assign(t, c, tok)
		}
	}
}

// assign writes `col = e` for both sides.
func (a *attempt) assign(t *pg.ResTarget, c *lens.Column, tok int) {
	if a.tokText(tok+1) != "=" {
		a.lost(t.Location, "SET")
		return
	}
	from, to := tok+2, a.exprEnd(tok+2)
	other := func(value []piece) {
		a.add(after, to, to, append(sqlText(", ", catalog.QuoteIdent(c.Writes[1].Target), " = "), value...))
	}
	if t.Val.GetSetToDefault() != nil || a.twice(t.Val) {
		own, o := a.cell(t.Val, c, [2]int{from, to})
		a.rename(tok, t.Name, c.Writes[0].Target)
		if own != nil {
			a.move(from, to, own)
		}
		other(o)
		return
	}
	// Computed once, on the old side; the guard fills the new one.
	a.rename(tok, t.Name, c.Alone.Target)
}

// assignRow writes a column of `(a, b) = (x, y)` for both sides.
func (a *attempt) assignRow(list []*pg.Node, i int, m *pg.MultiAssignRef, c *lens.Column, tok int) {
	t := list[i].GetResTarget()
	row := m.Source.GetRowExpr()
	if row == nil || len(row.Args) != int(m.Ncolumns) || !a.twice(row.Args[m.Colno-1]) && row.Args[m.Colno-1].GetSetToDefault() == nil {
		a.rename(tok, t.Name, c.Alone.Target)
		return
	}
	first := list[i-int(m.Colno-1)].GetResTarget()
	open := a.tokenAt(first.Location) - 1
	end := -1
	if a.isPunct(open, '(') {
		end = a.closing(open)
	}
	// ) = [ROW] (
	values := end + 2
	if a.isWord(values, "row") {
		values++
	}
	if end < 0 || a.tokText(end+1) != "=" || !a.isPunct(values, '(') {
		a.lost(t.Location, "SET")
		return
	}
	valuesEnd := a.closing(values)
	var cells [][2]int
	for j := values + 1; j < valuesEnd; {
		last := a.cellEnd(j, valuesEnd)
		cells = append(cells, [2]int{j, last})
		j = last + 2
	}
	if len(cells) != len(row.Args) {
		a.lost(t.Location, "SET")
		return
	}
	at := cells[m.Colno-1]
	own, other := a.cell(row.Args[m.Colno-1], c, at)
	a.rename(tok, t.Name, c.Writes[0].Target)
	if own != nil {
		a.move(at[0], at[1], own)
	}
	a.add(before, end, end, sqlText(", ", catalog.QuoteIdent(c.Writes[1].Target)))
	a.add(before, valuesEnd, valuesEnd, append(sqlText(", "), other...))
}
