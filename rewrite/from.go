package rewrite

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// fromNode is a FROM clause's element as `*` goes through it.
type fromNode struct {
	item        *item // a leaf, or a join with an alias
	left, right *fromNode
	using       []string // columns that the join made of two
	unsure      bool     // NATURAL over something of unknown shape
}

func (f *fromNode) migrates() bool {
	switch {
	case f == nil:
		return false
	case f.item != nil:
		return f.item.lens != nil || len(f.item.covers) > 0
	}
	return f.left.migrates() || f.right.migrates()
}

func (f *fromNode) leaves() []*item {
	if f.item != nil {
		return []*item{f.item}
	}
	return append(f.left.leaves(), f.right.leaves()...)
}

// from plans a FROM clause and brings its names into scope.
func (a *attempt) from(list []*pg.Node, sc *scope, ctes *cte) []*fromNode {
	var tree []*fromNode
	for _, n := range list {
		f := a.fromItem(n, sc, sc.parent, ctes)
		if f == nil {
			return tree
		}
		tree = append(tree, f)
	}
	return tree
}

// fromItem plans one element. It adds its names to sc, which holds what a LATERAL element may see beside outer.
func (a *attempt) fromItem(n *pg.Node, sc, outer *scope, ctes *cte) *fromNode {
	if a.refusal != nil {
		return nil
	}
	add := func(it *item) *fromNode {
		sc.items = append(sc.items, it)
		return &fromNode{item: it}
	}
	lateral := func(is bool) *scope {
		if is {
			return &scope{items: slices.Clone(sc.items), merged: sc.merged, parent: outer}
		}
		return outer
	}
	switch x := n.Node.(type) {
	case *pg.Node_RangeVar:
		if it := a.derive(x.RangeVar, ctes); it != nil {
			return add(it)
		}
		if it := a.catalogItem(x.RangeVar, ctes); it != nil {
			return add(it)
		}
		it := a.tableItem(x.RangeVar, ctes)
		if it.lens != nil && x.RangeVar.Inh && len(x.RangeVar.Alias.GetColnames()) > 0 {
			a.need(x.RangeVar.Location)
		}
		it.place = &x.RangeVar.Location
		if x.RangeVar.Schemaname != "" || ctes.find(x.RangeVar.Relname) == nil {
			a.lockable(it.alias)
		}
		if hidden := a.lockTable(x.RangeVar, it); hidden != nil {
			sc.items = append(sc.items, hidden)
		}
		return add(it)
	case *pg.Node_RangeTableSample:
		if rv := x.RangeTableSample.Relation.GetRangeVar(); rv != nil {
			a.exprs(x.RangeTableSample.Args, sc, ctes)
			a.expr(x.RangeTableSample.Repeatable, sc, ctes)
			it := a.tableItem(rv, ctes)
			a.lockable(it.alias)
			if a.frame.affects(it.alias) && slices.ContainsFunc(it.halves, func(h lens.Half) bool { return h.Target && h.Lock != "" }) {
				a.uncovered(int(rv.Location), a.targetLens(a.find(rv.Schemaname, rv.Relname)), "TABLESAMPLE in a query that locks rows of the new table", "Sample in a sub-select, and lock by the key.")
			}
			return add(it)
		}
		a.exprs(x.RangeTableSample.Args, sc, ctes)
		a.expr(x.RangeTableSample.Repeatable, sc, ctes)
		return a.fromItem(x.RangeTableSample.Relation, sc, outer, ctes)
	case *pg.Node_RangeSubselect:
		al := x.RangeSubselect.Alias
		a.lockable(al.GetAliasname())
		a.below = a.frame.affects(al.GetAliasname())
		s := a.query(x.RangeSubselect.Subquery, lateral(x.RangeSubselect.Lateral), ctes)
		a.below = false
		return add(&item{alias: al.GetAliasname(), shape: renameColumns(s, al.GetColnames())})
	case *pg.Node_RangeFunction:
		f := x.RangeFunction
		for _, fn := range f.Functions {
			a.expr(fn, lateral(true), ctes)
		}
		return add(a.functionItem(f))
	case *pg.Node_RangeTableFunc:
		f := x.RangeTableFunc
		children(n, func(c *pg.Node) {
			if col := c.GetRangeTableFuncCol(); col != nil {
				a.exprs([]*pg.Node{col.Colexpr, col.Coldefexpr}, lateral(true), ctes)
				return
			}
			a.expr(c, lateral(true), ctes)
		})
		s := shape{}
		for _, c := range f.Columns {
			s.cols = append(s.cols, column{name: c.GetRangeTableFuncCol().GetColname()})
		}
		name := f.Alias.GetAliasname()
		if name == "" {
			name = "xmltable"
		}
		return add(&item{alias: name, shape: renameColumns(s, f.Alias.GetColnames())})
	case *pg.Node_JoinExpr:
		return a.join(x.JoinExpr, sc, outer, ctes)
	}
	a.anyOther(n)
	return nil
}

