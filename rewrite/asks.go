package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
)

// restrict puts the asks into the WHERE clause of an UPDATE or DELETE whose table's name stands at place; others are the other things in its scope.
func (a *attempt) restrict(place int32, where *pg.Node, asks []ask, others []*item) {
	if len(asks) == 0 || a.refusal != nil {
		return
	}
	exact := slices.ContainsFunc(asks, func(x ask) bool { return x.exact })
	if where.GetCurrentOfExpr() != nil {
		if exact {
			a.uncovered(int(place), nil, "WHERE CURRENT OF in a statement whose rows the new table may refer to", "Name the row by its key.")
		}
		return // the cursor's query has locked the row, or the guard finds the order that there is
	}
	at, end := a.whereClause(a.tokenAt(place))
	if (at < 0) != (where == nil) || end < 0 {
		a.lost(place, "WHERE")
		return
	}
	from, first := 0, []piece(nil)
	switch {
	case at < 0:
		a.add(after, end, end, append(sqlText(" WHERE "), a.joined(asks, others)...))
		return
	case exact:
		from, first = a.asksAfter(where, at+1, end, exactKey(asks))
	case !a.keepSublinks(where):
		a.lost(place, "WHERE")
		return
	}
	if from > 0 {
		p := sqlText("CASE WHEN ")
		if there := presence(others); there != "" {
			p = sqlText("CASE WHEN ", there, " AND ")
		}
		a.add(before, from, from, append(append(first, p...), lit("(")))
		a.add(after, end, end, append(append(sqlText(") THEN "), allOf(asks)...), lit(" ELSE false END")))
		return
	}
	a.add(before, at+1, at+1, sqlText("("))
	a.add(after, end, end, append(sqlText(") AND "), a.joined(asks, others)...))
}

// joined gives the asks as one condition. The planner asks a condition as soon as it has the tables that it mentions: it is made to mention all of them, so that it comes
// after their joins.
func (a *attempt) joined(asks []ask, others []*item) []piece {
	there := presence(others)
	if there == "" {
		return allOf(asks)
	}
	return append(append(sqlText("CASE WHEN ", there, " THEN "), allOf(asks)...), lit(" END"))
}

// allOf gives the asks, one after the other.
func allOf(asks []ask) []piece {
	var p []piece
	for i, x := range asks {
		if i > 0 {
			p = append(p, lit(" AND "))
		}
		p = append(p, x.pieces...)
	}
	return p
}

// presence gives a condition that is true and mentions each of some things in FROM; "" where there is none.
func presence(others []*item) string {
	list := ""
	for _, it := range others {
		switch {
		case it.alias == "" || it.apart:
			continue
		case list != "":
			list += ", "
		}
		list += catalog.QuoteIdent(it.alias)
		if it.lens != nil || it.table {
			list += ".tableoid"
		}
	}
	if list == "" {
		return ""
	}
	return "pg_catalog.num_nulls(" + list + ") >= 0"
}

// whereClause finds WHERE behind a table's name: the token of the word, -1 where there is none, and the last token of its condition, or of what stands where it would; end is -1 where
// that is not found.
func (a *attempt) whereClause(i int) (at, end int) {
	if i < 0 {
		return -1, -1
	}
	for depth := 0; i < len(a.toks); i++ {
		depth += a.nesting(i)
		switch {
		case depth < 0:
			return -1, i - 1
		case depth > 0 || a.isPunct(i-1, '.') || a.isWord(i-1, "as"):
		case a.isWord(i, "where"):
			return i, a.exprEnd(i + 1)
		case a.isWord(i, "returning"), a.isPunct(i, ';'):
			return -1, i - 1
		}
	}
	return -1, len(a.toks) - 1
}

// keepSublinks keeps the planner from making anti-joins of a WHERE clause's NOT EXISTS, below which it would ask of all rows but those that are meant. That would cost time only. Of other
// sub-selects it may make joins: the cost of asking tells it to join first, and a join can use an index.
func (a *attempt) keepSublinks(n *pg.Node) bool {
	b := n.GetBoolExpr()
	switch {
	case b == nil:
		return true
	case b.Boolop == pg.BoolExprType_AND_EXPR:
		return !slices.ContainsFunc(b.Args, func(arg *pg.Node) bool { return !a.keepSublinks(arg) })
	}
	s := b.Args[0].GetSubLink()
	if b.Boolop != pg.BoolExprType_NOT_EXPR || s.GetSubLinkType() != pg.SubLinkType_EXISTS_SUBLINK || s == nil {
		return true // no join is made of it
	}
	_, end := a.sublink(s)
	if end < 0 {
		return false
	}
	a.add(after, end, end, sqlText(" IS TRUE"))
	return true
}

// sublink gives the tokens of a sub-select's brackets; end is -1 where they are not found.
func (a *attempt) sublink(s *pg.SubLink) (open, end int) {
	open = a.tokenAt(s.Location)
	if open < 0 || a.isWord(open, "operator") {
		return -1, -1
	}
	for open < len(a.toks) && !a.isPunct(open, '(') {
		open++
	}
	return open, a.closing(open)
}

