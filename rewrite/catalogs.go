package rewrite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// The system catalogs that tell a table's columns are read as the code's own schema would have them: drivers and object-relational mappers
// make their statements of what they say. A sub-select stands in for the catalog; it leaves out the rows of the other side's columns and makes those of
// columns that are not there, or have another name, from rows that are. All other catalogs are read as they are.

// catalogWords are names of such catalogs; columns is a word of many texts, its schema is not.
var catalogWords = newWordSet([]string{"pg_attribute", "pg_attrdef", "information_schema"})

// maxCatalogRows bounds the rows that a sub-select in the place of a catalog leaves out or makes.
const maxCatalogRows = 2000

// catalogRow is the row of a migrating column of one table in a catalog.
type catalogRow struct {
	rel    *catalog.Relation
	column *lens.Column
	num    int16    // attribute number that the code sees
	of     []string // columns of the physical table that the row can be made from, the best one first
	// source are the names that the row of that number may have in pg_attribute: what becomes the column's row. None where there is no such row.
	source []string
	// leaving says that the column's default may have gone to the other side's columns, none of which has it as it was.
	leaving bool
}

// catalogTable is a table that migrates, as catalogs have it.
type catalogTable struct {
	rel *catalog.Relation
	// hidden are the names of columns whose rows are left out. They are told by their names, since the tables may be a step further than the catalog here.
	hidden []string
	rows   []catalogRow // that are made
}

