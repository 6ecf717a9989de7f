package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
)

// compare says in what the new table's declarations differ from what stands on the columns that move: what goes with them at complete, and what rows and writers are held to besides. It
// gives the conditions that rows have to hold.
func (s *split) compare(ctx context.Context, tx pgx.Tx, f *findings) error {
	note := func(format string, args ...any) { f.notes = append(f.notes, fmt.Sprintf(format, args...)) }
	for _, c := range s.moved {
		t, err := readColumn(ctx, tx, s.target.OID, c.to)
		if err != nil {
			return err
		}
		from, to := catalog.QuoteIdent(c.from), s.to+"."+catalog.QuoteIdent(c.to)
		switch {
		case c.def != "" && t.Default == "":
			note("column %s has the default %s, and %s has none: rows of new code that leave it out have NULL there", from, c.def, to)
		case c.def != t.Default:
			note("column %s has the default %s, and %s has %s: old code's rows get the one, new code's the other", from, orNone(c.def), to, t.Default)
		}
		switch {
		case c.notNull && len(s.moved) == 1:
			note("column %s is NOT NULL: until complete, a row of %s without one of %s is an error (23502) when its transaction ends", from, s.table, s.to)
		case c.notNull && !t.NotNull:
			note("column %s is NOT NULL, and %s is not: until complete, a NULL is an error (23502) there, too", from, to)
		case !c.notNull && t.NotNull && len(s.moved) > 1:
			note("column %s may be NULL, and %s may not: old code's rows are held to that from expand on", from, to)
			f.conditions = append(f.conditions, condition{what: to + " would be NULL, which it may not", sql: catalog.QuoteIdent(c.to) + " IS NOT NULL"})
		}
	}
	extras, err := collect(ctx, tx, `SELECT COALESCE(pg_get_expr(d.adbin, d.adrelid), 'NULL::' || format_type(a.atttypid, a.atttypmod)) || ' AS ' || quote_ident(a.attname)
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = ''
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL ($2) ORDER BY a.attnum`, pgx.RowTo[string], s.target.OID, targetNames(slices.Concat(s.key, s.moved)))
	if err != nil {
		return fmt.Errorf("reading the columns of %s: %w", s.to, err)
	}
	f.extras = extras
	for _, x := range extras {
		if strings.Contains(x, "nextval(") {
			note("%s is given to rows that old code makes, too: a row that comes back after it was gone has another one (%s)", s.to, x)
		}
	}
	if err := s.compareConstraints(ctx, tx, f); err != nil {
		return err
	}
	if err := s.compareIndexes(ctx, tx, f); err != nil {
		return err
	}
	f.grants, err = s.grants(ctx, tx)
	return err
}

func orNone(def string) string {
	if def == "" {
		return "none"
	}
	return def
}

// condition is what rows have to hold before they can be in the new table; sql is over its columns.
type condition struct{ what, sql string }

// tableConstraint is a CHECK or a foreign key.
type tableConstraint struct {
	name, kind, def, expr string
	columns               []string
}

func constraintsOf(ctx context.Context, q queryer, table uint32, any []string) ([]tableConstraint, error) {
	out, err := collect(ctx, q, `
		SELECT k.conname::text, k.contype::text, pg_get_constraintdef(k.oid), COALESCE(pg_get_expr(k.conbin, k.conrelid), ''), c.names FROM pg_constraint k
		CROSS JOIN LATERAL (SELECT ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (n, i) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i) AS names) c
		WHERE k.conrelid = $1 AND k.contype IN ('c', 'f') AND c.names && $2::text[] ORDER BY 1`, func(row pgx.CollectableRow) (x tableConstraint, err error) {
		return x, row.Scan(&x.name, &x.kind, &x.def, &x.expr, &x.columns)
	}, table, any)
	if err != nil {
		return nil, fmt.Errorf("reading the constraints: %w", err)
	}
	return out, nil
}

func (s *split) compareConstraints(ctx context.Context, tx pgx.Tx, f *findings) error {
	note := func(format string, args ...any) { f.notes = append(f.notes, fmt.Sprintf(format, args...)) }
	from, err := constraintsOf(ctx, tx, s.source, sourceNames(s.moved))
	if err != nil {
		return err
	}
	to, err := constraintsOf(ctx, tx, s.target.OID, targetNames(slices.Concat(s.key, s.moved)))
	if err != nil {
		return err
	}
	as := map[string]string{} // the source's constraints in the target's names
	for _, x := range from {
		all := true
		for _, c := range x.columns {
			all = all && slices.Contains(sourceNames(s.moved), c)
		}
		name := catalog.QuoteIdent(x.name)
		if !all {
			note("the constraint %s has other columns in it, too, so %s cannot have it: it goes at complete", name, s.to)
		}
		if x.kind == "c" && all {
			nulls := each(s.moved, ", ", func(c splitColumn) string { return "NULL::" + c.typ + " AS " + catalog.QuoteIdent(c.from) })
			var holds *bool
			if err := tx.QueryRow(ctx, "SELECT ("+x.expr+") FROM (SELECT "+nulls+") n").Scan(&holds); err != nil {
				return fmt.Errorf("trying the constraint %s: %w", name, err)
			}
			if holds != nil && !*holds {
				f.refuse("the CHECK %s takes no row whose moved columns are NULL, and new code inserts such rows into %s before it inserts into %s: let it take them, or make the column NOT NULL", name, s.table, s.to)
			}
		}
		as[s.renamed(x.def)] = x.name
	}
	for _, x := range to {
		name := catalog.QuoteIdent(x.name)
		if x.kind == "f" && s.target.Foreign != nil && x.name == s.target.Foreign.Name {
			continue
		}
		if _, same := as[x.def]; same {
			delete(as, x.def)
			continue
		}
		note("%s has the constraint %s, and %s has none like it: old code's rows are held to it from expand on", s.to, name, s.table)
		if x.kind == "c" {
			f.conditions = append(f.conditions, condition{what: "the constraint " + name + " of " + s.to + " would be violated", sql: "(" + x.expr + ") IS NOT FALSE"})
		} else {
			cond, err := foreignCondition(ctx, tx, s.target.OID, x)
			if err != nil {
				return err
			}
			f.conditions = append(f.conditions, condition{what: "the foreign key " + name + " of " + s.to + " would be violated", sql: cond})
		}
	}
	var left []string
	for _, name := range as {
		if !slices.ContainsFunc(f.notes, func(n string) bool {
			return strings.HasPrefix(n, "the constraint "+catalog.QuoteIdent(name)+" has other")
		}) {
			left = append(left, catalog.QuoteIdent(name))
		}
	}
	slices.Sort(left)
	for _, name := range left {
		note("`create` declares no constraint like %s of %s: it holds until complete, for new code, too, and then goes", name, s.table)
	}
	return nil
}

