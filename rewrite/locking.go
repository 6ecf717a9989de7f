package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// lockFrame is one query that locks rows, as FROM below it goes through it. Where it locks rows of the new table of a split, the table that the columns leave is joined by the
// key and locked first, at the same place of the plan: behind ORDER BY, before LIMIT, and with the clause's own way of waiting.
type lockFrame struct {
	stmt *pg.SelectStmt
	// all says that a query around locks what this one gives.
	all    bool
	joined []lockJoin
	items  []*item // what was joined to
	// names are what the clause's OF can name: the tables and sub-selects of FROM.
	names []string
	bare  *int32 // the place of a table in FROM to which one was joined whose columns have their own names; nil for none
	odd   bool   // a join's alias stands over some of them
}

// lockJoin is a table that was joined, to be locked.
type lockJoin struct{ alias, of string }

// affects says whether rows of what has that alias are locked.
func (f *lockFrame) affects(alias string) bool {
	if f == nil {
		return false
	}
	return f.all || slices.ContainsFunc(f.stmt.LockingClause, func(n *pg.Node) bool { return lockNames(n.GetLockingClause(), alias) })
}

func lockNames(c *pg.LockingClause, alias string) bool {
	return len(c.LockedRels) == 0 || slices.ContainsFunc(c.LockedRels, func(n *pg.Node) bool { return n.GetRangeVar().GetRelname() == alias })
}

// lockable notes a table or sub-select of a FROM clause.
func (a *attempt) lockable(alias string) {
	if a.frame != nil {
		a.frame.names = append(a.frame.names, alias)
	}
}

// lockTable joins the table that columns of a split leave to the new one, where the query locks that one's rows. It gives an item that has that table's names, from which the client's have to be
// told. Where the query joins by names, the joined columns get names that no name of the client's means instead: all of them must be known for that, and none may go.
func (a *attempt) lockTable(rv *pg.RangeVar, it *item) (hidden *item) {
	if a.refusal != nil || !a.frame.affects(it.alias) {
		return nil
	}
	for _, h := range it.halves {
		if !h.Target || h.Lock == "" || h.Other == nil {
			continue
		}
		from, to := a.tableTokens(rv)
		if from < 0 {
			a.lost(rv.Location, "a table in FROM")
			return nil
		}
		n := len(a.frame.joined) + 1
		alias := "segue_lock"
		if n > 1 {
			alias += fmt.Sprint(n)
		}
		var columns, on []string
		names := map[string]bool{}
		renamed := a.derived[rv.Location] && !h.Going
		for i := range h.Other.Columns {
			own := h.Other.Columns[i].Name
			name := fmt.Sprintf("segue_%d_%d", n, i+1)
			if !renamed {
				name = catalog.QuoteIdent(own)
				names[own] = true
			}
			columns = append(columns, name)
			if k := slices.Index(h.OtherKey, own); k >= 0 {
				on = append(on, alias+"."+name+" = "+catalog.QuoteIdent(it.alias)+"."+catalog.QuoteIdent(a.aliased(rv, h, k)))
			}
		}
		list := " (" + strings.Join(columns, ", ") + ")"
		if !renamed {
			list, a.frame.bare = "", &rv.Location
			hidden = &item{alias: alias, lens: &lens.Lens{Relation: h.Other, Names: names, Migrations: []string{h.Migration}}}
		}
		a.add(before, from, from, sqlText("(", catalog.QuoteQualified(h.Other.Schema, h.Other.Name), " AS ", alias, list, " JOIN "))
		a.add(after, to, to, sqlText(" ON ", strings.Join(on, " AND "), ")"))
		a.frame.joined = append(a.frame.joined, lockJoin{alias, it.alias})
		a.frame.items = append(a.frame.items, it)
	}
	return hidden
}

// aliased gives the name of the k-th column of the key behind the table's list of column aliases.
func (a *attempt) aliased(rv *pg.RangeVar, h lens.Half, k int) string {
	names := rv.GetAlias().GetColnames()
	rel := a.find(rv.Schemaname, rv.Relname)
	for i := range rel.Columns {
		if rel.Columns[i].Name == h.Key[k] && i < len(names) {
			return strOf(names[i])
		}
	}
	return h.Key[k]
}

// tableTokens gives the first and last token of a table in FROM, with ONLY and its alias; -1 where it is written in a way that is not known.
func (a *attempt) tableTokens(rv *pg.RangeVar) (from, to int) {
	from = a.tokenAt(rv.Location)
	if from < 0 {
		return -1, -1
	}
	to = from
	for a.isPunct(to+1, '.') {
		to += 2
	}
	if a.tokText(to+1) == "*" {
		to++
	}
	switch {
	case a.isWord(from-1, "only"):
		from--
	case !rv.Inh: // ONLY (t)
		return -1, -1
	}
	if rv.Alias == nil {
		return from, to
	}
	if to++; a.isWord(to, "as") {
		to++
	}
	if len(rv.Alias.Colnames) > 0 {
		if to = a.closing(to + 1); to < 0 {
			return -1, -1
		}
	}
	return from, to
}

