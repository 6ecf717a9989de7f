package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

const (
	hintWholeRow = "Name the columns instead of using the row as a whole."
	hintUnsure   = "Qualify the column with its table's name or alias."
)

// isStar says whether the reference is `*` or `t.*`.
func isStar(c *pg.ColumnRef) bool {
	return len(c.Fields) > 0 && c.Fields[len(c.Fields)-1].GetAStar() != nil
}

// columnRef resolves a reference in an expression and puts the lens' form in its place. It gives nil where the
// reference means nothing that is known here; the server judges it then.
func (a *attempt) columnRef(c *pg.ColumnRef, sc *scope) *ref {
	r := a.resolve(c, sc)
	if r == nil || !within(sc, r.item) {
		a.outward = append(a.outward, c.Location)
	}
	return r
}

// within says whether a thing is one of a sub-select's own, or of one around it, and not of the statement itself.
func within(sc *scope, it *item) bool {
	for ; sc != nil && sc.parent != nil; sc = sc.parent {
		if slices.Contains(sc.items, it) {
			return true
		}
	}
	return false
}

func (a *attempt) resolve(c *pg.ColumnRef, sc *scope) *ref {
	if isStar(c) {
		a.starInExpression(c, sc)
		return nil
	}
	names := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		names[i] = strOf(f)
	}
	if len(names) == 1 {
		return a.unqualified(c, names[0], sc)
	}
	name := names[len(names)-1]
	it := qualified(sc, names[:len(names)-1])
	if it == nil {
		// (a, b).c is no reference of this kind; a.b may still be a whole row's field: table a is not in scope, so it is not.
		return nil
	}
	if it.lens == nil {
		for _, l := range it.covers {
			if l.Names[name] {
				a.uncovered(int(c.Location), l, "a migrating column under a join's alias", "Use the table's own alias.")
				return nil
			}
		}
		if col := it.column(name); col != nil {
			return &ref{item: it, column: col}
		}
		if l := it.hidden[name]; l != nil && !it.open {
			a.unknownColumn(int(c.Location), l, name, fmt.Sprintf("column %s does not exist", strings.Join(names[len(names)-2:], ".")))
		}
		return nil
	}
	col := it.lens.Column(name)
	if col == nil {
		if it.lens.Names[name] {
			a.unknownColumn(int(c.Location), it.lens, name, fmt.Sprintf("column %s does not exist", strings.Join(names[len(names)-2:], ".")))
		}
		return nil
	}
	r := &ref{item: it, lens: col}
	if col.Migrates() {
		a.read(c, r, "")
	}
	return r
}

func qualified(sc *scope, names []string) *item {
	schema := ""
	if len(names) > 1 {
		schema = names[len(names)-2]
	}
	return findItem(sc, schema, names[len(names)-1])
}

func (a *attempt) unqualified(c *pg.ColumnRef, name string, sc *scope) *ref {
	row := wholeRow(sc, name)
	matters := row != nil || capturable(sc, nil, name, nil)
	r, unsure := lookup(sc, name)
	if !matters {
		if r == nil && !unsure && findItem(sc, "", name) == nil { // else it is a whole row of what has that name
			if l := hiddenBy(sc, name); l != nil {
				a.unknownColumn(int(c.Location), l, name, fmt.Sprintf("column %q does not exist", name))
			}
		}
		a.doomed = a.doomed || r != nil && r.several
		return r
	}
	l := a.visibleLens(sc, name, row)
	switch {
	case r == nil && unsure:
		a.uncovered(int(c.Location), l, fmt.Sprintf("the name %q, which something of unknown shape may have,", name), hintUnsure)
	case r == nil && row != nil && row.lens != nil && row.lens.Plain:
		a.usesShape(row.lens)
	case r == nil && row != nil:
		if a.refusal == nil && row.lens != nil {
			a.blame = a.otherSide(row.lens, name)
		}
		a.uncovered(int(c.Location), l, "a whole row", hintWholeRow)
	case r == nil:
		a.unknownColumn(int(c.Location), l, name, fmt.Sprintf("column %q does not exist", name))
	case r.several:
		if capturable(sc, r.scope, name, nil) {
			a.refuse(&Refusal{Code: "42702", Message: fmt.Sprintf("column reference %q is ambiguous", name), Position: a.position(int(c.Location))})
		}
	case !capturable(sc, r.scope, name, nil):
		// Nothing on the way to what it means could take the name.
		return r
	case r.unsure:
		a.uncovered(int(c.Location), l, fmt.Sprintf("the name %q, which something of unknown shape may have,", name), hintUnsure)
	case r.merged:
		a.uncovered(int(c.Location), l, fmt.Sprintf("the name %q of a join's merged column", name), hintUnsure)
	case r.lens != nil && r.lens.Migrates():
		a.note(name, c, r)
		// The name stays as it is where it means the same physically.
		if r.lens.Read.Plain() == name && !capturable(sc, r.scope, name, r.item) {
			a.usesColumn(r.lens)
			return r
		}
		a.read(c, r, a.mustQualify(c, r, sc))
	default:
		a.note(name, c, r)
		from, _, ok := a.refTokens(c)
		if q := a.mustQualify(c, r, sc); ok && q != "" {
			a.add(replace, from, from, sqlText(q, ".", a.tokText(from)))
		}
	}
	return r
}

