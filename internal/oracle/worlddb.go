package oracle

import (
	"fmt"
	"slices"
	"strings"

	"segue/rewrite/catalog"
)

// shape is the physical form of a world: what each change's columns look like.
type shape []Form

func (s shape) String() string {
	var out []string
	for _, f := range s {
		out = append(out, f.String())
	}
	return strings.Join(out, " + ")
}

// reference is the schema that code was written for.
func (c Code) reference() shape {
	out := make(shape, len(c))
	for i, s := range c {
		if s == NewSide {
			out[i] = RefNew
		}
	}
	return out
}

// physical is a column of a table as it stands in a shape.
type physical struct {
	Name         string
	*worldColumn         // one that stays, or an old one
	new          *change // or a new one
	index        int
}

// of says which side's column of the change it is.
func (w *World) indexOf(c *change) int { return slices.Index(w.Changes, c) }

// columns gives the columns of a table in a shape, in their order.
func (w *World) columns(t *worldTable, s shape) []physical {
	var out []physical
	for _, c := range t.Columns {
		if c.change == nil || t.of != nil || s[w.indexOf(c.change)].has(OldSide) {
			out = append(out, physical{Name: c.Name, worldColumn: c})
		}
	}
	for k, c := range w.Changes {
		if c.Table != t.Name || !s[k].has(NewSide) || c.splits() {
			continue
		}
		for i := range c.Columns[NewSide] {
			name := c.Columns[NewSide][i].Name
			if s[k] == RefNew {
				name = c.Columns[NewSide][i].as()
			}
			out = append(out, physical{Name: name, new: c, index: i})
		}
	}
	return out
}

// setup gives the statements that make the schema in a shape, in an empty database, and its rows; a split is still to be made.
func (w *World) setup(s shape) []string { return append(w.schema(s), w.seed(s)...) }

// schema gives those that make the schema.
func (w *World) schema(s shape) []string {
	sql := []string{
		`CREATE SEQUENCE ticks`,
		`CREATE FUNCTION tick() RETURNS text VOLATILE LANGUAGE sql AS $$ SELECT 'tick ' || nextval('ticks') $$`,
		`CREATE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT upper($1) || '!' $$`,
	}
	sql = append(sql, functions...)
	for _, c := range w.Changes {
		if !c.splits() {
			sql = append(sql, c.givens()...)
		}
	}
	before := make(shape, len(s))
	for i, f := range s {
		if f == RefNew {
			before[i] = RefNew
		}
	}
	for _, t := range w.Tables {
		var parts []string
		for i, c := range w.columns(t, before) {
			if c.new != nil {
				col := c.new.Columns[NewSide][c.index]
				d := col.declare(c.Name)
				if c.new.Unique {
					d += " CONSTRAINT one_value" + c.new.Suffix + " UNIQUE"
				}
				parts = append(parts, d)
				continue
			}
			d := c.declare(c.Name)
			switch {
			case c.change != nil && c.change.Unique:
				d += " CONSTRAINT one_value" + c.change.Suffix + " UNIQUE"
			case c.identity != "":
				d += " GENERATED " + c.identity + " AS IDENTITY"
			case c.generated != "":
				d += " GENERATED ALWAYS AS (" + c.generated + ") STORED"
			case c.unique:
				d += " UNIQUE"
			case c.ref != nil:
				d += " REFERENCES " + catalog.QuoteIdent(c.ref.Name) + " (id) ON DELETE CASCADE"
			}
			if i == 0 && t.second == "" {
				d += " PRIMARY KEY"
			}
			parts = append(parts, d)
		}
		if c := w.splitting(); c != nil && c.Table == t.Name && before[0].has(OldSide) {
			parts = append(parts, c.split.checks[OldSide]...)
		}
		if t.second != "" {
			parts = append(parts, "PRIMARY KEY (id, "+catalog.QuoteIdent(t.second)+")", "UNIQUE (id)")
		}
		create := "CREATE TABLE " + catalog.QuoteIdent(t.Name) + " (" + strings.Join(parts, ", ") + ")"
		if t.Parts > 0 {
			create += " PARTITION BY HASH (id)"
		}
		sql = append(sql, create)
		for i := range t.Parts {
			sql = append(sql, fmt.Sprintf("CREATE TABLE %s PARTITION OF %s FOR VALUES WITH (MODULUS %d, REMAINDER %d)", catalog.QuoteIdent(t.part(i)), catalog.QuoteIdent(t.Name), t.Parts, i))
		}
	}
	for k, c := range w.Changes {
		switch {
		case !c.splits():
			sql = append(sql, c.migrate(s[k])...)
		case s[k] == RefNew:
			sql = append(sql, c.Pattern.SplitTable.Create)
		}
	}
	return sql
}

// seed gives the statements that bring the rows of a shape to the beginning.
func (w *World) seed(s shape) []string {
	var names []string
	for _, t := range w.tables(s) {
		names = append(names, catalog.QuoteIdent(t.Name))
	}
	sql := []string{"TRUNCATE " + strings.Join(names, ", ")}
	guards := func(what string) {
		for k, c := range w.Changes {
			if s[k].guarded() && !c.splits() {
				sql = append(sql, fmt.Sprintf("ALTER TABLE %s %s TRIGGER zz_guard%s", c.table(), what, c.Suffix))
			}
		}
	}
	guards("DISABLE")
	for _, t := range w.Tables {
		sql = append(sql, w.insert(t, s))
	}
	guards("ENABLE ALWAYS")
	if c := w.splitting(); c != nil {
		return w.splitSeed(c, s, sql)
	}
	return sql
}

