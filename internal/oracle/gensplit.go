package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// early notes that new code does something to a table that is being split which it can do from switch-reads on.
func (g *gen) early(t *genTable, old bool) {
	if g.world.splitting() != nil && g.script.Code[0] == NewSide && (old || t.table.of != nil) {
		g.script.Early = true
	}
}

// halves is a join of both tables of a split.
func (g *gen) halves(a, b string) (string, scope) {
	first, second := g.tables[0].as(a), g.tables[2].as(b)
	on := second.id() + " = " + first.id()
	if g.often(3) {
		on += " AND " + g.cond(scope{first, second}, 1)
	}
	return g.tableName(g.tables[0]) + " " + a + g.pick(" JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ") + g.tableName(g.tables[2]) + " " + b + " ON " + on, scope{first, second}
}

// keyUpdate is an assignment to the key of one of the tables of a split, now and then.
func (g *gen) keyUpdate(t *genTable, own rel) string {
	c := g.world.splitting()
	if c == nil || t == g.tables[1] || !g.often(8) {
		return ""
	}
	g.early(t, true)
	if t.table.of == nil && t.cols[0].col.identity == "ALWAYS" {
		return ""
	}
	return g.ident(t.key[0]) + " = " + g.pick(own.id()+" + 100", own.id(), "13", own.id()+" - 0", "("+own.id()+" + 50)")
}

// keyValues are those of a row of the new table: mostly of one of the old table's rows.
func (g *gen) keyValues(t *genTable) []string {
	return t.table.of.split.keyOf(1 + g.of(13))
}

// insertMoved is an INSERT into the new table of a split.
func (g *gen) insertMoved(t *genTable) string {
	g.script.Writes = true
	name := g.tableName(t)
	alias, as := strings.TrimPrefix(name, "public."), ""
	if g.often(3) {
		alias = g.alias()
		as = " AS " + alias
	}
	own := t.as(alias)
	cols := g.some(t, 3)
	bare := g.often(8)
	if bare {
		g.script.Star = true
		cols = slices.Clone(t.cols[len(t.key):])
	}
	names := slices.Clone(t.key)
	for i := range names {
		names[i] = g.ident(names[i])
	}
	for i := range cols {
		names = append(names, g.ident(cols[i].name))
	}
	text := "INSERT INTO " + name + as
	if !bare {
		text += " (" + strings.Join(names, ", ") + ")"
	}
	text += g.blank()
	if g.often(3) {
		a := g.alias()
		s := scope{g.tables[0].as(a)}
		var targets []string
		for _, k := range t.table.of.split.key {
			targets = append(targets, a+"."+g.ident(k))
		}
		for i := range cols {
			targets = append(targets, g.value(&cols[i], s, nil))
		}
		text += "SELECT " + strings.Join(targets, ", ") + " FROM " + g.tableName(g.tables[0]) + " " + a + g.where(s, 1)
		if g.often(2) {
			text += " ORDER BY " + s[0].id()
		}
	} else {
		var rows []string
		for range 1 + g.of(3) {
			row := g.keyValues(t)
			for i := range cols {
				switch {
				case g.often(8):
					row = append(row, "DEFAULT")
				case cols[i].family == texts && g.often(12) && cols[i].typ != typeChar && len(rows) == 0:
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

// mergeMoved is a MERGE between the tables of a split.
func (g *gen) mergeMoved() string {
	g.script.Writes = true
	t, source := g.tables[2], g.tables[0]
	if g.often(3) {
		source = g.tables[1]
	}
	a, b := g.alias(), g.alias()
	own, src := t.as(a), source.as(b)
	s := scope{own, src}
	text := "MERGE INTO " + g.tableName(t) + " " + a + " USING " + g.tableName(source) + " " + b + " ON " + own.id() + " = " + src.id() + g.pick("", " + 1", " AND "+g.cond(scope{src}, 1))
	and := func(s scope) string {
		if g.often(3) {
			return " AND " + g.cond(s, 1)
		}
		return ""
	}
	for range 1 + g.of(2) {
		var sets []string
		for _, c := range g.some(t, 2) {
			sets = append(sets, g.ident(c.name)+" = "+g.value(&c, s, &own))
		}
		text += " WHEN MATCHED" + and(s) + " THEN " + g.pick("UPDATE SET "+strings.Join(sets, ", "), "UPDATE SET "+strings.Join(sets, ", "), "DELETE", "DO NOTHING")
	}
	if source == g.tables[0] && g.often(2) {
		names, vals := []string{}, []string{}
		for i, k := range t.table.of.split.key {
			names, vals = append(names, g.ident(t.key[i])), append(vals, b+"."+g.ident(k))
		}
		for _, c := range g.some(t, 2) {
			names, vals = append(names, g.ident(c.name)), append(vals, g.value(&c, scope{src}, nil))
		}
		text += " WHEN NOT MATCHED" + and(scope{src}) + " THEN INSERT (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(vals, ", ") + ")"
	}
	return text
}

// lockingHalves is a SELECT that locks rows of one of the tables of a split, or of both.
func (g *gen) lockingHalves() string {
	a, b := g.alias(), g.alias()
	first, second := g.tables[0].as(a), g.tables[2].as(b)
	s := scope{first, second}
	g.step.Ordered = true
	text := fmt.Sprintf("SELECT %s, %s FROM %s %s JOIN %s %s ON %s = %s", second.id(), g.expr(g.family(s), s, 1), g.tableName(g.tables[0]), a, g.tableName(g.tables[2]), b, second.id(), first.id())
	if g.often(2) {
		text += " WHERE " + g.cond(s, 1)
	}
	return text + " ORDER BY " + second.id() + g.limit() + g.pick(" FOR UPDATE", " FOR SHARE", " FOR UPDATE OF "+b, " FOR SHARE OF "+a, " FOR NO KEY UPDATE NOWAIT", " FOR KEY SHARE OF "+b+" FOR UPDATE OF "+a, " FOR UPDATE SKIP LOCKED")
}
