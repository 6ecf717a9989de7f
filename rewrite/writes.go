package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// given is a value that a statement gives to a column of a tie: its expression and the tokens that it is made of.
type given struct {
	col  *lens.Column
	node *pg.Node
	toks [2]int
	sql  string // stands for the tokens where the value is computed beforehand
	// fits says that it is of the column's type already, as stored in a column of that type.
	fits bool
}

func (g given) isDefault() bool { return g.sql == "" && g.node.GetSetToDefault() != nil }

// tied gathers what a statement gives to one tie.
type tied struct {
	tie   *lens.Tie
	given map[string]given // by the column's name as the code calls it
	value []piece          // stands for the only value that is given, where it is computed beforehand
	alone bool             // the other side's column is written alone, although both sides stand
}

// sibling gives SQL for a column of the tie that the statement gives no value.
type sibling func(column string) string

// mayWrite refuses where the tie cannot be written now.
func (a *attempt) mayWrite(off int, l *lens.Lens, t *lens.Tie) bool {
	if t.Refuse == "" {
		return true
	}
	what := "a write to a new column"
	if t.OldSide {
		what = "a write to a column that goes"
	}
	a.uncovered(off, l, what, "Now, "+t.Refuse+".")
	return false
}

// other gives the SQL for a column of the other side. Where only that side is written, a value that would not come back as it is raises.
func (a *attempt) other(t tied, o lens.Other, rest sibling) []piece {
	value := a.made(t, o, rest)
	if t.tie.Own && !t.alone || t.tie.Same || t.tie.Lossy || t.tie.OneWay() {
		return value
	}
	out := []piece{lit("CASE WHEN ")}
	for i, b := range t.tie.Back {
		if i > 0 {
			out = append(out, lit(" AND "))
		}
		out = append(out, lit("pg_catalog.record_image_eq(ROW(("))
		for _, p := range b.Form {
			if p.Column == "" {
				out = append(out, lit(p.Text))
				continue
			}
			for _, x := range t.tie.Others {
				if x.Target == p.Column {
					out = append(append(append(out, lit("((")), a.made(t, x, rest)...), lit(")::"+x.Type+")"))
				}
			}
		}
		out = append(out, lit(")::"+b.Type+"), ROW("))
		if g, ok := t.given[b.Target]; ok {
			out = append(out, a.value(t, g)...)
		} else {
			out = append(out, lit(rest(b.Target)))
		}
		out = append(out, lit("))"))
	}
	out = append(append(out, lit(" THEN ")), value...)
	out = append(append(out, lit(" ELSE segue.formless((")), value...)
	return append(out, lit(")::"+o.Type+", '"+strings.ReplaceAll(strings.Join(t.tie.Columns, ", "), "'", "''")+"') END"))
}

// made gives what a column of the other side is made of.
func (a *attempt) made(t tied, o lens.Other, rest sibling) []piece {
	var out []piece
	for _, p := range o.Form {
		if p.Column == "" {
			out = append(out, lit(p.Text))
			continue
		}
		g, ok := t.given[p.Column]
		if !ok {
			out = append(out, lit(rest(p.Column)))
			continue
		}
		out = append(out, a.value(t, g)...)
	}
	return out
}

func (a *attempt) value(t tied, g given) []piece {
	if t.value != nil {
		return t.value
	}
	return a.stored(t.tie, g)
}

// foldable says whether a value that must not be computed twice can be computed beforehand, in a sub-select: one value, for one column.
func (t tied) foldable() bool {
	return !t.tie.Own && len(t.tie.Columns) == 1 && len(t.tie.Others) == 1 && len(t.given) == 1
}

// folded gives the SQL for the other side's column with the value computed once. In UPDATE, row is the alias of the target: without a column of it PostgreSQL
// would compute the sub-select once for all rows.
func (a *attempt) folded(t tied, row string) []piece {
	var out []piece
	for _, g := range t.given {
		stored := a.stored(t.tie, g)
		t.value = sqlText("segue_value.v")
		out = append(append(sqlText("(SELECT "), a.other(t, t.tie.Others[0], nil)...), lit(" FROM (SELECT "))
		out = append(append(out, stored...), lit(" AS v"))
	}
	if row != "" {
		out = append(out, lit(" WHERE "+row+".tableoid IS NOT NULL"))
	}
	return append(out, lit(" OFFSET 0) AS segue_value)"))
}

