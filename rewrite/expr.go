package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"segue/rewrite/catalog"
)

// exprs walks a list of expressions.
func (a *attempt) exprs(list []*pg.Node, sc *scope, ctes *cte) {
	for _, n := range list {
		a.expr(n, sc, ctes)
	}
}

// expr walks an expression and puts the lens' forms in the place of references to migrating columns.
func (a *attempt) expr(n *pg.Node, sc *scope, ctes *cte) {
	if n == nil || a.refusal != nil || a.wholeRows(n, sc, ctes) {
		return
	}
	switch x := n.Node.(type) {
	case nil:
	case *pg.Node_ColumnRef:
		if r := a.columnRef(x.ColumnRef, sc); r != nil && r.column != nil && r.column.row != nil {
			a.uncovered(int(x.ColumnRef.Location), a.lensOf(r.column.row), "a whole row", hintWholeRow)
		}
	case *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_SetToDefault, *pg.Node_SqlvalueFunction, *pg.Node_CurrentOfExpr, *pg.Node_String_, *pg.Node_AStar,
		*pg.Node_Integer, *pg.Node_Float, *pg.Node_TypeName:
	case *pg.Node_AExpr:
		a.expr(x.AExpr.Lexpr, sc, ctes)
		a.expr(x.AExpr.Rexpr, sc, ctes)
	case *pg.Node_BoolExpr:
		a.exprs(x.BoolExpr.Args, sc, ctes)
	case *pg.Node_NullTest:
		a.expr(x.NullTest.Arg, sc, ctes)
	case *pg.Node_BooleanTest:
		a.expr(x.BooleanTest.Arg, sc, ctes)
	case *pg.Node_FuncCall:
		f := x.FuncCall
		if fn := a.function(f); fn != nil && fn.Dear {
			a.dear = append(a.dear, f.Location)
		}
		a.exprs(f.Args, sc, ctes)
		a.exprs(f.AggOrder, sc, ctes)
		a.condition(f.AggFilter, sc, ctes)
		a.window(f.Over, sc, ctes)
	case *pg.Node_NamedArgExpr:
		a.expr(x.NamedArgExpr.Arg, sc, ctes)
	case *pg.Node_TypeCast:
		a.rowType(x.TypeCast.TypeName)
		a.expr(x.TypeCast.Arg, sc, ctes)
	case *pg.Node_CollateClause:
		a.expr(x.CollateClause.Arg, sc, ctes)
	case *pg.Node_CaseExpr:
		a.expr(x.CaseExpr.Arg, sc, ctes)
		a.exprs(x.CaseExpr.Args, sc, ctes)
		a.expr(x.CaseExpr.Defresult, sc, ctes)
	case *pg.Node_CaseWhen:
		a.expr(x.CaseWhen.Expr, sc, ctes)
		a.expr(x.CaseWhen.Result, sc, ctes)
	case *pg.Node_CoalesceExpr:
		a.exprs(x.CoalesceExpr.Args, sc, ctes)
	case *pg.Node_MinMaxExpr:
		a.exprs(x.MinMaxExpr.Args, sc, ctes)
	case *pg.Node_SubLink:
		shows := a.rowsShow
		a.rowsShow = false
		a.expr(x.SubLink.Testexpr, sc, ctes)
		a.query(x.SubLink.Subselect, sc, ctes)
		a.rowsShow = shows
	case *pg.Node_RowExpr:
		a.exprs(x.RowExpr.Args, sc, ctes)
	case *pg.Node_AArrayExpr:
		a.exprs(x.AArrayExpr.Elements, sc, ctes)
	case *pg.Node_AIndirection:
		a.expr(x.AIndirection.Arg, sc, ctes)
		a.exprs(x.AIndirection.Indirection, sc, ctes)
	case *pg.Node_AIndices:
		a.expr(x.AIndices.Lidx, sc, ctes)
		a.expr(x.AIndices.Uidx, sc, ctes)
	case *pg.Node_List:
		a.exprs(x.List.Items, sc, ctes)
	case *pg.Node_SortBy:
		a.expr(x.SortBy.Node, sc, ctes)
	case *pg.Node_GroupingSet:
		a.exprs(x.GroupingSet.Content, sc, ctes)
	case *pg.Node_GroupingFunc:
		a.exprs(x.GroupingFunc.Args, sc, ctes)
	case *pg.Node_WindowDef:
		a.window(x.WindowDef, sc, ctes)
	case *pg.Node_XmlExpr, *pg.Node_XmlSerialize, *pg.Node_JsonValueExpr, *pg.Node_JsonObjectConstructor, *pg.Node_JsonArrayConstructor,
		*pg.Node_JsonObjectAgg, *pg.Node_JsonArrayAgg, *pg.Node_JsonIsPredicate, *pg.Node_JsonKeyValue, *pg.Node_JsonAggConstructor, *pg.Node_JsonOutput,
		*pg.Node_JsonFormat, *pg.Node_ResTarget:
		children(n, func(c *pg.Node) { a.expr(c, sc, ctes) })
	case *pg.Node_JsonArrayQueryConstructor:
		a.query(x.JsonArrayQueryConstructor.Query, sc, ctes)
	default:
		a.uncovered(0, a.visibleLens(sc, "", nil), "an expression of kind "+strings.TrimPrefix(nodeKind(n), "Node_"), "Write it in another way.")
	}
}

