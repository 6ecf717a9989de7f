package oracle

import (
	"fmt"
	"slices"
	"strings"

	"segue/rewrite/catalog"
)

// value is what is written to a column: s is what it can be computed from, and own the table's relation in it, nil where there is none.
func (g *gen) value(c *genColumn, s scope, own *rel) string {
	if c.change == nil {
		switch {
		case c.col.ref != nil:
			return g.pick("1", "2", "NULL", "7")
		case c.col.unique:
			return g.one(
				func() string { return quoteText(fmt.Sprintf("n%d@x", g.of(40))) },
				func() string { return "NULL" },
				func() string { return quoteText(fmt.Sprintf("u%d@x", 1+g.of(12))) },
			)
		}
		return g.cast(g.expr(c.family, s, 1), c)
	}
	if c.change.lossy {
		g.script.Lossy = g.script.Lossy || g.script.Code[g.world.indexOf(c.change)] == NewSide
	}
	word := func() string { return g.own(c) }
	if own == nil {
		return word()
	}
	g.null(c) // what is read may be NULL
	col := own.alias + "." + g.ident(c.name)
	switch g.of(9) {
	case 3:
		return col
	case 4:
		return "COALESCE(" + col + ", " + word() + ")"
	case 5:
		return "CASE WHEN " + g.cond(s, 1) + " THEN " + col + " ELSE " + word() + " END"
	case 6:
		if g.free(c) {
			return g.cast(g.expr(c.family, s, 2), c)
		}
	case 7:
		if g.free(c) {
			switch c.family {
			case texts:
				return g.pick("upper(", "lower(", "btrim(") + col + ")"
			case ints:
				return col + g.pick(" + 1", " - 1", " * 2")
			case numbers:
				return col + g.pick(" + 1", " * 1.5", " / 4")
			}
		}
	case 8:
		return "(SELECT " + col + ")"
	}
	return word()
}

// cast makes an expression one that the column takes, where its family is wider than the column.
func (g *gen) cast(e string, c *genColumn) string {
	if c.typ.SQL != ofFamily[c.family].SQL && c.typ != typeVarchar {
		return "(" + e + ")::" + c.typ.SQL
	}
	return e
}

// own is one of the column's own values.
func (g *gen) own(c *genColumn) string {
	v := g.word(c.typ, c.words, true)
	if strings.HasPrefix(v, sqlNull) || g.params {
		g.null(c)
	}
	return v
}

// null notes that the column may become NULL: one of several may not be so alone.
func (g *gen) null(c *genColumn) {
	if len(c.change.Columns[OldSide])+len(c.change.Columns[NewSide]) > 2 && !c.change.splits() {
		g.script.Risky = true
	}
}

// free says that any value may be written to the column, and notes that it may have no form on the other side. A lossy one would come back as another.
func (g *gen) free(c *genColumn) bool {
	if c.change.lossy {
		return false
	}
	g.script.Risky = g.script.Risky || !c.change.splits()
	return true
}

// preset notes what leaving a column to its default does.
func (g *gen) preset(c *genColumn) {
	if c.change == nil {
		return
	}
	if !c.preset {
		g.null(c)
	}
	if c.change.lossy && g.script.Code[g.world.indexOf(c.change)] == NewSide {
		g.script.Lossy = true
	}
}

// writable are the columns that can be assigned.
func (t *genTable) writable() []genColumn {
	return slices.DeleteFunc(slices.Clone(t.cols[len(t.key):]), func(c genColumn) bool { return c.col != nil && c.col.generated != "" })
}

// some chooses columns to write: mostly one that migrates among them.
func (g *gen) some(t *genTable, most int) []genColumn {
	all := t.writable()
	var out []genColumn
	take := func(i int) {
		out = append(out, all[i])
		all = slices.Delete(all, i, i+1)
	}
	var own []int
	for i := range all {
		if all[i].change != nil {
			own = append(own, i)
		}
	}
	if len(own) > 0 && g.of(5) < 4 {
		take(own[g.of(len(own))])
	}
	for range g.of(most) {
		if len(all) > 0 {
			take(g.of(len(all)))
		}
	}
	if len(out) == 0 {
		take(g.of(len(all)))
	}
	return out
}

