package rewrite

import (
	"fmt"
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
	num    int16           // attribute number that the code sees
	source *catalog.Column // of the physical table: what the row is made from
	own    bool            // the source is the column itself
}

// same says that pg_attribute has the row as it is.
func (r *catalogRow) same() bool {
	return r.own && r.source.Name == r.column.Name && r.source.Num == r.num && r.source.NotNull == r.column.NotNull && (r.source.Default != "") == (r.column.DefaultOf != "")
}

// migratingRows gives what catalogs are to say of migrating columns, and which attribute numbers those and the other side's have in the tables.
func (a *attempt) migratingRows() (rows []catalogRow, nums map[*catalog.Relation][]int16) {
	nums = map[*catalog.Relation][]int16{}
	var oids []uint32
	for oid := range a.state.tables {
		oids = append(oids, oid)
	}
	slices.Sort(oids)
	for _, oid := range oids {
		rel := a.state.Catalog.ByOID(oid)
		l := a.lensOf(rel)
		groups := map[string]*lens.Group{}
		for _, i := range a.state.tables[oid] {
			m := &a.state.migrations[i]
			groups[m.Definition.Name] = m.group
			for _, name := range m.group.Physical() {
				if c := rel.Column(name); c != nil {
					nums[rel] = append(nums[rel], c.Num)
				}
			}
		}
		for i := range l.Columns {
			c := &l.Columns[i]
			if !c.Migrates() {
				continue
			}
			r := catalogRow{rel: rel, column: c, num: c.Num}
			if r.num == 0 {
				r.num = c.Slot
			}
			if r.source = rel.Column(c.Physical); r.source != nil {
				r.own = true
			} else {
				for _, name := range groups[c.Migration()].Physical() {
					if r.source == nil {
						r.source = rel.Column(name)
					}
				}
			}
			if r.source == nil {
				continue
			}
			if !slices.Contains(nums[rel], r.num) {
				nums[rel] = append(nums[rel], r.num)
			}
			rows = append(rows, r)
		}
	}
	return rows, nums
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
	it.schema = ""
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

// pairs gives a list of (table, attribute number) as SQL; "" where there is none, or too many.
func pairs(nums map[*catalog.Relation][]int16, leave func(*catalog.Relation, int16) bool) string {
	var list []string
	for rel, ns := range nums {
		for _, n := range ns {
			if !leave(rel, n) {
				list = append(list, fmt.Sprintf("(%d, %d)", rel.OID, n))
			}
		}
	}
	if len(list) > maxCatalogRows {
		return ""
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// attributes gives pg_attribute as the code's schema has it.
func (a *attempt) attributes() string {
	rows, nums := a.migratingRows()
	hidden := pairs(nums, func(rel *catalog.Relation, n int16) bool {
		return slices.ContainsFunc(rows, func(r catalogRow) bool { return r.rel == rel && r.num == n && r.same() })
	})
	if hidden == "" {
		return ""
	}
	sql := "SELECT * FROM pg_catalog.pg_attribute WHERE (attrelid, attnum) NOT IN (" + hidden + ")"
	for i := range rows {
		r := &rows[i]
		if r.same() {
			continue
		}
		set := fmt.Sprintf("'attname', %s, 'attnum', %d, 'attnotnull', %t, 'atthasdef', %t", literal(r.column.Name), r.num, r.column.NotNull, r.column.DefaultOf != "")
		from, where := "", ""
		if !r.own {
			from = ", pg_catalog.pg_type t"
			where = " AND t.oid = " + typeOID(r.column.Type)
			set += fmt.Sprintf(", 'atttypid', t.oid, 'atttypmod', %d, 'attlen', t.typlen, 'attbyval', t.typbyval, 'attalign', t.typalign, 'attstorage', t.typstorage, "+
				"'attcollation', t.typcollation, 'attndims', CASE t.typcategory WHEN 'A' THEN 1 ELSE 0 END, 'attcompression', '', 'atthasmissing', false", r.column.Type.Mod)
		}
		sql += fmt.Sprintf(" UNION ALL SELECT (pg_catalog.jsonb_populate_record(a, pg_catalog.jsonb_build_object(%s))).* FROM pg_catalog.pg_attribute a%s WHERE a.attrelid = %d AND a.attnum = %d%s",
			set, from, r.rel.OID, r.source.Num, where)
	}
	return sql
}

// defaults gives pg_attrdef as the code's schema has it.
func (a *attempt) defaults() string {
	rows, nums := a.migratingRows()
	stays := func(r *catalogRow) bool { return r.own && r.column.DefaultOf == r.source.Name && r.source.Num == r.num }
	hidden := pairs(nums, func(rel *catalog.Relation, n int16) bool {
		return slices.ContainsFunc(rows, func(r catalogRow) bool { return r.rel == rel && r.num == n && stays(&r) })
	})
	if hidden == "" {
		return ""
	}
	sql := "SELECT * FROM pg_catalog.pg_attrdef WHERE (adrelid, adnum) NOT IN (" + hidden + ")"
	for i := range rows {
		r := &rows[i]
		if of := r.rel.Column(r.column.DefaultOf); of != nil && !stays(r) {
			sql += fmt.Sprintf(" UNION ALL SELECT (pg_catalog.jsonb_populate_record(d, pg_catalog.jsonb_build_object('adnum', %d))).* FROM pg_catalog.pg_attrdef d WHERE d.adrelid = %d AND d.adnum = %d",
				r.num, r.rel.OID, of.Num)
		}
	}
	return sql
}

// informationColumns gives information_schema.columns as the code's schema has it.
func (a *attempt) informationColumns() string {
	rows, nums := a.migratingRows()
	count := 0
	var hidden []string
	for rel, ns := range nums {
		var names []string
		for i := range rel.Columns {
			c := &rel.Columns[i]
			if slices.Contains(ns, c.Num) && !slices.ContainsFunc(rows, func(r catalogRow) bool { return r.rel == rel && r.source == c && r.same() }) {
				names = append(names, literal(c.Name))
				count++
			}
		}
		if len(names) > 0 {
			hidden = append(hidden, fmt.Sprintf("table_schema = %s AND table_name = %s AND column_name IN (%s)", literal(rel.Schema), literal(rel.Name), strings.Join(names, ", ")))
		}
	}
	if len(hidden) == 0 || count > maxCatalogRows {
		return ""
	}
	slices.Sort(hidden)
	sql := "SELECT * FROM information_schema.columns WHERE NOT (" + strings.Join(hidden, " OR ") + ")"
	for i := range rows {
		r := &rows[i]
		if r.same() {
			continue
		}
		def := "NULL"
		if r.column.Default != "" {
			def = literal(r.column.Default)
		}
		nullable := "YES"
		if r.column.NotNull {
			nullable = "NO"
		}
		set := fmt.Sprintf("'column_name', %s, 'ordinal_position', %d, 'column_default', %s, 'is_nullable', '%s', 'dtd_identifier', '%[2]d'", literal(r.column.Name), r.num, def, nullable)
		from, where := "", ""
		if !r.own {
			from = ", pg_catalog.pg_type t, pg_catalog.pg_namespace n"
			where = " AND t.oid = " + typeOID(r.column.Type) + " AND n.oid = t.typnamespace"
			set += ", 'data_type', CASE WHEN t.typcategory = 'A' THEN 'ARRAY' WHEN n.nspname = 'pg_catalog' THEN pg_catalog.format_type(t.oid, NULL) ELSE 'USER-DEFINED' END" +
				", 'udt_schema', n.nspname, 'udt_name', t.typname"
			for _, f := range [...][2]string{
				{"character_maximum_length", "_pg_char_max_length"},
				{"character_octet_length", "_pg_char_octet_length"},
				{"numeric_precision", "_pg_numeric_precision"},
				{"numeric_precision_radix", "_pg_numeric_precision_radix"},
				{"numeric_scale", "_pg_numeric_scale"},
				{"datetime_precision", "_pg_datetime_precision"},
			} {
				set += fmt.Sprintf(", '%s', information_schema.%s(t.oid, %d)", f[0], f[1], r.column.Type.Mod)
			}
		}
		sql += fmt.Sprintf(" UNION ALL SELECT (pg_catalog.jsonb_populate_record(c, pg_catalog.jsonb_build_object(%s))).* FROM information_schema.columns c%s WHERE c.table_schema = %s AND c.table_name = %s AND c.column_name = %s%s",
			set, from, literal(r.rel.Schema), literal(r.rel.Name), literal(r.source.Name), where)
	}
	return sql
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
