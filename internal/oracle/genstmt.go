package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// from makes a FROM clause and what can be named under it.
func (g *gen) from(depth int) (string, scope) {
	switch g.of(12) {
	case 1:
		a := g.alias()
		return "{t} " + a, scope{g.users(a)}
	case 2:
		a := g.alias()
		return "{t} AS " + a, scope{g.users(a)}
	case 3:
		return "public.{t}", scope{g.users("{t}")}
	case 4, 5:
		a := g.alias()
		u, o := g.users(a), rel{"o", []string{"name"}, []string{"user_id"}}
		on := "o.user_id = " + a + ".id"
		if g.often(3) {
			on += " AND " + g.cond(scope{u, o}, 1)
		}
		return "{t} " + a + g.pick(" JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ") + "orders o ON " + on, scope{u, o}
	case 6:
		a, b := g.alias(), g.alias()
		u, v := g.users(a), g.users(b)
		return "{t} " + a + g.pick(" JOIN ", " LEFT JOIN ") + "{t} " + b + " ON " + g.cond(scope{u, v}, 1), scope{u, v}
	case 7:
		a := g.alias()
		return "people p, {t} " + a, scope{g.users(a), {"p", []string{"full_name"}, []string{"id"}}}
	case 8:
		if depth == 0 {
			break
		}
		a := g.alias()
		text, cols := g.derived(depth - 1)
		return "(" + text + ") " + g.pick("", "AS ") + a, scope{{a, cols, nil}}
	case 9:
		a, b := g.alias(), g.alias()
		u := g.users(a)
		return "{t} " + a + " CROSS JOIN LATERAL (SELECT " + g.text(scope{u}, 1) + " AS w) " + b, scope{u, {b, []string{"w"}, nil}}
	case 10:
		a, b := g.alias(), g.alias()
		return "{t} " + a + " JOIN {t} " + b + " USING (id)", scope{g.users(a), g.users(b)}
	case 11:
		return "ONLY {t}", scope{g.users("{t}")}
	}
	return "{t}", scope{g.users("{t}")}
}