func (g *gen) insert() string {
	t := g.anyTable()
	if t.table.of != nil {
		return g.insertMoved(t)
	}
	g.root = true // a row that does not belong into a partition is another error where the guard stands
	defer func() { g.root = false }()
	g.script.Writes = true
	name := g.tableName(t)
	alias, as := strings.TrimPrefix(name, "public."), ""
	if g.often(3) {
		alias = g.alias()
		as = " AS " + alias
	}
	own := t.as(alias)
	if g.often(20) {
		for i := range t.cols {
			g.preset(&t.cols[i])
		}
		return "INSERT INTO " + name + as + " DEFAULT VALUES" + g.returning(scope{own})
	}
	cols := g.some(t, 3)
	client := t.cols[0].col.identity == "" // the key's values are the client's
	g.early(t, t.table == g.tables[0].table)
	withID := client || t.cols[0].col.identity != "ALWAYS" && g.often(3)
	list := ""
	bare := g.often(12) // without a list, in the order of the table
	if bare {
		cols = nil
		for _, c := range t.cols[1:] {
			if c.col != nil && c.col.generated != "" {
				break
			}
			cols = append(cols, c)
		}
		withID = t.cols[0].col.identity != "ALWAYS"
		if !withID {
			cols = nil
		}
	}
	if len(cols) == 0 {
		cols = g.some(t, 2)
		bare, withID = false, client
	}
	g.script.Star = g.script.Star || bare
	if !bare || g.often(2) {
		var names []string
		if withID {
			names = append(names, g.ident("id"))
		}
		for i := range cols {
			names = append(names, g.ident(cols[i].name))
		}
		list = " (" + strings.Join(names, ", ") + ")"
	}
	for i := range t.cols[1:] { // what is left out gets its default
		if c := &t.cols[i+1]; !slices.ContainsFunc(cols, func(x genColumn) bool { return x.name == c.name }) {
			g.preset(c)
		}
	}
	text := "INSERT INTO " + name + as + list + g.blank()
	if g.often(4) {
		text += g.insertSelect(cols, withID)
	} else {
		var rows []string
		for range 1 + g.of(3) {
			var row []string
			if withID {
				row = append(row, g.pick("200", "201", "1", "202"))
			}
			for i := range cols {
				switch {
				case g.often(8):
					row = append(row, "DEFAULT")
					g.preset(&cols[i])
				case cols[i].family == texts && g.often(12) && (cols[i].change == nil || cols[i].change.kind == "rename" || cols[i].change.splits()) && cols[i].typ != typeChar && !g.multi(rows, row):
					row = append(row, "tick()")
				default:
					row = append(row, g.value(&cols[i], nil, nil))
				}
			}
			rows = append(rows, "("+strings.Join(row, ", ")+")")
		}
		text += "VALUES " + strings.Join(rows, ", ")
	}
	return text + g.conflict(t, own) + g.returning(scope{own})
}

// multi says that a call of tick may be among the rows, or in the one that is being made, already: the order of two would be open.
func (g *gen) multi(rows, row []string) bool { return len(rows) > 0 || slices.Contains(row, "tick()") }

// insertSelect is the source of an INSERT. Its order settles which id a row gets.
func (g *gen) insertSelect(cols []genColumn, withID bool) string {
	from, s := g.from(1)
	keyed := !slices.ContainsFunc(s, func(r rel) bool { return !r.keyed })
	if !keyed {
		t := g.anyTable()
		a := g.alias()
		from, s = g.tableName(t)+" "+a, scope{t.as(a)}
	}
	var targets []string
	if withID {
		targets = append(targets, "300 + "+s[0].id())
	}
	var own *rel
	for i := range cols {
		if c := &cols[i]; c.change != nil && slices.ContainsFunc(s[0].cols, func(x genColumn) bool { return x.name == c.name && x.change == c.change }) {
			own = &s[0]
		} else {
			own = nil
		}
		targets = append(targets, g.value(&cols[i], s, own))
	}
	text := "SELECT " + strings.Join(targets, ", ") + " FROM " + from + g.where(s, 1)
	if withID && len(s) == 1 && g.of(3) < 2 {
		return text
	}
	var order []string
	for _, r := range s {
		order = append(order, r.id())
	}
	return text + " ORDER BY " + strings.Join(order, ", ")
}

