package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// from makes a FROM clause and what can be named under it.
func (g *gen) from(depth int) (string, scope) {
	t := g.anyTable()
	name := g.tableName(t)
	bare := t.as(strings.TrimPrefix(name, "public."))
	a := g.alias()
	own := t.as(a)
	aliased := name + g.pick(" ", " AS ") + a
	switch g.of(16) {
	case 0, 1, 2:
		return name, scope{bare}
	case 3, 4:
		return aliased, scope{own}
	case 5, 6, 7: // by the foreign key
		b := g.alias()
		if len(g.tables) > 2 && g.often(2) {
			return g.halves(a, b)
		}
		first, second := g.tables[0].as(a), g.tables[1].as(b)
		on := b + ".ref = " + a + ".id"
		if g.often(3) {
			on += " AND " + g.cond(scope{first, second}, 1)
		}
		return g.tableName(g.tables[0]) + " " + a + g.pick(" JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ") + g.tableName(g.tables[1]) + " " + b + " ON " + on, scope{first, second}
	case 8:
		b := g.alias()
		other := g.anyTable()
		s := scope{own, other.as(b)}
		return aliased + g.pick(" JOIN ", " LEFT JOIN ", " INNER JOIN ") + g.tableName(other) + " " + b + " ON " + g.cond(s, 1), s
	case 9:
		b := g.alias()
		other := g.anyTable()
		return aliased + g.pick(", ", " CROSS JOIN ") + g.tableName(other) + " " + b, scope{own, other.as(b)}
	case 10:
		if depth > 0 {
			text, cols := g.derived(nil, depth-1)
			r := rel{alias: a, cols: cols, whole: true}
			list := ""
			if g.often(5) {
				r.cols = slices.Clone(cols)
				r.cols[0].name = "d"
				list = " (d)"
			}
			return "(" + text + ") " + g.pick("", "AS ") + a + list, scope{r}
		}
	case 11:
		b := g.alias()
		text, cols := g.derived(scope{own}, 0)
		return aliased + g.pick(" CROSS JOIN LATERAL (", ", LATERAL (") + text + ") " + b, scope{own, {alias: b, cols: cols, whole: true}}
	case 12:
		b := g.alias()
		other := g.anyTable()
		if t.key[0] != other.key[0] {
			return name, scope{bare}
		}
		// What both have by the name is merged, and has neither's alias.
		names := t.key[:1]
		s := scope{own.without(names[0]), other.as(b).without(names[0])}
		s = append(s, rel{alias: a, cols: own.cols[:1]})
		return aliased + g.pick(" JOIN ", " LEFT JOIN ") + g.tableName(other) + " " + b + " USING (" + g.ident(names[0]) + ")", s
	case 13:
		if len(g.ctes) > 0 {
			r := g.ctes[g.of(len(g.ctes))]
			return r.alias, scope{r}
		}
	case 14:
		return "ONLY " + aliased, scope{own}
	case 15:
		if c, ok := g.column(scope{own}, textLists); ok {
			b := g.alias()
			if g.often(3) { // the alias is the column's name, too
				return aliased + ", unnest(" + c + ") AS " + b, scope{own, {alias: b, cols: []genColumn{output(b, texts)}, call: true}}
			}
			return aliased + ", unnest(" + c + ") AS " + b + "(w)", scope{own, {alias: b, cols: []genColumn{output("w", texts)}, call: true}}
		}
		if g.often(3) {
			b := g.alias()
			return aliased + ", generate_series(1, 2) AS " + b + "(n)", scope{own, {alias: b, cols: []genColumn{output("n", ints)}, call: true}}
		}
		b := g.alias()
		return aliased + " JOIN (VALUES (1, 'Ann'), (2, 'Bob')) AS " + b + "(k, v) ON " + b + ".k = " + own.id(),
			scope{own, {alias: b, cols: []genColumn{{name: "v", family: texts, typ: typeText, words: typeText.words}}}}
	}
	return name, scope{bare}
}

