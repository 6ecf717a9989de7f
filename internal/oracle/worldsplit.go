package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/migrate"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// splitting is what a change that splits its table has besides: the new table, of which every side's code sees another form.
type splitting struct {
	table  string      // the old one
	target *worldTable // its first columns are the key
	key    []string    // of the old table
	unique bool        // the new table has no primary key: its key is UNIQUE
	refers string      // what its foreign key says, "" where it has none
	checks [2][]string // constraints of the columns that move, by side, as SQL
}

// splits says whether the change splits its table.
func (c *change) splits() bool { return c.split != nil }

// splitting gives the world's change that splits a table; nil where there is none.
func (w *World) splitting() *change {
	for _, c := range w.Changes {
		if c.splits() {
			return c
		}
	}
	return nil
}

// all are the tables of every schema, and tables those of a shape.
func (w *World) all() []*worldTable {
	if c := w.splitting(); c != nil {
		return append(slices.Clone(w.Tables), c.split.target)
	}
	return w.Tables
}

func (w *World) tables(s shape) []*worldTable {
	if c := w.splitting(); c != nil && !s[w.indexOf(c)].has(NewSide) {
		return w.Tables
	}
	return w.all()
}

// key are the names of the columns by which rows are told apart.
func (t *worldTable) key() []string {
	if t.of == nil {
		return []string{"id"}
	}
	var names []string
	for i := range t.of.split.key {
		names = append(names, t.Columns[i].Name)
	}
	return names
}

// newSplitWorld makes a world of choices whose migration splits a table.
func newSplitWorld(ch *choices) *World {
	w := &World{}
	odd := ch.often(3)
	first, names := w.table(ch, odd, 0, 12, func() int { return 1 + ch.of(3) })
	first.Columns = slices.Insert(first.Columns, 1+ch.of(len(first.Columns)), &worldColumn{Column: Column{Name: "email", Type: "text"}, typ: typeText, unique: true})
	if ch.often(4) {
		first.Columns[0].identity = "" // the client's own
	}
	if ch.often(4) {
		first.second = names.next()
		first.Columns = slices.Insert(first.Columns, 1+ch.of(len(first.Columns)), &worldColumn{Column: Column{Name: first.second, Type: "integer", NotNull: true, Default: "1"}, typ: typeInt})
	}
	second, _ := w.table(ch, odd, 1, 8, func() int { return 1 + ch.of(3) })
	second.Columns = append(second.Columns, &worldColumn{Column: Column{Name: "ref", Type: first.Columns[0].Type}, typ: first.Columns[0].typ, ref: first})
	w.split(ch, first, names, odd)
	for _, t := range w.Tables {
		t.fill(ch)
	}
	at := slices.IndexFunc(first.Columns, func(c *worldColumn) bool { return first.second == c.Name })
	for r := range first.Rows {
		if at >= 0 {
			first.Rows[r][at] = partOf(r + 1)
		}
	}
	return w
}

// keyOf gives the key of the row with that id, as the seed has it.
func (s *splitting) keyOf(id int) []string {
	if len(s.key) == 1 {
		return []string{fmt.Sprint(id)}
	}
	return []string{fmt.Sprint(id), partOf(id)}
}

// partOf is what the row with that id has in the second column of the old table's primary key.
func partOf(id int) string { return fmt.Sprint(1 + id%2) }

// foreign are the foreign keys that a new table may have to the old one.
var foreign = []string{"ON DELETE CASCADE ON UPDATE CASCADE", "", "ON DELETE NO ACTION", "ON DELETE RESTRICT ON UPDATE RESTRICT", "ON DELETE CASCADE"}