func (g *gen) conflict(t *genTable, own rel) string {
	ex := t.as("EXCLUDED")
	ex.whole = false
	s := scope{own, ex}
	target := "(" + quoted(t.key) + ")"
	if slices.ContainsFunc(t.cols, func(c genColumn) bool { return c.col != nil && c.col.unique }) && g.often(2) {
		target = "(email)"
	}
	if own := slices.IndexFunc(t.cols, func(c genColumn) bool { return c.change != nil && c.change.Unique }); own >= 0 && g.of(3) < 2 {
		target = "(" + g.ident(t.cols[own].name) + ")"
		if g.often(4) {
			target = "ON CONSTRAINT one_value" + t.cols[own].change.Suffix
			if t.table.of != nil {
				target = "ON CONSTRAINT one_value_new"
			}
		}
	}
	switch g.of(4) {
	case 2:
		return " ON CONFLICT" + g.pick("", " "+target) + " DO NOTHING"
	case 3:
		var sets []string
		for _, c := range g.some(t, 2) {
			v := ""
			switch g.of(4) {
			case 0, 1:
				v = "EXCLUDED." + g.ident(c.name)
			case 2:
				v = g.value(&c, s, &own)
			case 3:
				v = "DEFAULT"
				g.preset(&c)
			}
			if c.change != nil {
				g.half(c)
			}
			sets = append(sets, g.ident(c.name)+" = "+v)
		}
		text := " ON CONFLICT " + target + " DO UPDATE SET " + strings.Join(sets, ", ")
		if g.often(3) {
			text += " WHERE " + g.cond(s, 1)
		}
		return text
	}
	return ""
}

// half notes that one of several columns is written: the others may be NULL.
func (g *gen) half(c genColumn) {
	if len(c.change.Columns[g.script.Code[g.world.indexOf(c.change)]]) > 1 && !c.change.splits() {
		g.script.Risky = true
	}
}

// returning is a RETURNING clause, or nothing.
func (g *gen) returning(s scope) string {
	g.step.Ordered = false
	g.beside = len(s) - 1
	defer func() { g.beside = 0 }()
	switch g.of(6) {
	case 2:
		if c, ok := g.columnWhere(s[:1], func(c *genColumn) bool { return c.change != nil }); ok {
			return " RETURNING " + c
		}
		return " RETURNING " + s[0].id()
	case 3:
		return " RETURNING " + s[0].id() + ", " + g.expr(g.family(s), s, 1) + g.pick("", " AS x")
	case 4:
		g.script.Star = true
		if len(s) > 1 { // which of the other table's rows it was is open
			return " RETURNING " + s[0].alias + ".*"
		}
		return " RETURNING " + g.pick("*", s[0].alias+".*")
	case 5:
		return " RETURNING " + g.cond(s[:1], 1) + ", " + g.expr(ints, s[:1], 1)
	}
	return ""
}