// condition walks an expression of which only the rows where it is true count: there NULL is as good as false, and the
// comparisons under its ANDs and ORs may be split.
func (a *attempt) condition(n *pg.Node, sc *scope, ctes *cte) {
	if n == nil || a.refusal != nil {
		return
	}
	switch x := n.Node.(type) {
	case *pg.Node_BoolExpr:
		if x.BoolExpr.Boolop != pg.BoolExprType_NOT_EXPR {
			for _, arg := range x.BoolExpr.Args {
				a.condition(arg, sc, ctes)
			}
			return
		}
	case *pg.Node_AExpr:
		if a.split(x.AExpr, sc) {
			return
		}
	}
	a.expr(n, sc, ctes)
}

// rowType refuses the name of a migrating table's row type, which has the table's physical shape.
func (a *attempt) rowType(t *pg.TypeName) {
	if t == nil || len(t.Names) == 0 {
		return
	}
	schema := ""
	if len(t.Names) > 1 {
		schema = strOf(t.Names[len(t.Names)-2])
	}
	if rel := a.find(schema, strOf(t.Names[len(t.Names)-1])); rel != nil {
		switch l := a.lensOf(rel); {
		case l == nil:
		case l.Plain:
			a.usesShape(l)
		default:
			a.uncovered(int(t.Location), l, "the table's row type", "Name the columns and their types.")
		}
	}
}

func (a *attempt) window(w *pg.WindowDef, sc *scope, ctes *cte) {
	if w == nil {
		return
	}
	a.exprs(w.PartitionClause, sc, ctes)
	a.exprs(w.OrderClause, sc, ctes)
	a.expr(w.StartOffset, sc, ctes)
	a.expr(w.EndOffset, sc, ctes)
}

// children calls f for each node right below n, at any depth of messages that are no nodes themselves.
func children(n *pg.Node, f func(*pg.Node)) {
	var walk func(m protoreflect.Message)
	visit := func(m protoreflect.Message) {
		if c, ok := m.Interface().(*pg.Node); ok {
			f(c)
			return
		}
		walk(m)
	}
	walk = func(m protoreflect.Message) {
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.Message() == nil:
			case fd.IsList():
				for i := range v.List().Len() {
					visit(v.List().Get(i).Message())
				}
			default:
				visit(v.Message())
			}
			return true
		})
	}
	m := n.ProtoReflect()
	fd := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
	if fd != nil {
		walk(m.Get(fd).Message())
	}
}

func nodeKind(n *pg.Node) string {
	m := n.ProtoReflect()
	if fd := m.WhichOneof(m.Descriptor().Oneofs().Get(0)); fd != nil {
		return string(fd.Message().Name())
	}
	return "nothing"
}