// without gives the relation without a column.
func (r rel) without(name string) rel {
	r.cols = slices.DeleteFunc(slices.Clone(r.cols), func(c genColumn) bool { return c.name == name })
	return r
}

// output is a column that a query gives under a name.
func output(name string, f family) genColumn {
	t := ofFamily[f]
	return genColumn{name: name, family: f, typ: t, words: t.words}
}

// derived is a query that gives named columns, for FROM and WITH.
func (g *gen) derived(outer scope, depth int) (string, []genColumn) {
	from, s := g.from(depth)
	all := append(slices.Clone(s), outer...)
	var cols []genColumn
	var targets []string
	for i := range 1 + g.of(3) {
		f := g.family(all)
		if i == 0 && g.often(2) { // a column by its own name
			r := &s[0]
			if len(r.cols) > 0 {
				c := r.cols[g.of(len(r.cols))]
				c.change, c.strict = nil, false
				cols = append(cols, c)
				targets = append(targets, r.alias+"."+g.ident(c.name))
				continue
			}
		}
		name := fmt.Sprintf("c%d", i)
		cols = append(cols, output(name, f))
		targets = append(targets, g.expr(f, all, 1)+g.pick(" AS ", " AS ", " ")+name)
	}
	if g.often(10) { // every column of what is selected from
		g.script.Star = true
		r := s[0]
		if len(s) == 1 && len(r.cols) > 0 {
			out := slices.Clone(r.cols)
			for i := range out {
				out[i].change = nil
			}
			return "SELECT * FROM " + from + g.where(all, 1), out
		}
	}
	text := "SELECT " + strings.Join(targets, ", ") + g.blank() + "FROM " + from + g.where(all, 1)
	if g.often(10) {
		other, _ := g.from(0)
		var same []string
		for _, c := range cols {
			same = append(same, g.literal(c.family, false))
		}
		text += g.pick(" UNION ", " UNION ALL ", " EXCEPT ") + "SELECT " + strings.Join(same, ", ") + " FROM " + other
	}
	return text, cols
}

func (g *gen) where(s scope, depth int) string {
	if !g.often(2) {
		return ""
	}
	return g.blank() + "WHERE " + g.cond(s, depth)
}

// ordinals orders by every target, which leaves nothing open.
func ordinals(n int) string {
	var o []string
	for i := range n {
		o = append(o, fmt.Sprint(i+1))
	}
	return " ORDER BY " + strings.Join(o, ", ")
}

// with makes a WITH clause, or nothing, and lets the rest of the text name its queries.
func (g *gen) with() string {
	if !g.often(6) {
		return ""
	}
	if g.often(5) { // over the ids
		t := g.tables[1]
		g.ctes = append(g.ctes, rel{alias: "r", cols: []genColumn{output("n", ints), output("v", texts)}, whole: true})
		v, ok := g.column(scope{t.as("t")}, texts)
		if !ok {
			v = "'x'"
		}
		return "WITH RECURSIVE r(n, v) AS (SELECT t.id, (" + v + ")::text FROM " + g.tableName(t) + " t WHERE t.id = 1 UNION ALL SELECT t.id, (" + v + ")::text FROM r JOIN " + g.tableName(t) +
			" t ON t.id = r.n + 1) "
	}
	text, cols := g.derived(nil, 1)
	name := g.pick("q", "q", "items", "products") // a table's name, too
	g.ctes = append(g.ctes, rel{alias: name, cols: cols, whole: true})
	return "WITH " + name + g.pick(" AS (", " AS (", " AS MATERIALIZED (", " AS NOT MATERIALIZED (") + text + ") "
}