func (g *gen) update() string {
	t := g.anyTable()
	g.script.Writes = true
	name := g.tableName(t)
	alias := strings.TrimPrefix(name, "public.")
	as := ""
	if g.often(2) {
		alias = g.alias()
		as = g.pick(" ", " AS ") + alias
	}
	own := t.as(alias)
	s := scope{own}
	from, join := "", ""
	if g.often(4) {
		b := g.alias()
		other := g.anyTable()
		from, join = " FROM "+g.tableName(other)+" "+b, b+"."+catalog.QuoteIdent(other.key[0])+" = "+own.id()+g.pick("", " + 1")
		s = append(s, other.as(b))
	}
	var sets []string
	cols := g.some(t, 3)
	for i := range cols {
		c := &cols[i]
		if c.change != nil {
			g.half(*c)
		}
		var v string
		switch {
		case g.often(8):
			v = "DEFAULT"
			g.preset(c)
		case c.family == texts && g.often(16) && from == "" && c.change != nil && (c.change.kind == "rename" || c.change.splits()) && c.typ != typeChar:
			v = "tick()"
		default:
			v = g.value(c, s, &own)
		}
		sets = append(sets, g.ident(c.name)+g.pick(" = ", "=")+v)
	}
	if key := g.keyUpdate(t, own); key != "" {
		sets = append(sets, key)
	}
	set := strings.Join(sets, ", ")
	switch {
	case len(cols) > 1 && g.often(4):
		set = "(" + g.ident(cols[0].name) + ", " + g.ident(cols[1].name) + ") = (" + g.value(&cols[0], s, &own) + ", " + g.value(&cols[1], s, &own) + ")"
	case len(cols) > 1 && g.often(5):
		set = "(" + g.ident(cols[0].name) + ", " + g.ident(cols[1].name) + ") = (SELECT " + g.cast(g.value(&cols[0], s, &own), &cols[0]) + ", " + g.cast(g.value(&cols[1], s, &own), &cols[1]) + ")"
	}
	where := ""
	if join != "" || g.often(2) || g.often(2) {
		var conds []string
		if join != "" {
			conds = append(conds, join)
		}
		switch {
		case join == "" && g.often(2):
			conds = append(conds, own.id()+" = "+g.literal(ints, true))
		case join == "" || g.often(2):
			conds = append(conds, g.cond(s, 2))
		}
		where = " WHERE " + strings.Join(conds, " AND ")
	}
	return g.with() + "UPDATE " + name + as + g.blank() + "SET " + set + from + where + g.returning(s)
}

func (g *gen) del() string {
	t := g.anyTable()
	g.script.Writes = true
	name := g.tableName(t)
	alias, as := strings.TrimPrefix(name, "public."), ""
	if g.often(2) {
		alias = g.alias()
		as = " " + alias
	}
	g.early(t, t.table == g.tables[0].table)
	s := scope{t.as(alias)}
	using, on := "", ""
	if g.often(4) {
		b := g.alias()
		other := g.anyTable()
		using, on = " USING "+g.tableName(other)+" "+b, b+"."+catalog.QuoteIdent(other.key[0])+" = "+s[0].id()+" AND "
		s = append(s, other.as(b))
	}
	return "DELETE FROM " + name + as + using + " WHERE " + on + g.cond(s, 2) + g.returning(s)
}

func (g *gen) merge() string {
	if len(g.tables) > 2 && g.often(2) {
		return g.mergeMoved()
	}
	t := g.tables[0]
	g.early(t, true)
	g.script.Writes = true
	g.root = true
	defer func() { g.root = false }()
	a, b := g.alias(), g.alias()
	own := t.as(a)
	src, source := g.tables[1].as(b), g.tableName(g.tables[1])+" "+b
	if g.often(3) {
		source = "(SELECT * FROM " + g.tableName(g.tables[1]) + ") " + b
		g.script.Star = true
	}
	s := scope{own, src}
	text := "MERGE INTO " + g.tableName(t) + " " + a + " USING " + source + " ON " + own.id() + " = " + src.id() + " + 6"
	and := func(s scope) string {
		if g.often(3) {
			return " AND " + g.cond(s, 1)
		}
		return ""
	}
	if g.of(3) < 2 {
		var sets []string
		for _, c := range g.some(t, 2) {
			if c.change != nil {
				g.half(c)
			}
			sets = append(sets, g.ident(c.name)+" = "+g.value(&c, s, &own))
		}
		text += " WHEN MATCHED" + and(s) + " THEN " + g.pick("UPDATE SET "+strings.Join(sets, ", "), "UPDATE SET "+strings.Join(sets, ", "), "DELETE")
	} else {
		text += " WHEN MATCHED" + and(s) + " THEN DO NOTHING"
	}
	if g.often(2) {
		cols := g.some(t, 2)
		var names, vals []string
		for i := range cols {
			names = append(names, g.ident(cols[i].name))
			vals = append(vals, g.value(&cols[i], scope{src}, nil))
		}
		for i := range t.cols[1:] {
			if c := &t.cols[i+1]; !slices.ContainsFunc(cols, func(x genColumn) bool { return x.name == c.name }) {
				g.preset(c)
			}
		}
		text += " WHEN NOT MATCHED" + and(scope{src}) + " THEN INSERT (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(vals, ", ") + ")"
	}
	return text
}

