package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// checkSplit looks for whatever keeps a table from being split. The new table is made for it, and taken away again with its transaction: for that moment it keeps writers of the
// source waiting, as expand will, where it has a foreign key to it.
func checkSplit(ctx context.Context, conn *pgx.Conn, def *lens.Definition, f *findings) error {
	for _, step := range []func(context.Context, queryer, *lens.Definition, *findings) error{checkTable, checkFamily} {
		if err := step(ctx, conn, def, f); err != nil {
			return err
		}
		if f.table == 0 {
			return nil
		}
	}
	if len(f.family) > 1 {
		f.refuse("%s has partitions or inheritance children, which this build does not split", def.Table)
	}
	for _, step := range []func(context.Context, queryer, *lens.Definition, *findings) error{checkSplitColumns, checkRowFunctions, checkSplitNames, checkRole} {
		if err := step(ctx, conn, def, f); err != nil {
			return err
		}
	}
	if len(f.problems) > 0 {
		return nil
	}
	m := &migration{Name: def.Name, Table: f.table, Definition: def}
	s, err := readSplit(ctx, conn, m)
	if err != nil {
		return err
	}
	problems, notes, err := s.missingGrants(ctx, conn)
	if err != nil {
		return err
	}
	f.problems, f.notes = append(f.problems, problems...), append(f.notes, notes...)
	if len(f.problems) > 0 {
		return nil
	}
	tried, err := s.try(ctx, conn, def)
	if err != nil {
		return err
	}
	f.problems, f.notes, f.grants = append(f.problems, tried.problems...), append(f.notes, tried.notes...), tried.grants
	return nil
}

// try makes the new table, compares it with the old one, and takes it away again.
func (s *split) try(ctx context.Context, conn *pgx.Conn, def *lens.Definition) (*findings, error) {
	retry := backoff{next: firstLockPause, longest: longestLockPause}
	for attempt := 1; ; attempt++ {
		tried := &findings{}
		err := undone(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = '%dms'", lockTimeout.Milliseconds())); err != nil {
				return err
			}
			if err := s.makeTarget(ctx, tx, def.SplitTable, tried); err != nil || len(tried.problems) > 0 {
				return err
			}
			return s.compare(ctx, tx, tried)
		})
		switch {
		case err == nil:
			return tried, nil
		case sqlState(err) != "55P03" && sqlState(err) != "40P01" || attempt == 10:
			return nil, err
		}
		if err := retry.pause(ctx); err != nil {
			return nil, err
		}
	}
}

// checkSplitColumns demands a key that is one, and columns that can move.
func checkSplitColumns(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	key := map[string]bool{}
	for _, p := range def.SplitTable.KeyPairs() {
		name := catalog.QuoteIdent(p.From)
		key[p.From] = true
		var notNull, native, deterministic, generated bool
		var typ string
		err := q.QueryRow(ctx, `
			SELECT a.attnotnull, b.typnamespace = 'pg_catalog'::regnamespace OR b.typtype = 'e', COALESCE(c.collisdeterministic, true), a.attgenerated <> '', format_type(a.atttypid, a.atttypmod)
			FROM pg_attribute a CROSS JOIN `+baseTypes+` LEFT JOIN pg_collation c ON c.oid = a.attcollation
			WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped`, f.table, p.From).Scan(&notNull, &native, &deterministic, &generated, &typ)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			f.refuse("%s has no column %s: correct `key`", def.Table, name)
			return nil
		case err != nil:
			return err
		case !notNull:
			f.refuse("column %s is in the key and may be NULL: the rows of both tables belong together by it, so make it NOT NULL", name)
		case !native || !deterministic:
			f.refuse("column %s is in the key, and by = of %s different values may be the same: this build does not split by such a key", name, typ)
		case generated:
			f.refuse("column %s is in the key and is generated: this build does not split by such a key", name)
		}
	}
	var unique int
	if err := q.QueryRow(ctx, "SELECT count(*) FROM ("+keyIndexes+") x", f.table, slices.Sorted(mapKeys(key))).Scan(&unique); err != nil {
		return err
	}
	if unique == 0 {
		f.refuse("(%s) is neither the primary key of %s nor unique in it, by a constraint or an index that is not DEFERRABLE and has no WHERE: name all columns of such a key", strings.Join(slices.Sorted(mapKeys(key)), ", "), def.Table)
	}
	for _, p := range def.SplitTable.ColumnPairs() {
		if err := checkMoving(ctx, q, def, p.From, f); err != nil {
			return err
		}
	}
	return nil
}