// tableItem brings a table, view or CTE into scope.
func (a *attempt) tableItem(rv *pg.RangeVar, ctes *cte) *item {
	c, rel, l := a.relation(rv, ctes)
	it := &item{alias: rv.Relname}
	if rv.Alias != nil {
		it.alias = rv.Alias.Aliasname
	} else if rel != nil {
		it.schema = rel.Schema
	}
	if rel != nil {
		it.table, it.halves = rel.Kind == catalog.Table || rel.Kind == catalog.PartitionedTable, a.halvesOf(rel)
	}
	names := rv.GetAlias().GetColnames()
	switch {
	case c != nil:
		it.shape = renameColumns(c.shape, names)
	case l != nil:
		if len(names) > 0 {
			a.uncovered(int(rv.Location), l, "a list of column aliases", "Give the columns their aliases in the select list.")
		}
		it.lens = l
	case rel != nil:
		s := shape{}
		for i := range rel.Columns {
			s.cols = append(s.cols, column{name: rel.Columns[i].Name, typ: rel.Columns[i].Type})
		}
		it.shape = renameColumns(s, names)
	default:
		it.shape = renameColumns(shape{open: true}, names)
	}
	return it
}

// functionItem brings a function in FROM into scope.
func (a *attempt) functionItem(f *pg.RangeFunction) *item {
	it := &item{alias: f.Alias.GetAliasname()}
	names := f.Alias.GetColnames()
	if len(f.Coldeflist) > 0 {
		for _, n := range f.Coldeflist {
			a.rowType(n.GetColumnDef().GetTypeName())
			it.cols = append(it.cols, column{name: n.GetColumnDef().GetColname()})
		}
		return it
	}
	var call *pg.FuncCall
	if len(f.Functions) == 1 {
		if l := f.Functions[0].GetList().GetItems(); len(l) > 0 {
			call = l[0].GetFuncCall()
			if len(l) > 1 {
				for _, n := range l[1].GetList().GetItems() {
					a.rowType(n.GetColumnDef().GetTypeName())
					it.cols = append(it.cols, column{name: n.GetColumnDef().GetColname()})
				}
				if len(it.cols) > 0 {
					return it
				}
			}
		}
	}
	if call == nil {
		it.shape = renameColumns(shape{open: true}, names)
		return it
	}
	fname := strOf(call.Funcname[len(call.Funcname)-1])
	if it.alias == "" {
		it.alias = fname
	}
	schema := ""
	if len(call.Funcname) > 1 {
		schema = strOf(call.Funcname[0])
	}
	fn := a.state.Catalog.Function(a.set.Path, schema, fname)
	switch {
	case fn == nil || fn.Open:
		it.open = true
	case len(fn.Columns) > 0 && fn.Scalar:
		// Which overload it is depends on types that are not known here.
		it.unordered, it.maybe = true, append([]string{it.alias}, fn.Columns...)
	case len(fn.Columns) > 0:
		// The catalog knows the names of all overloads' columns, but not their order.
		it.unordered = len(fn.Columns) > 1
		for _, n := range fn.Columns {
			it.cols = append(it.cols, column{name: n})
		}
	default:
		it.cols = []column{{name: it.alias}}
	}
	if f.Ordinality {
		it.cols = append(it.cols, column{name: "ordinality"})
	}
	if it.unordered && len(names) > 0 {
		it.open = it.open || len(it.cols) > 0 && len(names) < len(it.cols)
		for _, n := range names {
			it.cols = append(it.cols, column{name: strOf(n)})
		}
		return it
	}
	it.shape = renameColumns(it.shape, names)
	return it
}