// stored gives a value as it is, or would be, stored in the code's own column. Where that column is written in the same statement, its assignment
// raises what there is to raise; where it is not there, the form does.
func (a *attempt) stored(t *lens.Tie, g given) []piece {
	typ := g.col.Type.SQL
	if g.isDefault() {
		if t.Same {
			return sqlText(defaultSQL(g.col))
		}
		return sqlText("(", defaultSQL(g.col), ")")
	}
	value := copyOf(g.toks[0], g.toks[1])
	if g.sql != "" {
		value = lit(g.sql)
	}
	if t.Same {
		return []piece{value}
	}
	base, length, isString := strings.Cut(typ, "(")
	stringType := base == "character varying" || base == "character" || base == "text" || base == "bpchar"
	around := assignable[baseType(typ)]
	switch {
	case t.Own || g.fits || around != nil && (len(around) == 0 || !a.mayStandTwice(g)):
		return []piece{lit("(("), value, lit(")::" + typ + ")")}
	case around != nil: // the server looks at the types in what is not computed, too
		return []piece{lit("(CASE WHEN true THEN ("), value, lit(")::" + typ + " ELSE CASE WHEN (" + around[0] + "("), value, lit(")" + around[1] + ") IS NULL THEN NULL::" + typ + " END END)")}
	case stringType && isString:
		// Any type can be assigned to a string; what is too long cannot.
		return []piece{lit("(segue.fit(("), value, lit(")::character varying, " + strings.TrimSuffix(length, ")") + ")::" + typ + ")")}
	case stringType:
		return []piece{lit("(("), value, lit(")::" + typ + ")")}
	}
	// COALESCE takes what can become the type without being told to, and refuses what an assignment refuses.
	return []piece{lit("(COALESCE("), value, lit(", NULL::" + typ + ")::" + typ + ")")}
}

// mayStandTwice says whether what is not a literal or a parameter can be written twice where it is computed once.
func (a *attempt) mayStandTwice(g given) bool {
	if g.sql != "" {
		return strings.HasPrefix(g.sql, "segue_value.")
	}
	return g.node.GetAConst() == nil && g.node.GetParamRef() == nil && a.twice(g.node)
}

// defaultSQL gives a column's default as SQL. It stands on one of the sides only, and on which one changes while the migration goes on.
func defaultSQL(c *lens.Column) string {
	if c.Default != "" {
		return c.Default
	}
	if c.Tie != nil && c.Tie.Same {
		return "NULL"
	}
	return "NULL::" + c.Type.SQL
}

// once says whether what the statement gives can be written on both sides, or where the tie says, without computing
// anything twice.
func (a *attempt) once(t tied) bool {
	for name, g := range t.given {
		n := 0
		if t.tie.Own {
			n++
		}
		for _, o := range t.tie.Others {
			for _, p := range o.Form {
				if p.Column == name {
					n++
				}
			}
		}
		if !t.tie.Own && !t.tie.Same && !t.tie.Lossy && !t.tie.OneWay() {
			n++ // it is held against its way back
		}
		if n > 1 && g.sql == "" && !g.isDefault() && !a.twice(g.node) {
			return false
		}
	}
	return true
}

// oldAlone says whether the old side's value can be written alone in the place of a new one, which the guard then makes of it.
func (t tied) oldAlone() bool {
	if len(t.tie.Columns) != 1 || len(t.tie.Others) != 1 || t.tie.Lossy {
		return false
	}
	n := 0
	for _, p := range t.tie.Others[0].Form {
		if p.Column != "" {
			n++
		}
	}
	return n == 1
}