// dataModifying is a WITH in which something is written.
func (g *gen) dataModifying() string {
	write := g.one(g.del, g.update, g.insert)
	if !strings.Contains(write, " RETURNING ") {
		write += " RETURNING 1 AS one"
	}
	g.step.Ordered = false
	t := g.anyTable()
	return "WITH w AS (" + write + ") SELECT count(*) FROM w, " + g.tableName(t) + " z WHERE " + g.cond(scope{t.as("z")}, 1)
}

// copyOut is a COPY TO.
func (g *gen) copyOut() string {
	t := g.anyTable()
	g.step.Ordered = false
	with := g.pick("", "", " WITH CSV", " (FORMAT csv, HEADER)", " WITH (DELIMITER '|')")
	switch g.of(3) {
	case 0:
		var list []string
		for range 1 + g.of(3) {
			list = append(list, g.ident(t.cols[g.of(len(t.cols))].name))
		}
		slices.Sort(list)
		return "COPY " + g.tableName(t) + " (" + strings.Join(slices.Compact(list), ", ") + ") TO STDOUT" + with
	case 1:
		g.script.Star = true
		return "COPY " + g.tableName(t) + " TO STDOUT" + with
	}
	q := g.query()
	return "COPY (" + q + ") TO STDOUT" + with
}

// copyIn is a COPY FROM of two rows.
func (g *gen) copyIn() string {
	t := g.anyTable()
	g.root = true
	defer func() { g.root = false }()
	g.script.Writes = true
	cols := g.some(t, 3)
	if t.table.of != nil {
		cols = append(slices.Clone(t.cols[:len(t.key)]), cols...)
	}
	g.early(t, t.table == g.tables[0].table)
	csv := g.often(3)
	for i := range t.cols[1:] {
		if c := &t.cols[i+1]; !slices.ContainsFunc(cols, func(x genColumn) bool { return x.name == c.name }) {
			g.preset(c)
		}
	}
	var names []string
	for i := range cols {
		names = append(names, g.ident(cols[i].name))
		if cols[i].change != nil && cols[i].change.lossy && g.script.Code[g.world.indexOf(cols[i].change)] == NewSide {
			g.script.Lossy = true
		}
	}
	var data strings.Builder
	for r := range 1 + g.of(2) {
		var row []string
		for i := range cols {
			v := cols[i].words[g.of(len(cols[i].words))]
			switch {
			case cols[i].col != nil && cols[i].col.ref != nil:
				v = "1"
			case cols[i].col != nil && cols[i].col.unique:
				v = fmt.Sprintf("c%d@x", r)
			case t.table.of != nil && i < len(t.key):
				v = t.table.of.split.keyOf(1 + (5*r+3)%14)[i]
			}
			switch {
			case csv:
				v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
			default:
				v = strings.ReplaceAll(v, `\`, `\\`)
			}
			if g.often(10) && (t.table.of == nil || i >= len(t.key)) {
				v = map[bool]string{true: "", false: `\N`}[csv]
				if cols[i].change != nil {
					g.null(&cols[i])
				}
			}
			row = append(row, v)
		}
		sep := "\t"
		if csv {
			sep = ","
		}
		data.WriteString(strings.Join(row, sep) + "\n")
	}
	g.step.Copy = []byte(data.String())
	with := ""
	if csv {
		with = g.pick(" WITH CSV", " (FORMAT csv)", " CSV")
	}
	return "COPY " + g.tableName(t) + " (" + strings.Join(names, ", ") + ") FROM STDIN" + with
}