func (a *attempt) join(j *pg.JoinExpr, sc, outer *scope, ctes *cte) *fromNode {
	before := len(sc.items)
	left := a.fromItem(j.Larg, sc, outer, ctes)
	mid := len(sc.items)
	right := a.fromItem(j.Rarg, sc, outer, ctes)
	if left == nil || right == nil {
		return nil
	}
	node := &fromNode{left: left, right: right}
	mine := sc.items[before:]
	for _, n := range j.UsingClause {
		node.using = append(node.using, strOf(n))
	}
	if j.IsNatural {
		node.using, node.unsure = natural(left, right)
	}
	if len(node.using) > 0 && a.frame != nil && a.frame.bare != nil {
		a.uncovered(a.joinPlace(j), nil, "a join by columns' names in a query that locks rows, for a moment,", "Try it again when the migration is complete, or join with ON.")
		a.need(*a.frame.bare)
		return nil
	}
	if a.usingUnknown(j, node) {
		return nil
	}
	if j.IsNatural && len(a.touched) > 0 {
		a.resolved = append(a.resolved, fmt.Sprint("natural ", node.using))
	}
	if l := a.joinOnMigrating(node, j.IsNatural); l != nil {
		a.uncovered(a.joinPlace(j), l, "a join by a migrating column's name (USING or NATURAL)", "Join with ON and qualified columns.")
		a.needAll(mine)
		return nil
	}
	for _, n := range node.using {
		if sc.merged == nil {
			sc.merged = map[string]*column{}
		}
		sc.merged[n] = mergedColumn(j.Jointype, node, n)
	}
	if j.Quals != nil {
		on := &scope{items: slices.Clone(mine), merged: sc.merged, parent: outer}
		a.condition(j.Quals, on, ctes)
	}
	// Above the join, its rows may be made up.
	for i, it := range sc.items[before:] {
		isLeft := before+i < mid
		if j.Jointype == pg.JoinType_JOIN_FULL || j.Jointype == pg.JoinType_JOIN_LEFT && !isLeft || j.Jointype == pg.JoinType_JOIN_RIGHT && isLeft {
			it.nullable = true
		}
	}
	if j.JoinUsingAlias != nil {
		it := &item{alias: j.JoinUsingAlias.Aliasname}
		sc.items = append(sc.items, it) // its columns are seen qualified only, and none of them migrates
	}
	if j.Alias == nil {
		return node
	}
	// An alias hides what is in the join.
	if a.frame != nil {
		a.frame.odd = true
	}
	it := &item{alias: j.Alias.Aliasname}
	for _, leaf := range mine {
		if leaf.lens != nil {
			it.covers = append(it.covers, leaf.lens)
		}
		it.covers = append(it.covers, leaf.covers...)
		it.cols = append(it.cols, leaf.cols...)
		it.open = it.open || leaf.open
		it.hide(leaf.hidden)
	}
	it.shape = renameColumns(it.shape, j.Alias.Colnames)
	if len(it.covers) > 0 {
		a.uncovered(a.joinPlace(j), it.covers[0], "a join's alias over the table", "Give the table an alias of its own.")
		a.needAll(mine)
		it.open = true
		if len(j.Alias.Colnames) > 0 {
			a.uncovered(a.joinPlace(j), it.covers[0], "a list of column aliases", "Give the columns their aliases in the select list.")
		}
	}
	for _, n := range node.using {
		delete(sc.merged, n)
	}
	sc.items = append(sc.items[:before:before], it)
	return &fromNode{item: it}
}

// need asks for a sub-select in the place of a table.
func (a *attempt) need(place int32) {
	if a.needs == nil {
		a.needs = &place
	}
}

// needAll asks for a sub-select for the next migrating table among the items.
func (a *attempt) needAll(items []*item) {
	for _, it := range items {
		if it.lens != nil && it.place != nil {
			a.need(*it.place)
			return
		}
	}
}

