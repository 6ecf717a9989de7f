package oracle

import (
	"fmt"
	"strings"
)

// Generate makes the i-th statement of a seed for a variant.
func Generate(seed, i uint64, v *Variant) (Case, []uint32) {
	ch := newChoices(seed, i)
	c := generate(ch, v)
	c.File, c.Line = fmt.Sprintf("seed %d, statement", seed), int(i)
	return c, ch.made
}

// generate makes a statement of choices. Its result has one order, or its rows are compared as a set; it calls no function whose result
// depends on the order of evaluation; otherwise it may be anything, an error too.
func generate(ch *choices, v *Variant) Case {
	g := &gen{choices: ch, v: v, params: ch.often(3)}
	only := ""
	if g.changes() {
		g.side = Side(g.of(2))
		only = g.side.String()
	}
	var text string
	switch g.of(8) {
	case 0, 1, 2, 3:
		text = g.query(2)
	case 4:
		text = g.insert()
	case 5:
		text = g.update()
	case 6:
		text = g.del()
	case 7:
		text = g.with()
	}
	c := Case{Refused: true, AnyError: true, Star: g.star, Variants: []string{v.Name}, Only: only, Fails: v.Formless}
	c.Steps = []Step{{Text: text, Params: g.values}}
	switch {
	case len(g.values) > 0 && g.often(2):
		c.Protocols = []Protocol{Binary}
	case len(g.values) > 0 || g.often(2):
		c.Protocols = []Protocol{Extended}
	default:
		c.Protocols = []Protocol{Simple}
	}
	return c
}

// gen makes one statement.
type gen struct {
	*choices
	v      *Variant
	side   Side // whose code it is; for renames, either's
	params bool // values may be parameters
	values []*string
	star   bool
	short  bool // in INSERT ... SELECT: no constant is longer than the column, and no parameter has a type of its place's
	names  int  // aliases given so far
}

// rel is something in FROM that columns can be taken from.
type rel struct {
	alias string   // as it is written before a column
	texts []string // columns of type text or varchar
	ints  []string
}

// scope is what names can mean at some place: the innermost level first.
type scope []rel

func (g *gen) alias() string {
	g.names++
	return fmt.Sprintf("%s%d", g.pick("u", "a", "x"), g.names)
}

// changes says that the variant changes more than a name, so that a statement is of one side's code.
func (g *gen) changes() bool { return g.v.Pattern.RenameColumn == nil }

// users is the migrating table.
func (g *gen) users(alias string) rel {
	r := rel{alias, []string{"{c}", "{c}", "{c}", "email"}, []string{"id", "age"}}
	if !g.changes() {
		return r
	}
	own := []string{"{c}", "{d}", "{c}"}
	if g.v.numeric(g.side) {
		r.texts, r.ints = []string{"email"}, append(own, "id", "age")
	} else {
		r.texts = append(own, "email")
	}
	return r
}

// numeric says whether a side's columns are numbers; else they are texts.
func (v *Variant) numeric(s Side) bool {
	t := v.Columns[s][0].Type
	return t == "bigint" || t == "integer" || strings.HasPrefix(t, "numeric")
}

// blank is white space between two tokens.
func (g *gen) blank() string {
	return g.pick(" ", " ", " ", " ", " ", " ", "\n", "  ", " /* {c} */ ", " -- users\n")
}

// column is a reference to a column of some kind.
func (g *gen) column(s scope, kind func(rel) []string) string {
	r := s[g.of(len(s))]
	list := kind(r)
	if len(list) == 0 {
		return "NULL"
	}
	col := list[g.of(len(list))]
	if len(s) == 1 && g.often(2) {
		return col
	}
	return r.alias + "." + col
}

func texts(r rel) []string { return r.texts }
func ints(r rel) []string  { return r.ints }