// rowsToWrite is what an INSERT puts in: its columns in order (nil for names that no migration knows of) and its rows.
type rowsToWrite struct {
	cols  []*lens.Column
	types []catalog.Type // of all columns, those that do not migrate too; no SQL where it is not known
	rows  []rowCells
	// targets says that the only row is a SELECT's target list, at whose end values are put in behind a token; else a row ends at its closing
	// bracket.
	targets bool
	// fixed says that the source cannot be changed: it gives the columns as they are.
	fixed  bool
	broken bool      // it has another number of columns: the server has the error
	wrap   *wrapping // set where a fixed source can be wrapped
	sorted bool      // the SELECT sorts its rows, perhaps by a value that is put in
	off    int       // of the statement, for messages
}

type rowCells struct {
	nodes []*pg.Node
	toks  [][2]int
	end   int
}

// write puts each side's values into the rows. It gives, for each column, the physical names that stand in its place in the list, joined
// by commas ("" where it goes), and the names that come after them.
func (a *attempt) write(l *lens.Lens, w *rowsToWrite) (names, extra []string, ok bool) {
	names = make([]string, len(w.cols))
	ties := map[*lens.Tie][]int{}
	var order []*lens.Tie
	for i, c := range w.cols {
		switch {
		case c == nil:
		case !c.Migrates():
			names[i] = catalog.QuoteIdent(c.Physical)
		default:
			if ties[c.Tie] == nil {
				order = append(order, c.Tie)
			}
			ties[c.Tie] = append(ties[c.Tie], i)
		}
	}
	for _, t := range order {
		at := ties[t]
		if !a.mayWrite(w.off, l, t) {
			return nil, nil, false
		}
		switch {
		case len(t.Others) == 0:
			for _, i := range at {
				names[i] = catalog.QuoteIdent(w.cols[i].Physical)
			}
			if !a.writeGiven(l, w, at) {
				return nil, nil, false
			}
		case w.fixed && w.wrap != nil && !w.broken:
			extra = append(extra, a.writeWrapped(l, w, t, at, names)...)
		case w.fixed:
			if !a.writeFixed(l, w, t, at, names) {
				return nil, nil, false
			}
		case w.targets && !t.OldSide && t.Own && !a.once(a.tiedRow(w, t, at, &w.rows[0])):
			g := a.tiedRow(w, t, at, &w.rows[0])
			if !g.oldAlone() {
				a.uncovered(w.off, l, "a value that must be computed once for several columns", "Compute it first, and pass it as a parameter.")
				return nil, nil, false
			}
			// The old side's value stays where it is, since ORDER BY 1 may mean it.
			names[at[0]] = catalog.QuoteIdent(t.Others[0].Target)
			extra = append(extra, catalog.QuoteIdent(w.cols[at[0]].Physical))
			r := &w.rows[0]
			if !t.Same {
				a.uncovered(w.off, l, "a value that must be computed once, in this kind of INSERT ... SELECT,", "Compute it in a sub-select in FROM.")
				return nil, nil, false
			}
			a.add(after, r.end, r.end, sqlText(", NULL AS segue_added"))
		case a.swaps(w, t, at):
			names[at[0]] = catalog.QuoteIdent(t.Others[0].Target)
			extra = append(extra, catalog.QuoteIdent(w.cols[at[0]].Physical))
			for r := range w.rows {
				a.writeSwapped(w, t, at, &w.rows[r])
			}
		case t.Own:
			for _, i := range at {
				names[i] = catalog.QuoteIdent(w.cols[i].Physical)
			}
			siblings := leftOut(l, w, t)
			for _, c := range siblings {
				extra = append(extra, catalog.QuoteIdent(c.Physical))
				for r := range w.rows {
					a.put(w, &w.rows[r], sqlText(c.Default))
				}
			}
			for _, o := range t.Others {
				extra = append(extra, catalog.QuoteIdent(o.Target))
			}
			for r := range w.rows {
				if !a.writeBoth(l, w, t, at, &w.rows[r]) {
					return nil, nil, false
				}
			}
		default:
			if w.sorted && !t.Same {
				a.uncovered(w.off, l, "INSERT ... SELECT ... ORDER BY into a column of another type", "Leave ORDER BY out, or sort in a sub-select.")
				return nil, nil, false
			}
			if w.targets && len(at) > 1 {
				a.uncovered(w.off, l, "INSERT ... SELECT into several columns that become one", "Use INSERT ... VALUES.")
				return nil, nil, false
			}
			var targets []string
			for _, o := range t.Others {
				targets = append(targets, catalog.QuoteIdent(o.Target))
			}
			names[at[0]] = strings.Join(targets, ", ")
			for r := range w.rows {
				if !a.writeOthers(l, w, t, at, &w.rows[r]) {
					return nil, nil, false
				}
			}
		}
	}
	extra = append(extra, a.writeDefaults(l, w, ties)...)
	if !a.fill(l, w) {
		return nil, nil, false
	}
	for _, f := range l.Fills {
		extra = append(extra, catalog.QuoteIdent(f.Column))
	}
	if w.wrap != nil && w.wrap.changed && w.wrap.from >= 0 {
		w.wrap.put(a, len(w.cols))
	}
	return names, extra, true
}

