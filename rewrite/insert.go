package rewrite

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// insert plans an INSERT: the column list in the table's own names, each value for the other side beside its own.
func (a *attempt) insert(s *pg.InsertStmt, ctes *cte) shape {
	ctes = a.with(s.WithClause, nil, ctes)
	_, rel, l := a.relation(s.Relation, nil)
	sel := s.SelectStmt.GetSelectStmt()
	source := shape{open: true}
	if sel != nil {
		source = a.selectStmt(sel, nil, ctes)
	}
	if l == nil {
		return a.returningOther(s.Relation, rel, s.ReturningList, s.OnConflictClause, ctes)
	}
	if a.refusal != nil {
		return shape{}
	}
	v := &values{attempt: a, stmt: s, sel: sel, lens: l}
	switch {
	case s.SelectStmt == nil: // DEFAULT VALUES
	case len(s.Cols) > 0:
		v.listed()
	default:
		v.unlisted(source)
	}
	target := &item{alias: s.Relation.Relname, lens: l}
	if s.Relation.Alias != nil {
		target.alias = s.Relation.Alias.Aliasname
	} else {
		target.schema = l.Relation.Schema
	}
	a.onConflict(s.OnConflictClause, target, l, ctes)
	sc := &scope{items: []*item{target}}
	return a.targets(s.ReturningList, sc, []*fromNode{{item: target}}, ctes)
}

// returningOther plans the rest of an INSERT into a table that does not migrate.
func (a *attempt) returningOther(rv *pg.RangeVar, rel *catalog.Relation, returning []*pg.Node, c *pg.OnConflictClause, ctes *cte) shape {
	target := a.tableItem(rv, nil)
	sc := &scope{items: []*item{target}}
	if c != nil {
		excluded := &item{alias: "excluded", shape: target.shape}
		both := &scope{items: []*item{target, excluded}}
		a.exprs(targetValues(c.TargetList), both, ctes)
		a.expr(c.WhereClause, both, ctes)
	}
	return a.targets(returning, sc, []*fromNode{{item: target}}, ctes)
}

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

// values is an INSERT's column list and what is put into it.
type values struct {
	*attempt
	stmt *pg.InsertStmt
	sel  *pg.SelectStmt
	lens *lens.Lens
}

// listed plans a column list that the client wrote.
func (v *values) listed() {
	var extra []string // columns that are put in after the client's
	type doubled struct {
		index int
		col   *lens.Column
	}
	var both []doubled
	last := -1
	for i, n := range v.stmt.Cols {
		t := n.GetResTarget()
		tok := v.tokenAt(t.Location)
		if !v.isName(tok) {
			v.lost(t.Location, "a column list")
			return
		}
		last = tok
		c := v.lens.Column(t.Name)
		if c == nil {
			if v.lens.Names[t.Name] {
				v.unknownColumn(int(t.Location), v.lens, t.Name,
					fmt.Sprintf("column %q of relation %q does not exist", t.Name, v.lens.Relation.Name))
				return
			}
			continue
		}
		if !c.Migrates() {
			continue
		}
		v.resolved = append(v.resolved, fmt.Sprintf("%d %s", t.Location, c.Migration))
		v.usesColumn(c)
		if len(t.Indirection) > 0 || len(c.Writes) == 1 || !v.canAppend() {
			// One side only: where both stand, the old one, and the guard fills the other.
			v.rename(tok, t.Name, c.Alone.Target)
			continue
		}
		both = append(both, doubled{i, c})
		v.rename(tok, t.Name, c.Writes[0].Target)
		extra = append(extra, catalog.QuoteIdent(c.Writes[1].Target))
	}
	if len(both) == 0 {
		return
	}
	// The list's closing bracket comes right after the last name, but for subscripts, which have none of their own here.
	end := last + 1
	for end < len(v.toks) && !v.isPunct(end, ')') {
		end++
	}
	v.add(before, end, end, sqlText(", ", strings.Join(extra, ", ")))
	for _, d := range both {
		if len(v.sel.ValuesLists) > 0 {
			v.appendCells(d.index, d.col)
		} else {
			v.appendTarget(d.index, d.col)
		}
	}
}

func (a *attempt) rename(tok int, from, to string) {
	if from != to {
		a.add(replace, tok, tok, sqlText(catalog.QuoteIdent(to)))
	}
}

