package oracle

import "strings"

// expr is an expression of the family.
func (g *gen) expr(f family, s scope, depth int) string {
	if depth <= 0 || g.of(3) == 0 {
		if g.of(4) < 3 {
			if c, ok := g.column(s, f); ok {
				return c
			}
		}
		return g.literal(f, false)
	}
	d := depth - 1
	switch g.of(12) {
	case 0, 1:
		if c, ok := g.column(s, f); ok {
			return c
		}
		return g.literal(f, false)
	case 2:
		if c, ok := g.column(s, f); ok {
			return "COALESCE(" + c + ", " + g.literal(f, true) + ")"
		}
		return "COALESCE(" + g.expr(f, s, d) + ", " + g.expr(f, s, d) + ")"
	case 3:
		return "NULLIF(" + g.expr(f, s, d) + ", " + g.expr(f, s, d) + ")"
	case 4:
		return "CASE WHEN " + g.cond(s, d) + " THEN " + g.expr(f, s, d) + g.one(
			func() string { return " ELSE " + g.expr(f, s, d) },
			func() string { return "" },
		) + " END"
	case 5:
		return "(" + g.expr(f, s, d) + ")"
	case 6:
		return "(SELECT " + g.scalar(f, s, d) + ")"
	case 7:
		of := g.family(s)
		return "CASE " + g.expr(of, s, d) + " WHEN " + g.expr(of, s, 0) + " THEN " + g.expr(f, s, d) + " ELSE " + g.expr(f, s, 0) + " END"
	case 8:
		if f.aggregates() && f != textLists && f != intLists {
			return g.pick("GREATEST", "LEAST") + "(" + g.expr(f, s, d) + ", " + g.expr(f, s, 0) + ")"
		}
	case 9:
		return "(ARRAY[" + g.expr(f, s, d) + ", " + g.expr(f, s, 0) + "])[" + g.pick("1", "2", "3") + "]"
	}
	return g.call(f, s, d)
}

// call is an expression that is made by a function or an operator of the family.
func (g *gen) call(f family, s scope, d int) string {
	switch f {
	case texts:
		switch g.of(8) {
		case 0:
			return g.pick("upper", "lower", "shout", "initcap", "btrim") + "(" + g.expr(texts, s, d) + ")"
		case 1, 2:
			return "(" + g.expr(texts, s, d) + " || " + g.expr(texts, s, d) + ")"
		case 3:
			return "substr(" + g.expr(texts, s, d) + ", 1, 3)"
		case 4:
			return g.recast(texts, s, d, g.pick("varchar", "varchar(3)", "char(4)"))
		case 5:
			return g.recast(g.family(s), s, d, "text")
		case 6:
			return "concat(" + g.expr(g.family(s), s, d) + ", '-', " + g.expr(g.family(s), s, d) + ")"
		default:
			return "replace(" + g.expr(texts, s, d) + ", 'n', " + g.literal(texts, true) + ")"
		}
	case ints:
		switch g.of(6) {
		case 0:
			return "length(" + g.expr(texts, s, d) + ")"
		case 1, 2:
			return "(" + g.expr(ints, s, d) + g.pick(" + ", " - ", "+") + g.expr(ints, s, 0) + ")"
		case 3:
			r, from := g.source(s)
			return "(SELECT count(*) FROM " + from + " WHERE " + g.cond(append(scope{r}, s...), d) + ")"
		case 4:
			return "abs(" + g.expr(ints, s, d) + ")"
		default:
			return g.recast(ints, s, d, "bigint")
		}
	case numbers:
		switch g.of(4) {
		case 0:
			return "(" + g.expr(numbers, s, d) + g.pick(" + ", " - ", " * ") + g.expr(numbers, s, 0) + ")"
		case 1:
			return "round(" + g.expr(numbers, s, d) + ", 1)"
		case 2:
			return "(" + g.expr(numbers, s, d) + " * " + g.expr(ints, s, 0) + ")"
		default:
			return g.recast(ints, s, d, "numeric")
		}
	case bools:
		return "(" + g.cond(s, d) + ")"
	case dates:
		return g.one(
			func() string { return "(" + g.expr(dates, s, d) + " + 1)" },
			func() string { return "(" + g.expr(times, s, d) + ")::date" },
			func() string { return "(" + g.expr(dates, s, d) + " - " + g.expr(ints, s, 0) + "::integer % 9)" },
		)
	case times:
		return g.one(
			func() string { return "(" + g.expr(times, s, d) + " + interval '1 day')" },
			func() string { return "date_trunc('month', " + g.expr(times, s, d) + ")" },
			func() string { return "(" + g.expr(dates, s, d) + ")::timestamp" },
		)
	case zoned:
		return g.one(
			func() string { return "(" + g.expr(zoned, s, d) + " + interval '1 hour')" },
			func() string { return "date_trunc('day', " + g.expr(zoned, s, d) + ")" },
			func() string { return "(" + g.expr(times, s, d) + " AT TIME ZONE 'UTC')" },
		)
	case uuids:
		return "(" + g.expr(uuids, s, d) + ")::text::uuid"
	case jsons:
		return g.one(
			func() string { return "jsonb_build_array(" + g.expr(g.family(s), s, d) + ")" },
			func() string { return "jsonb_build_object('k', " + g.expr(g.family(s), s, d) + ")" },
			func() string { return "(" + g.expr(jsons, s, d) + " -> 0)" },
		)
	case blobs:
		return g.one(
			func() string { return "(" + g.expr(blobs, s, d) + " || " + g.expr(blobs, s, 0) + ")" },
			func() string { return "decode(md5(" + g.expr(texts, s, d) + "), 'hex')" },
		)
	case textLists:
		return g.one(
			func() string { return "ARRAY[" + g.expr(texts, s, d) + "]::text[]" },
			func() string { return "(" + g.expr(textLists, s, d) + " || " + g.expr(textLists, s, 0) + ")" },
			func() string { return "string_to_array(" + g.expr(texts, s, d) + ", ' ')" },
		)
	default:
		return g.one(
			func() string { return "ARRAY[" + g.expr(ints, s, d) + "]::integer[]" },
			func() string { return "(" + g.expr(intLists, s, d) + " || " + g.expr(intLists, s, 0) + ")" },
		)
	}
}

