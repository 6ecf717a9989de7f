package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// PlannedStep is a statement that a migration would run on the table, with what others feel of it.
type PlannedStep struct {
	Before   lens.Phase `json:"before"` // the phase that it is done on the way to
	SQL      string     `json:"sql"`
	On       string     `json:"on"`       // the relation whose lock is told
	Lock     string     `json:"lock"`     // as PostgreSQL calls it; the strongest that is taken
	Rewrites bool       `json:"rewrites"` // the table is written anew under the lock
	Scans    bool       `json:"scans"`    // every row is read
	// Note says what makes the lock bearable: where it is short, or lets writers go on.
	Note string `json:"note"`
}

// The locks, by PostgreSQL's names.
const (
	accessShare          = "ACCESS SHARE"
	rowExclusive         = "ROW EXCLUSIVE"
	shareUpdateExclusive = "SHARE UPDATE EXCLUSIVE"
	share                = "SHARE"
	shareRowExclusive    = "SHARE ROW EXCLUSIVE"
	accessExclusive      = "ACCESS EXCLUSIVE"
)

// What is said of locks.
var (
	shortLock  = fmt.Sprintf("short; waited for at most %d ms at a time, then again after a pause", lockTimeout.Milliseconds())
	othersWork = "reads and writes go on"
)

// plan collects steps.
type plan struct {
	steps  []PlannedStep
	before lens.Phase
	table  string
}

func (p *plan) add(lock, note, format string, args ...any) *PlannedStep {
	p.steps = append(p.steps, PlannedStep{Before: p.before, SQL: fmt.Sprintf(format, args...), On: p.table, Lock: lock, Note: note})
	return &p.steps[len(p.steps)-1]
}

// scans marks a step that reads every row.
func (s *PlannedStep) scans() { s.Scans = true }

// on marks a step on another relation than the table.
func (s *PlannedStep) on(relation string) *PlannedStep { s.On = relation; return s }

// planned lists what a migration that is not started yet would run on the table, in order: what the steps' own code runs, from the same sources.
func (w *work) planned(ctx context.Context) ([]PlannedStep, error) {
	g, err := readGroup(ctx, w.conn, w.m)
	if err != nil {
		return nil, err
	}
	mirrors, err := w.mirrors(ctx, w.conn)
	if err != nil {
		return nil, err
	}
	p := &plan{table: w.table}
	if err := w.planExpand(ctx, p, g); err != nil {
		return nil, err
	}
	if err := w.planBackfill(ctx, p, g, mirrors); err != nil {
		return nil, err
	}
	if err := w.planComplete(p, g, mirrors); err != nil {
		return nil, err
	}
	return p.steps, nil
}

func (w *work) planExpand(ctx context.Context, p *plan, g *group) error {
	p.before = lens.Expand
	alter := "ALTER TABLE " + w.table
	for _, n := range g.new {
		p.add(accessExclusive, shortLock, "%s ADD COLUMN %s %s", alter, catalog.QuoteIdent(n.name), n.typ)
		for _, d := range g.demands() {
			if d.name == notNullName(w.name, n.name) && g.New[slices.IndexFunc(g.new, func(x groupColumn) bool { return x.name == n.name })].NotNull || d.name == checkName(w.name, n.name) {
				p.add(accessExclusive, shortLock, "%s ADD CONSTRAINT %s CHECK (%s) NOT VALID", alter, catalog.QuoteIdent(d.name), d.cond)
			}
		}
	}
	if g.Dropping {
		return nil
	}
	family, err := readFamily(ctx, w.conn, w.m.Table)
	if err != nil {
		return err
	}
	trigger := catalog.QuoteIdent(guardTrigger(w.name))
	for _, r := range family {
		if !r.partition {
			p.add(shareRowExclusive, shortLock, "CREATE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION %s()", trigger, r.name, g.apart("NEW"), guardFunction(w.name)).on(r.name)
		}
		p.add(shareRowExclusive, shortLock, "ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", r.name, trigger).on(r.name)
	}
	p.before = lens.DualWrite
	if !w.m.Definition.LookupIndexes || g.Same {
		return nil
	}
	for _, r := range family {
		if !r.stores() {
			continue
		}
		for i, n := range g.New {
			p.add(shareUpdateExclusive, othersWork, "CREATE INDEX CONCURRENTLY %s ON %s (((%s)::%s))", catalog.QuoteIdent(lookupName(n.Name, w.name, r.oid)), r.name,
				n.Up.Expand(catalog.QuoteIdent), g.new[i].typ).on(r.name).scans()
		}
	}
	return nil
}

