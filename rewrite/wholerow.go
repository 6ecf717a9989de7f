package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// rowFunctions are functions of pg_catalog for which a row is its names and values: they give the same for the table's own row type
// and for an anonymous record. Elsewhere the row's type would show.
var rowFunctions = map[string]bool{
	"row_to_json": true, "to_json": true, "to_jsonb": true, "json_agg": true, "jsonb_agg": true, "count": true,
	"json_build_object": true, "jsonb_build_object": true, "json_build_array": true, "jsonb_build_array": true,
	"json_object_agg": true, "jsonb_object_agg": true, "concat": true, "concat_ws": true, "md5": false,
}

// rowRef gives the migrating item of which the expression is the whole row: `u` or `u.*`.
func (a *attempt) rowRef(n *pg.Node, sc *scope) *item {
	c := n.GetColumnRef()
	if c == nil || len(c.Fields) == 0 {
		return nil
	}
	var it *item
	if isStar(c) {
		names := make([]string, 0, 3)
		for _, f := range c.Fields[:len(c.Fields)-1] {
			names = append(names, strOf(f))
		}
		if len(names) > 0 {
			it = qualified(sc, names)
		}
	} else if len(c.Fields) == 1 {
		name := strOf(c.Fields[0])
		if r, unsure := lookup(sc, name); r == nil && !unsure {
			it = findItem(sc, "", name)
			if it != nil && it.lens != nil && it.lens.Names[name] && (a.set.Version == lens.Auto || a.set.Version == "") {
				return nil // it is a column on one of the sides, which is more likely to be meant
			}
		}
	}
	if it == nil || it.lens == nil || it.alias == "excluded" {
		return nil
	}
	if it.lens.Plain {
		a.usesShape(it.lens)
		return nil
	}
	return it
}

// wholeRows puts the row as the code knows it in the place of whole rows where their type does not show. It says whether n was one of these
// places and is done with; what else is in n has been walked then.
func (a *attempt) wholeRows(n *pg.Node, sc *scope, ctes *cte) bool {
	switch x := n.Node.(type) {
	case *pg.Node_FuncCall:
		f := x.FuncCall
		if !slices.ContainsFunc(f.Args, func(arg *pg.Node) bool { return a.isRow(arg, sc) != nil }) || !a.isRowFunction(f) {
			return false
		}
		for _, arg := range f.Args {
			a.rowOrElse(arg, sc, ctes)
		}
		a.exprs(f.AggOrder, sc, ctes)
		a.condition(f.AggFilter, sc, ctes)
		a.window(f.Over, sc, ctes)
		return true
	case *pg.Node_NullTest:
		if a.isRow(x.NullTest.Arg, sc) != nil {
			a.putRow(x.NullTest.Arg, sc, ctes)
			return true
		}
	case *pg.Node_TypeCast:
		names := x.TypeCast.TypeName.GetNames()
		if a.isRow(x.TypeCast.Arg, sc) != nil && len(names) > 0 && strOf(names[len(names)-1]) == "text" {
			a.putRow(x.TypeCast.Arg, sc, ctes)
			return true
		}
	case *pg.Node_AIndirection:
		if it := a.rowRef(x.AIndirection.Arg, sc); it != nil {
			a.rowField(x.AIndirection, it)
			return true
		}
	case *pg.Node_AExpr:
		l, r := x.AExpr.Lexpr, x.AExpr.Rexpr
		if a.comparesRows(x.AExpr, sc) {
			a.rowOrElse(l, sc, ctes)
			a.rowOrElse(r, sc, ctes)
			return true
		}
	case *pg.Node_RowExpr:
		for _, arg := range x.RowExpr.Args {
			if it := a.rowRef(arg, sc); it != nil && isStar(arg.GetColumnRef()) {
				a.rowColumns(arg.GetColumnRef(), it)
			} else {
				a.expr(arg, sc, ctes)
			}
		}
		return true
	}
	return false
}

// comparesRows says whether an expression compares a row with a row: by their values, whatever the rows' types are called.
func (a *attempt) comparesRows(e *pg.A_Expr, sc *scope) bool {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		switch op := strOf(e.Name[len(e.Name)-1]); op {
		case "=", "<>", "<", ">", "<=", ">=":
		default:
			return false
		}
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
	default:
		return false
	}
	l, r := a.isRow(e.Lexpr, sc), a.isRow(e.Rexpr, sc)
	return (l != nil || r != nil) && (l != nil || e.Lexpr.GetRowExpr() != nil) && (r != nil || e.Rexpr.GetRowExpr() != nil)
}