// mapKeys is maps.Keys for a set.
func mapKeys(set map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range set {
			if !yield(k) {
				return
			}
		}
	}
}

// checkMoving demands of a column that it can be written on either side, and notes what stands on it.
func checkMoving(ctx context.Context, q queryer, def *lens.Definition, name string, f *findings) error {
	o := catalog.QuoteIdent(name)
	var num int16
	var typ catalog.Type
	var generated, identity, key, domain bool
	err := q.QueryRow(ctx, `
		SELECT a.attnum, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '', a.attidentity <> '', `+strictDomain+`,
		       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND (i.indisprimary OR i.indisreplident) AND a.attnum = ANY (i.indkey::int2[]))
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1 AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped`, f.table, name).Scan(
		&num, &typ.OID, &typ.Mod, &typ.SQL, &generated, &identity, &domain, &key)
	if errors.Is(err, pgx.ErrNoRows) {
		f.refuse("%s has no column %s: correct `columns`", def.Table, o)
		return nil
	}
	if err != nil {
		return err
	}
	f.oldNums[name], f.oldTypes[name] = num, typ
	switch {
	case generated:
		f.refuse("column %s is generated: it cannot be written", o)
	case identity:
		f.refuse("column %s is an identity column, which this build does not move", o)
	case domain:
		f.refuse("column %s is of a domain with a default or constraints of its own, which this build does not move", o)
	case key:
		f.refuse("column %s is in the primary key or the replica identity of %s, which would go with it: this build does not move it", o, def.Table)
	}
	deps, err := dependents(ctx, q, f.table, num)
	if err != nil {
		return err
	}
	for _, d := range deps {
		switch {
		case d.class == "pg_attrdef" && d.own, d.class == "pg_class" && (d.kind == "i" || d.kind == "I"), d.class == "pg_statistic_ext":
		case d.class == "pg_attrdef", d.class == "pg_class" && d.oid == f.table:
			f.refuse("a generated column is computed from column %s (%s): this build does not move it", o, d.name)
		case d.class == "pg_class" && d.kind == "S":
			f.refuse("column %s owns the %s (it is serial), which would be dropped with it: ALTER SEQUENCE ... OWNED BY NONE, or wait for a build that moves it", o, d.name)
		case d.class == "pg_constraint" && d.kind == "f":
			var own bool
			if err := q.QueryRow(ctx, "SELECT conrelid = $2 FROM pg_constraint WHERE oid = $1", d.oid, f.table).Scan(&own); err != nil {
				return err
			}
			if !own {
				f.refuse("the %s refers to column %s, which this build does not move then: drop it first", d.name, o)
			}
		case d.class == "pg_constraint":
		case d.class == "pg_rewrite" && !d.own, d.class == "pg_proc", d.class == "pg_policy", d.class == "pg_trigger", strings.HasPrefix(d.class, "pg_publication"):
			f.later = append(f.later, d.name)
		case d.class == "pg_rewrite": // judge says so
		default:
			f.refuse("column %s is used by the %s, which this build does not carry over: drop it, or wait for a build that does", o, d.name)
		}
	}
	return nil
}

// checkSplitNames demands that the new table's name is free, and that no other migration works on it.
func checkSplitNames(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	to := def.SplitTable.To
	var schema, owned, taken, typed bool
	var owner string
	if err := q.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1), EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2),
		       EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2),
		       quote_ident(pg_get_userbyid(c.relowner)), COALESCE((SELECT has_schema_privilege(c.relowner, n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n WHERE n.nspname = $1), false)
		FROM pg_class c WHERE c.oid = $3`, to.Schema, to.Name, f.table).Scan(&schema, &taken, &typed, &owner, &owned); err != nil {
		return err
	}
	switch {
	case !schema:
		f.refuse("there is no schema %s for %s: make it first", catalog.QuoteIdent(to.Schema), to)
	case taken || typed:
		f.refuse("there is something named %s already: choose another `to`, or drop that", to)
	case !owned:
		f.refuse("%s is made in schema %s, for the owner of %s: GRANT CREATE ON SCHEMA %[2]s TO %s, and to the control role", to, catalog.QuoteIdent(to.Schema), def.Table, owner)
	}
	return nil
}