func (w *work) planBackfill(ctx context.Context, p *plan, g *group, mirrors []mirror) error {
	p.before = lens.SwitchReads
	if !g.Dropping {
		family, err := w.stored(ctx)
		if err != nil {
			return err
		}
		for _, r := range family {
			p.add(rowExclusive, "by ranges of the primary key, a transaction each; rows are locked for as long as a batch takes", "UPDATE ONLY %s AS r SET %s WHERE %s", r.name, g.assignNew("r"), g.unfilled("r")).on(r.name).scans()
		}
	}
	for _, x := range mirrors {
		def, err := x.definition(w.m)
		if err != nil {
			return err
		}
		if x.partitioned {
			p.add(share, shortLock+"; it has no rows", "%s", def).on(x.table.name)
		} else {
			p.add(shareUpdateExclusive, othersWork, "%s", def).on(x.table.name).scans()
		}
		if x.parent != "" {
			p.add(accessExclusive, shortLock, "ALTER INDEX %s ATTACH PARTITION %s", x.parent, catalog.QuoteQualified(x.schema, x.own)).on(catalog.QuoteQualified(x.schema, x.own))
		}
	}
	alter := "ALTER TABLE " + w.table
	sure := func(d demand, made bool) {
		def, lock := d.def, accessExclusive
		if def == "" {
			def = "CHECK (" + d.cond + ")"
		}
		if strings.HasPrefix(def, "FOREIGN KEY") {
			lock = shareRowExclusive
		}
		if !made {
			p.add(lock, shortLock, "%s ADD CONSTRAINT %s %s NOT VALID", alter, catalog.QuoteIdent(d.name), def)
		}
		if !d.loose {
			p.add(shareUpdateExclusive, othersWork, "%s VALIDATE CONSTRAINT %s", alter, catalog.QuoteIdent(d.name)).scans()
		}
	}
	for _, d := range g.demands() {
		made := slices.ContainsFunc(p.steps, func(s PlannedStep) bool {
			return strings.Contains(s.SQL, "ADD CONSTRAINT "+catalog.QuoteIdent(d.name)+" ")
		})
		sure(d, made)
	}
	if g.single() {
		o, err := readColumn(ctx, w.conn, w.m.Table, g.old[0].name)
		if err != nil {
			return err
		}
		if o.Target >= 0 {
			p.add(shareUpdateExclusive, othersWork, "%s ALTER COLUMN %s SET STATISTICS %d", alter, catalog.QuoteIdent(g.new[0].name), o.Target)
		}
	}
	objects, err := readStatistics(ctx, w.conn, w.m, g)
	if err != nil {
		return err
	}
	for _, x := range objects {
		if x.own != "" && !g.Dropping {
			p.add(shareUpdateExclusive, othersWork, "%s", x.create(w.table))
		}
	}
	standing, err := readStanding(ctx, w.conn, w.m, g)
	if err != nil {
		return err
	}
	for _, s := range standing {
		if s.unsound == "" && !g.Dropping {
			sure(s.demand(), false)
		}
	}
	p.add(shareUpdateExclusive, othersWork, "ANALYZE %s", w.table)
	if !g.Dropping {
		p.add(accessShare, "by ranges of the primary key, a transaction each", "SELECT count(*) FILTER (WHERE %s) FROM %s AS r", g.apart("r"), w.table).scans()
	}
	return nil
}

