package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// copying is a COPY of a migrating table that is being planned.
type copying struct {
	*attempt
	stmt     *pg.CopyStmt
	lens     *lens.Lens
	cols     []*lens.Column // that it is about
	from, to int            // tokens of the relation's name
	options  copyOptions
	forced   []forcedColumns
}

// namesForced says whether an option such as FORCE_QUOTE names one of those columns.
func namesForced(options []*pg.Node, names map[string]bool) bool {
	return slices.ContainsFunc(options, func(o *pg.Node) bool {
		return slices.ContainsFunc(o.GetDefElem().GetArg().GetList().GetItems(), func(n *pg.Node) bool { return names[strOf(n)] })
	})
}

// off is where messages point to.
func (c *copying) off() int { return int(c.stmt.Relation.Location) }

// copyStmt plans COPY. In: one side goes in where it stands, and the guard fills the other, or both do, or the rows are staged. Out: the columns that the version
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
	switch {
	case l == nil:
		return
	case !s.IsFrom && rel.Kind == catalog.PartitionedTable: // the server has an error for it, whatever the columns, but for names that it does not know
		if namesForced(s.Options, l.Names) {
			a.refuse(&Refusal{Code: "42809", Message: `cannot copy from partitioned table "` + rel.Name + `"`, Hint: "Try the COPY (SELECT ...) TO variant."})
		}
		return
	}
	c := &copying{attempt: a, stmt: s, lens: l, from: a.tokenAt(s.Relation.Location)}
	c.to = c.from
	for c.from >= 0 && a.isPunct(c.to+1, '.') {
		c.to += 2
	}
	if c.from < 0 {
		a.lost(s.Relation.Location, "COPY")
		return
	}
	var ok bool
	if c.cols, ok = c.columns(); !ok {
		return
	}
	if c.forced, ok = c.forcedColumns(); !ok {
		return
	}
	c.options = readCopyOptions(s.Options)
	if s.IsFrom {
		c.in()
		return
	}
	c.out()
}

// columns gives the columns that a COPY is about; ok is false where they are not as the tokens say, or not there.
func (c *copying) columns() (cols []*lens.Column, ok bool) {
	l := c.lens
	if len(c.stmt.Attlist) == 0 {
		c.usesShape(l)
		for i := range l.Columns {
			if !l.Columns[i].Generated {
				cols = append(cols, &l.Columns[i])
			}
		}
		return cols, true
	}
	for i, n := range c.stmt.Attlist {
		name := strOf(n)
		if !c.isName(c.to + 2 + 2*i) {
			c.lost(c.stmt.Relation.Location, "COPY")
			return nil, false
		}
		col := l.Column(name)
		if col == nil {
			// The server has the same error for a name that no migration knows of.
			if c.refusal == nil {
				c.blame = c.otherSide(l, name)
			}
			c.refuse(&Refusal{Code: "42703", Message: `column "` + name + `" of relation "` + l.Relation.Name + `" does not exist`})
			return nil, false
		}
		if slices.Contains(cols, col) {
			c.refuse(&Refusal{Code: "42701", Message: `column "` + name + `" specified more than once`})
			return nil, false
		}
		if col.Generated {
			c.refuse(&Refusal{Code: "42P10", Message: `column "` + name + `" is a generated column`, Detail: "Generated columns cannot be used in COPY."})
			return nil, false
		}
		if col.Migrates() {
			c.wrote(c.off(), col)
		}
		cols = append(cols, col)
	}
	return cols, true
}

// listEnd gives the last token of the relation's name and the list of columns behind it; -1 where the tokens are not as the tree says.
func (c *copying) listEnd() int {
	if len(c.stmt.Attlist) == 0 {
		return c.to
	}
	return c.closing(c.to + 1)
}

// put puts physical names in the place of the list of columns, and more names behind them.
func (c *copying) put(physical, more []string) {
	quoted := make([]string, 0, len(physical)+len(more))
	for _, p := range physical {
		quoted = append(quoted, catalog.QuoteIdent(p))
	}
	var behind strings.Builder
	for _, p := range more {
		quoted = append(quoted, catalog.QuoteIdent(p))
		behind.WriteString(", " + catalog.QuoteIdent(p))
	}
	if len(c.stmt.Attlist) == 0 {
		c.add(after, c.to, c.to, sqlText(" (", strings.Join(quoted, ", "), ")"))
		return
	}
	for i, col := range c.cols {
		c.rename(c.to+2+2*i, col.Name, physical[i])
	}
	if end := c.listEnd(); behind.Len() > 0 && end > 0 {
		c.add(before, end, end, sqlText(behind.String()))
	}
}

// out plans a COPY TO.
func (c *copying) out() {
	plain, same := true, true
	physical := make([]string, len(c.cols))
	for i, col := range c.cols {
		if col.Unreadable != "" {
			c.uncovered(c.off(), c.lens, "the column "+catalog.QuoteIdent(col.Name), "Now, "+col.Unreadable+".")
			return
		}
		physical[i] = col.Read.Plain()
		plain = plain && physical[i] != ""
		same = same && physical[i] == col.Name
	}
	named := c.options.header != noHeader || slices.ContainsFunc(c.forced, func(f forcedColumns) bool { return f.any(c.lens.Names) })
	if plain && (same || !named) {
		c.put(physical, nil)
		return
	}
	end := c.listEnd()
	if end < 0 {
		c.lost(c.stmt.Relation.Location, "COPY")
		return
	}
	var list []string
	for _, col := range c.cols {
		list = append(list, spreadColumn(col, &item{}, catalog.QuoteIdent(c.stmt.Relation.Relname)))
	}
	c.add(replace, c.from, end, []piece{lit("(SELECT " + strings.Join(list, ", ") + " FROM ONLY "), copyOf(c.from, c.to), lit(")")})
}
