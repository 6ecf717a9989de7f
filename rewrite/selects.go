package rewrite

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
)

// query plans a statement that gives rows, at any level.
func (a *attempt) query(n *pg.Node, outer *scope, ctes *cte) shape {
	if n == nil || a.refusal != nil {
		return shape{}
	}
	switch x := n.Node.(type) {
	case *pg.Node_SelectStmt:
		return a.selectStmt(x.SelectStmt, outer, ctes)
	case *pg.Node_InsertStmt:
		return a.insert(x.InsertStmt, ctes)
	case *pg.Node_UpdateStmt:
		return a.update(x.UpdateStmt, ctes)
	case *pg.Node_DeleteStmt:
		return a.delete(x.DeleteStmt, ctes)
	}
	a.anyOther(n)
	return shape{open: true}
}

// with plans the common table expressions in front of a statement and gives them as the statement sees them.
func (a *attempt) with(w *pg.WithClause, outer *scope, ctes *cte) *cte {
	if w == nil {
		return ctes
	}
	for _, n := range w.Ctes {
		c := n.GetCommonTableExpr()
		if c == nil {
			continue
		}
		if c.SearchClause != nil || c.CycleClause != nil {
			// They add columns of their own after the query's.
			a.query(c.Ctequery, outer, &cte{name: c.Ctename, shape: shape{open: true}, parent: ctes})
			ctes = &cte{name: c.Ctename, shape: shape{open: true}, parent: ctes}
			continue
		}
		inner := ctes
		if w.Recursive {
			// What the recursive part sees of itself: the names of the first part.
			inner = &cte{name: c.Ctename, shape: a.recursiveShape(c), parent: ctes}
		}
		s := a.query(c.Ctequery, outer, inner)
		ctes = &cte{name: c.Ctename, shape: renameColumns(s, c.Aliascolnames), parent: ctes}
	}
	return ctes
}

// recursiveShape gives the column names of a recursive CTE before it is planned.
func (a *attempt) recursiveShape(c *pg.CommonTableExpr) shape {
	s := c.Ctequery.GetSelectStmt()
	for s.GetLarg() != nil {
		s = s.Larg
	}
	var out shape
	for _, n := range s.GetTargetList() {
		t := n.GetResTarget()
		if ref := t.GetVal().GetColumnRef(); ref != nil && isStar(ref) {
			out.open = true
			continue
		}
		name := t.GetName()
		if name == "" {
			name, _, _ = figure(t.GetVal())
		}
		out.cols = append(out.cols, column{name: name})
	}
	if s == nil || len(s.ValuesLists) > 0 {
		out.open = true
	}
	if out.open && len(c.Aliascolnames) == 0 {
		return out
	}
	return renameColumns(out, c.Aliascolnames)
}

// renameColumns gives the first columns of a shape other names.
func renameColumns(s shape, names []*pg.Node) shape {
	if len(names) == 0 {
		return s
	}
	cols := slices.Clone(s.cols)
	if s.open {
		// Which columns the names are for is not known; all that is certain is that they are there.
		cols = nil
		for _, n := range names {
			cols = append(cols, column{name: strOf(n)})
		}
		return shape{cols: cols, open: true, hidden: s.hidden}
	}
	for i, n := range names {
		if i < len(cols) {
			cols[i].name = strOf(n)
		}
	}
	return shape{cols: cols, hidden: s.hidden}
}

func (a *attempt) selectStmt(s *pg.SelectStmt, outer *scope, ctes *cte) shape {
	frame := &lockFrame{stmt: s, all: a.below}
	a.below = false
	ctes = a.with(s.WithClause, outer, ctes)
	frame, a.frame = a.frame, frame
	defer func() { a.frame = frame }()
	if s.Op != pg.SetOperation_SETOP_NONE {
		left := a.selectStmt(s.Larg, outer, ctes)
		right := a.selectStmt(s.Rarg, outer, ctes)
		for i := range left.cols {
			if i < len(right.cols) && left.cols[i].row != right.cols[i].row {
				a.uncovered(0, a.visibleLens(outer, "", nil), "a whole row beside something else", hintWholeRow)
			}
		}
		// ORDER BY can only mean output columns here; LIMIT sees no column at all.
		a.exprs([]*pg.Node{s.LimitCount, s.LimitOffset}, outer, ctes)
		for i := range left.cols {
			left.cols[i].origin = nil // a set operation has no origin, in PostgreSQL either
		}
		return left
	}
	if len(s.ValuesLists) > 0 {
		var out shape
		for i, row := range s.ValuesLists {
			items := row.GetList().GetItems()
			a.exprs(items, outer, ctes)
			for j := range items {
				if i == 0 {
					out.cols = append(out.cols, column{name: fmt.Sprintf("column%d", j+1)})
				}
			}
		}
		a.exprs([]*pg.Node{s.LimitCount, s.LimitOffset}, outer, ctes)
		return out
	}
	sc := &scope{parent: outer}
	if len(s.LockingClause) > 0 {
		a.locks++
		defer func() { a.locks-- }()
	}
	if len(s.GroupClause) > 0 {
		a.groups++
		defer func() { a.groups-- }()
	}
	tree := a.from(s.FromClause, sc, ctes)
	out := a.targets(s.TargetList, sc, tree, ctes)
	// The order is PostgreSQL's, so that of several errors the same one is told.
	a.condition(s.WhereClause, sc, ctes)
	a.expr(s.HavingClause, sc, ctes) // grouped expressions must stay recognisable: no splitting
	for _, n := range s.SortClause {
		a.orderBy(n.GetSortBy().GetNode(), sc, ctes, out)
	}
	for _, n := range s.GroupClause {
		a.groupBy(n, sc, ctes, out)
	}
	for _, n := range s.DistinctClause {
		if n.GetNode() != nil {
			a.orderBy(n, sc, ctes, out)
		}
	}
	a.exprs([]*pg.Node{s.LimitCount, s.LimitOffset}, sc, ctes)
	a.exprs(s.WindowClause, sc, ctes)
	a.lockFirst(a.frame)
	return out
}