// cheap bounds the tokens of a condition that costs less than asking.
const cheap = 2000

// asksAfter gives the token from which on the conditions of a WHERE clause, between two tokens, must have been found true before it is asked; 0 where the cost of asking puts it behind all of them. Plain
// conditions behind that are also to be written in front, for their indexes. The planner
// puts a sub-select or a function that costs more behind what costs less, and may make a join of it, below which it would ask of rows that have no partner: within CASE it does neither. The key itself, where it has
// one column and a sub-select gives it that looks at no row of the statement, keeps its index: it is looked up by an array.
func (a *attempt) asksAfter(where *pg.Node, from, to int, key []string) (at int, first []piece) {
	args := []*pg.Node{where}
	if b := where.GetBoolExpr(); b.GetBoolop() == pg.BoolExprType_AND_EXPR {
		args = b.Args
	}
	looked := map[int]bool{}
	for _, n := range args {
		s := n.GetSubLink()
		open, end := -1, -1
		if s.GetSubLinkType() == pg.SubLinkType_ANY_SUBLINK && isName(s.GetTestexpr(), key) && givesColumn(s.GetSubselect()) {
			open, end = a.sublink(s)
		}
		if end < 0 || !a.isWord(open-1, "in") || slices.ContainsFunc(a.outward, func(place int32) bool { return int(place) > a.toks[open].start && int(place) < a.toks[end].start }) {
			continue
		}
		a.add(replace, open-1, open-1, sqlText("= ANY"))
		a.add(before, open, open, sqlText("(ARRAY"))
		a.add(after, end, end, sqlText(")"))
		looked[open] = true
	}
	if to-from > cheap {
		return from, nil
	}
	depth, between, segment, nested, plain := 0, 0, from, 0, 0
	ends := func(i int) { // the condition before a token
		if plain > 0 {
			first = append(first, copyOf(plain, i-1), lit(" AND "))
		}
	}
	for i := from; i <= to; i++ {
		switch {
		case looked[i]:
			i = a.closing(i)
			plain = 0
		case a.isPunct(i, '('), a.isPunct(i, '['):
			depth++
			plain = 0
		case a.isPunct(i, ')'), a.isPunct(i, ']'):
			depth--
		case nested == 0 && slices.Contains(a.dear, int32(a.toks[i].start)):
			nested = i
			if len(args) == 1 {
				segment = from
			}
			plain = 0
		case a.isPunct(i-1, '.'), a.isWord(i-1, "as"):
		case a.isWord(i, "case"):
			depth++
		case a.isWord(i, "end") && depth > 0:
			depth--
		case depth == 0 && a.isWord(i, "between"):
			between++
		case depth == 0 && a.isWord(i, "and") && between > 0:
			between--
		case depth == 0 && a.isWord(i, "and") && nested == 0:
			segment = i + 1
		case depth == 0 && a.isWord(i, "and"):
			ends(i)
			plain = i + 1
		case nested == 0 && (a.isWord(i, "select") || a.isWord(i, "values") || a.isWord(i, "table")):
			nested = i
			if len(args) == 1 {
				segment = from
			}
		}
	}
	switch {
	case nested == 0:
		return 0, nil
	case len(args) == 1: // not joined by AND
		return segment, nil
	}
	ends(to + 1)
	return segment, first
}

// isName says whether an expression is the column, named with its table's alias or alone.
func isName(n *pg.Node, column []string) bool {
	var names []string
	for _, f := range n.GetColumnRef().GetFields() {
		names = append(names, f.GetString_().GetSval())
	}
	return len(column) == 2 && (slices.Equal(names, column) || slices.Equal(names, column[1:]))
}

// givesColumn says whether a query gives one column of something, as it is.
func givesColumn(n *pg.Node) bool {
	s := n.GetSelectStmt()
	fields := func() []*pg.Node {
		if len(s.GetTargetList()) != 1 {
			return nil
		}
		return s.TargetList[0].GetResTarget().GetVal().GetColumnRef().GetFields()
	}()
	return len(fields) > 0 && fields[len(fields)-1].GetAStar() == nil
}

// restrictWhen puts the asks into the condition of MERGE's WHEN clause that begins at a token.
func (a *attempt) restrictWhen(when int, condition *pg.Node, asks []ask) {
	if len(asks) == 0 || a.refusal != nil {
		return
	}
	then, depth := when, 0
	for ; then < len(a.toks); then++ {
		if depth += a.caseNesting(then); depth == 0 && a.isWord(then, "then") {
			break
		}
	}
	if then >= len(a.toks) || !a.isWord(when+1, "matched") || condition != nil && !a.isWord(when+2, "and") {
		a.lost(int32(a.toks[when].start), "MERGE")
		return
	}
	p := a.joined(asks, nil)
	if condition == nil {
		a.add(before, then, then, append(append(sqlText("AND "), p...), lit(" ")))
		return
	}
	a.add(before, when+3, when+3, sqlText("("))
	a.add(after, then-1, then-1, append(sqlText(") AND "), p...))
}
