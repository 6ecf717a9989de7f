package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// copyStmt plans COPY. In: the old side is written where it stands, and the guard fills the new one. Out: the columns that the version
// knows, as a query where the table's own names or values would not do.
func (a *attempt) copyStmt(s *pg.CopyStmt) {
	if s.Query != nil {
		a.rowsShow = true // as text, or as COPY's binary format, which has no types
		a.query(s.Query, nil, nil)
		a.rowsShow = false
		return
	}
	a.utility = true
	_, rel, l := a.relation(s.Relation, nil)
	a.utility = false
	if l == nil || !s.IsFrom && rel.Kind == catalog.PartitionedTable { // the server has an error for the latter, whatever the columns
		return
	}
	from := a.tokenAt(s.Relation.Location)
	to := from
	for from >= 0 && a.isPunct(to+1, '.') {
		to += 2
	}
	if from < 0 {
		a.lost(s.Relation.Location, "COPY")
		return
	}
	cols, ok := a.copyColumns(s, l)
	if !ok {
		return
	}
	physical := make([]string, len(cols))
	plain, same, staged := true, true, s.IsFrom && len(l.Fills) > 0
	for i, c := range cols {
		if !s.IsFrom && c.Unreadable != "" {
			a.uncovered(int(s.Relation.Location), l, "the column "+catalog.QuoteIdent(c.Name), "Now, "+c.Unreadable+".")
			return
		}
		physical[i] = c.Read.Plain()
		if s.IsFrom {
			if c.Tie != nil && !a.mayWrite(int(s.Relation.Location), l, c.Tie) {
				return
			}
			var ok bool
			physical[i], ok = copyTarget(c)
			staged = staged || !ok
		}
		plain = plain && physical[i] != ""
		same = same && physical[i] == c.Name
	}
	header, options := false, false
	for _, n := range s.Options {
		d := n.GetDefElem()
		switch {
		case d.GetDefname() == "header":
			header = !s.IsFrom || strings.EqualFold(strOf(d.Arg), "match")
		case strings.HasPrefix(d.GetDefname(), "force_"):
			options = options || !same && mentionsString(d.Arg, l.Names)
		}
	}
	switch {
	case s.IsFrom && (staged || options || header && !same || s.WhereClause != nil && mentionsName(s.WhereClause, l.Names) && !(same && a.asNamed(s.WhereClause, l))):
		a.stageCopy(s, l, cols, from, to)
	case options:
		a.uncovered(int(s.Relation.Location), l, "COPY with FORCE_QUOTE for a migrating column", "Leave the option out for that column, or COPY a query.")
	case !s.IsFrom && (!plain || header && !same):
		end := to
		if len(s.Attlist) > 0 {
			end = a.closing(to + 1)
		}
		if end < 0 {
			a.lost(s.Relation.Location, "COPY")
			return
		}
		var list []string
		for _, c := range cols {
			list = append(list, spreadColumn(c, &item{}, catalog.QuoteIdent(s.Relation.Relname)))
		}
		a.add(replace, from, end, []piece{lit("(SELECT " + strings.Join(list, ", ") + " FROM ONLY "), copyOf(from, to), lit(")")})
	case len(s.Attlist) > 0:
		for i, c := range cols {
			a.rename(to+2+2*i, c.Name, physical[i])
		}
	default:
		for i := range physical {
			physical[i] = catalog.QuoteIdent(physical[i])
		}
		a.add(after, to, to, sqlText(" (", strings.Join(physical, ", "), ")"))
	}
}

// copyColumns gives the columns that a COPY is about; ok is false where they are not as the tokens say, or not there.
func (a *attempt) copyColumns(s *pg.CopyStmt, l *lens.Lens) (cols []*lens.Column, ok bool) {
	if len(s.Attlist) == 0 {
		a.usesShape(l)
		for i := range l.Columns {
			if !l.Columns[i].Generated {
				cols = append(cols, &l.Columns[i])
			}
		}
		return cols, true
	}
	tok := a.tokenAt(s.Relation.Location)
	for a.isPunct(tok+1, '.') {
		tok += 2
	}
	for i, n := range s.Attlist {
		name := strOf(n)
		if !a.isName(tok + 2 + 2*i) {
			a.lost(s.Relation.Location, "COPY")
			return nil, false
		}
		c := l.Column(name)
		if c == nil {
			// The server has the same error for a name that no migration knows of.
			if a.refusal == nil {
				a.blame = a.otherSide(l, name)
			}
			a.refuse(&Refusal{Code: "42703", Message: `column "` + name + `" of relation "` + l.Relation.Name + `" does not exist`})
			return nil, false
		}
		if slices.Contains(cols, c) {
			a.refuse(&Refusal{Code: "42701", Message: `column "` + name + `" specified more than once`})
			return nil, false
		}
		if c.Migrates() {
			a.wrote(int(s.Relation.Location), c)
		}
		cols = append(cols, c)
	}
	return cols, true
}