// canAppend says whether each row that is put in can be given another value beside the client's.
func (v *values) canAppend() bool {
	switch {
	case v.sel == nil || v.sel.Op != pg.SetOperation_SETOP_NONE || v.sel.WithClause != nil && len(v.sel.ValuesLists) > 0:
		return false
	case len(v.sel.ValuesLists) > 0:
		for _, row := range v.sel.ValuesLists {
			if len(row.GetList().GetItems()) != len(v.stmt.Cols) {
				return false // the server has the error
			}
		}
		return len(v.sel.SortClause) == 0 && v.sel.LimitCount == nil && v.sel.LimitOffset == nil
	}
	// A SELECT whose targets are the columns one by one.
	if len(v.sel.TargetList) != len(v.stmt.Cols) || len(v.sel.DistinctClause) > 0 || v.sel.IntoClause != nil {
		return false
	}
	for _, n := range v.sel.TargetList {
		if c := n.GetResTarget().GetVal().GetColumnRef(); c != nil && isStar(c) {
			return false
		}
	}
	return true
}

// appendCells puts the other side's value into each row of a VALUES list.
func (v *values) appendCells(index int, c *lens.Column) {
	rows := v.rows()
	if len(rows) != len(v.sel.ValuesLists) {
		v.lost(v.stmt.Relation.Location, "VALUES")
		return
	}
	for i, row := range v.sel.ValuesLists {
		cells := row.GetList().GetItems()
		r := rows[i]
		if len(r.cells) != len(cells) {
			v.lost(v.stmt.Relation.Location, "VALUES")
			return
		}
		own, other := v.cell(cells[index], c, r.cells[index])
		if own != nil {
			v.move(r.cells[index][0], r.cells[index][1], own)
		}
		v.add(before, r.end, r.end, append(sqlText(", "), other...))
	}
}

// cell gives what is written to the client's own side (nil: what is there) and to the other side.
func (a *attempt) cell(n *pg.Node, c *lens.Column, tok [2]int) (own, other []piece) {
	value := copyOf(tok[0], tok[1])
	ownIsOld := c.Writes[0].Target == c.Alone.Target
	if n.GetSetToDefault() != nil {
		// The default stands on one of the sides only, and on which one changes while the migration goes on.
		d := c.Default
		if d == "" {
			d = "NULL"
		}
		return sqlText(d), sqlText(d)
	}
	if a.twice(n) {
		return nil, form(c.Writes[1].Form, value)
	}
	// Computed once, on the old side; the guard fills the new one.
	if ownIsOld {
		return nil, sqlText("NULL")
	}
	return sqlText("NULL"), form(c.Alone.Form, value)
}

// row is one bracketed row of a VALUES list: its cells as first and last token, and its closing bracket.
type row struct {
	cells [][2]int
	end   int
}

// rows finds the rows of the VALUES list by the tokens, since expressions do not say where they end.
func (v *values) rows() []row {
	i := v.afterTarget()
	for i < len(v.toks) && !v.isWord(i, "values") {
		if v.isPunct(i, '(') {
			// The column list, or brackets around the VALUES.
			if v.isWord(i+1, "values") {
				i++
				continue
			}
			if i = v.closing(i); i < 0 {
				return nil
			}
		}
		i++
	}
	var out []row
	for i++; v.isPunct(i, '('); i++ {
		end := v.closing(i)
		if end < 0 {
			return nil
		}
		r := row{end: end}
		for j := i + 1; j < end; {
			last := v.cellEnd(j, end)
			r.cells = append(r.cells, [2]int{j, last})
			j = last + 2
		}
		out = append(out, r)
		i = end + 1
		if !v.isPunct(i, ',') {
			break
		}
	}
	return out
}

// cellEnd gives the last token of the cell that begins at token i, in a bracket that token end closes.
func (a *attempt) cellEnd(i, end int) int {
	depth := 0
	for ; i < end; i++ {
		switch {
		case a.isPunct(i, '('), a.isPunct(i, '['):
			depth++
		case a.isPunct(i, ')'), a.isPunct(i, ']'):
			depth--
		case depth == 0 && a.isPunct(i, ','):
			return i - 1
		}
	}
	return end - 1
}

// appendTarget puts the other side's value behind a SELECT's targets.
func (v *values) appendTarget(index int, c *lens.Column) {
	list := v.sel.TargetList
	start := v.tokenAt(list[index].GetResTarget().Location)
	end := v.targetEnd(list, len(list)-1)
	if start < 0 || end < 0 {
		v.lost(v.stmt.Relation.Location, "a result column")
		return
	}
	t := list[index].GetResTarget()
	valueEnd := v.exprEnd(start)
	if t.Name != "" { // leave the alias out: it is the last token, with or without AS before it
		valueEnd--
		if v.isWord(valueEnd, "as") {
			valueEnd--
		}
	}
	own, other := v.cell(t.Val, c, [2]int{start, valueEnd})
	if own != nil {
		v.move(start, valueEnd, own)
	}
	v.add(after, end, end, append(sqlText(", "), other...))
}