// hiddenBy gives the table behind a sub-select that stands in for it, of which a name is a column on the other side only.
func hiddenBy(sc *scope, name string) *lens.Lens {
	for ; sc != nil; sc = sc.parent {
		for _, it := range sc.items {
			if l := it.hidden[name]; l != nil {
				return l
			}
		}
	}
	return nil
}

// note records what a name of a migration was resolved to, so that two sides can be compared.
func (a *attempt) note(name string, c *pg.ColumnRef, r *ref) {
	what, alias := "other", ""
	if r.item != nil {
		alias = r.item.alias
	}
	if r.lens != nil && r.lens.Migrates() {
		what = r.lens.Migration()
	}
	a.resolved = append(a.resolved, fmt.Sprintf("%d %s %s.%s", c.Location, name, alias, what))
}

func (a *attempt) mustQualify(c *pg.ColumnRef, r *ref, sc *scope) string {
	q := r.qualifier(sc)
	if q == "" {
		a.uncovered(int(c.Location), a.visibleLens(sc, "", nil), "a column that cannot be qualified here", "Give the table an alias of its own.")
	}
	return q
}

// visibleLens gives the migrating table that a message should speak of.
func (a *attempt) visibleLens(sc *scope, name string, row *item) *lens.Lens {
	var any *lens.Lens
	for ; sc != nil; sc = sc.parent {
		for _, it := range sc.items {
			all := it.covers
			if it.lens != nil {
				all = []*lens.Lens{it.lens}
			}
			for _, l := range all {
				if l.Names[name] || it == row {
					return l
				}
				any = l
			}
		}
	}
	return any
}

// read puts a migrating column's read form in the place of a reference. qualifier is what an unqualified reference is to
// be qualified with.
func (a *attempt) read(c *pg.ColumnRef, r *ref, qualifier string) {
	a.usesColumn(r.lens)
	if r.lens.Unreadable != "" {
		a.uncovered(int(c.Location), r.item.lens, "the column "+catalog.QuoteIdent(r.lens.Name), "Now, "+r.lens.Unreadable+".")
		return
	}
	from, to, ok := a.refTokens(c)
	if !ok {
		return
	}
	name := strOf(c.Fields[len(c.Fields)-1])
	plain := r.lens.Read.Plain()
	if plain != name {
		a.renamed[c] = true
	}
	if len(c.Fields) > 1 {
		if plain == name {
			return
		}
		if plain != "" {
			a.add(replace, to, to, sqlText(catalog.QuoteIdent(plain)))
			return
		}
		qualifier = a.text[a.toks[from].start:a.toks[to-2].end]
	}
	if qualifier == "" {
		return // refused already
	}
	form := readOf(r.lens, r.item, qualifier)
	if plain == "" && a.isPunct(to+1, '[') {
		form = "(" + form + ")" // only a plain column takes a subscript without brackets
	}
	a.add(replace, from, to, sqlText(form))
}

// readOf writes a column's read form. Where there may be no row, one that makes something of NULL must give NULL all the same.
func readOf(c *lens.Column, it *item, qualifier string) string {
	form := c.Read.Over(qualifier)
	if it.nullable && c.Loose && c.Read.Plain() == "" {
		return "CASE WHEN " + qualifier + ".tableoid IS NOT NULL THEN " + form + " END"
	}
	return form
}

