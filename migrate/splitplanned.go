package migrate

import (
	"context"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// describeSplit adds what is to be known before a table is split, and the statements that it would run.
func (r *CheckReport) describeSplit(ctx context.Context, w *work, f *findings) error {
	r.Notes = append(r.Notes, f.notes...)
	if len(f.problems) > 0 {
		return nil // what it would do is not known
	}
	s, err := readSplit(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	s.target = &lens.Target{}
	p := &plan{table: s.table, before: lens.Expand}
	p.add(shareRowExclusive, shortLock+"; taken where the new table has a foreign key to the table", "%s", w.m.Definition.SplitTable.Create)
	for _, g := range f.grants {
		p.add(accessExclusive, "it has no rows yet, and nobody uses it", "%s", g.sql()).on(s.to)
	}
	for _, t := range s.triggers() {
		p.add(shareRowExclusive, shortLock, "%s", t.create()[1]).on(t.table)
	}
	p.before = lens.SwitchReads
	p.add(rowExclusive, "by ranges of the primary key, a transaction each; rows are locked for as long as a batch takes", "%s", strings.Join(strings.Fields(s.fillSQL("...")), " ")).scans()
	p.add(shareUpdateExclusive, othersWork, "ANALYZE %s", s.table)
	p.add(shareUpdateExclusive, othersWork, "ANALYZE %s", s.to).on(s.to)
	for _, c := range s.required(w.m) {
		p.add(accessExclusive, shortLock, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", s.table, catalog.QuoteIdent(c.from))
	}
	if required := s.required(w.m); len(required) > 0 {
		for _, t := range s.nullTriggers(required) {
			p.add(shareRowExclusive, shortLock, "%s", t.create()[1])
		}
	}
	p.before = lens.Complete
	for _, c := range s.moved {
		if c.def != "" {
			p.add(accessExclusive, shortLock, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", s.table, catalog.QuoteIdent(c.from))
		}
	}
	for _, c := range s.moved {
		p.add(accessExclusive, shortLock, "ALTER TABLE %s DROP COLUMN %s", s.table, catalog.QuoteIdent(c.from))
	}
	r.Steps = p.steps
	return nil
}