// swaps says whether the old side's column takes the place of the code's own in the list. Several rows are computed in the order in which they are written down: a value that must be computed once
// stays where it is, and the guard fills the new side.
func (a *attempt) swaps(w *rowsToWrite, t *lens.Tie, at []int) bool {
	return t.Own && t.Same && !t.OldSide && len(w.rows) > 1 && slices.ContainsFunc(w.rows, func(r rowCells) bool { return !a.once(a.tiedRow(w, t, at, &r)) })
}

// writeSwapped writes a row's value for the other side where it stands, and for its own behind, NULL where it must not be computed again.
func (a *attempt) writeSwapped(w *rowsToWrite, t *lens.Tie, at []int, r *rowCells) {
	g := a.tiedRow(w, t, at, r)
	if !a.once(g) {
		a.put(w, r, sqlText("NULL"))
		return
	}
	if r.nodes[at[0]].GetSetToDefault() != nil {
		a.move(r.toks[at[0]][0], r.toks[at[0]][1], sqlText(defaultSQL(w.cols[at[0]])))
	}
	a.put(w, r, a.other(g, t.Others[0], nil))
}

// fill gives the columns that the code does not know and that take no row without a value theirs.
func (a *attempt) fill(l *lens.Lens, w *rowsToWrite) bool {
	if a.refusesFill(l, w.off) {
		return false
	}
	for _, f := range l.Fills {
		switch {
		case w.broken:
		case w.fixed && w.wrap != nil:
			w.wrap.changed = true
			w.wrap.more = append(w.wrap.more, f.SQL)
		case w.fixed:
			a.uncovered(w.off, l, "this source of rows", "Use INSERT ... VALUES, or a query whose result columns are written one by one.")
			return false
		default:
			for r := range w.rows {
				a.put(w, &w.rows[r], sqlText(f.SQL))
			}
		}
	}
	return true
}

// refusesFill refuses an INSERT where a column that the code does not know takes no row without a value now.
func (a *attempt) refusesFill(l *lens.Lens, off int) bool {
	for _, f := range l.Fills {
		if f.Refuse != "" {
			a.uncovered(off, l, "an INSERT of new code", "Now, "+f.Refuse+".")
			return true
		}
	}
	return false
}

func (a *attempt) tiedRow(w *rowsToWrite, t *lens.Tie, at []int, r *rowCells) tied {
	g := tied{tie: t, given: map[string]given{}}
	for _, i := range at {
		g.given[w.cols[i].Name] = given{col: w.cols[i], node: r.nodes[i], toks: r.toks[i]}
	}
	return g
}

// defaults gives the siblings of an INSERT: their defaults.
func defaults(l *lens.Lens) sibling {
	return func(name string) string { return "(" + defaultSQL(l.Column(name)) + ")" }
}

// put adds a value at the end of a row.
func (a *attempt) put(w *rowsToWrite, r *rowCells, p []piece) {
	p = append(sqlText(", "), p...)
	if w.targets {
		a.add(after, r.end, r.end, append(p, lit(" AS segue_added"))) // a name that no ORDER BY means
		return
	}
	a.add(before, r.end, r.end, p)
}