// splitOps are the operators that are strict and immutable for every type of pg_catalog, so that a comparison can be written twice.
var splitOps = map[string]bool{"=": true, "<": true, ">": true, "<=": true, ">=": true, "<>": true, "~~": true}

// split writes a comparison of a coalesced column so that both columns' indexes serve it:
// (n = x OR (n IS NULL AND o = x)), which is true where COALESCE(n, o) = x is. Where that is false it may be NULL.
func (a *attempt) split(e *pg.A_Expr, sc *scope) bool {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_LIKE:
	case pg.A_Expr_Kind_AEXPR_IN:
	default:
		return false
	}
	if len(e.Name) != 1 || !splitOps[strOf(e.Name[0])] {
		return false
	}
	c := e.Lexpr.GetColumnRef()
	if c == nil || isStar(c) {
		return false
	}
	r, q := a.eitherRef(c, sc)
	if r == nil || r.item.nullable && r.lens.Loose {
		return false
	}
	from, to, ok := a.refTokens(c)
	if !ok {
		return false
	}
	end := a.simpleEnd(e, to+1)
	if end < 0 {
		return false
	}
	a.usesColumn(r.lens)
	first, second := r.lens.Either[0].Over(q), r.lens.Either[1].Over(q)
	rest := copyOf(to+1, end)
	a.add(replace, from, end, []piece{
		lit("(" + first + " "), rest, lit(" OR (" + first + " IS NULL AND " + second + " "), rest, lit("))"),
	})
	return true
}

// eitherRef gives a reference's meaning where it is a coalesced column, and its qualifier.
func (a *attempt) eitherRef(c *pg.ColumnRef, sc *scope) (*ref, string) {
	name := strOf(c.Fields[len(c.Fields)-1])
	if len(c.Fields) > 1 {
		names := make([]string, 0, 3)
		for _, f := range c.Fields[:len(c.Fields)-1] {
			names = append(names, strOf(f))
		}
		it := qualified(sc, names)
		if it == nil || it.lens == nil {
			return nil, ""
		}
		col := it.lens.Column(name)
		from, to, ok := a.refTokens(c)
		if col == nil || col.Either == nil || !ok {
			return nil, ""
		}
		return &ref{item: it, lens: col}, a.text[a.toks[from].start:a.toks[to-2].end]
	}
	r, _ := lookup(sc, name)
	if r == nil || r.unsure || r.several || r.merged || r.lens == nil || r.lens.Either == nil {
		return nil, ""
	}
	q := r.qualifier(sc)
	if q == "" {
		return nil, ""
	}
	a.note(name, c, r)
	return r, q
}

// simpleEnd gives the last token of the comparison whose operator is token op, where its right side is made of constants and parameters only;
// -1 where it is more.
func (a *attempt) simpleEnd(e *pg.A_Expr, op int) int {
	var last func(n *pg.Node) int
	last = func(n *pg.Node) int {
		switch x := n.Node.(type) {
		case *pg.Node_ParamRef:
			return a.tokenAt(x.ParamRef.Location)
		case *pg.Node_AConst:
			i := a.tokenAt(x.AConst.Location)
			if i >= 0 && (a.toks[i].kind == tokString || a.toks[i].kind == tokNumber) {
				return i
			}
		case *pg.Node_TypeCast:
			// Only the form x::word.
			i := last(x.TypeCast.Arg)
			if i >= 0 && a.tokText(i+1) == "::" && a.isName(i+2) && len(x.TypeCast.TypeName.Names) <= 2 && len(x.TypeCast.TypeName.Typmods) == 0 &&
				len(x.TypeCast.TypeName.ArrayBounds) == 0 && !a.isPunct(i+3, '.') && !a.isName(i+3) {
				return i + 2
			}
		}
		return -1
	}
	if e.Kind == pg.A_Expr_Kind_AEXPR_IN {
		for _, n := range e.Rexpr.GetList().GetItems() {
			if last(n) < 0 {
				return -1
			}
		}
		open := op
		for open < len(a.toks) && !a.isPunct(open, '(') {
			open++
		}
		if open > op+1 { // NOT IN is <>; [NOT] IN has at most two words
			return -1
		}
		return a.closing(open)
	}
	end := last(e.Rexpr)
	// The operator and what it compares with, and nothing in brackets between them.
	if end < 0 || e.Rexpr.GetTypeCast() == nil && end != op+1 || e.Rexpr.GetTypeCast() != nil && end != op+3 {
		return -1
	}
	// LIKE has an ESCAPE only as a function call, which is no constant; a following :: would have made it a cast.
	return end
}