// query is a SELECT at the top of a text; it settles the order of its rows, or says that it does not.
func (g *gen) query() string {
	with := g.with()
	switch g.of(12) {
	case 9:
		return with + g.setOperation()
	case 10:
		return with + g.grouped()
	case 11:
		return with + g.windowed()
	}
	from, s := g.from(1)
	var targets []string
	stars := false
	for range 1 + g.of(4) {
		switch g.of(10) {
		case 7:
			g.script.Star = true
			stars = true
			g.step.AnyFrom = g.step.AnyFrom || slices.ContainsFunc(s, func(r rel) bool { return r.call }) // what comes behind it has no known place
			targets = append(targets, g.one(func() string { return "*" }, func() string { return s[g.of(len(s))].alias + ".*" }))
		case 8:
			targets = append(targets, g.cond(s, 1))
		case 9:
			if r := s[0]; r.whole && g.often(3) {
				g.script.Star = true
				targets = append(targets, g.pick("to_jsonb("+r.alias+")", "row_to_json("+r.alias+")::text", r.alias+"::text", "count("+r.alias+") OVER ()", r.alias, r.alias+" IS NOT NULL", "("+r.alias+".*)::text"))
				continue
			}
			targets = append(targets, g.expr(g.family(s), s, 2))
		default:
			t := g.expr(g.family(s), s, 2)
			if g.often(3) {
				t += g.one(func() string { return " AS x" }, func() string { return " y" }, func() string {
					c := g.tables[0].cols
					return " AS " + g.ident(c[g.of(len(c))].name)
				})
			}
			targets = append(targets, t)
		}
	}
	distinct := ""
	if g.often(8) {
		distinct = "DISTINCT "
	}
	text := g.blankOr("SELECT ") + distinct + strings.Join(targets, ", ") + g.blank() + "FROM " + from + g.where(s, 2)
	g.step.Ordered = false
	if stars {
		if s[0].keyed && len(s) == 1 && distinct == "" && g.often(2) {
			g.step.Ordered = true
			return with + text + " ORDER BY " + g.expr(g.family(s), s, 1) + g.pick("", " DESC") + ", " + s[0].id() + g.limit()
		}
		return with + text
	}
	switch g.of(6) {
	case 0, 1:
	case 2:
		text += ordinals(len(targets)) + g.limit()
		g.step.Ordered = true
	case 3:
		if distinct == "" {
			text += " ORDER BY " + g.expr(g.family(s), s, 1) + g.pick("", " DESC", " NULLS FIRST", " ASC") + "," + strings.TrimPrefix(ordinals(len(targets)), " ORDER BY") + g.limit()
			g.step.Ordered = true
		}
	case 4:
		if distinct == "" {
			text = strings.Replace(text, "SELECT ", "SELECT DISTINCT ON (1) ", 1) + ordinals(len(targets))
			g.step.Ordered = true
		}
	case 5:
		if len(s) == 1 && s[0].keyed && distinct == "" {
			if c, ok := g.columnWhere(s, func(c *genColumn) bool { return c.change != nil }); ok {
				text += " ORDER BY " + c + g.pick("", " DESC", " DESC NULLS LAST") + ", " + s[0].id() + g.limit()
				g.step.Ordered = true
				if g.often(3) {
					text += g.pick(" FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE SKIP LOCKED", " FOR UPDATE OF "+s[0].alias)
				}
			}
		}
	}
	return with + text
}

func (g *gen) limit() string {
	return g.pick("", "", " LIMIT 3", " LIMIT 2 OFFSET 1", " FETCH FIRST 4 ROWS ONLY")
}

// blankOr puts a comment in front now and then, as tools do.
func (g *gen) blankOr(text string) string {
	if g.often(16) {
		return "/* app:web */ " + text
	}
	return text
}