// starInExpression handles `t.*` where it is no target: as a whole row, or spread out in ROW(...), neither of which shows
// what the code expects on a migrating table.
func (a *attempt) starInExpression(c *pg.ColumnRef, sc *scope) {
	if len(c.Fields) == 1 {
		return // count(*) has no reference; a bare * elsewhere is the server's to refuse
	}
	names := make([]string, 0, len(c.Fields)-1)
	for _, f := range c.Fields[:len(c.Fields)-1] {
		names = append(names, strOf(f))
	}
	it := qualified(sc, names)
	if it == nil {
		return
	}
	for _, l := range append(it.covers, it.lens) {
		switch {
		case l == nil:
		case l.Plain:
			a.usesShape(l)
		default:
			a.uncovered(int(c.Location), l, "a whole row", hintWholeRow)
		}
	}
}

// castRef gives what a cast's column means where the cast, or each of several, is to the column's own type with its own modifier: PostgreSQL then takes the column itself.
func (a *attempt) castRef(n *pg.Node, sc *scope) *ref {
	t := n.GetTypeCast()
	if t == nil {
		return nil
	}
	var r *ref
	if c := t.Arg.GetColumnRef(); c == nil {
		r = a.castRef(t.Arg, sc)
	} else if !isStar(c) {
		r = migratingRef(c, sc)
	}
	if was := r.was(); was == "" || was != castTo(t.TypeName) {
		return nil
	}
	return r
}

// castTo gives a cast's type as format_type writes it; "" where that is not known.
func castTo(t *pg.TypeName) string {
	schema, name := lastTypeNames(t)
	sql := sqlTypes[name]
	if sql == "" || len(t.GetArrayBounds()) > 0 || schema != "" && schema != "pg_catalog" {
		return ""
	}
	for i, m := range t.Typmods {
		sql += map[bool]string{true: "(", false: ","}[i == 0] + fmt.Sprint(m.GetAConst().GetIval().GetIval())
	}
	if len(t.Typmods) > 0 {
		sql += ")"
	}
	return sql
}

// migratingRef gives what a reference means to a migrating table's column, or to one that a sub-select gives unchanged, without an edit; nil for others.
func migratingRef(c *pg.ColumnRef, sc *scope) *ref {
	names := make([]string, len(c.Fields))
	for i, f := range c.Fields {
		names[i] = strOf(f)
	}
	last := names[len(names)-1]
	if len(names) == 1 {
		if r, _ := lookup(sc, last); r != nil && (r.lens != nil || r.column != nil) {
			return r
		}
		return nil
	}
	it := qualified(sc, names[:len(names)-1])
	switch {
	case it == nil:
	case it.lens != nil:
		if col := it.lens.Column(last); col != nil {
			return &ref{item: it, lens: col}
		}
	default:
		if col := it.column(last); col != nil {
			return &ref{item: it, column: col}
		}
	}
	return nil
}

// was gives the type of the migrating column that a value comes from unchanged, as format_type writes it; "" where there is none, or it is not known.
func (r *ref) was() string {
	switch {
	case r == nil:
		return ""
	case r.lens != nil:
		return r.lens.Type.SQL
	case r.column != nil:
		return r.column.was
	}
	return ""
}

// sqlTypes gives types' names as format_type writes them, by the names that they have in pg_type.
var sqlTypes = map[string]string{
	"int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real", "float8": "double precision", "bool": "boolean", "varchar": "character varying",
	"bpchar": "character", "timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone", "time": "time without time zone",
	"timetz": "time with time zone", "text": "text", "numeric": "numeric", "uuid": "uuid", "json": "json", "jsonb": "jsonb", "date": "date", "bytea": "bytea",
	"interval": "interval", "inet": "inet", "xml": "xml", "money": "money", "name": "name", "oid": "oid",
}

// origin gives the origin that a result column must be given because its form hides it; nil where there is no need.
func (r *ref) origin() *Origin {
	switch {
	case r == nil:
		return nil
	case r.column != nil:
		return r.column.origin
	case r.lens != nil && r.lens.Migrates():
		rel := r.item.lens.Relation
		if p := r.lens.Read.Plain(); p != "" {
			if c := rel.Column(p); c == nil || c.Num == r.lens.Num {
				return nil // the server says the same
			}
		}
		if r.lens.Num == 0 {
			return nil // there is no such column now
		}
		return &Origin{Table: rel.OID, Num: r.lens.Num}
	}
	return nil
}
