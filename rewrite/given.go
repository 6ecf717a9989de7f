package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/lens"
)

// writeGiven has the values of columns that take no NULL looked at before the guard sees them, where it would take a NULL for a column that was left out. DEFAULT stays: that
// is what leaving it out comes to.
func (a *attempt) writeGiven(l *lens.Lens, w *rowsToWrite, at []int) bool {
	for _, i := range at {
		c := w.cols[i]
		switch {
		case c.Given == "" || w.broken:
		case w.fixed && w.wrap != nil:
			value := []piece{lit(sourceColumn(i))}
			if !w.wrap.fits {
				value = assigned(value[0], c.Type.SQL)
			}
			w.wrap.cols[i], w.wrap.changed = plainText(a.checked(c, value)), true
		case w.fixed:
			a.refusesSource(l, w)
			return false
		default:
			for r := range w.rows {
				switch n, toks := w.rows[r].nodes[i], w.rows[r].toks[i]; {
				case n.GetSetToDefault() != nil || neverNull(n):
				case w.sorted: // by another value perhaps
					a.refusesSource(l, w)
					return false
				default:
					a.move(toks[0], toks[1], a.checked(c, assigned(copyOf(toks[0], toks[1]), c.Type.SQL)))
				}
			}
		}
	}
	return true
}

func (a *attempt) refusesSource(l *lens.Lens, w *rowsToWrite) {
	a.uncovered(w.off, l, "this source of a column that takes no NULL", "Use INSERT ... VALUES, or a plain SELECT with one expression for each column.")
}

// checked puts a value through the function that raises where it is NULL.
func (a *attempt) checked(c *lens.Column, value []piece) []piece {
	return append(append(sqlText(c.Given, "("), value...), lit(")"))
}

// wantsGiven says whether some value that is looked at could not be, or could be another one, where it stands: set-returning functions may not stand in COALESCE, and the rows of a
// SELECT may be sorted or grouped by its targets.
func (v *values) wantsGiven(w *rowsToWrite, at []int) bool {
	for _, i := range at {
		if n := w.rows[0].nodes[i]; w.cols[i].Given != "" && n.GetSetToDefault() == nil && !neverNull(n) && (w.targets || !v.twice(n)) {
			return true
		}
	}
	return false
}

// neverNull says whether a value is seen not to be NULL: a literal, cast to a type of the server's own or not.
func neverNull(n *pg.Node) bool {
	if c := n.GetTypeCast(); c != nil {
		names := c.TypeName.Names
		return (len(names) == 1 && builtinTypes[strOf(names[0])] || len(names) == 2 && strOf(names[0]) == "pg_catalog") && neverNull(c.Arg)
	}
	c := n.GetAConst()
	return c != nil && !c.Isnull
}

// assigned gives a value as one of a column's type, but for the type's modifier: of what can be assigned to the column and of nothing else. The assignment raises what there is to
// raise about the modifier.
func assigned(value piece, typ string) []piece {
	base := baseType(typ)
	if base == "" { // bit alone is bit(1)
		base = strings.Replace(stripModifier(typ), "bit", `pg_catalog."bit"`, 1)
	}
	if base == "character varying" || base == "text" || base == "bpchar" || assignable[base] != nil { // any type can be assigned to a string
		return []piece{lit("("), value, lit(")::" + base)}
	}
	return []piece{lit("COALESCE("), value, lit(", NULL::" + base + ")::" + base)}
}

// assignable are the types to which other types are assigned with which they have no common type, so that COALESCE would refuse what an assignment takes (json and jsonb, a
// timestamp's time). A cast that is written down takes all of it, and strings as well: so with each goes what stands before and behind a value in an expression that takes what can be assigned, and no string.
var assignable = map[string][]string{
	"json": {"", " OPERATOR(pg_catalog.->) ''"}, "jsonb": {"", " OPERATOR(pg_catalog.->) ''"}, "money": {"", " OPERATOR(pg_catalog.*) 1::pg_catalog.float8"},
	"time without time zone": {"pg_catalog.date_part('hour', ", ")"}, "time with time zone": {"pg_catalog.date_part('hour', ", ")"}, "box": {}, "path": {}, "polygon": {},
}

// stripModifier leaves a type's modifier out.
func stripModifier(typ string) string {
	base, rest, _ := strings.Cut(typ, "(")
	if _, behind, ok := strings.Cut(rest, ")"); ok {
		return base + behind
	}
	return base
}
