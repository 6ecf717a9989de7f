package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// merge plans a MERGE: the actions as the UPDATE and INSERT that they are.
func (a *attempt) merge(s *pg.MergeStmt, ctes *cte) {
	ctes = a.with(s.WithClause, nil, ctes)
	target := a.tableItem(s.Relation, nil)
	source := &scope{}
	a.fromItem(s.SourceRelation, source, nil, ctes)
	both := &scope{items: append([]*item{target}, source.items...), merged: source.merged}
	a.condition(s.JoinCondition, both, ctes)
	places := a.whenPlaces(s)
	if len(places) != len(s.MergeWhenClauses) {
		a.lost(s.Relation.Location, "MERGE")
		return
	}
	for i, n := range s.MergeWhenClauses {
		w := n.GetMergeWhenClause()
		sc := both
		if !w.Matched {
			sc = source
		}
		a.condition(w.Condition, sc, ctes)
		switch {
		case w.CommandType == pg.CmdType_CMD_UPDATE && target.lens != nil:
			a.assignments(w.TargetList, target, sc, ctes)
		case w.CommandType == pg.CmdType_CMD_UPDATE:
			a.exprs(targetValues(w.TargetList), sc, ctes)
		case w.CommandType == pg.CmdType_CMD_INSERT:
			a.exprs(w.Values, sc, ctes)
			if target.lens != nil {
				a.mergeInsert(w, target.lens, places[i])
			}
		}
		if unreachable(s.MergeWhenClauses) {
			continue // the server has the error, as long as the clauses are as they came
		}
		if w.CommandType == pg.CmdType_CMD_UPDATE {
			a.restrictWhen(places[i], w.Condition, a.asksOnUpdate(target, w.TargetList, a.toks[places[i]].start))
		}
		if w.CommandType == pg.CmdType_CMD_DELETE {
			a.restrictWhen(places[i], w.Condition, a.asksOnDelete(target, a.toks[places[i]].start))
		}
	}
}

// unreachable says whether a WHEN clause without a condition stands before another of its kind.
func unreachable(clauses []*pg.Node) bool {
	var any [2]bool
	for _, n := range clauses {
		w, kind := n.GetMergeWhenClause(), 0
		if w.Matched {
			kind = 1
		}
		if any[kind] {
			return true
		}
		any[kind] = w.Condition == nil
	}
	return false
}

// whenPlaces gives the tokens at which the WHEN clauses begin.
func (a *attempt) whenPlaces(s *pg.MergeStmt) []int {
	var places []int
	depth := 0
	for i := a.tokenAt(s.Relation.Location); i >= 0 && i < len(a.toks); i++ {
		depth += a.caseNesting(i)
		switch {
		case depth != 0 || a.isPunct(i-1, '.') || a.isWord(i-1, "as"):
		case a.isWord(i, "when"):
			places = append(places, i)
		case a.isPunct(i, ';'):
			return places
		}
	}
	return places
}

// mergeInsert plans INSERT [(columns)] VALUES (...) of a WHEN NOT MATCHED clause that begins at token when.
func (a *attempt) mergeInsert(w0 *pg.MergeWhenClause, l *lens.Lens, when int) {
	if a.refusal != nil || len(w0.Values) == 0 && len(l.Fills) == 0 {
		return // DEFAULT VALUES
	}
	if len(w0.Values) == 0 && a.refusesFill(l, a.toks[when].start) {
		return
	}
	if len(w0.Values) == 0 {
		a.uncovered(a.toks[when].start, l, "INSERT DEFAULT VALUES in MERGE", "Write VALUES with the columns.")
		return
	}
	i := when + 1
	for i < len(a.toks) && !(a.isWord(i, "then") && a.isWord(i+1, "insert")) {
		i++
	}
	insert := i + 1
	values := insert + 1
	list := -1
	if a.isPunct(values, '(') {
		list = values
		values = a.closing(list) + 1
	}
	for values > 0 && values < len(a.toks) && !a.isWord(values, "values") {
		values++ // OVERRIDING ... VALUE
	}
	if !a.isPunct(values+1, '(') {
		a.lost(int32(a.toks[when].start), "MERGE")
		return
	}
	end := a.closing(values + 1)
	var cells [][2]int
	if end > 0 {
		cells = a.cells(values+2, end)
	}
	if len(cells) != len(w0.Values) {
		a.lost(int32(a.toks[when].start), "MERGE")
		return
	}
	cols, ok := a.mergeColumns(w0, l, len(cells))
	if !ok || len(cols) != len(cells) {
		return // the server has the error
	}
	w := &rowsToWrite{cols: cols, off: a.toks[when].start, rows: []rowCells{{nodes: w0.Values, toks: cells, end: end}}}
	names, extra, ok := a.write(l, w)
	if !ok {
		return
	}
	if list < 0 {
		a.add(after, insert, insert, sqlText(" (", joinNames(names, extra), ")"))
		return
	}
	for j, c := range cols {
		if c == nil || !c.Migrates() {
			continue
		}
		t := a.tokenAt(w0.TargetList[j].GetResTarget().Location)
		switch {
		case !a.isName(t):
			a.lost(w0.TargetList[j].GetResTarget().Location, "a column list")
			return
		case names[j] == "":
			a.move(t-1, t, nil)
		case names[j] != catalog.QuoteIdent(c.Name):
			a.add(replace, t, t, sqlText(names[j]))
		}
	}
	if len(extra) > 0 {
		closing := a.closing(list)
		a.add(before, closing, closing, sqlText(", ", strings.Join(extra, ", ")))
	}
}

// mergeColumns gives the columns of a WHEN clause's INSERT; nil for one that no migration knows of.
func (a *attempt) mergeColumns(w *pg.MergeWhenClause, l *lens.Lens, n int) (cols []*lens.Column, ok bool) {
	if len(w.TargetList) == 0 {
		a.usesShape(l)
		if n > len(l.Columns) {
			a.refuse(&Refusal{Code: "42601", Message: "INSERT has more expressions than target columns"})
			return nil, false
		}
		for i := range n {
			cols = append(cols, &l.Columns[i])
		}
		return cols, true
	}
	for _, x := range w.TargetList {
		t := x.GetResTarget()
		c := l.Column(t.Name)
		if c == nil && a.unknownTarget(t, l) {
			return nil, false
		}
		if c != nil && c.Migrates() {
			if slices.Contains(cols, c) {
				a.refuse(&Refusal{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", t.Name), Position: a.position(int(t.Location))})
				return nil, false
			}
			a.wrote(int(t.Location), c)
			if len(t.Indirection) > 0 {
				a.uncovered(int(t.Location), l, "MERGE into a part of a migrating column", "Write the whole column.")
				return nil, false
			}
		}
		cols = append(cols, c)
	}
	return cols, true
}