// split adds a migration that moves some columns of a table to another.
func (w *World) split(ch *choices, t *worldTable, n *namer, odd bool) {
	c := &change{
		kind: "split", Variant: &Variant{Name: "split", Table: t.Name, Migration: "change_1", Suffix: "_1"},
		split: &splitting{table: t.Name, target: &worldTable{Name: tableNames[2]}, key: []string{"id"}, refers: foreign[ch.of(len(foreign))]},
	}
	w.Changes = append(w.Changes, c)
	sp := c.split
	sp.target.of = c
	if odd && ch.often(2) {
		sp.target.Name = oddTables[2]
	}
	if t.second != "" && !ch.often(3) { // else by a key that is unique, and not the primary key
		sp.key = append(sp.key, t.second)
	}
	sp.unique = ch.often(4)
	own := &namer{ch: ch, odd: odd, used: []string{"user_id", "part"}}
	pattern := &lens.SplitTable{To: lens.TableName{Schema: "public", Name: sp.target.Name}, Key: map[string]string{}, Columns: map[string]string{}}
	for i, k := range sp.key {
		name := [2]string{ch.pick("user_id", "id", "user_id"), "part"}[i]
		pattern.Key[k] = name
		own.used = append(own.used, name)
		from := t.Columns[slices.IndexFunc(t.Columns, func(c *worldColumn) bool { return c.Name == k })]
		sp.target.Columns = append(sp.target.Columns, &worldColumn{Column: Column{Name: name, Type: from.Type, NotNull: true}, typ: from.typ})
	}
	count := 1 + ch.of(3)
	for i := range count {
		typ := allTypes[ch.of(len(allTypes))]
		col := Column{Name: n.next(), Type: typ.SQL}
		col.NotNull = ch.often(4)
		if ch.often(3) {
			col.Default = quoteText(typ.words[0]) + "::" + typ.SQL
		}
		moved := col
		// A row of the new table is there where one of the columns is not NULL: one that is alone may be NOT NULL there.
		moved.NotNull = col.NotNull || count == 1 && ch.often(2)
		if ch.often(2) {
			moved.Name = own.next()
		} else if slices.Contains(own.used, moved.Name) {
			moved.Name = own.next()
		} else {
			own.used = append(own.used, moved.Name)
		}
		if ch.often(4) {
			moved.Default = map[bool]string{true: quoteText(typ.words[len(typ.words)-1]) + "::" + typ.SQL}[moved.Default == ""]
		}
		c.Columns[OldSide], c.Columns[NewSide] = append(c.Columns[OldSide], col), append(c.Columns[NewSide], moved)
		h := half{typ, typ.words}
		c.halves[OldSide], c.halves[NewSide] = append(c.halves[OldSide], h), append(c.halves[NewSide], h)
		pattern.Columns[col.Name] = moved.Name
		t.Columns = slices.Insert(t.Columns, 1+ch.of(len(t.Columns)), &worldColumn{Column: col, typ: typ, change: c, index: i})
		sp.target.Columns = append(sp.target.Columns, &worldColumn{Column: moved, typ: typ, change: c, index: i})
	}
	if count == 1 && slices.Contains([]family{texts, ints, numbers}, c.halves[OldSide][0].typ.family) && ch.often(3) {
		c.unify(same)
		for _, col := range append(slices.Clone(t.Columns), sp.target.Columns...) {
			if col.change == c {
				col.Default = ""
			}
		}
	}
	for i, h := range c.halves[OldSide] {
		value, there := map[family]string{texts: "'ANN'", ints: "8"}[h.typ.family] // what values become by upper, or by + 1
		for side := range sp.checks {
			if there && h.typ != typeChar {
				sp.checks[side] = append(sp.checks[side], fmt.Sprintf("CONSTRAINT not_that_%d CHECK (%s <> %s)", i, catalog.QuoteIdent(c.Columns[side][i].Name), value))
			}
		}
	}
	if ch.often(3) { // one that old code does not know
		typ := keepingTypes[ch.of(len(keepingTypes))]
		col := Column{Name: own.next(), Type: typ.SQL}
		if ch.often(2) {
			col.Default, col.NotNull = quoteText(typ.words[0])+"::"+typ.SQL, true
		}
		sp.target.Columns = append(sp.target.Columns, &worldColumn{Column: col, typ: typ})
	}
	pattern.Create = sp.create()
	c.Pattern = lens.Definition{SplitTable: pattern}
}