// writeBoth writes a row's values of the other side behind its own.
func (a *attempt) writeBoth(l *lens.Lens, w *rowsToWrite, t *lens.Tie, at []int, r *rowCells) bool {
	g := a.tiedRow(w, t, at, r)
	put := func(p []piece) { a.put(w, r, p) }
	if a.once(g) || t.OldSide { // DEFAULT is written out: the default may be the other column's for a while
		for _, i := range at {
			if r.nodes[i].GetSetToDefault() != nil {
				a.move(r.toks[i][0], r.toks[i][1], sqlText(defaultSQL(w.cols[i])))
			}
		}
	}
	switch {
	case a.once(g):
		for _, o := range t.Others {
			put(a.other(g, o, defaults(l)))
		}
	case t.OldSide:
		// Computed once, on the old side; the guard fills the new one.
		for range t.Others {
			put(sqlText("NULL"))
		}
	case g.oldAlone() && !t.Same && !w.targets:
		g.alone = true
		put(a.folded(g, ""))
		a.move(r.toks[at[0]][0], r.toks[at[0]][1], sqlText("NULL"))
	case g.oldAlone() && t.Same:
		put(a.other(g, t.Others[0], nil))
		a.move(r.toks[at[0]][0], r.toks[at[0]][1], sqlText("NULL"))
	default:
		a.uncovered(w.off, l, "a value that must be computed once for several columns", "Compute it first, and pass it as a parameter.")
		return false
	}
	return true
}

// writeOthers writes a row's values of the other side in the place of its own.
func (a *attempt) writeOthers(l *lens.Lens, w *rowsToWrite, t *lens.Tie, at []int, r *rowCells) bool {
	if t.Same && len(at) == 1 {
		return true // the name changes, the value does not
	}
	g := a.tiedRow(w, t, at, r)
	if !a.once(g) && g.foldable() && !w.targets { // in a select list it could be an aggregate
		a.move(r.toks[at[0]][0], r.toks[at[0]][1], a.folded(g, ""))
		return true
	}
	if !a.once(g) {
		a.uncovered(w.off, l, "a value that must be computed once for several columns", "Compute it first, and pass it as a parameter.")
		return false
	}
	var all []piece
	for i, o := range t.Others {
		if i > 0 {
			all = append(all, lit(", "))
		}
		all = append(all, a.other(g, o, defaults(l))...)
	}
	for n, i := range at {
		if n == 0 {
			a.move(r.toks[i][0], r.toks[i][1], all)
			continue
		}
		a.move(r.toks[i][0]-1, r.toks[i][1], nil) // with its comma
	}
	return true
}

// writeFixed writes one side of what a source gives that cannot be changed.
func (a *attempt) writeFixed(l *lens.Lens, w *rowsToWrite, t *lens.Tie, at []int, names []string) bool {
	for _, i := range at {
		c := w.cols[i]
		switch {
		case t.Moving && c.Default != "" && !w.broken:
			a.uncovered(w.off, l, "a query as the source of a column with a default, for a moment,", "Try it again when the next phase is reached; INSERT ... VALUES goes on working.")
			return false
		case t.Same && !t.OldSide && len(t.Others) > 0, t.Same && !t.Own:
			names[i] = catalog.QuoteIdent(t.Others[0].Target)
		case t.Own && (t.OldSide || c.Default == ""):
			// The guard fills the other side.
			names[i] = catalog.QuoteIdent(c.Physical)
		default:
			a.uncovered(w.off, l, "a query as the source of a migrating column", "Use INSERT ... VALUES, or a plain SELECT with one expression for each column.")
			return false
		}
	}
	return true
}

// unknownTarget refuses a name in a list of columns that are written, where it is the other side's.
func (a *attempt) unknownTarget(t *pg.ResTarget, l *lens.Lens) bool {
	if !l.Names[t.Name] {
		return false // the server has the error
	}
	a.unknownColumn(int(t.Location), l, t.Name, fmt.Sprintf("column %q of relation %q does not exist", t.Name, l.Relation.Name))
	return true
}

// rename puts another name in the place of one.
func (a *attempt) rename(tok int, from, to string) {
	if from != to {
		a.add(replace, tok, tok, sqlText(catalog.QuoteIdent(to)))
	}
}