// operand is an expression that an operator can stand behind.
func (g *gen) operand(f family, s scope, d int) string {
	if c, ok := g.column(s, f); ok && g.of(3) < 2 {
		return c
	}
	return "(" + g.expr(f, s, d) + ")"
}

// recast is a cast. One that changes nothing is the column itself, with its origin.
func (g *gen) recast(f family, s scope, d int, to string) string {
	return g.operand(f, s, d) + "::" + to
}

// source is a table in the FROM of a sub-select.
func (g *gen) source(s scope) (rel, string) {
	if len(g.ctes) > 0 && g.often(4) {
		a := g.alias()
		r := g.ctes[g.of(len(g.ctes))]
		name := r.alias
		r.alias = a
		return r, name + " " + a
	}
	t := g.anyTable()
	a := g.alias()
	return t.as(a), g.tableName(t) + g.pick(" ", " AS ") + a
}

// scalar is what stands in a sub-select that gives one value, after SELECT.
func (g *gen) scalar(f family, s scope, d int) string {
	t := g.anyTable()
	a := g.alias()
	own := t.as(a)
	inner := append(scope{own}, s...)
	from := " FROM " + g.tableName(t) + " " + a
	c, ok := g.column(scope{own}, f)
	switch g.of(4) {
	case 0, 1:
		if ok && f.aggregates() {
			return g.pick("max", "min") + "(" + c + ")" + from + " WHERE " + g.cond(inner, d)
		}
	case 2:
		if ok {
			return c + from + " WHERE " + own.id() + " = " + g.expr(ints, s, 0)
		}
	case 3:
		if ok {
			return c + from + " ORDER BY " + own.id() + " LIMIT 1"
		}
	}
	return g.expr(f, s, d)
}

