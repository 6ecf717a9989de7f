package rewrite

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
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
		}
	}
	if it == nil || it.lens == nil || it.alias == "excluded" {
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
		if !slices.ContainsFunc(f.Args, func(arg *pg.Node) bool { return a.rowRef(arg, sc) != nil }) || !a.isRowFunction(f) {
			return false
		}
		for _, arg := range f.Args {
			if it := a.rowRef(arg, sc); it != nil {
				a.row(arg.GetColumnRef(), it, sc)
			} else {
				a.expr(arg, sc, ctes)
			}
		}
		a.exprs(f.AggOrder, sc, ctes)
		a.condition(f.AggFilter, sc, ctes)
		a.window(f.Over, sc, ctes)
		return true
	case *pg.Node_NullTest:
		if it := a.rowRef(x.NullTest.Arg, sc); it != nil {
			a.row(x.NullTest.Arg.GetColumnRef(), it, sc)
			return true
		}
	case *pg.Node_TypeCast:
		names := x.TypeCast.TypeName.GetNames()
		if it := a.rowRef(x.TypeCast.Arg, sc); it != nil && len(names) > 0 && strOf(names[len(names)-1]) == "text" {
			a.row(x.TypeCast.Arg.GetColumnRef(), it, sc)
			return true
		}
	case *pg.Node_AIndirection:
		if it := a.rowRef(x.AIndirection.Arg, sc); it != nil {
			a.rowField(x.AIndirection, it)
			return true
		}
	}
	return false
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
		a.add(replace, from-1, from+3, sqlText(col.Read.Over(catalog.QuoteIdent(it.alias))))
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
	a.add(replace, from-1, from+3, sqlText(text))
	return s
}
