package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// wrapping puts a sub-select around an INSERT's source, which names its columns: so values can be made of several of them, and each is computed once.
type wrapping struct {
	from, to int      // tokens of the source; from is -1 where it is put together elsewhere
	cols     []string // what takes the place of a column, by its index; "" for the column itself
	gone     []bool   // columns that nothing takes the place of
	more     []string // values behind the columns
	changed  bool
	fits     bool // the columns are of the types of those that they are written to
}

func sourceColumn(i int) string { return fmt.Sprintf("segue_source.c%d", i+1) }

// list gives the values that are selected from a source of n columns.
func (w *wrapping) list(n int) string {
	var all []string
	for i := range n {
		switch {
		case w.gone[i]:
		case w.cols[i] != "":
			all = append(all, w.cols[i])
		default:
			all = append(all, sourceColumn(i))
		}
	}
	return strings.Join(append(all, w.more...), ", ")
}

// sourceNames gives the names of a source of n columns.
func sourceNames(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("c%d", i+1))
	}
	return strings.Join(names, ", ")
}

func (w *wrapping) put(a *attempt, n int) {
	a.add(before, w.from, w.from, sqlText("SELECT ", w.list(n), " FROM ("))
	a.add(after, w.to, w.to, sqlText(") AS segue_source (", sourceNames(n), ")"))
}

// wrapping finds the source where a sub-select can be put around it; nil where it cannot.
func (v *values) wrapping(w *rowsToWrite) *wrapping {
	if v.width != len(w.cols) { // names for fewer columns than there are would leave the others out without a word
		return nil
	}
	if v.sel == nil || v.sel.IntoClause != nil || !readsOnly(v.sel.WithClause) {
		return nil
	}
	from := v.afterTarget()
	if len(v.stmt.Cols) > 0 {
		from = v.closing(from) + 1
	}
	for v.isWord(from, "overriding") {
		from += 3
	}
	if from <= 0 || !slices.ContainsFunc([]string{"select", "values", "table", "with"}, func(s string) bool { return v.isWord(from, s) }) && !v.isPunct(from, '(') {
		return nil
	}
	if !v.typed(w) {
		return nil
	}
	depth, to := 0, from
	for i := from; i < len(v.toks); i++ {
		switch {
		case v.isPunct(i, '('), v.isPunct(i, '['):
			depth++
		case v.isPunct(i, ')'), v.isPunct(i, ']'):
			depth--
		}
		if depth < 0 || depth == 0 && (v.isPunct(i, ';') || v.isWord(i, "returning") && !v.isPunct(i-1, '.') || v.isWord(i, "on") && v.isWord(i+1, "conflict")) {
			break
		}
		to = i
	}
	return &wrapping{from: from, to: to, cols: make([]string, len(w.cols)), gone: make([]bool, len(w.cols))}
}

// readsOnly says whether a WITH clause may stand in a sub-select: one that changes data must stand at the top.
func readsOnly(w *pg.WithClause) bool {
	for _, n := range w.GetCtes() {
		if n.GetCommonTableExpr().GetCtequery().GetSelectStmt() == nil {
			return false
		}
	}
	return true
}

// typed gives literals and parameters in a plain source the types that the columns would give them, which they lose in a sub-select; it says whether it could.
func (v *values) typed(w *rowsToWrite) bool {
	if v.sel.Op != pg.SetOperation_SETOP_NONE || len(v.sel.DistinctClause) > 0 {
		return true // such a source resolves its own types
	}
	if len(w.rows) == 0 {
		for _, n := range v.sel.TargetList {
			if untyped(n.GetResTarget().GetVal()) {
				return false
			}
		}
		return len(v.sel.TargetList) > 0
	}
	r := &w.rows[0]
	for i, n := range r.nodes {
		if untyped(n) && baseType(w.types[i].SQL) == "" {
			return false
		}
	}
	for i, n := range r.nodes {
		if untyped(n) {
			v.add(after, r.toks[i][1], r.toks[i][1], sqlText("::", baseType(w.types[i].SQL)))
		}
	}
	return true
}

// untyped says whether an expression is a literal or a parameter that takes its type from where it stands.
func untyped(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_AConst:
		return x.AConst.Isnull || x.AConst.GetSval() != nil || x.AConst.GetBsval() != nil
	case *pg.Node_ParamRef:
		return true
	}
	return false
}

// baseType gives a type without its modifier, so that a cast to it changes nothing that an assignment would refuse; "" where it has none.
func baseType(sql string) string {
	base, rest, hasMod := strings.Cut(sql, "(")
	if hasMod {
		_, rest, _ = strings.Cut(rest, ")")
	}
	switch word, array, _ := strings.Cut(base, "["); {
	case word == "bit":
		return ""
	case word == "character":
		base = strings.Replace(base, word, "bpchar", 1)
	case array != "" && hasMod:
		return ""
	}
	return base + rest
}