// isRow gives the migrating table of which an expression's value is a whole row; nil where it is none.
func (a *attempt) isRow(n *pg.Node, sc *scope) *catalog.Relation {
	all := func(list []*pg.Node) (rel *catalog.Relation) {
		for _, x := range list {
			r := a.isRow(x, sc)
			if r == nil && !x.GetAConst().GetIsnull() || rel != nil && r != nil && r != rel {
				return nil
			}
			if r != nil {
				rel = r
			}
		}
		return rel
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		if it := a.rowRef(n, sc); it != nil {
			return it.lens.Relation
		}
		if c := columnOf(x.ColumnRef, sc); c != nil {
			return c.row
		}
	case *pg.Node_CoalesceExpr:
		return all(x.CoalesceExpr.Args)
	case *pg.Node_CaseExpr:
		var results []*pg.Node
		for _, w := range x.CaseExpr.Args {
			results = append(results, w.GetCaseWhen().GetResult())
		}
		if d := x.CaseExpr.Defresult; d != nil {
			results = append(results, d)
		}
		return all(results)
	}
	return nil
}

// putRow puts the row as the code knows it in the place of an expression whose value is one.
func (a *attempt) putRow(n *pg.Node, sc *scope, ctes *cte) {
	switch x := n.Node.(type) {
	case *pg.Node_ColumnRef:
		if it := a.rowRef(n, sc); it != nil {
			a.row(x.ColumnRef, it, sc)
		} else {
			a.columnRef(x.ColumnRef, sc)
		}
	case *pg.Node_CoalesceExpr:
		for _, arg := range x.CoalesceExpr.Args {
			a.rowOrElse(arg, sc, ctes)
		}
	case *pg.Node_CaseExpr:
		a.expr(x.CaseExpr.Arg, sc, ctes)
		for _, w := range x.CaseExpr.Args {
			a.expr(w.GetCaseWhen().GetExpr(), sc, ctes)
			a.rowOrElse(w.GetCaseWhen().GetResult(), sc, ctes)
		}
		a.rowOrElse(x.CaseExpr.Defresult, sc, ctes)
	}
}

func (a *attempt) rowOrElse(n *pg.Node, sc *scope, ctes *cte) {
	if n != nil && a.isRow(n, sc) != nil {
		a.putRow(n, sc, ctes)
		return
	}
	a.expr(n, sc, ctes)
}

// rowTarget plans a target whose value is, or may be, a whole row; done says that it has planned it. Where the row's type would show and cannot be put right, it is
// refused.
func (a *attempt) rowTarget(n *pg.Node, sc *scope, ctes *cte) (rel *catalog.Relation, done bool) {
	if !a.rowsShow {
		if rel := a.isRow(n, sc); rel != nil {
			a.uncovered(placeOf(n), a.lensOf(rel), "a whole row", hintWholeRow)
			return rel, true
		}
		return nil, false
	}
	if x := n.GetSubLink(); x != nil && x.SubLinkType == pg.SubLinkType_EXPR_SUBLINK {
		if s := x.Subselect.GetSelectStmt(); s != nil && len(s.TargetList) == 1 && s.TargetList[0].GetResTarget().GetVal().GetColumnRef() != nil {
			if out := a.selectStmt(s, sc, ctes); len(out.cols) == 1 && out.cols[0].row != nil {
				return out.cols[0].row, true
			}
			return nil, true
		}
		return nil, false
	}
	if rel = a.isRow(n, sc); rel == nil {
		return nil, false
	}
	if rel.RowType == 0 {
		a.uncovered(placeOf(n), a.lensOf(rel), "a whole row", hintWholeRow)
		return rel, true
	}
	a.putRow(n, sc, ctes)
	return rel, true
}

// rowOrigin gives the origin of a whole row that is a table's as it is; nil for others.
func (a *attempt) rowOrigin(n *pg.Node, sc *scope) *Origin {
	if it := a.rowRef(n, sc); it != nil {
		return &Origin{Table: it.lens.Relation.OID}
	}
	if c := n.GetColumnRef(); c != nil {
		if col := columnOf(c, sc); col != nil {
			return col.origin
		}
	}
	return nil
}

// columnOf gives the column of something that does not migrate that a reference means; nil where it means something else.
func columnOf(c *pg.ColumnRef, sc *scope) *column {
	if isStar(c) {
		return nil
	}
	names := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		names[i] = strOf(f)
	}
	if len(names) == 1 {
		if r, _ := lookup(sc, names[0]); r != nil {
			return r.column
		}
	} else if it := qualified(sc, names[:len(names)-1]); it != nil && it.lens == nil {
		return it.column(names[len(names)-1])
	}
	return nil
}

func placeOf(n *pg.Node) int {
	if c := n.GetColumnRef(); c != nil {
		return int(c.Location)
	}
	return 0
}