// twice says whether an expression may be written twice in a statement: it gives the same value each time, costs little, and does nothing.
func (a *attempt) twice(n *pg.Node) bool {
	ok := true
	all := func(list ...*pg.Node) {
		for _, c := range list {
			if c != nil && ok {
				ok = a.twice(c)
			}
		}
	}
	switch x := n.Node.(type) {
	case nil, *pg.Node_ColumnRef, *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_SqlvalueFunction:
	case *pg.Node_AExpr:
		if len(x.AExpr.Name) != 1 || a.state.Catalog.VolatileOperator(strOf(x.AExpr.Name[0])) {
			return false
		}
		all(x.AExpr.Lexpr, x.AExpr.Rexpr)
	case *pg.Node_BoolExpr:
		all(x.BoolExpr.Args...)
	case *pg.Node_NullTest:
		all(x.NullTest.Arg)
	case *pg.Node_BooleanTest:
		all(x.BooleanTest.Arg)
	case *pg.Node_List:
		all(x.List.Items...)
	case *pg.Node_FuncCall:
		return a.callTwice(x.FuncCall)
	case *pg.Node_TypeCast:
		// A cast to a type of one's own may run a function of one's own.
		names := x.TypeCast.TypeName.Names
		if len(names) == 0 || len(names) > 1 && strOf(names[0]) != "pg_catalog" || len(names) == 1 && !builtinTypes[strOf(names[0])] {
			return false
		}
		all(x.TypeCast.Arg)
	case *pg.Node_CollateClause:
		all(x.CollateClause.Arg)
	case *pg.Node_CaseExpr:
		all(x.CaseExpr.Arg, x.CaseExpr.Defresult)
		all(x.CaseExpr.Args...)
	case *pg.Node_CaseWhen:
		all(x.CaseWhen.Expr, x.CaseWhen.Result)
	case *pg.Node_CoalesceExpr:
		all(x.CoalesceExpr.Args...)
	case *pg.Node_MinMaxExpr:
		all(x.MinMaxExpr.Args...)
	case *pg.Node_AArrayExpr:
		all(x.AArrayExpr.Elements...)
	default:
		return false
	}
	return ok
}

func (a *attempt) callTwice(f *pg.FuncCall) bool {
	if len(f.AggOrder) > 0 || f.AggFilter != nil || f.Over != nil || f.AggStar || f.AggDistinct || f.AggWithinGroup {
		return false
	}
	fn := a.function(f)
	if fn == nil || fn.Volatile {
		return false
	}
	for _, arg := range f.Args {
		if !a.twice(arg) {
			return false
		}
	}
	return true
}

// function gives what there is to know of the functions that a call may mean; nil where nothing is known.
func (a *attempt) function(f *pg.FuncCall) *catalog.Function {
	schema := ""
	if len(f.Funcname) > 1 {
		schema = strOf(f.Funcname[0])
	}
	return a.state.Catalog.Function(a.set.Path, schema, strOf(f.Funcname[len(f.Funcname)-1]))
}

// builtinTypes are the type names that the grammar leaves without a schema and that are PostgreSQL's own wherever no schema before
// pg_catalog has them.
var builtinTypes = map[string]bool{
	"text": true, "name": true, "uuid": true, "json": true, "jsonb": true, "date": true, "bytea": true, "inet": true, "cidr": true, "citext": false,
	"timestamptz": true, "timestamp": true, "timetz": true, "varchar": true, "bpchar": true, "bool": true,
	"int2": true, "int4": true, "int8": true, "float4": true, "float8": true, "oid": true, "regclass": true, "xml": true, "money": true,
}
