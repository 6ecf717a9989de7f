package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// findings are what checking a definition against the table gave.
type findings struct {
	table    uint32
	family   []relative // the table, its partitions and its inheritance children
	oldNums  map[string]int16
	oldTypes map[string]catalog.Type
	dropping bool     // columns go and none come
	problems []string // each refuses the migration, and says what would help
	later    []string // what `complete` will wait for
	notes    []string // what is good to know before; of a split, all but what remark says

	// Of a split: what the new table demands of rows that the old one does not, and the columns that are unique there and not here.
	conditions []condition
	extras     []string // its other columns, as its defaults fill them: value AS name
	unique     [][]string
	grants     []grant // what is granted on the new table
}

func (f *findings) refuse(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

// err is nil where nothing refuses; it is proxy.ErrInvalid otherwise.
func (f *findings) err(name string) error {
	if len(f.problems) == 0 {
		return nil
	}
	return fmt.Errorf("migration %s %w: %s", name, proxy.ErrInvalid, strings.Join(f.problems, "; "))
}

// check looks for whatever in the database this build cannot carry through the migration. It changes nothing.
func check(ctx context.Context, conn *pgx.Conn, def *lens.Definition) (*findings, error) {
	f := &findings{oldNums: map[string]int16{}, oldTypes: map[string]catalog.Type{}, dropping: (&migration{Definition: def}).dropping()}
	if def.SplitTable != nil {
		if err := checkSplit(ctx, conn, def, f); err != nil {
			return nil, fmt.Errorf("checking %s: %w", def.Table, err)
		}
		return f, nil
	}
	steps := []func(context.Context, queryer, *lens.Definition, *findings) error{checkTable, checkFamily, checkColumns, checkDependents, checkUnique, checkTriggers, checkRole}
	for _, step := range steps {
		if err := step(ctx, conn, def, f); err != nil {
			return nil, fmt.Errorf("checking %s: %w", def.Table, err)
		}
		if f.table == 0 {
			return f, nil // nothing else can be looked for
		}
	}
	if err := checkForms(ctx, conn, def, f); err != nil {
		return nil, fmt.Errorf("checking %s: %w", def.Table, err)
	}
	if len(f.problems) == 0 {
		if err := checkStanding(ctx, conn, def, f); err != nil {
			return nil, fmt.Errorf("checking %s: %w", def.Table, err)
		}
	}
	return f, nil
}

// checkTable demands a table with a primary key.
func checkTable(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	var oid uint32
	var kind, persistence string
	var parent string
	var typed, keyed bool
	err := q.QueryRow(ctx, `
		SELECT c.oid, c.relkind::text, c.relpersistence::text, COALESCE((SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = c.oid AND c.relispartition), ''),
		       c.reloftype <> 0, EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary AND indisvalid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`,
		def.Table.Schema, def.Table.Name).Scan(&oid, &kind, &persistence, &parent, &typed, &keyed)
	if errors.Is(err, pgx.ErrNoRows) {
		f.refuse("there is no table %s: correct `table`, with its schema", def.Table)
		return nil
	}
	if err != nil {
		return err
	}
	t := def.Table.String()
	what := map[string]string{
		"p": "a partitioned table", "v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index",
		"I": "an index", "c": "a composite type", "t": "a TOAST table",
	}
	switch {
	case kind != "r" && kind != "p":
		f.refuse("%s is %s: name the table itself", t, what[kind])
		return nil
	case persistence == "t":
		f.refuse("%s is a temporary table", t)
		return nil
	}
	f.table = oid
	if parent != "" {
		f.refuse("%s is a partition, whose columns are those of %s: migrate that", t, parent)
	}
	if typed {
		f.refuse("%s is a typed table, to which no column can be added", t)
	}
	if !keyed {
		f.refuse("%s has no primary key, by which the backfill goes: add one, where a unique index on NOT NULL columns stands by ALTER TABLE %[1]s ADD PRIMARY KEY USING INDEX ...", t)
	}
	return nil
}

// checkColumns demands that the old columns are there, plain, and that the new names are free.
func checkColumns(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	old, added := columnNames(def)
	for _, name := range old {
		if err := checkOld(ctx, q, def, name, f); err != nil {
			return err
		}
	}
	if err := checkStay(ctx, q, def, f); err != nil {
		return err
	}
	for _, name := range added {
		var taken, system bool
		if err := q.QueryRow(ctx, "SELECT count(*) > 0, COALESCE(bool_or(attnum < 0), false) FROM pg_attribute WHERE attrelid = ANY ($1) AND attname = $2 AND NOT attisdropped",
			oids(f.family), name).Scan(&taken, &system); err != nil {
			return err
		}
		if system {
			f.refuse("%s is the name of a system column: choose another `%s`", catalog.QuoteIdent(name), newKey(def))
		} else if taken {
			f.refuse("%s has a column %s already: choose another `%s`, or drop that column", def.Table, catalog.QuoteIdent(name), newKey(def))
		}
	}
	return checkRowFunctions(ctx, q, def, f)
}

// checkRowFunctions refuses functions that could be taken for columns, or that give rows in which columns of both sides would show.
func checkRowFunctions(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	old, added := columnNames(def)
	functions, err := collect(ctx, q, `
		SELECT DISTINCT p.oid::regprocedure::text FROM pg_proc p JOIN pg_class c ON c.oid = ANY ($1)
		WHERE p.proname = ANY ($2) AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 AND p.proargtypes[0] = c.reltype`,
		pgx.RowTo[string], oids(f.family), append(append([]string(nil), old...), added...))
	if err != nil {
		return err
	}
	givers, err := collect(ctx, q, `
		SELECT DISTINCT p.oid::regprocedure::text FROM pg_proc p JOIN pg_class c ON c.oid = ANY ($1) JOIN pg_type t ON t.oid = c.reltype
		WHERE p.prorettype IN (t.oid, t.typarray) ORDER BY 1`, pgx.RowTo[string], oids(f.family))
	if err != nil {
		return err
	}
	for _, fn := range givers {
		f.refuse("the function %s gives rows of the table's own type, in which both columns would show: let it RETURN TABLE (...) with its columns by name", fn)
	}
	for _, fn := range functions {
		f.refuse("the function %s can be called like a column (%s.%s): rename it", fn, catalog.QuoteIdent(def.Table.Name), catalog.QuoteIdent(slices.Concat(old, added)[0]))
	}
	return nil
}

// oldKey and newKey are the keys of the definition that name the columns.
func oldKey(def *lens.Definition) string {
	switch {
	case def.ChangeType != nil:
		return "column"
	case def.Columns != nil:
		return "drop"
	}
	return "from"
}

func newKey(def *lens.Definition) string {
	if def.Columns != nil {
		return "name"
	}
	return "to"
}

// strictDomain is true of a domain that has anything of its own, or may have by its base type.
const strictDomain = `(t.typtype = 'd' AND (t.typnotnull OR t.typdefault IS NOT NULL OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = t.oid)
	OR EXISTS (SELECT FROM pg_type b WHERE b.oid = t.typbasetype AND b.typtype = 'd')))`

// checkOld demands that an old column is there and plain.
func checkOld(ctx context.Context, q queryer, def *lens.Definition, name string, f *findings) error {
	o := catalog.QuoteIdent(name)
	var num int16
	var typ catalog.Type
	var generated, identity, domain, volatile, bare bool
	err := q.QueryRow(ctx, `
		SELECT a.attnum, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attidentity <> '', `+strictDomain+`,
		       a.attnotnull AND d.adbin IS NULL AND a.attidentity = '', EXISTS (SELECT FROM regexp_matches(d.adbin::text, ':(?:funcid|opfuncid) (\d+)', 'g') AS m JOIN pg_proc f ON f.oid = m[1]::oid WHERE f.provolatile = 'v')
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped`, f.table, name).Scan(
		&num, &typ.OID, &typ.Mod, &typ.SQL, &generated, &identity, &domain, &bare, &volatile)
	if errors.Is(err, pgx.ErrNoRows) {
		f.refuse("%s has no column %s: correct `%s`", def.Table, o, oldKey(def))
		return nil
	}
	if err != nil {
		return err
	}
	f.oldNums[name], f.oldTypes[name] = num, typ
	if def.Columns != nil && len(def.Columns.Add) == 0 {
		checkDropped(def, name, bare, generated, f)
		return nil
	}
	switch {
	case generated:
		f.refuse("column %s is generated: it cannot be written", o)
	case identity:
		f.refuse("column %s is an identity column, which this build does not migrate", o)
	case domain:
		f.refuse("column %s is of a domain, whose default and constraints adding a column would check row by row under a lock: this build does not migrate it", o)
	case volatile:
		f.refuse("the default of column %s is volatile, so two columns would get two values: this build does not migrate it", o)
	}
	return nil
}

// checkDropped demands that new code, which does not know the column, can insert rows.
func checkDropped(def *lens.Definition, name string, bare, generated bool, f *findings) {
	o := catalog.QuoteIdent(name)
	if generated {
		f.refuse("column %s is generated, which this build does not drop: drop it yourself when nobody reads it", o)
	}
	g, err := def.Group()
	if err != nil || !bare { // checkForms says what is wrong with it
		return
	}
	i := slices.IndexFunc(g.Old, func(c lens.OldColumn) bool { return c.Name == name })
	if down := g.Old[i].Down; down == nil || len(down.Columns()) > 0 {
		f.refuse("column %s is NOT NULL and has no default, so that new code, which does not know it, could not insert: give it a default, or a `down` that is a constant", o)
	}
}

// checkStay demands that the columns which stay, and are mentioned, are there, and have their values before the guard looks at them.
func checkStay(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	adding := (&migration{Definition: def}).adding()
	for _, name := range (&migration{Definition: def}).stayNames() {
		var there, generated bool
		if err := q.QueryRow(ctx, "SELECT count(*) > 0, COALESCE(bool_or(attgenerated <> ''), false) FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND attnum > 0 AND NOT attisdropped",
			f.table, name).Scan(&there, &generated); err != nil {
			return err
		}
		switch {
		case !there:
			f.refuse("%s has no column %s, which the definition mentions", def.Table, catalog.QuoteIdent(name))
		case generated && adding:
			f.refuse("column %s is generated, after the guard has looked at the row: write `up` over what it is computed from", catalog.QuoteIdent(name))
		}
	}
	return nil
}

// dependent is something that names an old column.
type dependent struct {
	class     string // the catalog that it is in
	oid       uint32
	kind      string // relkind, contype, or "" for others
	name      string // as pg_describe_object writes it
	unique    bool   // a unique index
	inherited bool   // a constraint of a partition or child that comes from its parent
	own       bool   // the column's own default, or the sequence that it owns, or a rule of the table itself
}

// dependents lists what depends on a column in the server's books.
func dependents(ctx context.Context, q queryer, table uint32, num int16) ([]dependent, error) {
	out, err := collect(ctx, q, `
		SELECT * FROM (SELECT DISTINCT d.classid::regclass::text, d.objid,
		       COALESCE(c.relkind::text, k.contype::text, v.relkind::text, ''), pg_describe_object(d.classid, d.objid, 0) AS description,
		       COALESCE(i.indisunique OR i.indisexclusion, false), COALESCE(f.adnum = $2 AND f.adrelid = $1 OR v.oid = $1, false), COALESCE(k.coninhcount > 0, false)
		FROM pg_depend d
		LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
		LEFT JOIN pg_index i ON i.indexrelid = c.oid
		LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
		LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
		LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
		LEFT JOIN pg_class v ON v.oid = r.ev_class
		WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = $2 AND d.deptype <> 'i'
		) x WHERE description IS NOT NULL -- else it has just been dropped
		ORDER BY 1, 4, 2`, func(row pgx.CollectableRow) (x dependent, err error) {
		return x, row.Scan(&x.class, &x.oid, &x.kind, &x.name, &x.unique, &x.own, &x.inherited)
	}, table, num)
	if err != nil {
		return nil, fmt.Errorf("reading what depends on the column: %w", err)
	}
	return out, nil
}

// checkDependents refuses what stands on the column and is not mirrored by this build; views may stay until `complete`.
func checkDependents(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	old, _ := columnNames(def)
	for _, name := range old {
		if _, found := f.oldNums[name]; !found {
			continue
		}
		places, err := oldIn(ctx, q, &migration{Table: f.table, Definition: def, OldNums: f.oldNums}, f.family, name)
		if err != nil {
			return err
		}
		for _, c := range places {
			if err := checkDependentsOf(ctx, q, c, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkDependentsOf does so for one relation. What a partition or child has from the table, was judged there.
func checkDependentsOf(ctx context.Context, q queryer, c relativeColumn, f *findings) error {
	deps, err := dependents(ctx, q, c.oid, c.num)
	if err != nil {
		return err
	}
	var key bool
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = $1 AND indisprimary AND $2 = ANY (indkey::int2[]))", c.oid, c.num).Scan(&key); err != nil {
		return err
	}
	o := c.text
	if key {
		f.refuse("column %s is in the primary key, which is not migrated", o)
	}
	for _, d := range deps {
		switch {
		case d.class == "pg_attrdef" && d.own:
		case d.class == "pg_attrdef":
			f.refuse("a generated column is computed from column %s (%s): this build does not migrate it", o, d.name)
		case d.class == "pg_class" && d.oid == c.oid: // servers up to 14 have no entry of the generated column's own
			f.refuse("a generated column is computed from column %s: this build does not migrate it", o)
		case d.class == "pg_class" && d.kind == "S" && f.dropping: // it goes with the column
		case d.class == "pg_class" && d.kind == "S":
			f.refuse("column %s owns the %s (it is serial): this build does not migrate it", o, d.name)
		case len(f.family) > 1 && (d.class == "pg_class" && d.unique || d.class == "pg_constraint" && d.kind == "u" && !d.inherited):
			f.refuse("column %s is in the unique %s, which this build does not migrate in a table with partitions or children", o, d.name)
		case d.class == "pg_class" && (d.kind == "i" || d.kind == "I"): // checkUnique looks at unique ones
		case d.class == "pg_constraint" && d.kind == "p":
		case d.class == "pg_constraint" && d.inherited:
		case d.class == "pg_statistic_ext" && c.oid == f.table:
		case d.class == "pg_constraint" && d.kind == "n": // NOT NULL, which servers from 18 on keep there
		case d.class == "pg_constraint" && d.kind == "u": // checkUnique looks at it
		case d.class == "pg_constraint" && (d.kind == "c" || d.kind == "f") && c.oid == f.table: // checkStanding looks at them
		case d.class == "pg_constraint":
			f.refuse("column %s is in the %s, which this build does not mirror: drop it, or wait for a build that does", o, d.name)
		case d.class == "pg_rewrite" && !d.own, d.class == "pg_proc", d.class == "pg_policy", strings.HasPrefix(d.class, "pg_publication"):
			f.later = append(f.later, d.name)
		case d.class == "pg_rewrite": // checkTable has said so
		default:
			f.refuse("column %s is used by the %s, which this build does not carry over: drop it, or wait for a build that does", o, d.name)
		}
	}
	return nil
}

// checkTriggers demands that the guard fires last.
func checkTriggers(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	names, err := collect(ctx, q, "SELECT DISTINCT tgname::text FROM pg_trigger WHERE tgrelid = ANY ($1) AND NOT tgisinternal AND tgtype::int & 3 = 3 ORDER BY 1", pgx.RowTo[string], oids(f.family))
	if err != nil {
		return err
	}
	for _, name := range names {
		if name > guardTrigger(def.Name) && !strings.HasPrefix(name, guardTrigger("")) {
			f.refuse("the trigger %s would fire after the guard, since triggers fire in the order of their names: rename it", catalog.QuoteIdent(name))
		}
	}
	return nil
}

// checkRole demands what the control role needs beside the table.
func checkRole(ctx context.Context, q queryer, _ *lens.Definition, f *findings) error {
	var role, database string
	var may bool
	if err := q.QueryRow(ctx, "SELECT quote_ident(current_user), quote_ident(current_database()), has_database_privilege(current_database(), 'CREATE')").Scan(&role, &database, &may); err != nil {
		return err
	}
	if !may {
		f.refuse("the control role may not create in the database: GRANT CREATE ON DATABASE %s TO %s", database, role)
	}
	// Indexes are made in the table's schema; a column of a type is made by who may use the type's.
	for _, c := range []struct{ privilege, why, schemas string }{
		{"CREATE", "the mirrored indexes are made there", "SELECT relnamespace FROM pg_class WHERE oid = ANY ($1)"},
		{"USAGE", "a column's type is there", "SELECT t.typnamespace FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped"},
	} {
		missing, err := collect(ctx, q, "SELECT quote_ident(nspname) FROM pg_namespace n WHERE n.oid IN ("+c.schemas+") AND NOT has_schema_privilege(n.oid, '"+c.privilege+"') ORDER BY 1",
			pgx.RowTo[string], oids(f.family))
		if err != nil {
			return err
		}
		for _, schema := range missing {
			f.refuse("the control role has no %s on schema %s, and %s: GRANT %s ON SCHEMA %s TO %s", c.privilege, schema, c.why, c.privilege, schema, role)
		}
	}
	return nil
}

// overlaps says which other migration shares a column with a definition, on the table or on one that it is a family with.
func overlaps(ctx context.Context, q queryer, def *lens.Definition, table uint32, ms []*migration) (string, bool, error) {
	old, added := columnNames(def)
	mine := slices.Concat(old, added, (&migration{Definition: def}).stayNames())
	for _, m := range ms {
		if m.Name == def.Name || m.Stand.Phase == lens.Retired {
			continue
		}
		var related bool
		if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+fmt.Sprintf(familySQL, "$1")+" a JOIN "+fmt.Sprintf(familySQL, "$2")+" b ON a.oid = b.oid)", table, m.Table).Scan(&related); err != nil {
			return "", false, fmt.Errorf("looking for other migrations of the table: %w", err)
		}
		if !related {
			continue
		}
		keys := def.SplitTable != nil && m.splitting() // they may have the same, which stays
		for _, name := range slices.Concat(m.oldNames(), m.newNames(), m.stayNames()) {
			if slices.Contains(mine, name) && !(keys && slices.Contains(m.stayNames(), name) && slices.Contains((&migration{Definition: def}).stayNames(), name)) {
				return m.Name, true, nil
			}
		}
	}
	return "", false, nil
}