// catalogTables gives what catalogs are to say of the columns that migrate; nil where that would be too much.
func (a *attempt) catalogTables() []catalogTable {
	var tables []catalogTable
	n := 0
	for _, oid := range slices.Sorted(maps.Keys(a.state.tables)) {
		t := catalogTable{rel: a.state.Catalog.ByOID(oid)}
		l := a.lensOf(t.rel)
		groups, moving, leaving, going := map[string]*lens.Group{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
		for _, i := range a.state.tables[oid] {
			m := &a.state.migrations[i]
			groups[m.Definition.Name] = m.group
			leaving[m.Definition.Name] = m.Stage.Step == lens.InferNew && !a.isNew[m.Definition.Name]
			going[m.Definition.Name] = m.Stage.Step == lens.WriteOld && a.isNew[m.Definition.Name]
			switch m.Stage.Step {
			case lens.InferNew, lens.WriteNew, lens.WriteOld:
				moving[m.Definition.Name] = !m.group.Splitting || m.Stage.Step == lens.WriteNew // a column may have lost its constraints, or be gone
			case lens.NoStep, lens.BothUnique, lens.NewOnly:
			}
			t.hidden = append(t.hidden, m.group.Physical()...)
		}
		for i := range l.Columns {
			c := &l.Columns[i]
			if !c.Migrates() {
				continue
			}
			r := catalogRow{rel: t.rel, column: c, num: c.Num, of: []string{c.Physical}, leaving: leaving[c.Migration()] && c.Hides == ""}
			if r.num == 0 {
				r.num = c.Slot
			}
			if own := t.rel.Column(c.Physical); own != nil && !moving[c.Migration()] && own.Name == c.Name && own.Num == r.num && own.NotNull == c.NotNull && own.Default == c.SaidDefault && (own.Default != "") == (c.DefaultOf != "") {
				t.hidden = slices.DeleteFunc(t.hidden, func(name string) bool { return name == c.Name })
				continue
			}
			for _, name := range groups[c.Migration()].Physical() {
				if name != c.Physical {
					r.of = append(r.of, name)
				}
			}
			if !going[c.Migration()] || c.Hides != "" {
				r.source = t.sourceOf(&r, moving[c.Migration()])
			}
			t.rows = append(t.rows, r)
		}
		if len(t.hidden)+len(t.rows) == 0 {
			continue // such as for old code, where a column only goes
		}
		n += len(t.hidden) + len(t.rows)
		tables = append(tables, t)
	}
	if n > maxCatalogRows {
		return nil
	}
	return tables
}

// catalogItem puts a sub-select in the place of a catalog of columns in FROM, and brings it into scope; nil where the name means something else, or
// the catalog is to be read as it is: where it is not plain that a sub-select would do.
func (a *attempt) catalogItem(rv *pg.RangeVar, ctes *cte) *item {
	if rv.Relname != "pg_attribute" && rv.Relname != "pg_attrdef" && rv.Relname != "columns" {
		return nil
	}
	c, rel, _ := a.relation(rv, ctes)
	if c != nil || rel == nil || !rv.Inh || a.locks > 0 || a.kept {
		return nil
	}
	from := a.tokenAt(rv.Location)
	if from < 0 {
		return nil
	}
	to := from
	for a.isPunct(to+1, '.') {
		to += 2
	}
	if a.tokText(to+1) == "*" || a.isWord(from-1, "only") || a.namesFully(rv.Relname, from) {
		return nil
	}
	var sub string
	switch catalog.QuoteQualified(rel.Schema, rel.Name) {
	case "pg_catalog.pg_attribute":
		sub = a.attributes()
	case "pg_catalog.pg_attrdef":
		sub = a.defaults()
	case "information_schema.columns":
		sub = a.informationColumns()
	}
	// Columns outside of GROUP BY may be there by a catalog's primary key, and a sub-select has no system columns.
	if sub == "" || a.groups > 0 && rel.Schema == "pg_catalog" || a.usesWord("tableoid", "ctid", "xmin", "xmax", "cmin", "cmax") {
		return nil
	}
	it := a.tableItem(rv, ctes)
	it.schema, it.table = "", false
	p := sqlText("(", sub, ")")
	if rv.Alias == nil {
		p = append(p, lit(" AS "+catalog.QuoteIdent(rv.Relname)))
	}
	a.add(replace, from, to, p)
	return it
}

// usesWord says whether the text has one of the words as a name.
func (a *attempt) usesWord(words ...string) bool {
	for i := range a.toks {
		if slices.ContainsFunc(words, func(w string) bool { return a.isWord(i, w) }) {
			return true
		}
	}
	return false
}

// namesFully says whether a column is named by schema and table somewhere but at token from, where the table itself is named.
func (a *attempt) namesFully(table string, from int) bool {
	for i := range a.toks {
		if i > 0 && i != from+2 && a.isWord(i, table) && a.isPunct(i-1, '.') && a.isPunct(i+1, '.') {
			return true
		}
	}
	return false
}

// made gives the part of a catalog's sub-select that makes one row: of the row that from and where find, with some of its columns set.
func made(set, from, where string) string {
	return " UNION ALL SELECT (pg_catalog.jsonb_populate_record(r, pg_catalog.jsonb_build_object(" + set + "))).* FROM " + from + " WHERE " + where
}

// sourceOf gives the names of the row in pg_attribute that has the number which the code sees.
func (t *catalogTable) sourceOf(r *catalogRow, moving bool) []string {
	dropped := fmt.Sprintf("........pg.dropped.%d........", r.num)
	for i := range t.rel.Columns {
		if c := &t.rel.Columns[i]; c.Num == r.num {
			if moving {
				return []string{c.Name, dropped}
			}
			return []string{c.Name}
		}
	}
	if r.num <= lens.MaxAttributes {
		return []string{dropped}
	}
	return nil
}

// cases gives a column of a catalog as the code sees it: for some rows an expression, else as it is.
func cases(column string, list []string) string {
	if len(list) == 0 {
		return column
	}
	return "CASE " + strings.Join(list, " ") + " ELSE " + column + " END AS " + column
}

// attributes gives pg_attribute as the code's schema has it. It is a list of columns and no set operation where it can be, so that joins go on
// using the catalog's indexes.
func (a *attempt) attributes() string {
	tables := a.catalogTables()
	rel := a.state.Catalog.Relation("pg_catalog", "pg_attribute")
	if tables == nil {
		return ""
	}
	set := map[string][]string{}
	more := ""
	var hidden []string
	for _, t := range tables {
		shown := map[string]bool{}
		for _, r := range t.rows {
			if r.source == nil {
				more += t.invented(&r)
				continue
			}
			when := fmt.Sprintf("WHEN attrelid = %d AND attname IN (%s) THEN ", t.rel.OID, literals(r.source))
			for _, name := range r.source {
				shown[name] = true
			}
			for _, f := range r.fields() {
				set[f[0]] = append(set[f[0]], when+f[1])
			}
		}
		gaps := t.gaps(shown)
		for _, name := range gaps {
			when := fmt.Sprintf("WHEN attrelid = %d AND attname = %s THEN ", t.rel.OID, literal(name))
			for _, f := range droppedFields {
				set[f[0]] = append(set[f[0]], when+f[1])
			}
		}
		for _, name := range t.hidden {
			if !shown[name] && !slices.Contains(gaps, name) {
				hidden = append(hidden, fmt.Sprintf("(%d, %s)", t.rel.OID, literal(name)))
			}
		}
	}
	columns := "*"
	if len(set) > 0 {
		list := make([]string, len(rel.Columns))
		for i := range rel.Columns {
			list[i] = cases(rel.Columns[i].Name, set[rel.Columns[i].Name])
		}
		columns = strings.Join(list, ", ")
	}
	sql := "SELECT " + columns + " FROM pg_catalog.pg_attribute"
	if len(hidden) > 0 {
		sql += " WHERE (attrelid, attname) NOT IN (" + strings.Join(hidden, ", ") + ")"
	}
	return sql + more
}

// fields gives what the row of a column says, but for its number, as SQL by the name of pg_attribute's column.
func (r *catalogRow) fields() [][2]string {
	t := "(SELECT %s FROM pg_catalog.pg_type WHERE oid = " + typeOID(r.column.Type) + ")"
	of := func(name string) string { return fmt.Sprintf(t, name) }
	has := fmt.Sprint(r.column.DefaultOf != "")
	if r.leaving {
		has = "atthasdef"
	}
	return [][2]string{
		{"attname", literal(r.column.Name)},
		{"attnotnull", fmt.Sprint(r.column.NotNull)},
		{"atthasdef", has},
		{"atttypid", of("oid")},
		{"atttypmod", fmt.Sprint(r.column.Type.Mod)},
		{"attlen", of("typlen")},
		{"attbyval", of("typbyval")},
		{"attalign", of("typalign")},
		{"attstorage", of("typstorage")},
		{"attcollation", of("typcollation")},
		{"attndims", of("CASE typcategory WHEN 'A' THEN 1 ELSE 0 END")},
		{"atthasmissing", "false"},
		{"attisdropped", "false"},
	}
}

// droppedFields are what pg_attribute says of a column that is dropped.
var droppedFields = [][2]string{
	{"attname", "('........pg.dropped.' || attnum || '........')::name"},
	{"attnotnull", "false"},
	{"atthasdef", "false"},
	{"atttypid", "0"},
	{"atthasmissing", "false"},
	{"attisdropped", "true"},
}

// invented gives the part of pg_attribute's sub-select that makes a row of a number that the table does not have.
func (t *catalogTable) invented(r *catalogRow) string {
	set := fmt.Sprintf("'attnum', %d", r.num)
	for _, f := range r.fields() {
		set += ", '" + f[0] + "', " + f[1]
	}
	return made(set, "pg_catalog.pg_attribute r",
		fmt.Sprintf("r.attrelid = %d AND r.attname = (SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %[1]d AND attnum > 0 AND NOT attisdropped ORDER BY attname = %s DESC, attname IN (%s) DESC LIMIT 1)",
			t.rel.OID, literal(r.of[0]), literals(r.of)))
}

// gaps gives the columns that are left out before others: they are shown as dropped ones, since there are tools that count the numbers.
func (t *catalogTable) gaps(shown map[string]bool) []string {
	last := int16(0)
	for i := range t.rel.Columns {
		if c := &t.rel.Columns[i]; !slices.Contains(t.hidden, c.Name) || shown[c.Name] {
			last = c.Num
		}
	}
	var names []string
	for i := range t.rel.Columns {
		if c := &t.rel.Columns[i]; slices.Contains(t.hidden, c.Name) && !shown[c.Name] && c.Num < last {
			names = append(names, c.Name)
		}
	}
	return names
}

// defaults gives pg_attrdef as the code's schema has it.
func (a *attempt) defaults() string {
	tables := a.catalogTables()
	if tables == nil {
		return ""
	}
	var list, gone []string
	for _, t := range tables {
		at := map[int16]bool{} // numbers whose defaults are shown
		for _, r := range t.rows {
			from := []string{r.column.DefaultOf}
			if r.column.DefaultOf == "" {
				continue
			}
			if r.column.Hides != "" {
				from = r.of // the default may have gone from the one to the other
			}
			var nums []string
			for _, name := range from {
				if c := t.rel.Column(name); c != nil {
					nums, at[c.Num] = append(nums, fmt.Sprint(c.Num)), true
				}
			}
			list = append(list, fmt.Sprintf("WHEN adrelid = %d AND adnum IN (%s) THEN %d", t.rel.OID, strings.Join(nums, ", "), r.num))
		}
		for i := range t.rel.Columns {
			if c := &t.rel.Columns[i]; slices.Contains(t.hidden, c.Name) && !at[c.Num] {
				gone = append(gone, fmt.Sprintf("(%d, %d)", t.rel.OID, c.Num))
			}
		}
	}
	if len(list)+len(gone) == 0 {
		return ""
	}
	sql := "SELECT oid, adrelid, " + cases("adnum", list) + ", adbin FROM pg_catalog.pg_attrdef"
	if len(gone) > 0 {
		sql += " WHERE (adrelid, adnum) NOT IN (" + strings.Join(gone, ", ") + ")"
	}
	return sql
}

// informationColumns gives information_schema.columns as the code's schema has it.
func (a *attempt) informationColumns() string {
	tables := a.catalogTables()
	if tables == nil {
		return ""
	}
	var hidden []string
	sql := ""
	for _, t := range tables {
		place := fmt.Sprintf("table_schema = %s AND table_name = %s AND column_name IN (", literal(t.rel.Schema), literal(t.rel.Name))
		hidden = append(hidden, place+literals(t.hidden)+")")
		for _, r := range t.rows {
			def, nullable := "NULL", "YES"
			if r.column.SaidDefault != "" {
				def = literal(r.column.SaidDefault)
			}
			if r.column.NotNull {
				nullable = "NO"
			}
			set := fmt.Sprintf("'column_name', %s, 'ordinal_position', %d, 'dtd_identifier', '%[2]d', 'column_default', %s, 'is_nullable', '%s', "+
				"'data_type', CASE WHEN b.typcategory = 'A' THEN 'ARRAY' WHEN n.nspname = 'pg_catalog' THEN pg_catalog.format_type(b.oid, NULL) ELSE 'USER-DEFINED' END, "+
				"'udt_schema', n.nspname, 'udt_name', b.typname, 'domain_schema', CASE WHEN b.oid <> t.oid THEN t.typnamespace::regnamespace::text END, "+
				"'domain_name', CASE WHEN b.oid <> t.oid THEN t.typname END, 'domain_catalog', CASE WHEN b.oid <> t.oid THEN pg_catalog.current_database() END",
				literal(r.column.Name), r.num, def, nullable)
			for _, f := range [...][2]string{
				{"character_maximum_length", "_pg_char_max_length"},
				{"character_octet_length", "_pg_char_octet_length"},
				{"numeric_precision", "_pg_numeric_precision"},
				{"numeric_precision_radix", "_pg_numeric_precision_radix"},
				{"numeric_scale", "_pg_numeric_scale"},
				{"datetime_precision", "_pg_datetime_precision"},
			} {
				set += fmt.Sprintf(", '%s', information_schema.%s(b.oid, CASE WHEN b.oid <> t.oid THEN t.typtypmod ELSE %d END)", f[0], f[1], r.column.Type.Mod)
			}
			sql += made(set,
				"information_schema.columns r, pg_catalog.pg_type t JOIN pg_catalog.pg_type b ON b.oid = COALESCE(NULLIF(t.typbasetype, 0), t.oid) JOIN pg_catalog.pg_namespace n ON n.oid = b.typnamespace",
				fmt.Sprintf("r.table_schema = %s AND r.table_name = %s AND r.column_name = (SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %d AND attnum > 0 "+
					"AND NOT attisdropped ORDER BY attname = %s DESC, attname IN (%s) DESC LIMIT 1) AND t.oid = %s",
					literal(t.rel.Schema), literal(t.rel.Name), t.rel.OID, literal(r.of[0]), literals(r.of), typeOID(r.column.Type)))
		}
	}
	return "SELECT * FROM information_schema.columns WHERE NOT (" + strings.Join(hidden, " OR ") + ")" + sql
}

// literals gives a list of literals as SQL.
func literals(texts []string) string {
	list := make([]string, len(texts))
	for i, t := range texts {
		list[i] = literal(t)
	}
	return strings.Join(list, ", ")
}

// literal gives a text as an SQL literal, under either setting of standard_conforming_strings.
func literal(s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return " E'" + strings.ReplaceAll(s, `\`, `\\`) + "'"
	}
	return "'" + s + "'"
}

// typeOID gives a type's OID as SQL.
func typeOID(t catalog.Type) string {
	if t.OID != 0 {
		return fmt.Sprint(t.OID)
	}
	return literal(t.SQL) + "::regtype"
}