// orWrapped chooses the wrapped form where some value would have to be computed more than once, or made of several, and the source can be wrapped.
func (v *values) orWrapped(w *rowsToWrite) *rowsToWrite {
	if len(w.rows) != 1 || !v.wantsWrapping(w) {
		return w
	}
	r := &w.rows[0]
	defaults := map[int]string{}
	for i, n := range r.nodes {
		if n.GetSetToDefault() != nil {
			c := w.cols[i]
			if c == nil && i < len(v.stmt.Cols) { // a list names those that do not migrate, too
				c = v.lens.Column(v.stmt.Cols[i].GetResTarget().GetName())
			}
			if defaults[i] = v.spelledDefault(c); defaults[i] == "" {
				return w
			}
		}
	}
	if wrap := v.wrapping(w); wrap != nil {
		for i, sql := range defaults { // DEFAULT means nothing in a sub-select
			v.add(replace, r.toks[i][0], r.toks[i][1], sqlText(sql))
		}
		return &rowsToWrite{cols: w.cols, types: w.types, off: w.off, fixed: true, wrap: wrap}
	}
	return w
}

// spelledDefault gives what DEFAULT stands for in a column, as SQL; "" where that cannot be written down.
func (v *values) spelledDefault(c *lens.Column) string {
	if c == nil || c.Generated {
		return ""
	}
	if p := v.lens.Relation.Column(c.Physical); p != nil && p.Identity {
		return ""
	}
	if c.Default == "" {
		return "NULL::" + c.Type.SQL
	}
	return "(" + c.Default + ")"
}

func (v *values) wantsWrapping(w *rowsToWrite) bool {
	ties := map[*lens.Tie][]int{}
	for i, c := range w.cols {
		if c != nil && c.Migrates() {
			ties[c.Tie] = append(ties[c.Tie], i)
		}
	}
	for t, at := range ties {
		g := v.tiedRow(w, t, at, &w.rows[0])
		switch {
		case t.Refuse != "":
		case len(t.Others) == 0:
			if v.wantsGiven(w, at) {
				return true
			}
		case t.Own:
			if !t.OldSide && !v.once(g) && !(t.Same && g.oldAlone()) {
				return true
			}
		case t.Same && len(at) == 1:
		case w.targets:
			if w.sorted || len(at) > 1 || !v.once(g) {
				return true
			}
		case !v.once(g) && !g.foldable():
			return true
		}
	}
	return false
}

// leftOut gives the columns of a tie that an INSERT leaves out and that have a default: where the old columns have given their defaults to the new ones, they
// would be NULL.
func leftOut(l *lens.Lens, w *rowsToWrite, t *lens.Tie) (siblings []*lens.Column) {
	for _, name := range t.Columns {
		if c := l.Column(name); c.Default != "" && !slices.Contains(w.cols, c) {
			siblings = append(siblings, c)
		}
	}
	return siblings
}

// writeWrapped writes a tie of a wrapped source, on both sides or in the place of its own. It gives the names that come after the columns.
func (a *attempt) writeWrapped(l *lens.Lens, w *rowsToWrite, t *lens.Tie, at []int, names []string) (extra []string) {
	if t.Same && !t.Own {
		names[at[0]] = catalog.QuoteIdent(t.Others[0].Target) // the name changes, the value does not
		return nil
	}
	g := tied{tie: t, given: map[string]given{}}
	for _, i := range at {
		g.given[w.cols[i].Name] = given{col: w.cols[i], sql: sourceColumn(i), fits: w.wrap.fits}
	}
	var targets, values []string
	for _, o := range t.Others {
		targets = append(targets, catalog.QuoteIdent(o.Target))
		values = append(values, plainText(a.other(g, o, defaults(l))))
	}
	w.wrap.changed = true
	if t.Own {
		for _, i := range at {
			names[i] = catalog.QuoteIdent(w.cols[i].Physical)
		}
		for _, c := range leftOut(l, w, t) {
			extra = append(extra, catalog.QuoteIdent(c.Physical))
			w.wrap.more = append(w.wrap.more, c.Default)
		}
		w.wrap.more = append(w.wrap.more, values...)
		return append(extra, targets...)
	}
	names[at[0]], w.wrap.cols[at[0]] = strings.Join(targets, ", "), strings.Join(values, ", ")
	for _, i := range at[1:] {
		w.wrap.gone[i] = true
	}
	return nil
}

// plainText gives pieces that copy nothing as text.
func plainText(p []piece) string {
	var b strings.Builder
	for _, x := range p {
		b.WriteString(x.text)
	}
	return b.String()
}
