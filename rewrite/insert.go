package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// insert plans an INSERT: the column list in the table's own names, each value for the other side beside its own.
func (a *attempt) insert(s *pg.InsertStmt, ctes *cte) shape {
	ctes = a.with(s.WithClause, nil, ctes)
	_, _, l := a.relation(s.Relation, nil)
	sel := s.SelectStmt.GetSelectStmt()
	source := shape{open: true}
	if sel != nil {
		shows := a.rowsShow
		a.rowsShow = false // they would be stored
		source = a.selectStmt(sel, nil, ctes)
		a.rowsShow = shows
	}
	if l == nil {
		return a.insertElsewhere(s, ctes)
	}
	if a.refusal != nil {
		return shape{}
	}
	v := &values{attempt: a, stmt: s, sel: sel, lens: l, width: -1}
	if !source.open {
		v.width = len(source.cols)
	}
	switch {
	case s.SelectStmt == nil:
		v.defaultValues()
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
	sc := a.returning(&scope{items: []*item{target}}, target)
	return a.targets(s.ReturningList, sc, []*fromNode{{item: target}}, ctes)
}

// insertElsewhere plans the rest of an INSERT into a table that does not migrate.
func (a *attempt) insertElsewhere(s *pg.InsertStmt, ctes *cte) shape {
	target := a.tableItem(s.Relation, nil)
	sc := &scope{items: []*item{target}}
	if c := s.OnConflictClause; c != nil {
		excluded := &item{alias: "excluded", shape: target.shape}
		both := &scope{items: []*item{target, excluded}}
		a.exprs(targetValues(c.TargetList), both, ctes)
		a.condition(c.WhereClause, both, ctes)
	}
	return a.targets(s.ReturningList, sc, []*fromNode{{item: target}}, ctes)
}

// values is an INSERT's column list and what is put into it.
type values struct {
	*attempt
	stmt *pg.InsertStmt
	sel  *pg.SelectStmt
	lens *lens.Lens
	// width is how many columns the source gives; -1 where that is not known.
	width int
}

// listed plans a column list that the client wrote.
func (v *values) listed() {
	cols := make([]*lens.Column, len(v.stmt.Cols))
	types := make([]catalog.Type, len(v.stmt.Cols))
	toks := make([]int, len(v.stmt.Cols))
	parts, touched := false, false
	for i, n := range v.stmt.Cols {
		t := n.GetResTarget()
		toks[i] = v.tokenAt(t.Location)
		if !v.isName(toks[i]) {
			v.lost(t.Location, "a column list")
			return
		}
		c := v.lens.Column(t.Name)
		if c == nil {
			if v.unknownTarget(t, v.lens) {
				return
			}
			continue
		}
		types[i] = c.Type
		if !c.Migrates() {
			continue
		}
		if slices.Contains(cols[:i], c) && len(t.Indirection) == 0 {
			v.refuse(&Refusal{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", t.Name), Position: v.position(int(t.Location))})
			return
		}
		cols[i], touched = c, true
		parts = parts || len(t.Indirection) > 0
		v.wrote(int(t.Location), c)
	}
	if !touched && len(v.lens.Fills) == 0 && !(v.canAppend(len(cols)) && defaultsToWrite(v.lens, nil)) {
		return
	}
	w := v.rowsToWrite(cols, types)
	if w == nil {
		return
	}
	if parts {
		w.fixed, w.wrap = true, nil
	}
	names, extra, ok := v.write(v.lens, w)
	if !ok {
		return
	}
	for i, c := range cols {
		switch {
		case c == nil:
		case names[i] == "":
			v.move(toks[i]-1, toks[i], nil) // with its comma
		case names[i] != catalog.QuoteIdent(c.Name):
			v.add(replace, toks[i], toks[i], sqlText(names[i]))
		}
	}
	if len(extra) > 0 {
		end := toks[len(toks)-1] + 1
		for end < len(v.toks) && !v.isPunct(end, ')') {
			end++
		}
		v.add(before, end, end, sqlText(", ", strings.Join(extra, ", ")))
	}
}

// defaultValues plans DEFAULT VALUES, which leaves all to the server unless columns have to be given a value.
func (v *values) defaultValues() {
	if len(v.lens.Fills) == 0 {
		return
	}
	if v.refusesFill(v.lens, int(v.stmt.Relation.Location)) {
		return
	}
	i := v.afterTarget()
	for i < len(v.toks) && !(v.isWord(i, "default") && v.isWord(i+1, "values")) {
		i++ // OVERRIDING ... VALUE
	}
	if i >= len(v.toks) {
		v.lost(v.stmt.Relation.Location, "DEFAULT VALUES")
		return
	}
	var names, values []string
	for _, f := range v.lens.Fills {
		names, values = append(names, catalog.QuoteIdent(f.Column)), append(values, f.SQL)
	}
	first := v.afterTarget()
	v.add(after, first-1, first-1, sqlText(" (", strings.Join(names, ", "), ")"))
	v.move(i, i+1, sqlText("VALUES (", strings.Join(values, ", "), ")"))
}

// wrote notes that the statement writes a migrating column by its name.
func (a *attempt) wrote(off int, c *lens.Column) {
	a.resolved = append(a.resolved, c.Name+" "+c.Migration())
	a.usesColumn(c)
}

// rowsToWrite finds the rows that the INSERT puts in; nil where the statement is refused.
func (v *values) rowsToWrite(cols []*lens.Column, types []catalog.Type) *rowsToWrite {
	w := &rowsToWrite{cols: cols, types: types, off: int(v.stmt.Relation.Location)}
	if !v.canAppend(len(cols)) {
		w.fixed, w.broken = true, v.misfits(len(cols))
		if !w.broken {
			w.wrap = v.wrapping(w)
		}
		return w
	}
	if len(v.sel.ValuesLists) > 0 {
		rows := v.rows()
		if len(rows) != len(v.sel.ValuesLists) {
			v.lost(v.stmt.Relation.Location, "VALUES")
			return nil
		}
		for i, list := range v.sel.ValuesLists {
			r := rowCells{nodes: list.GetList().GetItems(), toks: rows[i].cells, end: rows[i].end}
			if len(r.nodes) != len(r.toks) {
				v.lost(v.stmt.Relation.Location, "VALUES")
				return nil
			}
			w.rows = append(w.rows, r)
		}
		return v.orWrapped(w)
	}
	w.targets, w.sorted = true, len(v.sel.SortClause) > 0
	r := rowCells{end: v.targetEnd(v.sel.TargetList, len(v.sel.TargetList)-1)}
	for _, n := range v.sel.TargetList {
		t := n.GetResTarget()
		start := v.tokenAt(t.Location)
		if start < 0 || r.end < 0 {
			v.lost(v.stmt.Relation.Location, "a result column")
			return nil
		}
		end := v.exprEnd(start)
		if t.Name != "" { // leave the alias out: it is the last token, with or without AS before it
			end--
			if v.isWord(end, "as") {
				end--
			}
		}
		r.nodes = append(r.nodes, t.Val)
		r.toks = append(r.toks, [2]int{start, end})
	}
	w.rows = []rowCells{r}
	return v.orWrapped(w)
}

// misfits says whether the source is seen to have another number of columns than are named.
func (v *values) misfits(width int) bool {
	if v.sel == nil || v.sel.Op != pg.SetOperation_SETOP_NONE {
		return false
	}
	for _, row := range v.sel.ValuesLists {
		if len(row.GetList().GetItems()) != width {
			return true
		}
	}
	for _, n := range v.sel.TargetList {
		if c := n.GetResTarget().GetVal().GetColumnRef(); c != nil && isStar(c) {
			return false
		}
	}
	return len(v.sel.ValuesLists) == 0 && len(v.sel.TargetList) != width
}

// canAppend says whether each row that is put in can be given another value beside the client's.
func (v *values) canAppend(width int) bool {
	switch {
	case v.sel == nil || v.sel.Op != pg.SetOperation_SETOP_NONE || v.sel.WithClause != nil && len(v.sel.ValuesLists) > 0:
		return false
	case len(v.sel.ValuesLists) > 0:
		for _, row := range v.sel.ValuesLists {
			if len(row.GetList().GetItems()) != width {
				return false // the server has the error
			}
		}
		return len(v.sel.SortClause) == 0 && v.sel.LimitCount == nil && v.sel.LimitOffset == nil
	}
	// A SELECT whose targets are the columns one by one.
	if len(v.sel.TargetList) != width || len(v.sel.DistinctClause) > 0 || v.sel.IntoClause != nil {
		return false
	}
	for _, n := range v.sel.TargetList {
		if c := n.GetResTarget().GetVal().GetColumnRef(); c != nil && isStar(c) {
			return false
		}
	}
	return true
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
		out = append(out, row{v.cells(i+1, end), end})
		i = end + 1
		if !v.isPunct(i, ',') {
			break
		}
	}
	return out
}

// cells gives the cells between token i and a closing bracket.
func (a *attempt) cells(i, end int) (list [][2]int) {
	for i < end {
		last := a.cellEnd(i, end)
		list = append(list, [2]int{i, last})
		i = last + 2
	}
	return list
}

// cellEnd gives the last token of the cell that begins at token i, in a bracket that token end closes.
func (a *attempt) cellEnd(i, end int) int {
	depth := 0
	for ; i < end; i++ {
		if depth += a.nesting(i); depth == 0 && a.isPunct(i, ',') {
			return i - 1
		}
	}
	return end - 1
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
	if n > len(v.lens.Columns) {
		v.refuse(&Refusal{Code: "42601", Message: "INSERT has more expressions than target columns", Position: v.extraPosition(len(v.lens.Columns))})
		return
	}
	if n == 0 {
		return
	}
	cols := make([]*lens.Column, n)
	for i := range cols {
		cols[i] = &v.lens.Columns[i]
	}
	types := make([]catalog.Type, n)
	for i := range types {
		types[i] = cols[i].Type
	}
	w := v.rowsToWrite(cols, types)
	if w == nil {
		return
	}
	names, extra, ok := v.write(v.lens, w)
	if !ok {
		return
	}
	i := v.afterTarget()
	if i >= len(v.toks) {
		v.lost(v.stmt.Relation.Location, "INSERT")
		return
	}
	v.add(after, i-1, i-1, sqlText(" (", joinNames(names, extra), ")"))
}

// joinNames writes a column list.
func joinNames(names, extra []string) string {
	var all []string
	for _, n := range append(names[:len(names):len(names)], extra...) {
		if n != "" {
			all = append(all, n)
		}
	}
	return strings.Join(all, ", ")
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
	if c.Infer != nil {
		a.infer(c.Infer, l)
	}
	excluded := &item{alias: "excluded", lens: l}
	sc := &scope{items: []*item{target, excluded}}
	a.assignments(c.TargetList, target, sc, ctes)
	a.condition(c.WhereClause, sc, ctes)
	for _, h := range l.Halves {
		if keys, _ := a.newKeys(c.TargetList, h.Key); !h.Target && len(keys) > 0 && h.OnUpdate != (lens.Alone{}) {
			a.uncovered(int(c.Location), l, "ON CONFLICT DO UPDATE of the key, to which rows of the new table may refer,", "UPDATE the key in a statement of its own.")
		}
	}
}

// mayMeetOther notes that a unique index of the column is the arbiter, where one of the other side may stand beside it.
func (a *attempt) mayMeetOther(c *lens.Column) {
	if c.Tie == nil || c.Tie.Contested == nil {
		return
	}
	if a.again == nil {
		a.again = map[string]bool{}
	}
	for _, name := range c.Tie.Contested {
		a.again[name] = true
	}
}

// inferGroup plans an element of ON CONFLICT that is one of a group's several columns: all of them must be named. The arbiter's columns come in the place of
// the first of them, and the others go.
func (a *attempt) inferGroup(elems []*pg.Node, cells [][2]int, i int, l *lens.Lens, col *lens.Column) {
	off := a.toks[cells[i][0]].start
	first, named := i, 0
	for j, n := range elems {
		if c := l.Column(n.GetIndexElem().GetName()); c != nil && c.Tie == col.Tie {
			first, named = min(first, j), named+1
		}
	}
	switch {
	case col.Tie.Arbiter == nil:
		a.uncovered(off, l, "ON CONFLICT on a column that is made of several", "Infer on another unique index.")
		return
	case named != len(col.Tie.Columns):
		a.uncovered(off, l, "ON CONFLICT on some of the columns that change together", "Name all of them, or infer on another unique index.")
		return
	}
	a.wrote(off, col)
	a.mayMeetOther(col)
	switch {
	case slices.Contains(col.Tie.Arbiter, col.Physical): // the code's own side
		a.rename(cells[i][0], elems[i].GetIndexElem().Name, col.Physical)
	case i != first:
		a.add(replace, cells[i][0]-1, cells[i][1], nil) // with its comma
	default:
		var names []string
		for _, n := range col.Tie.Arbiter {
			names = append(names, catalog.QuoteIdent(n))
		}
		a.add(replace, cells[i][0], cells[i][1], sqlText(strings.Join(names, ", ")))
	}
}

// infer plans what ON CONFLICT infers its unique index from: it names the columns whose index is the arbiter in this stage.
func (a *attempt) infer(c *pg.InferClause, l *lens.Lens) {
	open := a.tokenAt(c.Location)
	if len(c.IndexElems) == 0 {
		// ON CONSTRAINT: it may be that of a migrating column. Its name stays the same.
		for i := range l.Columns {
			a.mayMeetOther(&l.Columns[i])
		}
		return
	}
	var cells [][2]int
	if a.isPunct(open, '(') {
		cells = a.cells(open+1, a.closing(open))
	}
	if len(cells) != len(c.IndexElems) {
		a.lost(c.Location, "ON CONFLICT")
		return
	}
	for i, n := range c.IndexElems {
		e := n.GetIndexElem()
		if e.Name == "" {
			a.inferExpr(e.Expr, l)
			continue
		}
		col := l.Column(e.Name)
		switch {
		case col == nil && l.Names[e.Name]:
			a.unknownColumn(a.toks[cells[i][0]].start, l, e.Name, fmt.Sprintf("column %q does not exist", e.Name))
			return
		case col == nil || !col.Migrates():
		case !col.Tie.Same && (len(e.Opclass) > 0 || len(e.Collation) > 0):
			a.uncovered(a.toks[cells[i][0]].start, l, "ON CONFLICT with an operator class or a collation on a column that changes its type", "Leave it out.")
			return
		case col.Infer == "":
			a.inferGroup(c.IndexElems, cells, i, l, col)
		default:
			a.wrote(a.toks[cells[i][0]].start, col)
			a.mayMeetOther(col)
			a.rename(cells[i][0], e.Name, col.Infer)
		}
	}
	a.inferExpr(c.WhereClause, l)
}

// inferExpr plans an expression or predicate of an index that is inferred: it must be the arbiter's own, in the arbiter's column names.
func (a *attempt) inferExpr(n *pg.Node, l *lens.Lens) {
	if n == nil || a.refusal != nil || !mentionsName(n, l.Names) {
		return
	}
	if c := n.GetColumnRef(); c != nil {
		name := strOf(c.Fields[len(c.Fields)-1])
		col := l.Column(name)
		switch from, to, ok := a.refTokens(c); {
		case !ok:
		case col == nil:
			a.unknownColumn(int(c.Location), l, name, fmt.Sprintf("column %q does not exist", name))
		case col.Infer == "" || !col.Tie.Same:
			a.uncovered(int(c.Location), l, "ON CONFLICT with an expression or predicate on a migrating column", "Infer on another unique index.")
		default:
			a.wrote(int(c.Location), col)
			a.mayMeetOther(col)
			if to == from || name != col.Infer {
				a.rename(to, name, col.Infer)
			}
		}
		return
	}
	children(n, func(c *pg.Node) { a.inferExpr(c, l) })
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
