package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// group is the columns that a migration ties together, with what the table says of them. Where SQL is written, row is what qualifies the columns: NEW, OLD
// or a table's alias.
type group struct {
	*lens.Group
	migration string
	relation  string        // the table's name, as SQL, where a CHECK is to compare its columns; else ""
	old, new  []groupColumn // in the order of Group's Old and New
}

// groupColumn is a column of a group.
type groupColumn struct {
	name    string
	typ     string // as SQL
	image   bool   // the type's = means the same image
	def     string // of an old column: the default that stands on it, or stood before (a3); of a new one: what it gets then; "" for none
	notNull bool   // of an old column: NOT NULL stands on it, or stood before (a3)
}

// readGroup reads the group's columns. A new column that is not there yet is as the definition says it will be.
func readGroup(ctx context.Context, q queryer, m *migration) (*group, error) {
	lg, err := m.Definition.Group()
	if err != nil {
		return nil, fmt.Errorf("migration %s: %w", m.Name, err)
	}
	if lg.Adding { // what stays is as an old side that nothing leads back to
		c := *lg
		for _, name := range lg.Stay {
			c.Old = append(c.Old, lens.OldColumn{Name: name})
		}
		lg = &c
	}
	g := &group{Group: lg, migration: m.Name}
	if m.Definition.Proof == "check" {
		if err := q.QueryRow(ctx, "SELECT COALESCE((SELECT quote_ident(relname) FROM pg_class WHERE oid = $1), '')", m.Table).Scan(&g.relation); err != nil {
			return nil, fmt.Errorf("looking for the table: %w", err)
		}
	}
	for _, o := range lg.Old {
		c, err := readColumn(ctx, q, m.Table, o.Name)
		if err != nil {
			return nil, err
		}
		x := groupColumn{name: o.Name, typ: c.Type, image: c.Image, def: c.Default, notNull: c.NotNull}
		switch {
		case lg.Adding:
			x.def, x.notNull = "", false // they stay where they are
		case m.Relaxed != nil:
			x.def, x.notNull = m.Relaxed.Old[o.Name].Default, m.Relaxed.Old[o.Name].NotNull
		}
		g.old = append(g.old, x)
	}
	for _, n := range lg.New {
		x := groupColumn{name: n.Name, typ: n.Type}
		c, err := readColumn(ctx, q, m.Table, n.Name)
		switch {
		case errors.Is(err, errNoColumn):
			if lg.Same {
				x.typ, x.image = g.old[0].typ, g.old[0].image
			}
		case err != nil:
			return nil, err
		default:
			x.typ, x.image = c.Type, c.Image
		}
		g.new = append(g.new, x)
	}
	for i := range g.new {
		if err := g.readDefault(ctx, q, i); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// readDefault finds the default that a new column gets at (a3): the definition's, or what the old columns' come to. Where they have none, and the column may not be
// NULL, `up` may make something of NULLs. It calls no function of Segue's, since it stays in the table.
func (g *group) readDefault(ctx context.Context, q queryer, i int) error {
	def, n := &g.new[i].def, g.New[i]
	switch {
	case n.Default != "":
		*def = "((" + n.Default + ")::" + g.new[i].typ + ")"
	case g.Adding:
	case g.Same:
		*def = g.old[0].def
	case g.oldDefaults():
		*def = g.upOfDefaults(i)
	case n.NotNull:
		up, set := g.upOfDefaults(i), false
		if err := q.QueryRow(ctx, "SELECT "+up+" IS NOT NULL").Scan(&set); err != nil {
			return fmt.Errorf("trying `up` of %s on NULLs: %w", n.Name, err)
		}
		if set {
			*def = up
		}
	}
	return nil
}

// upOfDefaults is what the old columns' defaults come to in a new one, as SQL.
func (g *group) upOfDefaults(i int) string {
	return "((" + g.New[i].Convert.Expand(g.oldDefault) + ")::" + g.new[i].typ + ")"
}

// single says that one column takes the place of one.
func (g *group) single() bool { return len(g.old) == 1 && len(g.new) == 1 && !g.Adding }

func (c groupColumn) of(row string) string { return row + "." + catalog.QuoteIdent(c.name) }

// differs is an SQL condition that is true where two values of the column are not the same image. It is kept small where the type allows: PostgreSQL
// reads a WHEN from its text form in every statement.
func (c groupColumn) differs(a, b string) string {
	if c.image {
		return fmt.Sprintf("%s IS DISTINCT FROM %s", a, b)
	}
	return fmt.Sprintf("NOT pg_catalog.record_image_eq(ROW(%s), ROW(%s))", a, b)
}

// up and down are what the other side says of the i-th column of a side, to be assigned: so what is too long is an error.
func (g *group) up(i int, row string) string   { return g.New[i].Up.Over(row) }
func (g *group) down(i int, row string) string { return g.Old[i].Down.Over(row) }

// upRead and downRead are the same as values of the column's type: the lens' forms.
func (g *group) upRead(i int, row string) string {
	if g.Same {
		return g.up(i, row)
	}
	return "((" + g.up(i, row) + ")::" + g.new[i].typ + ")"
}

func (g *group) downRead(i int, row string) string {
	if g.Same {
		return g.down(i, row)
	}
	return "((" + g.down(i, row) + ")::" + g.old[i].typ + ")"
}

// upApart is true where a new column is not the image of the old ones.
func (g *group) upApart(row string) string {
	var conds []string
	for i, n := range g.new {
		conds = append(conds, n.differs(n.of(row), g.upRead(i, row)))
	}
	return strings.Join(conds, " OR ")
}

// downApart is true where an old column is not the image of the new ones; "" where there is no way back for any.
func (g *group) downApart(row string) string {
	var conds []string
	for i, o := range g.old {
		if g.Old[i].Down != nil {
			conds = append(conds, o.differs(o.of(row), g.downRead(i, row)))
		}
	}
	return strings.Join(conds, " OR ")
}

// apart is true where the row's group does not agree. A lossy group agrees where one side is the image of the other. That a NULL in the new column agrees
// only by `up` needs words only where `up` makes something of NULLs, which it may where the new column is not null.
func (g *group) apart(row string) string {
	up, down := g.upApart(row), g.downApart(row)
	switch {
	case g.Same || down == "" || g.Lossy && g.OneWay():
		return up
	case g.Lossy && slices.ContainsFunc(g.New, func(n lens.NewColumn) bool { return n.NotNull }):
		return "(" + up + ") AND (" + down + " OR " + unset(g.new, row) + ")"
	case g.Lossy:
		return "(" + up + ") AND (" + down + ")"
	}
	return up + " OR " + down
}

// lost is true where a row of a lossy group agrees in one direction only.
func (g *group) lost(row string) string {
	up, down := g.upApart(row), g.downApart(row)
	if !g.Lossy || down == "" {
		return "false"
	}
	return "NOT COALESCE(" + g.apart(row) + ", false) AND ((" + up + ") OR (" + down + "))"
}

// unset is true where all columns of a side are null. IS NULL is not that: it is true of a row of nulls, too.
func unset(side []groupColumn, row string) string {
	if len(side) == 0 {
		return "false"
	}
	var cols []string
	for _, c := range side {
		cols = append(cols, c.of(row))
	}
	return fmt.Sprintf("pg_catalog.num_nonnulls(%s) = 0", strings.Join(cols, ", "))
}

// unfilled is true where the new columns are null and the old ones say otherwise. Only such rows are filled: others are as their writers left them, with the
// guard in place.
func (g *group) unfilled(row string) string {
	var ups []string
	for i := range g.new {
		ups = append(ups, g.up(i, row))
	}
	return unset(g.new, row) + " AND pg_catalog.num_nonnulls(" + strings.Join(ups, ", ") + ") > 0"
}

// assignNew and assignOld are the assignments of SET that make one side the image of the other. Old columns without a way back stay.
func (g *group) assignNew(row string) string {
	var out []string
	for i, n := range g.new {
		out = append(out, catalog.QuoteIdent(n.name)+" = "+g.up(i, row))
	}
	return strings.Join(out, ", ")
}

func (g *group) assignOld(row string) string {
	var out []string
	for i, o := range g.old {
		if g.Old[i].Down != nil {
			out = append(out, catalog.QuoteIdent(o.name)+" = "+g.down(i, row))
		}
	}
	return strings.Join(out, ", ")
}

// moved is true where an UPDATE changed a column of a side.
func moved(side []groupColumn) string {
	if len(side) == 0 {
		return "false"
	}
	var conds []string
	for _, c := range side {
		conds = append(conds, c.differs(c.of("NEW"), c.of("OLD")))
	}
	return strings.Join(conds, " OR ")
}

// oldDefaults says whether any old column has a default.
func (g *group) oldDefaults() bool {
	for _, o := range g.old {
		if o.def != "" {
			return true
		}
	}
	return false
}

// oldDefault is the default of an old column as a value of its type.
func (g *group) oldDefault(name string) string {
	for _, o := range g.old {
		if o.name == name && o.def != "" {
			return "((" + o.def + ")::" + o.typ + ")"
		}
		if o.name == name {
			return "(NULL::" + o.typ + ")"
		}
	}
	return "NULL"
}

// newDefaults says whether any new column gets a default at (a3). One that comes beside others gets it when the migration is retired.
func (g *group) newDefaults() bool {
	return !g.Adding && slices.ContainsFunc(g.new, func(n groupColumn) bool { return n.def != "" })
}

// demand is a CHECK that stands while the migration does, in the place of a NOT NULL.
type demand struct {
	name   string // of the constraint
	column string // the new column that takes NOT NULL over at (a3); "" where the CHECK stays until old code is gone
	cond   string
	def    string // the whole constraint, where it is no CHECK of cond
	loose  bool   // it is for new rows only, and stays so
	what   string // for people
}

// demands lists what the new columns have to hold: what the definition asks for, and what the old columns' NOT NULL comes to. A lossy group holds
// NULLs where the old side has values, so there it comes to nothing.
func (g *group) demands() []demand {
	var out []demand
	for i, n := range g.new {
		if g.New[i].NotNull || g.single() && !g.Lossy && !g.OneWay() && g.old[0].notNull {
			out = append(out, demand{name: notNullName(g.migration, n.name), column: n.name, cond: catalog.QuoteIdent(n.name) + " IS NOT NULL", what: "that no " + n.name + " is null"})
		}
	}
	for i, n := range g.new {
		if c := g.New[i].Check; c != nil {
			out = append(out, demand{name: checkName(g.migration, n.name), cond: c.Expand(catalog.QuoteIdent), what: "that " + n.name + " is as `check` says"})
		}
	}
	if g.relation != "" {
		out = append(out, demand{name: proofName(g.migration), cond: "NOT (" + g.apart(g.relation) + ")", what: "that every row agrees"})
	}
	if g.single() || g.Lossy {
		return out
	}
	for i, o := range g.old {
		if o.notNull && g.Old[i].Down != nil {
			cond := "(" + g.Old[i].Down.Expand(catalog.QuoteIdent) + ") IS NOT NULL"
			out = append(out, demand{name: keptName(g.migration, o.name), cond: cond, what: "that no " + o.name + " would be null"})
		}
	}
	return out
}

// names lists columns for people.
func names(side []groupColumn) string {
	var out []string
	for _, c := range side {
		out = append(out, catalog.QuoteIdent(c.name))
	}
	return strings.Join(out, ", ")
}