func (s *splitting) create() string {
	var parts []string
	for _, c := range s.target.Columns {
		parts = append(parts, c.declare(c.Name))
	}
	parts = append(append(parts, s.checks[NewSide]...), map[bool]string{false: "PRIMARY KEY", true: "UNIQUE"}[s.unique]+" ("+quoted(s.target.key())+")")
	if c := s.target.of; c.Unique {
		parts = append(parts, "CONSTRAINT one_value_new UNIQUE ("+catalog.QuoteIdent(c.Columns[NewSide][0].Name)+")")
	}
	if s.refers != "" {
		parts = append(parts, fmt.Sprintf("FOREIGN KEY (%s) REFERENCES public.%s (%s) %s", quoted(s.target.key()), catalog.QuoteIdent(s.table), quoted(s.key), s.refers))
	}
	return "CREATE TABLE public." + catalog.QuoteIdent(s.target.Name) + " (" + strings.Join(parts, ", ") + ")"
}

func quoted(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, catalog.QuoteIdent(n))
	}
	return strings.Join(out, ", ")
}

// stageOf is a stage at which the tables of a split are in that form.
func stageOf(f Form) lens.Stage {
	switch f {
	case Served:
		return lens.Stage{Phase: lens.SwitchReads, Proved: true}
	case Released:
		return lens.Stage{Phase: lens.Complete, Step: lens.WriteNew, Proved: true}
	case NewOnly:
		return lens.Stage{Phase: lens.Complete, Proved: true}
	default:
		return lens.Stage{Phase: lens.DualWrite}
	}
}

// makeSplit makes the new table and the guard of both, as a migration does.
func (w *World) makeSplit(ctx context.Context, conn *pgx.Conn, s shape) error {
	c := w.splitting()
	if c == nil || s[0] == OldOnly || s[0] == RefNew {
		return nil
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return migrate.MakeSplit(ctx, tx, c.Definition(), stageOf(s[0])) })
}

// splitSeed goes on with the new table's rows: of a form that is not filled, every second one.
func (w *World) splitSeed(c *change, s shape, sql []string) []string {
	f, sp := s[0], c.split
	if f == OldOnly {
		return sql
	}
	var source, into, values, filled []string
	table := w.Tables[0]
	for _, col := range table.Columns {
		source = append(source, catalog.QuoteIdent(col.Name))
	}
	for i, k := range sp.key {
		into, values = append(into, catalog.QuoteIdent(sp.target.Columns[i].Name)), append(values, "s."+catalog.QuoteIdent(k))
	}
	for i, col := range c.Columns[OldSide] {
		into, values = append(into, catalog.QuoteIdent(c.Columns[NewSide][i].Name)), append(values, "s."+catalog.QuoteIdent(col.Name))
		filled = append(filled, "s."+catalog.QuoteIdent(col.Name)+" IS NOT NULL")
	}
	where := "(" + strings.Join(filled, " OR ") + ")"
	if f == Unfilled {
		where += " AND s.id % 2 = 1"
	}
	var rows []string
	for _, r := range table.Rows {
		var vals []string
		for i, v := range r {
			if v != sqlNull && v != "DEFAULT" {
				v = quoteText(v)
			} else {
				v = sqlNull
			}
			vals = append(vals, v+"::"+table.Columns[i].Type)
		}
		rows = append(rows, "("+strings.Join(vals, ", ")+")")
	}
	tables := []string{catalog.QuoteIdent(sp.table), catalog.QuoteIdent(sp.target.Name)}
	for _, t := range tables {
		sql = slices.Insert(sql, 1, "ALTER TABLE "+t+" DISABLE TRIGGER USER")
	}
	if len(rows) > 0 {
		sql = append(sql, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM (VALUES %s) AS s (%s) WHERE %s ORDER BY s.id",
			tables[1], strings.Join(into, ", "), strings.Join(values, ", "), strings.Join(rows, ", "), strings.Join(source, ", "), where))
	}
	for _, t := range tables {
		sql = append(sql, "ALTER TABLE "+t+" ENABLE TRIGGER USER")
	}
	return sql
}

// pairs writes, for each column of the key or each that moves, something about it on both sides.
func (c *change) keyPairs(text func(old, moved string) string) (out []string) {
	for i, k := range c.split.key {
		out = append(out, text(catalog.QuoteIdent(k), catalog.QuoteIdent(c.split.target.Columns[i].Name)))
	}
	return out
}

func (c *change) movedPairs(text func(old, moved string) string) (out []string) {
	for i, col := range c.Columns[OldSide] {
		out = append(out, text(catalog.QuoteIdent(col.Name), catalog.QuoteIdent(c.Columns[NewSide][i].Name)))
	}
	return out
}