// insert gives the statement that writes the rows of a table.
func (w *World) insert(t *worldTable, s shape) string {
	var source, cols, values []string
	for _, c := range t.Columns {
		source = append(source, catalog.QuoteIdent(c.Name))
	}
	for _, c := range w.columns(t, s) {
		if c.new == nil {
			if c.generated == "" {
				cols = append(cols, catalog.QuoteIdent(c.Name))
				values = append(values, "s."+catalog.QuoteIdent(c.Name))
			}
			continue
		}
		up := c.new.image(NewSide, "s")[c.index]
		if s[w.indexOf(c.new)] == Unfilled {
			up = "CASE WHEN s.id % 2 = 0 THEN NULL ELSE " + up + " END"
		}
		cols = append(cols, catalog.QuoteIdent(c.Name))
		values = append(values, up)
	}
	var rows []string
	for _, r := range t.Rows {
		var vals []string
		for i, v := range r {
			if v == sqlNull || v == "DEFAULT" {
				v = sqlNull
			} else {
				v = quoteText(v)
			}
			vals = append(vals, v+"::"+t.Columns[i].Type)
		}
		rows = append(rows, "("+strings.Join(vals, ", ")+")")
	}
	if len(rows) == 0 {
		return "SELECT 1"
	}
	return fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM (VALUES %s) AS s (%s) ORDER BY s.id",
		catalog.QuoteIdent(t.Name), strings.Join(cols, ", "), strings.Join(values, ", "), strings.Join(rows, ", "), strings.Join(source, ", "))
}

// begin sets back what a rollback does not.
func (w *World) begin() string {
	calls := []string{"setval('ticks', 1000)"}
	for _, t := range w.Tables {
		calls = append(calls, fmt.Sprintf("setval(pg_get_serial_sequence(%s, 'id'), 100)", quoteText(catalog.QuoteIdent(t.Name))))
	}
	return "SELECT " + strings.Join(calls, ", ")
}

// contents gives the query of everything that a statement may have changed, as code sees it. Rows of a shape in which both sides of a change stand
// have two columns more for each such change: whether the sides agree, and whether the new columns are all NULL.
func (w *World) contents(s shape, code Code) string {
	if c := w.splitting(); c != nil {
		return w.splitContents(c, s[0], code[0])
	}
	var queries []string
	for _, t := range w.Tables {
		cols := []string{}
		for _, c := range t.Columns {
			if c.change == nil {
				cols = append(cols, "t."+catalog.QuoteIdent(c.Name))
			}
		}
		var extra []string
		for k, c := range w.Changes {
			if c.Table != t.Name {
				continue
			}
			side, f := code[k], s[k]
			switch {
			case f == RefNew:
				for i := range c.Columns[NewSide] {
					cols = append(cols, "t."+catalog.QuoteIdent(c.Columns[NewSide][i].as()))
				}
			case f.has(OldSide) && f.has(NewSide):
				own := c.each(side, "t")
				empty := unset(c.each(NewSide, "t"))
				if side == NewSide {
					for i, up := range c.image(NewSide, "t") {
						own[i] = fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", empty, up, own[i])
					}
				}
				cols = append(cols, own...)
				extra = append(extra, c.agree("t"), empty)
			case f.has(side):
				cols = append(cols, c.each(side, "t")...)
			default:
				cols = append(cols, c.image(side, "t")...)
			}
		}
		queries = append(queries, "SELECT "+strings.Join(append(cols, extra...), ", ")+" FROM "+catalog.QuoteIdent(t.Name)+" t ORDER BY t.id")
	}
	for _, t := range w.Tables {
		queries = append(queries, fmt.Sprintf("SELECT pg_sequence_last_value(pg_get_serial_sequence(%s, 'id'))", quoteText(catalog.QuoteIdent(t.Name))))
	}
	return strings.Join(append(queries, "SELECT last_value FROM ticks"), "; ")
}

// logical takes what only a migrating table has out of contents' results, and says which rows' sides do not agree where they must.
func (w *World) logical(s shape, events []Event) (out []Event, apart string) {
	if c := w.splitting(); c != nil {
		return c.logical(s[0], events)
	}
	result := 0
	for _, e := range events {
		if result < len(w.Tables) && (e.Kind == RowDescription || e.Kind == DataRow) {
			both := 0
			var forms []Form
			for k, c := range w.Changes {
				if c.Table == w.Tables[result].Name && s[k].has(OldSide) && s[k].has(NewSide) {
					both++
					forms = append(forms, s[k])
				}
			}
			if e.Kind == RowDescription {
				e.Fields = e.Fields[:len(e.Fields)-2*both]
			} else {
				n := len(e.Values) - 2*both
				for i, f := range forms {
					agrees, empty := *e.Values[n+2*i], *e.Values[n+2*i+1]
					var id int
					if _, err := fmt.Sscan(*e.Values[0], &id); agrees != "t" && (f != Unfilled || empty != "t" || err != nil || id%2 != 0 || id > len(w.Tables[result].Rows)) {
						apart += fmt.Sprintf("%s row %s\n", w.Tables[result].Name, showAll(e.Values[:n]))
					}
				}
				e.Values = e.Values[:n]
			}
		}
		if e.Kind == CommandComplete {
			result++
		}
		out = append(out, e)
	}
	return out, apart
}