// bareName gives the name where an expression is an unqualified column reference.
func bareName(n *pg.Node) (string, bool) {
	c := n.GetColumnRef()
	if c == nil || len(c.Fields) != 1 || isStar(c) {
		return "", false
	}
	return strOf(c.Fields[0]), true
}

// orderBy plans an element of ORDER BY or DISTINCT ON, where a bare name means an output column first.
func (a *attempt) orderBy(n *pg.Node, sc *scope, ctes *cte, out shape) {
	if name, ok := bareName(n); ok {
		if slices.ContainsFunc(out.cols, func(c column) bool { return c.name == name }) {
			return
		}
		if out.open && capturable(sc, nil, name, nil) {
			a.uncovered(int(n.GetColumnRef().Location), a.visibleLens(sc, name, nil), fmt.Sprintf("ORDER BY %s with output columns of unknown names", name), hintUnsure)
			return
		}
	}
	if a.isRow(n, sc) != nil {
		a.putRow(n, sc, ctes)
		return
	}
	a.expr(n, sc, ctes)
}

// groupBy plans an element of GROUP BY, where a bare name means a column of this level's FROM first, then an output column.
func (a *attempt) groupBy(n *pg.Node, sc *scope, ctes *cte, out shape) {
	if set := n.GetGroupingSet(); set != nil {
		for _, c := range set.Content {
			a.groupBy(c, sc, ctes, out)
		}
		return
	}
	name, ok := bareName(n)
	if a.isRow(n, sc) != nil {
		if !ok || !slices.ContainsFunc(out.cols, func(c column) bool { return c.name == name }) { // which it then means
			a.putRow(n, sc, ctes)
		}
		return
	}
	if !ok || !capturable(sc, nil, name, nil) {
		a.expr(n, sc, ctes)
		return
	}
	level := &scope{items: sc.items, merged: sc.merged}
	if r, unsure := lookup(level, name); r != nil || unsure {
		a.expr(n, sc, ctes)
		return
	}
	for i, c := range out.cols {
		if c.name != name {
			continue
		}
		// A column that the code does not know of would take the name: the output column's number cannot be taken.
		if out.open {
			a.uncovered(int(n.GetColumnRef().Location), a.visibleLens(sc, name, nil), fmt.Sprintf("GROUP BY %s with output columns of unknown number", name), hintUnsure)
			return
		}
		if from, to, ok := a.refTokens(n.GetColumnRef()); ok {
			a.add(replace, from, to, sqlText(fmt.Sprint(i+1)))
		}
		return
	}
	a.expr(n, sc, ctes)
}

// targets plans a target or RETURNING list: it spreads out stars over migrating tables and keeps the output names.
func (a *attempt) targets(list []*pg.Node, sc *scope, tree []*fromNode, ctes *cte) shape {
	var out shape
	for i, n := range list {
		t := n.GetResTarget()
		if t == nil || a.refusal != nil {
			return shape{open: true}
		}
		c := t.Val.GetColumnRef()
		if c != nil && isStar(c) {
			s := a.star(c, sc, tree)
			out.cols = append(out.cols, s.cols...)
			out.open = out.open || s.open
			out.hide(s.hidden)
			continue
		}
		if x := t.Val.GetAIndirection(); x != nil && len(x.Indirection) == 1 && x.Indirection[0].GetAStar() != nil {
			if it := a.rowRef(x.Arg, sc); it != nil {
				s := a.rowStar(x, it)
				out.cols = append(out.cols, s.cols...)
				out.hide(s.hidden)
				continue
			}
			out.open = true
		}
		var r *ref
		row, done := a.rowTarget(t.Val, sc, ctes)
		switch {
		case done:
		case c != nil:
			r = a.columnRef(c, sc)
		default:
			r = a.fieldRef(t.Val, sc)
			if r == nil {
				r = a.castRef(t.Val, sc)
			}
			a.expr(t.Val, sc, ctes)
		}
		name := t.Name
		if name == "" {
			var from *pg.ColumnRef
			name, from, _ = figure(t.Val)
			if from != nil && a.renamed[from] {
				if end := a.targetEnd(list, i); end >= 0 {
					a.add(after, end, end, sqlText(" AS ", catalog.QuoteIdent(name)))
				}
			}
		}
		origin := r.origin()
		if row != nil {
			origin = a.rowOrigin(t.Val, sc)
		}
		out.cols = append(out.cols, column{name: name, origin: origin, was: r.was(), row: row})
	}
	return out
}

// targetEnd gives the last token of the i-th target of a list.
func (a *attempt) targetEnd(list []*pg.Node, i int) int {
	start := a.tokenAt(list[i].GetResTarget().Location)
	if start < 0 {
		a.lost(list[i].GetResTarget().Location, "a result column")
		return -1
	}
	return a.exprEnd(start)
}
