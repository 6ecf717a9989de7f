package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
)

// A table that migrates may be partitioned, or have inheritance children. All of these relations have the columns from it, and each has attribute
// numbers, indexes, triggers and rows of its own: what is done to the table's rows is done to each that stores any.

// relative is the table that migrates, or one of its partitions or inheritance children.
type relative struct {
	oid       uint32
	schema    string
	relname   string
	name      string // qualified, as SQL
	kind      string // pg_class.relkind
	partition bool
}

// stores says whether the relation has rows of its own.
func (r relative) stores() bool { return r.kind == "r" }

// familySQL gives the OIDs of a table, its partitions and its inheritance children, with how deep below the table they are; %s is the table's OID.
const familySQL = `(WITH RECURSIVE below AS (SELECT %s::oid AS oid, 0 AS depth UNION SELECT h.inhrelid, b.depth + 1 FROM below b JOIN pg_inherits h ON h.inhparent = b.oid)
	SELECT oid, max(depth) AS depth FROM below GROUP BY oid)`

// readFamily reads the table, first, and all below it, each behind its parents.
func readFamily(ctx context.Context, q queryer, table uint32) ([]relative, error) {
	out, err := collect(ctx, q, `SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relispartition FROM `+fmt.Sprintf(familySQL, "$1")+` f
		JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY f.depth, c.oid`, func(row pgx.CollectableRow) (r relative, err error) {
		err = row.Scan(&r.oid, &r.schema, &r.relname, &r.kind, &r.partition)
		r.name = catalog.QuoteQualified(r.schema, r.relname)
		return r, err
	}, table)
	if err != nil {
		return nil, fmt.Errorf("reading the table's partitions and children: %w", err)
	}
	return out, nil
}

// lockFirst locks a table that has others below it before those are locked: what works from the partitions up, as DROP TRIGGER does, would lock them in the other order than the
// statements of applications, so that each of both would wait for the other until one is cancelled.
func lockFirst(family []relative) []string {
	if len(family) < 2 {
		return nil
	}
	return []string{"LOCK TABLE ONLY " + family[0].name + " IN ACCESS EXCLUSIVE MODE"}
}

// stored lists those of the family that have rows of their own.
func (w *work) stored(ctx context.Context) ([]relative, error) {
	family, err := readFamily(ctx, w.conn, w.m.Table)
	return slices.DeleteFunc(family, func(r relative) bool { return !r.stores() }), err
}

// oids gives the OIDs of relations.
func oids(family []relative) []uint32 {
	var out []uint32
	for _, r := range family {
		out = append(out, r.oid)
	}
	return out
}

