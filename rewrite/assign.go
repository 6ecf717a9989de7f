package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
)

// rowSource is the sub-select of SET (a, b) = (SELECT ...), for which one stands in that gives its columns names.
type rowSource struct {
	list     int      // closing token of the list of columns
	from, to int      // the sub-select's brackets
	cells    []string // what takes the place of a column, by its place
	gone     []bool
	more     []string // values behind them
}

// rowSources are those of one SET, each shared by all ties that it gives values to.
type rowSources struct {
	all []*rowSource
}

// givesColumns says whether a query is seen to give so many columns: names for fewer than there are would leave the others out without a word.
func givesColumns(s *pg.SelectStmt, n int) bool {
	if s == nil || s.Op != pg.SetOperation_SETOP_NONE {
		return s != nil && givesColumns(s.Larg, n) && givesColumns(s.Rarg, n)
	}
	if len(s.ValuesLists) > 0 {
		return len(s.ValuesLists[0].GetList().GetItems()) == n
	}
	for _, t := range s.TargetList {
		v := t.GetResTarget().GetVal()
		if c := v.GetColumnRef(); c != nil && isStar(c) || len(v.GetAIndirection().GetIndirection()) > 0 {
			return false
		}
	}
	return len(s.TargetList) == n
}

// add notes the sub-select that all of a tie's assignments take their values from; it says whether that is one.
func (r *rowSources) add(list []assignment) bool {
	if slices.ContainsFunc(list, func(as assignment) bool {
		return as.source == nil || as.source.to < 0 || as.source.from != list[0].source.from
	}) {
		return false
	}
	if r.of(list[0]) == nil {
		s := list[0].source
		s.gone = make([]bool, len(s.cells))
		r.all = append(r.all, s)
	}
	return true
}

func (r *rowSources) of(as assignment) *rowSource {
	for _, s := range r.all {
		if s.from == as.source.from {
			return s
		}
	}
	return nil
}

func valueColumn(i int) string { return fmt.Sprintf("segue_value.v%d", i+1) }

func valueNames(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("v%d", i+1))
	}
	return strings.Join(names, ", ")
}

// put writes the sub-selects that stand in. One that gives no row gives NULLs, and one that gives several is an error, as before.
func (r *rowSources) put(a *attempt) {
	for _, s := range r.all {
		var all []string
		for i := range s.cells {
			switch {
			case s.gone[i]:
			case s.cells[i] != "":
				all = append(all, s.cells[i])
			default:
				all = append(all, valueColumn(i))
			}
		}
		a.add(before, s.from, s.from, sqlText("(SELECT ", strings.Join(append(all, s.more...), ", "), " FROM (SELECT) AS segue_one LEFT JOIN "))
		a.add(after, s.to, s.to, sqlText(" AS segue_value (", valueNames(len(s.cells)), ") ON true)"))
	}
}

// assignFromSource writes a tie whose values are columns of a sub-select, on both sides or in the place of its own.
func (a *attempt) assignFromSource(g tied, list []assignment, target *item, rows *rowSources) {
	s := rows.of(list[0])
	for _, as := range list {
		g.given[as.col.Name] = given{col: as.col, sql: valueColumn(as.place)}
	}
	var targets, values []string
	put := func(name string, p []piece) {
		targets, values = append(targets, catalog.QuoteIdent(name)), append(values, plainText(p))
	}
	if g.tie.Own {
		for _, as := range list {
			a.rename(as.tok, as.target.Name, as.col.Physical)
		}
		a.siblings(g, target, put)
	}
	for _, o := range g.tie.Others {
		put(o.Target, a.other(g, o, reads(target)))
	}
	if g.tie.Own {
		a.add(before, s.list, s.list, sqlText(", ", strings.Join(targets, ", ")))
		s.more = append(s.more, values...)
		return
	}
	a.add(replace, list[0].tok, list[0].tok, sqlText(strings.Join(targets, ", ")))
	s.cells[list[0].place] = strings.Join(values, ", ")
	for _, as := range list[1:] {
		a.add(replace, as.tok-1, as.tok, nil) // with its comma
		s.gone[as.place] = true
	}
}

// assignComputed writes a tie of which some value must be computed once for several columns: SET (o, n) = (SELECT down(v), v FROM (SELECT e AS v) s). Without a column of
// the target PostgreSQL would compute the sub-select once for all rows.
func (a *attempt) assignComputed(g tied, list []assignment, target *item) {
	var inner []piece
	for i, as := range list {
		if i > 0 {
			inner = append(inner, lit(", "))
		}
		value := copyOf(as.toks[0], as.toks[1])
		switch base := baseType(as.col.Type.SQL); {
		case as.isDefault():
			inner = append(inner, lit(defaultSQL(as.col)))
		case untyped(as.node) && base == "":
			a.uncovered(int(as.target.Location), target.lens, "a value that must be computed once for several columns", "Compute it first, and pass it as a parameter.")
			return
		case untyped(as.node):
			inner = append(inner, value, lit("::"+base))
		default:
			inner = append(inner, value)
		}
		g.given[as.col.Name] = given{col: as.col, sql: valueColumn(i)}
	}
	var targets, values []string
	put := func(name string, p []piece) {
		targets, values = append(targets, catalog.QuoteIdent(name)), append(values, plainText(p))
	}
	if g.tie.Own {
		for i, as := range list {
			put(as.col.Physical, sqlText(valueColumn(i)))
		}
		a.siblings(g, target, put)
	}
	for _, o := range g.tie.Others {
		put(o.Target, a.other(g, o, reads(target)))
	}
	all := sqlText("(", strings.Join(targets, ", "), ") = (SELECT ", strings.Join(values, ", "), " FROM (SELECT ")
	all = append(append(all, inner...), lit(" WHERE "+catalog.QuoteIdent(target.alias)+".tableoid IS NOT NULL OFFSET 0) AS segue_value ("+valueNames(len(list))+"))"))
	a.move(list[0].tok, list[0].toks[1], all)
	for _, as := range list[1:] {
		a.move(as.tok-1, as.toks[1], nil) // with its comma
	}
}

// siblings puts the columns of a tie that the statement does not assign, where rows may be there in which they are not filled yet.
func (a *attempt) siblings(g tied, target *item, put func(name string, value []piece)) {
	if !g.tie.Unfilled {
		return
	}
	for _, name := range g.tie.Columns {
		if _, ok := g.given[name]; !ok {
			put(target.lens.Column(name).Physical, sqlText(reads(target)(name)))
		}
	}
}