// copyTarget gives the physical column that COPY's values go into as they are; the guard makes the other side's of them. ok is false where there is none.
func copyTarget(c *lens.Column) (physical string, ok bool) {
	t := c.Tie
	switch {
	case t == nil:
		return c.Physical, true
	case t.Moving && c.Default != "":
		return "", false
	case t.Same && (!t.Own || t.Both() && !t.OldSide):
		return t.Others[0].Target, true
	case t.Own && (len(t.Others) == 0 || t.OldSide || c.Default == ""):
		return c.Physical, true
	}
	return "", false
}

// asNamed says whether each migrating column that an expression names is there by that name.
func (a *attempt) asNamed(n *pg.Node, l *lens.Lens) bool {
	ok := true
	a.eachReference(n, func(c *pg.ColumnRef) {
		name := strOf(c.Fields[len(c.Fields)-1])
		if col := l.Column(name); l.Names[name] && (col == nil || col.Read.Plain() != name) {
			ok = false
		}
	})
	return ok
}

// StageTable is where COPY's rows go first where they cannot go into the table as they are.
const StageTable = "segue_copy"

// stageCopy lets COPY fill a temporary table that has the columns as the code knows them, all in one message and so in one transaction:
//
//	CREATE TEMP TABLE segue_copy (...); COPY segue_copy FROM STDIN ...; INSERT INTO t (...) SELECT ... FROM segue_copy; DROP TABLE segue_copy
//
// The session shows the client one COPY. The relation's name is in the tokens from..to.
func (a *attempt) stageCopy(s *pg.CopyStmt, l *lens.Lens, cols []*lens.Column, from, to int) {
	off := int(s.Relation.Location)
	for _, n := range s.Options {
		if name := n.GetDefElem().GetDefname(); name == "freeze" || name == "default" {
			a.uncovered(off, l, "COPY with "+strings.ToUpper(name)+" into a migrating column", "Leave the option out.")
			return
		}
	}
	if s.Filename != "" || s.IsProgram {
		a.uncovered(off, l, "COPY from the server's files into a migrating column", "COPY FROM STDIN, or \\copy in psql.")
		return
	}
	if s.WhereClause != nil {
		other := ""
		a.eachReference(s.WhereClause, func(c *pg.ColumnRef) {
			name := strOf(c.Fields[len(c.Fields)-1])
			if len(c.Fields) != 1 || !slices.ContainsFunc(cols, func(c *lens.Column) bool { return c.Name == name }) {
				other = name
			}
		})
		if other != "" {
			a.uncovered(off, l, "COPY ... WHERE on a column that is not copied", "Filter the rows before, or after.")
			return
		}
	}
	start, end := from, to
	for start > 0 && !a.isPunct(start-1, ';') {
		start--
	}
	if len(s.Attlist) > 0 {
		end = a.closing(to + 1)
	}
	last, where := end, -1
	for depth := 0; last+1 < len(a.toks) && (depth > 0 || !a.isPunct(last+1, ';')); last++ {
		switch {
		case a.isPunct(last+1, '('):
			depth++
		case a.isPunct(last+1, ')'):
			depth--
		case depth == 0 && where < 0 && a.isWord(last+1, "where"):
			where = last + 1
		}
	}
	if end < 0 || !a.isWord(start, "copy") || (where < 0) != (s.WhereClause == nil) {
		a.lost(s.Relation.Location, "COPY")
		return
	}
	w := &rowsToWrite{cols: cols, off: off, fixed: true, wrap: &wrapping{from: -1, cols: make([]string, len(cols)), gone: make([]bool, len(cols))}}
	var create []string
	overriding := ""
	for _, c := range cols {
		w.types = append(w.types, c.Type)
		create = append(create, catalog.QuoteIdent(c.Name)+" "+c.Type.SQL)
		if p := l.Relation.Column(c.Physical); p != nil && p.Identity {
			overriding = " OVERRIDING SYSTEM VALUE" // as COPY does
		}
	}
	names, extra, ok := a.write(l, w)
	if !ok {
		return
	}
	stage := "pg_temp." + StageTable
	a.add(before, start, start, sqlText("CREATE TEMP TABLE ", stage, " (", strings.Join(create, ", "), "); "))
	a.move(from, end, sqlText(stage))
	p := append(sqlText("; INSERT INTO "), copyOf(from, to), lit(" ("+joinNames(names, extra)+")"+overriding+" SELECT "+w.wrap.list(len(cols))+" FROM (SELECT * FROM "+stage))
	if where >= 0 {
		a.move(where, last, nil)
		p = append(p, lit(" "), copyOf(where, last))
	}
	p = append(p, lit(") AS segue_source ("+sourceNames(len(cols))+"); DROP TABLE "+stage))
	a.add(after, last, last, p)
	a.staged = append(a.staged, Staged{Statement: a.stmt, Table: l.Relation.Name})
}

func mentionsString(n *pg.Node, names map[string]bool) bool {
	if n == nil {
		return false
	}
	if s := n.GetString_(); s != nil {
		return names[s.Sval]
	}
	found := false
	children(n, func(c *pg.Node) { found = found || mentionsString(c, names) })
	return found
}
