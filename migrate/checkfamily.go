package migrate

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// columnOf is a column of a relation, both as SQL.
type columnOf struct{ Column, Relation string }

// checkFamily demands that the table, its partitions and its inheritance children can be carried together: that the control role owns all of them, that those with rows
// have a primary key, and that the old columns are one in all of them.
func checkFamily(ctx context.Context, q queryer, def *lens.Definition, f *findings) error {
	family, err := readFamily(ctx, q, f.table)
	if err != nil {
		return err
	}
	f.family = family
	if m := (&migration{Definition: def}); len(family) > 1 && (m.adding() || m.dropping()) {
		f.refuse("%s has partitions or children, for which this build carries no columns that only come, or only go", def.Table)
	}
	for _, r := range family {
		if err := checkRelative(ctx, q, r, f); err != nil {
			return err
		}
	}
	old, _ := columnNames(def)
	inherited, err := collect(ctx, q, `
		SELECT quote_ident(a.attname), COALESCE(string_agg(h.inhparent::regclass::text, ' and ' ORDER BY h.inhseqno), '') FROM pg_attribute a
		LEFT JOIN pg_inherits h ON h.inhrelid = a.attrelid AND EXISTS (SELECT FROM pg_attribute p WHERE p.attrelid = h.inhparent AND p.attname = a.attname AND NOT p.attisdropped)
		WHERE a.attrelid = $1 AND a.attname = ANY ($2) AND a.attinhcount > 0 AND NOT a.attisdropped GROUP BY 1 ORDER BY 1`, pgx.RowToStructByPos[columnOf], f.table, old)
	if err != nil {
		return err
	}
	for _, c := range inherited {
		f.refuse("column %s of %s comes from %s: migrate that", c.Column, def.Table, c.Relation)
	}
	// The server keeps a partition key's columns as parts of the table.
	keys, err := collect(ctx, q, `
		SELECT quote_ident(a.attname), a.attrelid::regclass::text FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum > 0
		WHERE p.partrelid = ANY ($1) AND a.attname = ANY ($2) AND (a.attnum = ANY (p.partattrs::int2[]) OR EXISTS (SELECT FROM pg_depend d
			WHERE d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
			AND d.refobjsubid = 0 AND d.deptype = 'i')) ORDER BY 2, 1`, pgx.RowToStructByPos[columnOf], oids(family), old)
	if err != nil {
		return err
	}
	for _, k := range keys {
		f.refuse("column %s is in the partition key of %s, which is not migrated", k.Column, k.Relation)
	}
	apart, err := differences(ctx, q, f.table, old)
	if err != nil {
		return err
	}
	f.problems = append(f.problems, apart...)
	return nil
}

// checkRelative demands what a migration needs of one relation.
func checkRelative(ctx context.Context, q queryer, r relative, f *findings) error {
	var temporary, owned, keyed, ruled, hidden bool
	if err := q.QueryRow(ctx, `
		SELECT c.relpersistence = 't', pg_has_role(c.relowner, 'USAGE'), EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary AND indisvalid),
		       EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN'),
		       c.relrowsecurity AND c.relforcerowsecurity AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)
		FROM pg_class c WHERE c.oid = $1`, r.oid).Scan(&temporary, &owned, &keyed, &ruled, &hidden); err != nil {
		return fmt.Errorf("looking at %s: %w", r.name, err)
	}
	switch {
	case !r.stores() && r.kind != "p":
		f.refuse("the partition or child %s is a foreign table, to which this build adds no column: detach it", r.name)
	case temporary:
		f.refuse("the child %s is a session's temporary table, which nobody else can write: drop it", r.name)
	}
	if !owned {
		f.refuse("the control role does not own %s: connect as its owner, or ALTER TABLE %s OWNER TO the control role", r.name, r.name)
	}
	if !keyed && r.stores() && r.oid != f.table {
		f.refuse("the partition or child %s has no primary key, by which the backfill goes: add one", r.name)
	}
	if ruled {
		f.refuse("%s has rules, which rewrite what the proxies have rewritten: replace them by triggers", r.name)
	}
	if hidden {
		f.refuse("%s has FORCE ROW LEVEL SECURITY, which would hide rows from the backfill: give the control role BYPASSRLS", r.name)
	}
	return nil
}

// relativeColumn is an old column in one relation of the family.
type relativeColumn struct {
	relative
	num  int16
	text string // for people
}

// oldIn lists where an old column stands: in the table, where it has that number, and in all below it.
func oldIn(ctx context.Context, q queryer, m *migration, family []relative, name string) ([]relativeColumn, error) {
	nums, err := readNums(ctx, q, m)
	if err != nil {
		return nil, err
	}
	var out []relativeColumn
	for _, r := range family {
		c := relativeColumn{relative: r, num: m.OldNums[name], text: catalog.QuoteIdent(name)}
		if r.oid != m.Table {
			var stands bool
			if c.num, stands = nums[r.oid][name]; !stands {
				continue
			}
			c.text += " of " + r.name
		}
		out = append(out, c)
	}
	return out, nil
}