// afterTarget gives the token after the INSERT's table and its alias.
func (v *values) afterTarget() int {
	rv := v.stmt.Relation
	i := v.tokenAt(rv.Location)
	if i < 0 {
		return len(v.toks)
	}
	for v.isPunct(i+1, '.') {
		i += 2
	}
	i++
	if rv.Alias != nil && v.isWord(i, "as") {
		i += 2
	}
	return i
}

// unlisted writes the column list that the client's INSERT left out.
func (v *values) unlisted(source shape) {
	v.usesShape(v.lens)
	n := len(source.cols)
	if source.open {
		v.uncovered(int(v.stmt.Relation.Location), v.lens, "INSERT without a column list from a query of unknown width", "Write the column list.")
		return
	}
	if len(v.sel.ValuesLists) > 0 {
		n = len(v.sel.ValuesLists[0].GetList().GetItems())
	}
	cols := v.lens.Columns
	if n > len(cols) {
		v.refuse(&Refusal{Code: "42601", Message: "INSERT has more expressions than target columns", Position: v.extraPosition(len(cols))})
		return
	}
	var names []string
	type doubled struct {
		index int
		col   *lens.Column
	}
	var both []doubled
	var extra []string
	v.stmt.Cols = make([]*pg.Node, n) // for canAppend: as many as there are values
	for i := range n {
		c := &cols[i]
		if c.Migrates() && len(c.Writes) == 2 && v.canAppend() {
			both = append(both, doubled{i, c})
			names = append(names, catalog.QuoteIdent(c.Writes[0].Target))
			extra = append(extra, catalog.QuoteIdent(c.Writes[1].Target))
			continue
		}
		names = append(names, catalog.QuoteIdent(c.Alone.Target))
	}
	v.stmt.Cols = nil
	if n == 0 {
		return
	}
	i := v.afterTarget()
	if i >= len(v.toks) {
		v.lost(v.stmt.Relation.Location, "INSERT")
		return
	}
	v.add(before, i, i, sqlText("(", strings.Join(append(names, extra...), ", "), ") "))
	for _, d := range both {
		if len(v.sel.ValuesLists) > 0 {
			v.appendCells(d.index, d.col)
		} else {
			v.appendTarget(d.index, d.col)
		}
	}
}

// extraPosition gives the place of the first value that has no column.
func (v *values) extraPosition(n int) int {
	if len(v.sel.ValuesLists) > 0 {
		if rows := v.rows(); len(rows) > 0 && n < len(rows[0].cells) {
			return v.position(v.toks[rows[0].cells[n][0]].start)
		}
		return 0
	}
	if n < len(v.sel.TargetList) {
		return v.position(int(v.sel.TargetList[n].GetResTarget().Location))
	}
	return 0
}

// onConflict plans ON CONFLICT on a migrating table.
func (a *attempt) onConflict(c *pg.OnConflictClause, target *item, l *lens.Lens, ctes *cte) {
	if c == nil || a.refusal != nil {
		return
	}
	if inf := c.Infer; inf != nil {
		for _, n := range inf.IndexElems {
			e := n.GetIndexElem()
			if l.Names[e.GetName()] || e.GetExpr() != nil && mentionsName(e.Expr, l.Names) {
				a.uncovered(int(inf.Location), l, "ON CONFLICT on a migrating column", "Infer on another unique index.")
				return
			}
		}
		if inf.WhereClause != nil && mentionsName(inf.WhereClause, l.Names) {
			a.uncovered(int(inf.Location), l, "ON CONFLICT with a predicate on a migrating column", "Infer on another unique index.")
			return
		}
	}
	excluded := &item{alias: "excluded", lens: l}
	sc := &scope{items: []*item{target, excluded}}
	a.assignments(c.TargetList, l, sc, ctes)
	a.condition(c.WhereClause, sc, ctes)
}

// mentionsName says whether a column reference below n has one of the names.
func mentionsName(n *pg.Node, names map[string]bool) bool {
	if c := n.GetColumnRef(); c != nil {
		return len(c.Fields) > 0 && names[strOf(c.Fields[len(c.Fields)-1])]
	}
	found := false
	children(n, func(c *pg.Node) { found = found || mentionsName(c, names) })
	return found
}
