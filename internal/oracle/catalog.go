package oracle

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
)

// snapshot is what a catalog is made from.
type snapshot struct {
	relations []*catalog.Relation
	functions []*catalog.Function
	operators []string
}

func (s *snapshot) catalog() *catalog.Catalog {
	return catalog.New(s.relations, s.functions, s.operators)
}

// relation gives the relation of that name in schema public.
func (s *snapshot) relation(name string) *catalog.Relation {
	for _, r := range s.relations {
		if r.Schema == "public" && r.Name == name {
			return r
		}
	}
	return nil
}

// outdated gives the snapshot with a table's columns as an older one has them.
func (s *snapshot) outdated(table string, older *snapshot) *snapshot {
	out := *s
	out.relations = nil
	for _, r := range s.relations {
		if r.Schema == "public" && r.Name == table {
			stale := *r
			stale.Columns = older.relation(table).Columns
			r = &stale
		}
		out.relations = append(out.relations, r)
	}
	return &out
}

// firstOwnOID is the first OID that is not PostgreSQL's own.
const firstOwnOID = 16384

// readCatalog reads everything that a catalog knows from the database, of the relations and functions whose OIDs are not below from.
func readCatalog(ctx context.Context, conn *pgx.Conn, from uint32) (*snapshot, error) {
	relations, err := readRelations(ctx, conn, from)
	if err != nil {
		return nil, fmt.Errorf("reading the relations: %w", err)
	}
	rows, err := conn.Query(ctx, `
		SELECT n.nspname, p.proname, bool_or(p.provolatile = 'v' OR p.proretset),
		       coalesce(array_agg(DISTINCT a.name) FILTER (WHERE a.name IS NOT NULL), '{}'), bool_or(p.procost > 10000),
		       bool_or(t.typtype = 'c' OR p.prorettype = 'record'::regtype),
		       bool_or((t.typtype = 'c' OR p.prorettype = 'record'::regtype) AND a.name IS NULL),
		       bool_or(t.typtype <> 'c' AND p.prorettype <> 'record'::regtype AND a.name IS NULL)
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type t ON t.oid = p.prorettype
		LEFT JOIN LATERAL (
			SELECT p.proargnames[i] AS name FROM generate_subscripts(p.proargmodes, 1) i WHERE p.proargmodes[i] IN ('o', 'b', 't')
		) a ON true
		WHERE p.oid >= $1
		GROUP BY 1, 2`, from)
	if err != nil {
		return nil, err
	}
	functions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*catalog.Function, error) {
		var f catalog.Function
		err := row.Scan(&f.Schema, &f.Name, &f.Volatile, &f.Columns, &f.Dear, &f.Row, &f.Open, &f.Scalar)
		return &f, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the functions: %w", err)
	}
	rows, err = conn.Query(ctx, `SELECT DISTINCT o.oprname::text FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE p.provolatile = 'v' AND o.oid >= $1`, from)
	if err != nil {
		return nil, err
	}
	operators, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading the operators: %w", err)
	}
	return &snapshot{relations, functions, operators}, nil
}

func readRelations(ctx context.Context, conn *pgx.Conn, from uint32) ([]*catalog.Relation, error) {
	rows, err := conn.Query(ctx, `
		SELECT c.oid, c.reltype, n.nspname, c.relname, c.relkind::text,
		       coalesce((SELECT array_agg(a.attname ORDER BY k.ord) FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k(num, ord), pg_attribute a
		                 WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.num), '{}'),
		       coalesce((SELECT array_agg(h.inhparent ORDER BY h.inhseqno) FROM pg_inherits h WHERE h.inhrelid = c.oid), '{}')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.oid >= $1`, from)
	if err != nil {
		return nil, err
	}
	byOID := map[uint32]*catalog.Relation{}
	relations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*catalog.Relation, error) {
		var r catalog.Relation
		var kind string
		if err := row.Scan(&r.OID, &r.RowType, &r.Schema, &r.Name, &kind, &r.PrimaryKey, &r.Parents); err != nil {
			return nil, err
		}
		r.Kind = catalog.Kind(kind[0])
		if len(r.PrimaryKey) == 0 {
			r.PrimaryKey = nil
		}
		byOID[r.OID] = &r
		return &r, nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = conn.Query(ctx, `
		SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod), a.attnotnull,
		       coalesce(pg_get_expr(d.adbin, d.adrelid), ''), a.attgenerated <> '', a.attidentity <> ''
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid >= $1 ORDER BY a.attrelid, a.attnum`, from)
	if err != nil {
		return nil, err
	}
	var oid uint32
	var c catalog.Column
	_, err = pgx.ForEachRow(rows, []any{&oid, &c.Name, &c.Num, &c.Type.OID, &c.Type.Mod, &c.Type.SQL, &c.NotNull, &c.Default, &c.Generated, &c.Identity}, func() error {
		if r := byOID[oid]; r != nil {
			r.Columns = append(r.Columns, c)
		}
		return nil
	})
	return relations, err
}