// derive puts a sub-select in the code's own shape in the place of a table in FROM, where that was found to be needed.
func (a *attempt) derive(rv *pg.RangeVar, ctes *cte) *item {
	if !a.derived[rv.Location] {
		return nil
	}
	_, _, l := a.relation(rv, ctes)
	from := a.tokenAt(rv.Location)
	if l == nil || from < 0 || !rv.Inh {
		return nil
	}
	to := from
	for a.isPunct(to+1, '.') {
		to += 2
	}
	if a.tokText(to+1) == "*" || a.isWord(from-1, "only") {
		return nil
	}
	if a.locks > 0 || a.groups > 0 {
		a.uncovered(int(rv.Location), l, "a query that locks or groups rows and joins by a migrating column's name, or lists column aliases,",
			"Join with ON and qualified columns.")
		return nil
	}
	list, s := a.spread(&item{lens: l}, catalog.QuoteIdent(rv.Relname))
	p := []piece{lit("(SELECT " + list + " FROM "), copyOf(from, to), lit(")")}
	it := &item{alias: rv.Relname, shape: s}
	if rv.Alias != nil {
		it.alias = rv.Alias.Aliasname
		it.shape = renameColumns(s, rv.Alias.Colnames)
	} else {
		p = append(p, lit(" AS "+catalog.QuoteIdent(rv.Relname)))
	}
	a.add(replace, from, to, p)
	return it
}

// joinPlace gives a place in the text for a message about a join, which has none of its own in the tree.
func (a *attempt) joinPlace(j *pg.JoinExpr) int {
	for n := j.Rarg; n != nil; {
		if rv := n.GetRangeVar(); rv != nil {
			return int(rv.Location)
		}
		n = n.GetJoinExpr().GetLarg()
	}
	return 0
}

// mergedColumn gives the column that a join makes of two: one side's own where the types are the same, but for a full join.
func mergedColumn(t pg.JoinType, f *fromNode, name string) *column {
	find := func(side *fromNode) *column {
		for _, it := range side.leaves() {
			if c := it.column(name); c != nil {
				return c
			}
		}
		return &column{name: name}
	}
	l, r := find(f.left), find(f.right)
	switch {
	case t == pg.JoinType_JOIN_FULL || l.typ != r.typ || l.typ.OID == 0:
		return &column{name: name}
	case t == pg.JoinType_JOIN_RIGHT:
		return r
	}
	return l
}

// usingUnknown refuses USING with a name that one side has on the other side of a migration only.
func (a *attempt) usingUnknown(j *pg.JoinExpr, f *fromNode) bool {
	for _, n := range j.UsingClause {
		name := strOf(n)
		for i, side := range []*fromNode{f.left, f.right} {
			cols, open := names(side)
			if open || slices.Contains(cols, name) {
				continue
			}
			for _, it := range side.leaves() {
				if it.lens != nil && it.lens.Names[name] || it.hidden[name] != nil {
					l := it.lens
					if l == nil {
						l = it.hidden[name]
					}
					a.unknownColumn(a.joinPlace(j), l, name,
						fmt.Sprintf("column %q specified in USING clause does not exist in %s table", name, []string{"left", "right"}[i]))
					return true
				}
			}
		}
	}
	return false
}

// natural gives the names that both sides of a NATURAL join have.
func natural(left, right *fromNode) (using []string, unsure bool) {
	l, lopen := names(left)
	r, ropen := names(right)
	for _, n := range l {
		if slices.Contains(r, n) && !slices.Contains(using, n) {
			using = append(using, n)
		}
	}
	return using, lopen || ropen
}

// names gives the column names below a FROM element, as the code knows them.
func names(f *fromNode) (list []string, open bool) {
	for _, it := range f.leaves() {
		if it.lens != nil {
			for i := range it.lens.Columns {
				list = append(list, it.lens.Columns[i].Name)
			}
		}
		for _, c := range it.cols {
			list = append(list, c.name)
		}
		open = open || it.open || len(it.covers) > 0 || len(it.maybe) > 0
	}
	return list, open
}

// joinOnMigrating gives the migrating table whose migrating columns a join by names depends on.
func (a *attempt) joinOnMigrating(f *fromNode, isNatural bool) *lens.Lens {
	for _, it := range append(f.left.leaves(), f.right.leaves()...) {
		for _, l := range append(slices.Clone(it.covers), it.lens) {
			if l == nil {
				continue
			}
			if f.unsure {
				return l
			}
			for _, n := range f.using {
				if l.Names[n] {
					return l
				}
			}
			if !isNatural {
				continue
			}
			// Names that are hidden here but stand in the table would be joined, too, where the other side has them.
			for n := range l.Names {
				for _, other := range append(f.left.leaves(), f.right.leaves()...) {
					if other != it && (other.column(n) != nil || other.lens != nil && other.lens.Names[n]) {
						return l
					}
				}
			}
		}
	}
	return nil
}