// cond is a condition.
func (g *gen) cond(s scope, depth int) string {
	f := g.family(s)
	d := max(depth-1, 0)
	switch kind := g.of(22); {
	case depth <= 0 || kind < 6:
		return g.compare(f, s, d)
	case kind == 6:
		return g.operand(texts, s, d) + g.pick(" LIKE ", " NOT LIKE ", " ~ ", " ILIKE ", " SIMILAR TO ") + g.pick("'A%'", "'%n'", "'^A'", "'A_n'")
	case kind == 7:
		return g.operand(f, s, d) + g.pick(" IS NULL", " IS NOT NULL", " ISNULL")
	case kind == 8:
		return g.operand(f, s, d) + g.pick(" IN (", " NOT IN (") + g.literal(f, true) + ", " + g.expr(f, s, d) + ")"
	case kind == 9 || kind == 10:
		return "(" + g.cond(s, d) + " AND " + g.cond(s, d) + ")"
	case kind == 11:
		return "(" + g.cond(s, d) + " OR " + g.cond(s, d) + ")"
	case kind == 12:
		return "NOT (" + g.cond(s, d) + ")"
	case kind == 13:
		r, from := g.source(s)
		return g.pick("EXISTS", "NOT EXISTS") + " (SELECT " + g.pick("1", "*", r.alias+".*") + " FROM " + from + " WHERE " + g.cond(append(scope{r}, s...), d) + ")"
	case kind == 14:
		r, from := g.source(s)
		if c, ok := g.column(scope{r}, f); ok {
			return g.operand(f, s, d) + g.pick(" IN ", " NOT IN ", " = ANY ") + "(SELECT " + c + " FROM " + from + " WHERE " + g.cond(append(scope{r}, s...), d) + ")"
		}
		return g.compare(f, s, d)
	case kind == 15:
		return g.operand(f, s, d) + g.pick(" IS DISTINCT FROM ", " IS NOT DISTINCT FROM ") + g.operand(f, s, d)
	case kind == 16:
		o := g.family(s)
		return "(" + g.expr(f, s, d) + ", " + g.expr(o, s, 0) + ")" + g.pick(" = ", " > ", " <= ", " <> ") + "(" + g.expr(f, s, d) + ", " + g.expr(o, s, 0) + ")"
	case kind == 17:
		return g.operand(f, s, d) + g.pick(" BETWEEN ", " NOT BETWEEN ", " BETWEEN SYMMETRIC ") + g.literal(f, true) + " AND " + g.literal(f, false)
	case kind == 18:
		return "(" + g.cond(s, d) + ")" + g.pick(" IS TRUE", " IS NOT TRUE", " IS UNKNOWN", " IS NOT FALSE")
	case kind == 19:
		return g.operand(f, s, d) + " = ANY (ARRAY[" + g.literal(f, false) + ", " + g.literal(f, false) + "])"
	case kind == 20:
		return g.of2(f, s, d)
	default:
		return g.expr(bools, s, d)
	}
}

// of2 is a condition by an operator of the family's own.
func (g *gen) of2(f family, s scope, d int) string {
	switch f {
	case jsons:
		return g.one(
			func() string { return g.operand(f, s, d) + ` @> '{"a": 1}'` },
			func() string { return g.operand(f, s, d) + " ->> 'a' = '1'" },
			func() string { return "jsonb_typeof(" + g.expr(f, s, d) + ") = 'object'" },
			func() string { return g.operand(f, s, d) + " ? 'a'" },
		)
	case textLists:
		return g.one(
			func() string { return g.operand(f, s, d) + " @> ARRAY['Ann']" },
			func() string { return "'Ann' = ANY (" + g.expr(f, s, d) + ")" },
			func() string { return "cardinality(" + g.expr(f, s, d) + ") > 0" },
			func() string { return "(" + g.expr(f, s, d) + ")[1] = 'Ann'" },
		)
	case intLists:
		return g.one(
			func() string { return g.operand(f, s, d) + " @> ARRAY[7]" },
			func() string { return "7 = ANY (" + g.expr(f, s, d) + ")" },
			func() string { return "(" + g.expr(f, s, d) + ")[1] > 3" },
		)
	case dates, times, zoned:
		return "extract(" + g.pick("year", "dow") + " FROM " + g.expr(f, s, d) + ") > 3"
	case ints:
		return g.operand(f, s, d) + " % 2 = 0"
	}
	return g.compare(f, s, d)
}

func (g *gen) compare(f family, s scope, d int) string {
	left := g.operand(f, s, d)
	var right string
	if g.of(2) == 0 {
		right = g.literal(f, true)
	} else {
		right = g.operand(f, s, d)
	}
	if g.often(8) && strings.HasPrefix(right, "'") {
		left, right = right, left
	}
	return left + g.pick(" = ", " = ", " <> ", " < ", " > ", " <= ", "=", ">=") + right
}