// renamed puts the target's names in the place of the source's in a definition, as far as that can be told from the text.
func (s *split) renamed(def string) string {
	var b strings.Builder
	for _, tok := range lexSQL(def) {
		text := tok.text
		for _, c := range slices.Concat(s.key, s.moved) {
			if tok.name == c.from {
				text = catalog.QuoteIdent(c.to)
				break
			}
		}
		b.WriteString(text)
	}
	return b.String()
}

// foreignCondition is true of a row that a foreign key takes.
func foreignCondition(ctx context.Context, q queryer, table uint32, x tableConstraint) (string, error) {
	var other string
	var to []string
	if err := q.QueryRow(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname),
		ARRAY(SELECT quote_ident(a.attname) FROM unnest(k.confkey) WITH ORDINALITY u (n, i) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i)
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.conrelid = $1 AND k.conname = $2`, table, x.name).Scan(&other, &to); err != nil {
		return "", fmt.Errorf("reading the foreign key %s: %w", x.name, err)
	}
	var nulls, same []string
	for i, c := range x.columns {
		nulls = append(nulls, "row_."+catalog.QuoteIdent(c)+" IS NULL")
		same = append(same, "f."+to[i]+" = row_."+catalog.QuoteIdent(c))
	}
	return strings.Join(nulls, " OR ") + " OR EXISTS (SELECT FROM " + other + " AS f WHERE " + strings.Join(same, " AND ") + ")", nil
}

// tableIndex is an index that is no primary key.
type tableIndex struct {
	name    string
	unique  bool
	def     string // from USING on
	columns []string
	exprs   bool
}

func indexesOf(ctx context.Context, q queryer, table uint32) ([]tableIndex, error) {
	out, err := collect(ctx, q, `
		SELECT c.relname::text, i.indisunique, substr(pg_get_indexdef(c.oid), strpos(pg_get_indexdef(c.oid), ' USING ') + 1),
		       ARRAY(SELECT DISTINCT a.attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (SELECT FROM pg_depend d
		         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))),
		       i.indexprs IS NOT NULL
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 ORDER BY 1`, func(row pgx.CollectableRow) (x tableIndex, err error) {
		return x, row.Scan(&x.name, &x.unique, &x.def, &x.columns, &x.exprs)
	}, table)
	if err != nil {
		return nil, fmt.Errorf("reading the indexes: %w", err)
	}
	return out, nil
}

func (s *split) compareIndexes(ctx context.Context, tx pgx.Tx, f *findings) error {
	note := func(format string, args ...any) { f.notes = append(f.notes, fmt.Sprintf(format, args...)) }
	from, err := indexesOf(ctx, tx, s.source)
	if err != nil {
		return err
	}
	to, err := indexesOf(ctx, tx, s.target.OID)
	if err != nil {
		return err
	}
	for _, x := range from {
		if !slices.ContainsFunc(x.columns, func(c string) bool { return slices.Contains(sourceNames(s.moved), c) }) {
			continue
		}
		def := s.renamed(x.def)
		if i := slices.IndexFunc(to, func(t tableIndex) bool { return t.def == def && (t.unique || !x.unique) }); i >= 0 {
			continue
		}
		kind := "index"
		if x.unique {
			kind = "unique index"
		}
		note("`create` declares no index like the %s %s of %s, which goes at complete: have CREATE INDEX on %s behind it in `create`, where new code looks up by it", kind, catalog.QuoteIdent(x.name), s.table, s.to)
	}
	moved := targetNames(s.moved)
	for _, t := range to {
		if !t.unique || !slices.ContainsFunc(t.columns, func(c string) bool { return slices.Contains(moved, c) }) ||
			slices.ContainsFunc(from, func(x tableIndex) bool { return x.unique && s.renamed(x.def) == t.def }) {
			continue
		}
		note("the unique index %s of %s has none like it in %s: old code's rows are held to it from expand on", catalog.QuoteIdent(t.name), s.to, s.table)
		if !t.exprs && !strings.Contains(t.def, " WHERE ") {
			f.unique = append(f.unique, slices.DeleteFunc(t.columns, func(c string) bool { return !slices.Contains(targetNames(slices.Concat(s.key, s.moved)), c) }))
		}
	}
	return nil
}
