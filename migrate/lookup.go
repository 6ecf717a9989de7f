package migrate

import (
	"context"
	"fmt"
	"hash/fnv"

	"segue/rewrite/catalog"
)

// lookupName names the index by which new code finds rows before reads switch. It begins like the names of what old code reads, since it goes with it.
func lookupName(column, migration string, on uint32) string {
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "up %s %d", column, on) // never fails, says hash.Hash
	return fmt.Sprintf("%s%08x", readPrefix(migration), h.Sum32())
}

// buildLookups builds, where the definition asks for it, an index on what new code reads before reads switch: the very form that its reads have, over the old columns.
// It goes on from wherever it was cut off.
func (w *work) buildLookups(ctx context.Context) error {
	g, err := w.m.Definition.Group()
	if err != nil {
		return fmt.Errorf("migration %s: %w", w.name, err)
	}
	if !w.m.Definition.LookupIndexes || g.Same {
		return nil
	}
	family, err := readFamily(ctx, w.conn, w.m.Table)
	if err != nil {
		return err
	}
	for _, r := range family {
		if !r.stores() {
			continue
		}
		for _, n := range g.New {
			c, err := readColumn(ctx, w.conn, r.oid, n.Name)
			if err != nil {
				return err
			}
			x := mirror{name: n.Name, schema: r.schema, own: lookupName(n.Name, w.name, r.oid), table: r}
			if x.exists, x.valid, err = indexStandsOn(ctx, w.conn, r.oid, x.schema, x.own); err != nil {
				return err
			}
			if x.exists && x.valid {
				continue
			}
			form := "((" + n.Up.Expand(catalog.QuoteIdent) + ")::" + c.Type + ")"
			if err := w.createIndex(ctx, x, fmt.Sprintf("CREATE INDEX CONCURRENTLY %s ON %s (%s)", catalog.QuoteIdent(x.own), r.name, form)); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropLookups drops them at once, in the transaction that drops the new columns.
func (w *work) dropLookups(ctx context.Context, q queryer) error {
	if !w.m.Definition.LookupIndexes {
		return nil
	}
	family, err := readFamily(ctx, q, w.m.Table)
	if err != nil {
		return err
	}
	for _, r := range family {
		for _, name := range w.m.newNames() {
			own := catalog.QuoteQualified(r.schema, lookupName(name, w.name, r.oid))
			if _, err := q.Exec(ctx, "DROP INDEX IF EXISTS "+own); err != nil {
				return fmt.Errorf("dropping the index %s: %w", own, err)
			}
		}
	}
	return nil
}