// readNums reads the attribute numbers of the old columns in the partitions and children.
func readNums(ctx context.Context, q queryer, m *migration) (map[uint32]map[string]int16, error) {
	rows, err := q.Query(ctx, `SELECT a.attrelid, a.attname, a.attnum FROM `+fmt.Sprintf(familySQL, "$1")+` f JOIN pg_attribute a ON a.attrelid = f.oid
		WHERE f.oid <> $1 AND a.attname = ANY ($2) AND a.attnum > 0 AND NOT a.attisdropped`, m.Table, m.oldNames())
	if err != nil {
		return nil, fmt.Errorf("reading the partitions' columns: %w", err)
	}
	out := map[uint32]map[string]int16{}
	var oid uint32
	var name string
	var num int16
	if _, err := pgx.ForEachRow(rows, []any{&oid, &name, &num}, func() error {
		if out[oid] == nil {
			out[oid] = map[string]int16{}
		}
		out[oid][name] = num
		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading the partitions' columns: %w", err)
	}
	return out, nil
}

// differences says, for people, in what the old columns of partitions and children differ from the table's in a way that would be lost where a column takes their
// place: what is changed about the table's column is changed about theirs.
func differences(ctx context.Context, q queryer, table uint32, old []string) ([]string, error) {
	type column struct {
		relation, name    string
		parents           int
		def, rootDef      string
		notNull, rootNull bool
	}
	cols, err := collect(ctx, q, `WITH family AS MATERIALIZED `+fmt.Sprintf(familySQL, "$1")+`
		SELECT f.oid::regclass::text, a.attname, a.attinhcount - (SELECT count(*) FROM pg_inherits h WHERE h.inhrelid = f.oid AND h.inhparent IN (SELECT oid FROM family)),
		       COALESCE(pg_get_expr(d.adbin, d.adrelid), ''), COALESCE(pg_get_expr(rd.adbin, rd.adrelid), ''), a.attnotnull, r.attnotnull
		FROM family f JOIN pg_attribute a ON a.attrelid = f.oid AND a.attname = ANY ($2) AND NOT a.attisdropped
		JOIN pg_attribute r ON r.attrelid = $1 AND r.attname = a.attname AND NOT r.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum LEFT JOIN pg_attrdef rd ON rd.adrelid = r.attrelid AND rd.adnum = r.attnum
		WHERE f.oid <> $1 ORDER BY 1, 2`, func(row pgx.CollectableRow) (c column, err error) {
		return c, row.Scan(&c.relation, &c.name, &c.parents, &c.def, &c.rootDef, &c.notNull, &c.rootNull)
	}, table, old)
	if err != nil {
		return nil, fmt.Errorf("comparing the partitions' columns with the table's: %w", err)
	}
	var out []string
	for _, c := range cols {
		n := catalog.QuoteIdent(c.name)
		switch {
		case c.parents > 0:
			out = append(out, fmt.Sprintf("%s has column %s from another parent, too, where it would stay: NO INHERIT one of them", c.relation, n))
		case c.def != c.rootDef:
			out = append(out, fmt.Sprintf("column %s of %s has another default than the table's: ALTER TABLE %s ALTER COLUMN %s SET DEFAULT as in the table", n, c.relation, c.relation, n))
		case c.notNull != c.rootNull:
			out = append(out, fmt.Sprintf("column %s of %s has another NOT NULL than the table's: SET NOT NULL or DROP NOT NULL in one of them", n, c.relation))
		}
	}
	return out, nil
}

// seen says whether a relation's rows have been under the guard since it was recorded.
func (g *guardRecord) seen(oid uint32, now relativeGuard) bool {
	then, ok := g.Relatives[oid]
	return ok && then == now
}

// unseen lists the partitions and children that store rows and have come since the guard was recorded, or whose guard was touched: that their
// rows agree is not known.
func unseen(ctx context.Context, q queryer, m *migration) ([]relative, error) {
	if m.Guard == nil {
		return nil, nil
	}
	family, err := readFamily(ctx, q, m.Table)
	if err != nil || len(family) == 1 {
		return nil, err
	}
	now, err := readRelativeGuards(ctx, q, m)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(family, func(r relative) bool { return !r.stores() || r.oid == m.Table || m.Guard.seen(r.oid, now[r.oid]) }), nil
}

// recordRelatives writes down the guards of all partitions and children, whose rows are to be looked at from now on.
func (w *work) recordRelatives(ctx context.Context) error {
	now, err := readRelativeGuards(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	g := *w.m.Guard
	g.Relatives = now
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET guard = $2 WHERE name = $1", w.name, g); err != nil {
		return fmt.Errorf("recording the partitions' guards: %w", err)
	}
	return w.read(ctx)
}

// adopt looks at the rows of partitions and children that have come since: it fills them, and where "proved" is claimed, it scans them. Where some are apart, "proved" is taken
// back by an epoch.
func (w *work) adopt(ctx context.Context) error {
	came, err := unseen(ctx, w.conn, w.m)
	if err != nil || len(came) == 0 {
		return err
	}
	stands, err := guardStands(ctx, w.conn, w.m)
	if err != nil || !stands {
		return err // what is missing will be said
	}
	if w.m.Backfilled {
		if err := w.backfill(ctx); err != nil {
			return err
		}
	}
	if !w.m.Stand.Proved {
		return nil // the scan that proves is one of all rows
	}
	before, err := readRelativeGuards(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	v := &verified{}
	s := w.newScan(v, false)
	for _, r := range came {
		if err := w.byKey(ctx, r, func(keys *keyset) error { return s.by(ctx, keys) }); err != nil {
			return err
		}
	}
	if v.Apart > 0 {
		to := w.m.Stand
		to.Proved = false
		return w.change(ctx, change{name: "unprove", to: to, fixed: true})
	}
	after, err := readRelativeGuards(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	g := *w.m.Guard
	var names []string
	for _, r := range came {
		if before[r.oid] != after[r.oid] {
			continue // it stays unseen
		}
		if g.Relatives == nil {
			g.Relatives = map[uint32]relativeGuard{}
		}
		g.Relatives[r.oid] = after[r.oid]
		names = append(names, r.name)
	}
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET guard = $2 WHERE name = $1", w.name, g); err != nil {
		return fmt.Errorf("recording the partitions' guards: %w", err)
	}
	if err := w.c.note(ctx, w.conn, w.name, "adopted", map[string]any{"relations": strings.Join(names, ", "), "rows": v.Rows}); err != nil {
		return err
	}
	return w.read(ctx)
}

// cameSince says that partitions or children have come that nobody has looked at.
func cameSince(m *migration, came []relative) string {
	var names []string
	for _, r := range came[:min(len(came), 3)] {
		names = append(names, r.name)
	}
	if more := len(came) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("%s came since, or its guard was touched, and nobody has looked at its rows: `segue verify %s` does", strings.Join(names, ", "), m.Name)
}