// lockFirst puts the clauses that lock the joined tables before the query's own.
func (a *attempt) lockFirst(f *lockFrame) {
	if f == nil || len(f.joined) == 0 || a.refusal != nil {
		return
	}
	l := func() int32 {
		if len(f.stmt.TargetList) > 0 {
			return f.stmt.TargetList[0].GetResTarget().Location
		}
		return -1
	}()
	for i := range a.toks {
		if !a.isPunct(i-1, '.') && slices.ContainsFunc(systemColumns, func(w string) bool { return a.isWord(i, w) }) {
			a.uncovered(a.toks[i].start, nil, "a system column without its table's name, in a query that locks rows,", hintUnsure)
			return
		}
	}
	if len(f.stmt.LockingClause) == 0 || f.cannotLock() {
		return // the query around has it, or the server has the error
	}
	slices.Sort(f.names)
	if names := slices.Compact(slices.Clone(f.names)); f.odd || len(names) != len(f.names) {
		a.uncovered(int(max(l, 0)), nil, "a query that locks rows and has a join's alias, or an alias twice,", "Give each table an alias of its own.")
		return
	}
	places := a.lockingPlaces(l, len(f.stmt.LockingClause))
	if places == nil {
		a.lost(max(l, 0), "FOR UPDATE")
		return
	}
	first := ""
	for i, n := range f.stmt.LockingClause {
		c := n.GetLockingClause()
		for _, j := range f.joined {
			if lockNames(c, j.of) {
				first += "FOR " + strengthOnOther(c.Strength) + " OF " + j.alias + waiting(c.WaitPolicy) + " "
			}
		}
		if len(c.LockedRels) == 0 {
			var names []string
			for _, name := range f.names {
				names = append(names, catalog.QuoteIdent(name))
			}
			a.add(after, places[i][1], places[i][1], sqlText(" OF ", strings.Join(names, ", ")))
		}
	}
	a.add(before, places[0][0], places[0][0], sqlText(first))
}

// cannotLock says whether the server refuses to lock rows of such a query, in words that name the client's own clause.
func (f *lockFrame) cannotLock() bool {
	s := f.stmt
	if len(s.DistinctClause)+len(s.GroupClause) > 0 || s.HavingClause != nil || slices.ContainsFunc(f.items, func(it *item) bool { return it.nullable }) {
		return true
	}
	return slices.ContainsFunc(s.TargetList, func(n *pg.Node) bool {
		c := n.GetResTarget().GetVal().GetFuncCall()
		return c != nil && (c.Over != nil || c.AggStar || aggregates[strOf(c.Funcname[len(c.Funcname)-1])])
	})
}

var aggregates = map[string]bool{"count": true, "sum": true, "avg": true, "min": true, "max": true, "array_agg": true, "string_agg": true, "json_agg": true, "jsonb_agg": true, "bool_and": true, "bool_or": true}

var systemColumns = []string{"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"}

// strengthOnOther is how the other table's row is locked: as the guard would, or so that the guard's is kept waiting.
func strengthOnOther(s pg.LockClauseStrength) string {
	if s == pg.LockClauseStrength_LCS_FORSHARE || s == pg.LockClauseStrength_LCS_FORKEYSHARE {
		return "SHARE"
	}
	return "NO KEY UPDATE"
}

func waiting(w pg.LockWaitPolicy) string {
	switch w {
	case pg.LockWaitPolicy_LockWaitSkip:
		return " SKIP LOCKED"
	case pg.LockWaitPolicy_LockWaitError:
		return " NOWAIT"
	}
	return ""
}

// lockingPlaces gives, for each of a query's n locking clauses, the token of FOR and that of the last word of its strength; nil where they are not found. The query's first target is at
// that place in the text.
func (a *attempt) lockingPlaces(target int32, n int) (places [][2]int) {
	i := a.tokenAt(target)
	if i < 0 {
		return nil
	}
	for depth := 0; i < len(a.toks) && depth >= 0; i++ {
		depth += a.nesting(i)
		switch {
		case depth != 0 || !a.isWord(i, "for") || a.isPunct(i-1, '.') || a.isWord(i-1, "as"):
		case a.isWord(i+1, "update"), a.isWord(i+1, "share"):
			places = append(places, [2]int{i, i + 1})
		case a.isWord(i+1, "key"):
			places = append(places, [2]int{i, i + 2})
		case a.isWord(i+1, "no"):
			places = append(places, [2]int{i, i + 3})
		}
	}
	if len(places) != n {
		return nil
	}
	return places
}