// derived is a query that gives named texts, and their names.
func (g *gen) derived(depth int) (string, []string) {
	from, s := g.from(depth)
	var cols, targets []string
	for i := range 1 + g.of(2) {
		name := fmt.Sprintf("c%d", i)
		target := g.text(s, 1) + " AS " + name
		if i == 0 && g.often(2) && s[0].texts[0] == "{c}" {
			name = "{c}"
			target = s[0].alias + ".{c}"
		}
		cols = append(cols, name)
		targets = append(targets, target)
	}
	return "SELECT " + strings.Join(targets, ", ") + g.blank() + "FROM " + from + g.where(s, 1), cols
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

// query is a SELECT at the top of a statement.
func (g *gen) query(depth int) string {
	if g.often(8) {
		a, _ := g.derived(1)
		b, _ := g.derived(1)
		return a + g.pick(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ") + b
	}
	from, s := g.from(1)
	if g.often(4) {
		return g.grouped(from, s, depth)
	}
	distinct := ""
	if g.often(6) {
		distinct = "DISTINCT "
	}
	var targets []string
	stars := false
	for range 1 + g.of(3) {
		switch {
		case g.often(6):
			g.star, stars = true, true
			targets = append(targets, g.pick("*", s[0].alias+".*"))
		case g.often(3):
			targets = append(targets, g.number(s, depth))
		case g.often(4):
			targets = append(targets, g.cond(s, 1))
		default:
			t := g.text(s, depth)
			if g.often(3) {
				t += g.pick(" AS x", " AS {c}", " AS email", " AS {other}", " y")
			}
			targets = append(targets, t)
		}
	}
	text := "SELECT " + distinct + strings.Join(targets, ", ") + g.blank() + "FROM " + from + g.where(s, depth)
	if stars {
		return text
	}
	switch g.of(5) {
	case 0, 1:
	case 2:
		text += ordinals(len(targets))
	case 3:
		text += ordinals(len(targets)) + " LIMIT 3"
	case 4:
		if distinct == "" {
			text += " ORDER BY " + g.text(s, 1) + g.pick("", " DESC", " NULLS FIRST") + "," + strings.TrimPrefix(ordinals(len(targets)), " ORDER BY")
		}
	}
	return text + g.pick("", "", "", ";")
}

// grouped is a SELECT with GROUP BY.
func (g *gen) grouped(from string, s scope, depth int) string {
	key := g.text(s, 1)
	by := g.pick(key, "1")
	if g.often(4) {
		by = "ROLLUP (" + key + ")"
	}
	targets := []string{key}
	for range g.of(3) {
		x := g.text(s, 1)
		targets = append(targets, g.pick("count(*)", "max("+x+")", "min("+x+")", "count(DISTINCT "+x+")", "string_agg("+x+", ',' ORDER BY "+x+")",
			"count(*) FILTER (WHERE "+g.cond(s, 1)+")", "bool_or("+g.cond(s, 1)+")"))
	}
	text := "SELECT " + strings.Join(targets, ", ") + " FROM " + from + g.where(s, depth) + " GROUP BY " + by
	if g.often(3) {
		text += " HAVING " + g.pick("count(*) > 1", key+" > 'A'", "max("+g.text(s, 1)+") > 'A'")
	}
	return text + ordinals(len(targets))
}

// returning is a RETURNING clause, or nothing.
func (g *gen) returning(s scope) string {
	return g.returningOf(s, "*")
}

// returningOf is the same; star is what `*` is to be.
func (g *gen) returningOf(s scope, star string) string {
	switch g.of(5) {
	case 1:
		return " RETURNING {c}"
	case 2:
		return " RETURNING " + s[0].alias + ".{c}, " + g.text(s, 1)
	case 3:
		g.star = true
		return " RETURNING " + g.pick(star, s[0].alias+".*")
	case 4:
		return " RETURNING " + g.number(s[:1], 1) + ", " + g.text(s[:1], 1) + " AS {c}"
	}
	return ""
}

// migrates says that the relation is the migrating table itself.
func (r rel) migrates() bool {
	return slices.Contains(r.texts, "{c}") && len(r.ints) > 0 || slices.Contains(r.ints, "{c}")
}

// assigned is a value for a migrating column. own says that the scope's first relation is the migrating table. A change's values are such as have a
// form on the other side, but for a few.
func (g *gen) assigned(s scope, own bool) string {
	if !g.changes() {
		return g.text(s, 1)
	}
	word := g.pick(g.v.Words[g.side]...)
	if g.params && g.often(3) {
		text := strings.Trim(word, "'")
		g.values = append(g.values, &text)
		word = fmt.Sprintf("$%d", len(g.values))
		switch {
		case g.v.numeric(g.side):
			word += "::numeric"
		case g.short: // its type is that of the place where ORDER BY names it, not of its copy
			word += "::text"
		}
	}
	if !own {
		return word
	}
	col := s[0].alias + "." + g.pick("{c}", "{d}")
	switch g.of(7) {
	case 2:
		return col
	case 3:
		return "COALESCE(" + col + ", " + word + ")"
	case 4:
		return "CASE WHEN " + g.cond(s, 1) + " THEN " + col + " ELSE " + word + " END"
	case 5:
		if g.v.numeric(g.side) {
			return g.number(s, 1)
		}
		return g.pick("upper", "lower") + "(" + col + ")"
	case 6:
		switch {
		case g.v.numeric(g.side):
			return col + g.pick(" + 1", " - 1", " * 2", " * 1.5", " / 3")
		case g.v.lossy():
			return col
		}
		return "(" + g.number(s, 0) + ")::text"
	}
	return word
}

func (g *gen) insert() string {
	alias, as := "{t}", ""
	if g.often(3) {
		alias = g.alias()
		as = " AS " + alias
	}
	own := g.users(alias)
	cols := []string{"{c}"}
	switch g.of(4) {
	case 1:
		cols = []string{"email", "{c}"}
	case 2:
		cols = []string{"{c}", "age"}
	case 3:
		cols = []string{"id", "{c}", "email"}
	}
	if g.changes() {
		switch g.of(6) {
		case 4:
			cols = []string{"{d}", "email"}
		case 5:
			if len(g.v.Columns[g.side]) > 1 {
				cols = []string{"{d}", "id", "{c}"}
			}
		}
	}
	text := "INSERT INTO {t}" + as + " (" + strings.Join(cols, ", ") + ")" + g.blank()
	if g.often(4) {
		from, s := g.from(1)
		var targets []string
		g.short = true // a constant that does not fit is found out when the statement is planned or when it is run, which ORDER BY decides
		for _, c := range cols {
			switch c {
			case "id":
				targets = append(targets, "200 + "+g.number(s, 0))
			case "age":
				targets = append(targets, g.number(s, 1))
			case "email":
				targets = append(targets, g.text(s, 1))
			default:
				targets = append(targets, g.assigned(s, s[0].migrates()))
			}
		}
		text += "SELECT " + strings.Join(targets, ", ") + " FROM " + from + g.where(s, 1) + ordinals(len(cols))
		g.short = false
	} else {
		var rows []string
		for range 1 + g.of(3) {
			var row []string
			for _, c := range cols {
				row = append(row, g.value(c))
			}
			rows = append(rows, "("+strings.Join(row, ", ")+")")
		}
		text += "VALUES " + strings.Join(rows, ", ")
	}
	s := scope{own, {"EXCLUDED", []string{"{c}", "email"}, []string{"id", "age"}}}
	switch g.of(4) {
	case 1:
		text += " ON CONFLICT DO NOTHING"
	case 2, 3:
		text += " ON CONFLICT (" + g.pick("id", "email") + ") DO UPDATE SET {c} = " + g.pick("EXCLUDED.{c}", g.assigned(s, true), "DEFAULT", "NULL")
		if g.often(3) {
			text += ", age = " + g.number(s, 1)
		}
		if g.often(3) {
			text += " WHERE " + g.cond(s, 1)
		}
	}
	return text + g.returning(s[:1])
}

// value is a value for a column of VALUES.
func (g *gen) value(col string) string {
	switch {
	case g.often(6):
		return "DEFAULT"
	case col == "id":
		return g.pick("1", "2", "200", "201", "202")
	case col == "age":
		return g.pick("1", "NULL", "30 + 1")
	case !g.changes() && col == "{c}" && g.often(8):
		return "tick()"
	case g.changes() && (col == "{c}" || col == "{d}"):
		return g.assigned(nil, false)
	}
	return g.text(nil, 1)
}

func (g *gen) update() string {
	alias, as := "{t}", ""
	if g.often(2) {
		alias = g.alias()
		as = g.pick(" ", " AS ") + alias
	}
	s := scope{g.users(alias)}
	from, join := "", ""
	switch g.of(4) {
	case 1:
		from, join = " FROM people p", "p.id = "+alias+".id"
		s = append(s, rel{"p", []string{"full_name"}, nil})
	case 2:
		b := g.alias()
		from, join = " FROM {t} "+b, b+".id = "+alias+".id + 1"
		s = append(s, g.users(b))
	}
	var expr string
	if g.changes() {
		expr = g.assigned(s, true)
	} else {
		expr = g.text(s, 2)
	}
	value := g.pick(expr, "DEFAULT", "tick()", "NULL")
	switch {
	case value == "tick()" && g.changes():
		value = expr
	case value == "tick()" && from != "":
		value = "'x'"
	}
	set := "{c} = " + value
	if g.changes() && len(g.v.Columns[g.side]) > 1 {
		switch g.of(3) {
		case 1:
			set = "{d} = " + value
		case 2:
			set += ", {d} = " + g.assigned(s, true)
		}
	}
	switch g.of(6) {
	case 1:
		set = "age = " + g.number(s, 1) + ", " + set
	case 2:
		set += ", age = " + g.number(s, 1)
	case 3:
		set = "({c}, age) = (" + g.assigned(s, true) + ", " + g.number(s, 1) + ")"
	case 4:
		set = "(age, {c}) = (SELECT " + g.number(s, 0) + "::int, " + g.assigned(s, true) + ")"
	case 5:
		set = "age = " + g.number(s, 1)
	}
	where := ""
	if join != "" || g.often(2) {
		conds := []string{}
		if join != "" {
			conds = append(conds, join)
		}
		if join == "" || g.often(2) {
			conds = append(conds, g.cond(s, 2))
		}
		where = " WHERE " + strings.Join(conds, " AND ")
	}
	return "UPDATE {t}" + as + g.blank() + "SET " + set + from + where + g.returning(s)
}

func (g *gen) del() string {
	alias, as := "{t}", ""
	if g.often(2) {
		alias = g.alias()
		as = " " + alias
	}
	s := scope{g.users(alias)}
	using := ""
	if g.often(3) {
		using = " USING orders o"
		s = append(s, rel{"o", []string{"name"}, []string{"user_id"}})
	}
	// Which of the other table's rows a deleted one was met with is open.
	return "DELETE FROM {t}" + as + using + " WHERE " + g.cond(s, 2) + g.returningOf(s[:1], alias+".*")
}

// with is a statement with a CTE in front.
func (g *gen) with() string {
	inner, cols := g.derived(1)
	head := "WITH q AS (" + inner + ") "
	s := scope{{"q", cols, nil}}
	switch g.of(4) {
	case 1:
		return head + "SELECT {t}.{c}, " + g.text(s, 1) + " FROM {t} JOIN q ON " + g.cond(append(scope{g.users("{t}")}, s...), 1)
	case 2:
		return head + "UPDATE {t} SET {c} = " + g.assigned(scope{g.users("{t}")}, true) + " WHERE {t}." + g.users("").texts[0] + " IN (SELECT q." + cols[0] + " FROM q)" + g.returning(scope{g.users("{t}")})
	case 3:
		return head + "DELETE FROM {t} WHERE {t}." + g.users("").texts[0] + " IN (SELECT q." + cols[0] + " FROM q)" + g.returning(scope{g.users("{t}")})
	}
	return head + "SELECT " + g.text(s, 1) + " FROM q" + g.where(s, 1)
}
