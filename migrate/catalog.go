package migrate

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
)

// The kinds of relation that a statement can name, in all schemas but TOAST's; temporary tables are each session's own.
const catalogRelations = `
SELECT c.oid, c.reltype, n.nspname, c.relname, c.relkind::text,
       COALESCE((SELECT array_agg(a.attname::text ORDER BY k.place)
                 FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (num, place)
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num
                 WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts), '{}'),
       COALESCE((SELECT array_agg(h.inhparent ORDER BY h.inhseqno) FROM pg_inherits h WHERE h.inhrelid = c.oid), '{}'),
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname <> 'pg_toast'`

const catalogColumns = `
SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN a.attgenerated = '' THEN COALESCE(pg_get_expr(d.adbin, d.adrelid), '') ELSE '' END,
       a.attgenerated <> '', a.attidentity <> ''
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname <> 'pg_toast'
ORDER BY a.attrelid, a.attnum`

const catalogConstraints = `
SELECT k.conrelid, k.conname::text, COALESCE((SELECT array_agg(COALESCE(a.attname, '')::text) FROM unnest(k.conkey) AS u (num)
           LEFT JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num), '{}') || CASE WHEN k.contype IN ('p', 'x', 't') THEN '{""}' ELSE '{}' END::text[]
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'`

const catalogFunctions = `
SELECT n.nspname, p.proname, bool_or(p.provolatile = 'v' OR p.proretset),
       bool_or(t.typtype = 'c' OR p.prorettype = 'record'::regtype),
       bool_or((t.typtype = 'c' OR p.prorettype = 'record'::regtype) AND NOT COALESCE(p.proargmodes::text[] && '{o,b,t}', false)),
       bool_or(t.typtype <> 'c' AND p.prorettype <> 'record'::regtype AND NOT COALESCE(p.proargmodes::text[] && '{o,b,t}', false)),
       COALESCE(array_agg(DISTINCT o.name) FILTER (WHERE o.name <> ''), '{}'), bool_or(p.procost > 10000)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type t ON t.oid = p.prorettype
LEFT JOIN LATERAL unnest(p.proargnames, p.proargmodes::text[]) AS o (name, mode) ON o.mode IN ('o', 'b', 't')
GROUP BY n.nspname, p.proname`

const catalogOperators = `
SELECT DISTINCT o.oprname::text FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE p.provolatile = 'v'`

// fingerprintSQL changes with every change of what loadCatalog reads, other than of the system's own objects: each row's xmin is the
// transaction that wrote it. VACUUM and ANALYZE change rows of pg_class in place, so they do not show.
const fingerprintSQL = `
SELECT concat_ws('/',
	(SELECT concat(count(*), '.', sum(c.xmin::text::bigint)) FROM pg_class c
	 WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'),
	(SELECT concat(count(*), '.', sum(a.xmin::text::bigint)) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	 WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'),
	(SELECT concat(count(*), '.', sum(d.xmin::text::bigint)) FROM pg_class c JOIN pg_attrdef d ON d.adrelid = c.oid WHERE c.relpersistence <> 't'),
	(SELECT concat(count(*), '.', sum(i.xmin::text::bigint)) FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid
	 WHERE c.oid >= 16384 AND i.indisprimary AND c.relpersistence <> 't'),
	(SELECT concat(count(*), '.', sum(k.xmin::text::bigint)) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
	 WHERE c.oid >= 16384 AND c.relpersistence <> 't'),
	(SELECT concat(count(*), '.', sum(h.xmin::text::bigint)) FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
	 WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'),
	(SELECT concat(count(*), '.', sum(xmin::text::bigint)) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'),
	(SELECT concat(count(*), '.', sum(xmin::text::bigint)) FROM pg_type WHERE oid >= 16384 AND typtype IN ('d', 'e', 'b', 'r') AND typcategory <> 'A'),
	(SELECT concat(count(*), '.', sum(xmin::text::bigint)) FROM pg_proc WHERE oid >= 16384),
	(SELECT concat(count(*), '.', sum(xmin::text::bigint)) FROM pg_operator WHERE oid >= 16384))`

// fingerprint reads the fingerprint as the transaction sees it.
func fingerprint(ctx context.Context, q queryer) (string, error) {
	var s string
	if err := q.QueryRow(ctx, fingerprintSQL).Scan(&s); err != nil {
		return "", fmt.Errorf("looking for changes of the schema: %w", err)
	}
	return s, nil
}

// loadCatalog reads the snapshot that statements are planned with. It must run in one snapshot, with search_path at pg_catalog.
func loadCatalog(ctx context.Context, q queryer) (*catalog.Catalog, error) {
	relations, err := collect(ctx, q, catalogRelations, func(row pgx.CollectableRow) (*catalog.Relation, error) {
		r, kind := &catalog.Relation{}, ""
		err := row.Scan(&r.OID, &r.RowType, &r.Schema, &r.Name, &kind, &r.PrimaryKey, &r.Parents, &r.ByColumn)
		if err == nil {
			r.Kind = catalog.Kind(kind[0])
		}
		if len(r.PrimaryKey) == 0 {
			r.PrimaryKey = nil
		}
		if len(r.Parents) == 0 {
			r.Parents = nil
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the relations: %w", err)
	}
	byOID := make(map[uint32]*catalog.Relation, len(relations))
	for _, r := range relations {
		byOID[r.OID] = r
	}
	rows, err := q.Query(ctx, catalogColumns)
	if err != nil {
		return nil, fmt.Errorf("reading the columns: %w", err)
	}
	var relation uint32
	var c catalog.Column
	_, err = pgx.ForEachRow(rows, []any{
		&relation, &c.Name, &c.Num, &c.Type.OID, &c.Type.Mod, &c.Type.SQL, &c.NotNull, &c.Default, &c.Generated, &c.Identity,
	}, func() error {
		if r := byOID[relation]; r != nil {
			r.Columns = append(r.Columns, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the columns: %w", err)
	}
	if rows, err = q.Query(ctx, catalogConstraints); err != nil {
		return nil, fmt.Errorf("reading the constraints: %w", err)
	}
	var constraint string
	var of []string
	_, err = pgx.ForEachRow(rows, []any{&relation, &constraint, &of}, func() error {
		if r := byOID[relation]; r != nil {
			if r.Constraints == nil {
				r.Constraints = map[string][]string{}
			}
			r.Constraints[constraint] = slices.Clone(of)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the constraints: %w", err)
	}
	functions, err := collect(ctx, q, catalogFunctions, func(row pgx.CollectableRow) (*catalog.Function, error) {
		f := &catalog.Function{}
		err := row.Scan(&f.Schema, &f.Name, &f.Volatile, &f.Row, &f.Open, &f.Scalar, &f.Columns, &f.Dear)
		if len(f.Columns) == 0 {
			f.Columns = nil
		}
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the functions: %w", err)
	}
	operators, err := collect(ctx, q, catalogOperators, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading the operators: %w", err)
	}
	cat := catalog.New(relations, functions, operators)
	if err := q.QueryRow(ctx, "SELECT pg_catalog.current_database()").Scan(&cat.Database); err != nil {
		return nil, fmt.Errorf("reading the database's name: %w", err)
	}
	return cat, nil
}