func (g *gen) setOperation() string {
	n := 1 + g.of(2)
	fs := []family{}
	branch := func() string {
		from, s := g.from(1)
		var targets []string
		for i := range n {
			if len(fs) <= i {
				fs = append(fs, g.family(s))
			}
			t := g.expr(fs[i], s, 1)
			if g.often(4) {
				t += " AS x"
			}
			targets = append(targets, t)
		}
		return "SELECT " + strings.Join(targets, ", ") + " FROM " + from + g.where(s, 1)
	}
	text := branch()
	for range 1 + g.of(2) {
		next := branch()
		if g.often(4) {
			next = "(" + next + ")"
		}
		text += g.pick(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ", " EXCEPT ALL ") + next
	}
	if g.often(2) {
		return text + ordinals(n) + g.limit()
	}
	g.step.Ordered = false
	return text
}

// grouped is a SELECT with GROUP BY.
func (g *gen) grouped() string {
	from, s := g.from(1)
	f := g.family(s)
	key := g.expr(f, s, 1)
	by := key
	targets := []string{key}
	form := g.of(8)
	if strings.Contains(key, "SELECT") && (form == 4 || form == 5) {
		form = 0 // before PostgreSQL 18, what grouping sets make of a sub-select depends on whether it refers to a column or to an expression
	}
	switch form {
	case 0, 1, 2:
	case 3:
		by = "1"
	case 4:
		by = "ROLLUP (" + key + ")"
		g.step.Ordered = false // an ORDER BY of what may be a constant: PostgreSQL leaves it out, although the grouping makes it NULL in some rows
	case 5:
		g.step.Ordered = false
		other := g.expr(g.family(s), s, 0)
		by = "GROUPING SETS ((" + key + "), (" + other + "), ())"
		targets = append(targets, other)
	case 6: // the primary key stands for the other columns
		if s[0].keyed && len(s) == 1 {
			by = s[0].id()
			key = by
			targets = []string{key}
			if c, ok := g.columnWhere(s, func(*genColumn) bool { return true }); ok {
				targets = append(targets, c)
			}
		}
	case 7:
		targets[0] += " AS k"
		by = "k"
	}
	for range g.of(3) {
		x := g.family(s)
		e := func() string { return g.expr(x, s, 1) }
		targets = append(targets, g.one(
			func() string { return "count(*)" },
			func() string {
				if x.aggregates() {
					return g.pick("max(", "min(") + e() + ")"
				}
				return "count(" + e() + ")"
			},
			func() string { return "count(DISTINCT " + e() + ")" },
			func() string { v := g.expr(texts, s, 1); return "string_agg(" + v + ", ',' ORDER BY " + v + ")" },
			func() string { v := e(); return "array_agg(" + v + " ORDER BY " + v + ")::text" },
			func() string { return "count(*) FILTER (WHERE " + g.cond(s, 1) + ")" },
			func() string { return "bool_or(" + g.cond(s, 1) + ")" },
			func() string { return "sum(" + g.expr(ints, s, 1) + ")" },
		))
	}
	text := "SELECT " + strings.Join(targets, ", ") + " FROM " + from + g.where(s, 1) + " GROUP BY " + by
	if g.often(3) {
		text += " HAVING " + g.one(
			func() string { return "count(*) > 1" },
			func() string { return g.compareTo(f, key) },
			func() string { return "max(" + g.expr(texts, s, 1) + ") > 'A'" },
		)
	}
	return text + ordinals(len(targets))
}

func (g *gen) compareTo(f family, left string) string {
	return "(" + left + ")" + g.pick(" > ", " = ", " <> ") + g.literal(f, false)
}

// windowed is a SELECT with window functions.
func (g *gen) windowed() string {
	from, s := g.from(0)
	f, o := g.family(s), g.family(s)
	part := ""
	if g.often(2) {
		part = "PARTITION BY " + g.expr(f, s, 1) + " "
	}
	over := "(" + part + "ORDER BY " + g.expr(o, s, 1) + g.pick("", " DESC") + ")"
	window := ""
	if g.often(3) {
		window, over = " WINDOW w AS "+over, "w"
	}
	e := g.expr(g.family(s), s, 1)
	targets := []string{e, g.one(
		func() string { return "rank() OVER " + over },
		func() string { return "count(*) OVER " + over },
		func() string { return "dense_rank() OVER " + over },
		func() string { return "max(" + g.expr(texts, s, 1) + ") OVER " + over },
	)}
	return "SELECT " + strings.Join(targets, ", ") + " FROM " + from + g.where(s, 1) + window + ordinals(2)
}