// rowColumns spreads `u.*` out in ROW(u.*, ...), where its columns have no names.
func (a *attempt) rowColumns(c *pg.ColumnRef, it *item) {
	from := a.tokenAt(c.Location)
	to := from + 2*(len(c.Fields)-1)
	if from < 0 || to >= len(a.toks) || a.tokText(to) != "*" {
		a.lost(c.Location, "*")
		return
	}
	a.usesShape(it.lens)
	q := a.text[a.toks[from].start:a.toks[to-2].end]
	var parts []string
	for i := range it.lens.Columns {
		col := &it.lens.Columns[i]
		if col.Unreadable != "" {
			a.uncovered(int(c.Location), it.lens, "the column "+catalog.QuoteIdent(col.Name), "Now, "+col.Unreadable+".")
		}
		parts = append(parts, readOf(col, it, q))
	}
	a.add(replace, from, to, sqlText(strings.Join(parts, ", ")))
}

func (a *attempt) isRowFunction(f *pg.FuncCall) bool {
	name := strOf(f.Funcname[len(f.Funcname)-1])
	if !rowFunctions[name] {
		return false
	}
	if len(f.Funcname) > 1 {
		return strOf(f.Funcname[0]) == "pg_catalog"
	}
	// A function of the same name in another schema could take the table's row type.
	return !slices.ContainsFunc(a.set.Path, func(s string) bool {
		return s != "pg_catalog" && a.state.Catalog.Function([]string{"pg_catalog"}, s, name) != nil
	})
}

// row puts the row as the code knows it in the place of a reference to all of it. A row that an outer join made up stays NULL.
func (a *attempt) row(c *pg.ColumnRef, it *item, sc *scope) {
	if findItem(sc, "", it.alias) != it {
		a.uncovered(int(c.Location), it.lens, "a whole row that cannot be qualified here", "Give the table an alias of its own.")
		return
	}
	from := a.tokenAt(c.Location)
	to := from + 2*(len(c.Fields)-1)
	if from < 0 || to >= len(a.toks) {
		a.lost(c.Location, "a whole row")
		return
	}
	a.renamed[c] = true
	q := catalog.QuoteIdent(it.alias)
	list, _ := a.spread(it, q)
	a.add(replace, from, to, sqlText("(CASE WHEN ", q, ".tableoid IS NOT NULL THEN (SELECT segue_row FROM (SELECT ", list, ") AS segue_row) END)"))
}

// rowField plans (u).name, which is u.name written in another way.
func (a *attempt) rowField(x *pg.A_Indirection, it *item) {
	c := x.Arg.GetColumnRef()
	name := strOf(x.Indirection[0])
	if name == "" {
		a.uncovered(int(c.Location), it.lens, "a whole row", hintWholeRow)
		return
	}
	col := it.lens.Column(name)
	switch {
	case col == nil && it.lens.Names[name]:
		a.unknownColumn(int(c.Location), it.lens, name, fmt.Sprintf("column %q not found in data type %s", name, it.lens.Relation.Name))
	case col == nil || !col.Migrates():
		// Physically there under the same name.
	default:
		from := a.tokenAt(c.Location)
		if isStar(c) || !a.isPunct(from-1, '(') || !a.isPunct(from+1, ')') || !a.isPunct(from+2, '.') || !a.isName(from+3) {
			a.lost(c.Location, "a row's field")
			return
		}
		a.usesColumn(col)
		a.renamed[c] = true
		a.add(replace, from-1, from+3, sqlText(readOf(col, it, catalog.QuoteIdent(it.alias))))
	}
}

// fieldRef gives what (u).name means, where it is that.
func (a *attempt) fieldRef(n *pg.Node, sc *scope) *ref {
	x := n.GetAIndirection()
	if x == nil || len(x.Indirection) != 1 {
		return nil
	}
	it := a.rowRef(x.Arg, sc)
	if it == nil {
		return nil
	}
	if c := it.lens.Column(strOf(x.Indirection[0])); c != nil {
		return &ref{item: it, lens: c}
	}
	return nil
}

// rowStar plans (u).* as a target, which is u.* written in another way.
func (a *attempt) rowStar(x *pg.A_Indirection, it *item) shape {
	from := a.tokenAt(x.Arg.GetColumnRef().Location)
	if isStar(x.Arg.GetColumnRef()) || !a.isPunct(from-1, '(') || !a.isPunct(from+1, ')') || !a.isPunct(from+2, '.') || a.tokText(from+3) != "*" {
		a.lost(x.Arg.GetColumnRef().Location, "a whole row")
		return shape{open: true}
	}
	text, s := a.spread(it, catalog.QuoteIdent(it.alias))
	from, to := a.brackets(from-1, from+3)
	a.add(replace, from, to, sqlText(text))
	return s
}