func (w *work) planComplete(p *plan, g *group, mirrors []mirror) error {
	p.before = lens.Complete
	alter := "ALTER TABLE " + w.table
	together := shortLock + "; one transaction with its neighbours"
	for _, x := range mirrors {
		if !x.unique {
			continue
		}
		def, err := x.asUnique().definition(w.m)
		if err != nil {
			return err
		}
		p.add(shareUpdateExclusive, othersWork, "%s", def).on(x.table.name).scans()
		p.add(shareUpdateExclusive, othersWork, "DROP INDEX CONCURRENTLY %s", catalog.QuoteQualified(x.schema, x.own)).on(x.table.name)
		if x.constraint != 0 {
			p.add(accessExclusive, together, "%s DROP CONSTRAINT %s", alter, catalog.QuoteIdent(x.name))
			p.add(accessExclusive, together, "%s ADD CONSTRAINT %s UNIQUE USING INDEX %s", alter, catalog.QuoteIdent(x.name), catalog.QuoteIdent(x.strict))
		} else {
			p.add(accessExclusive, together, "DROP INDEX %s", catalog.QuoteQualified(x.schema, x.name))
			p.add(shareUpdateExclusive, together, "ALTER INDEX %s RENAME TO %s", catalog.QuoteQualified(x.schema, x.strict), catalog.QuoteIdent(x.name)).on(catalog.QuoteQualified(x.schema, x.strict))
		}
	}
	if !g.Adding {
		for _, o := range g.old {
			if o.def != "" {
				p.add(accessExclusive, together, "%s ALTER COLUMN %s DROP DEFAULT", alter, catalog.QuoteIdent(o.name))
			}
			if o.notNull {
				p.add(accessExclusive, together, "%s ALTER COLUMN %s DROP NOT NULL", alter, catalog.QuoteIdent(o.name))
			}
		}
	}
	if g.newDefaults() {
		for _, sql := range setDefaults(w.table, g) {
			p.add(accessExclusive, together, "%s", sql)
		}
	}
	for _, d := range g.demands() {
		if d.column != "" {
			p.add(accessExclusive, together+"; no scan, since the CHECK proves it", "%s ALTER COLUMN %s SET NOT NULL", alter, catalog.QuoteIdent(d.column))
			p.add(accessExclusive, together, "%s DROP CONSTRAINT %s", alter, catalog.QuoteIdent(d.name))
		}
	}
	if g.relation != "" && g.Final() {
		p.add(accessExclusive, together, "%s DROP CONSTRAINT %s", alter, catalog.QuoteIdent(proofName(w.name)))
	}
	if !g.Adding {
		if !g.Dropping {
			p.add(accessExclusive, together, "DROP TRIGGER %s ON %s", catalog.QuoteIdent(guardTrigger(w.name)), w.table)
		}
		for _, o := range g.old {
			p.add(accessExclusive, together, "%s DROP COLUMN %s", alter, catalog.QuoteIdent(o.name))
		}
	}
	for _, x := range mirrors {
		if !x.unique && x.kind != readMirror {
			p.add(shareUpdateExclusive, together, "ALTER INDEX %s RENAME TO %s", catalog.QuoteQualified(x.schema, x.own), catalog.QuoteIdent(x.name)).on(catalog.QuoteQualified(x.schema, x.own))
		}
	}
	p.before = lens.Retired
	if g.Adding {
		p.add(accessExclusive, together, "DROP TRIGGER %s ON %s", catalog.QuoteIdent(guardTrigger(w.name)), w.table)
		for _, sql := range setDefaults(w.table, g) {
			p.add(accessExclusive, together, "%s", sql)
		}
	}
	for _, n := range renamed(w.m.Definition) {
		p.add(accessExclusive, shortLock, "%s RENAME COLUMN %s TO %s", alter, catalog.QuoteIdent(n.Name), catalog.QuoteIdent(n.As))
	}
	return nil
}