// literal is a text constant, or a parameter.
func (g *gen) literal() string {
	v := g.pick("Ann", "Bob", "A%", "", "ann@x", "Zoë", "O'Brien", "anon", "42", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
	if g.changes() && g.often(2) {
		v = strings.Trim(g.pick(g.v.Words[g.side]...), "'")
	}
	if g.short && len(v) > 40 {
		v = v[:40]
	}
	if g.params && g.often(2) {
		p := &v
		if g.often(8) {
			p = nil
		}
		g.values = append(g.values, p)
		return fmt.Sprintf("$%d::text", len(g.values))
	}
	if g.often(20) {
		return "NULL"
	}
	return "'" + strings.ReplaceAll(v, "'", "''") + "'"
}

// text is an expression of type text or varchar. Without a scope it has no columns.
func (g *gen) text(s scope, depth int) string {
	leaf := 2
	if len(s) == 0 {
		leaf = 1
	}
	if depth == 0 || g.of(3) < 1 {
		if g.of(leaf+1) < leaf && len(s) > 0 {
			return g.column(s, texts)
		}
		return g.literal()
	}
	d := depth - 1
	switch g.of(11) {
	case 0:
		if len(s) > 0 {
			return g.column(s, texts)
		}
		return g.literal()
	case 1:
		return g.pick("upper", "lower", "shout", "initcap") + "(" + g.text(s, d) + ")"
	case 2:
		return "(" + g.text(s, d) + " || " + g.text(s, d) + ")"
	case 3:
		return "COALESCE(" + g.text(s, d) + ", " + g.text(s, d) + ")"
	case 4:
		return "NULLIF(" + g.text(s, d) + ", " + g.text(s, d) + ")"
	case 5:
		return "CASE WHEN " + g.cond(s, d) + " THEN " + g.text(s, d) + " ELSE " + g.text(s, d) + " END"
	case 6:
		return "substr(" + g.text(s, d) + ", 1, " + g.number(s, 0) + " * 0 + 3)"
	case 7:
		if g.changes() { // a cast of a text column to text is the column itself, with its origin, which what is read in its place is not
			return g.text(s, d) + "::" + g.pick("varchar", "varchar(3)")
		}
		return g.text(s, d) + "::" + g.pick("text", "varchar", "varchar(3)")
	case 8:
		return "(" + g.text(s, d) + ")"
	case 9:
		return "(SELECT " + g.scalar(s, d) + ")"
	default:
		return "CASE " + g.text(s, d) + " WHEN " + g.text(s, d) + " THEN " + g.text(s, d) + " END"
	}
}

// scalar is what stands in a scalar sub-select that gives one text, after SELECT.
func (g *gen) scalar(s scope, depth int) string {
	a := g.alias()
	own := g.users(a)
	inner := append(scope{own}, s...)
	switch g.of(3) {
	case 0:
		return "max(" + a + "." + own.texts[0] + ") FROM {t} " + a + " WHERE " + g.cond(inner, depth)
	case 1:
		return a + "." + own.texts[0] + " FROM {t} AS " + a + " WHERE " + a + ".id = " + g.number(s, 0)
	default:
		return g.text(s, depth)
	}
}

// number is an integer expression.
func (g *gen) number(s scope, depth int) string {
	if len(s) == 0 || depth == 0 && g.often(2) {
		return g.pick("1", "2", "3", "12", "40")
	}
	if depth == 0 {
		return g.column(s, ints)
	}
	switch g.of(5) {
	case 0:
		return g.column(s, ints)
	case 1:
		return "length(" + g.text(s, depth-1) + ")"
	case 2:
		return "(" + g.number(s, depth-1) + " + " + g.number(s, depth-1) + ")"
	case 3:
		a := g.alias()
		return "(SELECT count(*) FROM {t} " + a + " WHERE " + g.cond(append(scope{g.users(a)}, s...), depth-1) + ")"
	default:
		return "COALESCE(" + g.number(s, depth-1) + ", 0)"
	}
}

// cond is a condition.
func (g *gen) cond(s scope, depth int) string {
	d := max(depth-1, 0)
	if depth == 0 {
		return g.text(s, 0) + g.pick(" = ", " <> ", " < ", " > ", ">=", "=") + g.text(s, 0)
	}
	kinds := 15
	if g.changes() {
		kinds = 17
	}
	switch g.of(kinds) {
	case 15:
		return g.number(s, d) + g.pick(" IN (", " NOT IN (") + g.number(s, d) + ", " + g.number(s, 0) + ")"
	case 16:
		return g.number(s, d) + g.pick(" BETWEEN ", " NOT BETWEEN ") + g.number(s, 0) + " AND " + g.number(s, 0)
	case 0, 1:
		return g.text(s, d) + g.pick(" = ", " <> ", " < ", " > ", " <= ", "=") + g.text(s, d)
	case 2:
		return g.text(s, d) + g.pick(" LIKE ", " NOT LIKE ", " ~ ", " ILIKE ") + g.pick("'A%'", "'%n'", "'^A'")
	case 3:
		return g.text(s, d) + g.pick(" IS NULL", " IS NOT NULL")
	case 4:
		return g.text(s, d) + g.pick(" IN (", " NOT IN (") + g.text(s, d) + ", " + g.literal() + ")"
	case 5:
		return "(" + g.cond(s, d) + " AND " + g.cond(s, d) + ")"
	case 6:
		return "(" + g.cond(s, d) + " OR " + g.cond(s, d) + ")"
	case 7:
		return "NOT (" + g.cond(s, d) + ")"
	case 8:
		a := g.alias()
		return g.pick("EXISTS", "NOT EXISTS") + " (SELECT 1 FROM {t} " + a + " WHERE " + g.cond(append(scope{g.users(a)}, s...), d) + ")"
	case 9:
		a := g.alias()
		return g.text(s, d) + g.pick(" IN ", " NOT IN ", " = ANY ") + "(SELECT " + a + "." + g.users(a).texts[0] + " FROM {t} " + a + " WHERE " + g.cond(append(scope{g.users(a)}, s...), d) + ")"
	case 10:
		return g.text(s, d) + g.pick(" IS DISTINCT FROM ", " IS NOT DISTINCT FROM ") + g.text(s, d)
	case 11:
		return g.number(s, d) + g.pick(" = ", " > ", " < ") + g.number(s, d)
	case 12:
		return "(" + g.text(s, d) + ", " + g.number(s, 0) + ")" + g.pick(" = ", " > ", " <= ") + "(" + g.text(s, d) + ", " + g.number(s, 0) + ")"
	case 13:
		return g.text(s, d) + g.pick(" BETWEEN ", " NOT BETWEEN ", " BETWEEN SYMMETRIC ") + g.text(s, 0) + " AND " + g.text(s, 0)
	default:
		return "(" + g.cond(s, d) + ")" + g.pick(" IS TRUE", " IS NOT TRUE", " IS UNKNOWN", " IS NOT FALSE")
	}
}