// splitContents gives the query of everything that a statement may have changed, as code sees it. Where both tables stand, it ends with the keys of which they do not say the same. What is put off to
// the end of the transaction is looked at first.
func (w *World) splitContents(c *change, f Form, side Side) string {
	queries := []string{"SET CONSTRAINTS ALL IMMEDIATE"}
	for _, t := range w.Tables {
		var cols []string
		for _, col := range t.Columns {
			if col.change == nil || side == OldSide {
				cols = append(cols, catalog.QuoteIdent(col.Name))
			}
		}
		queries = append(queries, "SELECT "+strings.Join(cols, ", ")+" FROM "+catalog.QuoteIdent(t.Name)+" ORDER BY id")
	}
	old, moved := catalog.QuoteIdent(c.split.table), catalog.QuoteIdent(c.split.target.Name)
	filled := strings.Join(c.movedPairs(func(old, _ string) string { return "s." + old + " IS NOT NULL" }), " OR ")
	if side == NewSide {
		cols := append(c.keyPairs(func(_, moved string) string { return moved }), c.movedPairs(func(_, moved string) string { return moved })...)
		if f == OldOnly || f == Unfilled { // what is to be there is what the old table says
			cols = append(c.keyPairs(func(old, moved string) string { return "s." + old + " AS " + moved }), c.movedPairs(func(old, moved string) string { return "s." + old + " AS " + moved })...)
		}
		for _, col := range c.split.target.Columns[len(c.split.key):] {
			switch {
			case col.change != nil:
			case f != OldOnly && f != Unfilled:
				cols = append(cols, catalog.QuoteIdent(col.Name))
			case col.Default != "":
				cols = append(cols, col.Default+" AS "+catalog.QuoteIdent(col.Name))
			default:
				cols = append(cols, "NULL AS "+catalog.QuoteIdent(col.Name))
			}
		}
		from := " FROM " + moved
		if f == OldOnly || f == Unfilled {
			from = " FROM " + old + " s WHERE " + filled
		}
		queries = append(queries, "SELECT "+strings.Join(cols, ", ")+from+" ORDER BY "+strings.Join(c.keyPairs(func(old, moved string) string {
			if f == OldOnly || f == Unfilled {
				return "s." + old
			}
			return moved
		}), ", "))
	}
	for _, t := range w.Tables {
		queries = append(queries, fmt.Sprintf("SELECT pg_sequence_last_value(pg_get_serial_sequence(%s, 'id'))", quoteText(catalog.QuoteIdent(t.Name))))
	}
	queries = append(queries, "SELECT last_value FROM ticks")
	if f.has(OldSide) && f.has(NewSide) {
		on := strings.Join(c.keyPairs(func(old, moved string) string { return "s." + old + " = m." + moved }), " AND ")
		key := c.keyPairs(func(_, moved string) string { return "m." + moved })[0]
		alike := sameImage(c.movedPairs(func(old, _ string) string { return "s." + old }), c.movedPairs(func(_, moved string) string { return "m." + moved }))
		unfilled := ""
		if f == Unfilled {
			unfilled = fmt.Sprintf(" AND NOT (%s IS NULL AND s.id %% 2 = 0 AND s.id BETWEEN 1 AND %d)", key, len(w.Tables[0].Rows))
		}
		queries = append(queries, fmt.Sprintf("SELECT s::text, m::text FROM %s s FULL JOIN %s m ON %s WHERE (s.id IS NULL OR (%s) <> (%s IS NOT NULL) OR %[5]s IS NOT NULL AND NOT %s)%s",
			old, moved, on, filled, key, alike, unfilled))
	}
	return strings.Join(queries, "; ")
}

// logical takes the last query's result out of what splitContents asks for.
func (c *change) logical(f Form, events []Event) (out []Event, apart string) {
	if !f.has(OldSide) || !f.has(NewSide) || failure(events) != nil {
		return events, ""
	}
	last := len(events) - 1
	for last >= 0 && events[last].Kind != RowDescription {
		if events[last].Kind == DataRow {
			apart += showAll(events[last].Values) + "\n"
		}
		last--
	}
	rest := slices.DeleteFunc(slices.Clone(events[last:]), func(e Event) bool { return e.Kind != ReadyForQuery })
	return append(slices.Clone(events[:last]), rest...), apart
}
