package migrate

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// relaxed is what (a3) has taken off the old columns, by name. It is kept until the migration is forgotten, for what the catalogs are to tell old code.
type relaxed struct {
	Old    map[string]constraints `json:"old"`
	Unique []keptUnique           `json:"unique,omitempty"`
}

type constraints struct {
	NotNull bool   `json:"not_null"`
	Default string `json:"default"` // as SQL; "" for none
}

// required lists the old columns that were NOT NULL; it is never nil.
func (r *relaxed) required() []string {
	names := []string{}
	for name, c := range r.Old {
		if c.NotNull {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// defaults gives the old columns' defaults, of those that had one; it is never nil.
func (r *relaxed) defaults() map[string]string {
	out := map[string]string{}
	for name, c := range r.Old {
		if c.Default != "" {
			out[name] = c.Default
		}
	}
	return out
}

// writeNew is the change to complete (b), with (a3) in its transaction: what the old columns demand moves to the new ones, so that writes of the new side alone
// go through; and in the guard, the side at its default yields.
func (w *work) writeNew() change {
	to := stand{Live: true, Stage: lens.Stage{Phase: lens.Complete, Step: lens.WriteNew, Proved: w.m.Stand.Proved}}
	ch := change{name: "write-new", to: to, fixed: w.final()} // the old side does not have what is written from now on
	if w.m.Relaxed != nil {
		return ch // a change that was given up has done it
	}
	ch.ddl = func(ctx context.Context, tx pgx.Tx) error {
		g, err := readGroup(ctx, tx, w.m)
		if err != nil {
			return err
		}
		saved := relaxed{Old: map[string]constraints{}}
		alter := "ALTER TABLE " + w.table + " ALTER COLUMN "
		var sqls, after []string // after: once no index of theirs is the table's replica identity
		for _, o := range g.old {
			if g.Adding {
				break
			}
			saved.Old[o.name] = constraints{NotNull: o.notNull, Default: o.def}
			if o.def != "" {
				sqls = append(sqls, alter+catalog.QuoteIdent(o.name)+" DROP DEFAULT")
			}
			if o.notNull {
				after = append(after, alter+catalog.QuoteIdent(o.name)+" DROP NOT NULL")
			}
		}
		if g.newDefaults() {
			sqls = append(sqls, setDefaults(w.table, g)...)
		}
		for _, d := range g.demands() {
			if d.column != "" {
				// The validated CHECK proves it without a scan, so it must go in a command after this one.
				sqls = append(sqls, alter+catalog.QuoteIdent(d.column)+" SET NOT NULL", "ALTER TABLE "+w.table+" DROP CONSTRAINT "+catalog.QuoteIdent(d.name))
			}
		}
		if g.relation != "" && g.Final() { // from here on the sides may differ
			sqls = append(sqls, "ALTER TABLE "+w.table+" DROP CONSTRAINT IF EXISTS "+catalog.QuoteIdent(proofName(w.name)))
		}
		if err := execAll(ctx, tx, sqls); err != nil {
			return err
		}
		if saved.Unique, err = w.takeUnique(ctx, tx); err != nil {
			return err
		}
		if err := execAll(ctx, tx, after); err != nil {
			return err
		}
		return w.remakeGuard(ctx, tx, &saved)
	}
	return ch
}

// setDefaults gives the new columns their defaults.
func setDefaults(table string, g *group) []string {
	var sqls []string
	for _, n := range g.new {
		if n.def != "" {
			sqls = append(sqls, "ALTER TABLE "+table+" ALTER COLUMN "+catalog.QuoteIdent(n.name)+" SET DEFAULT "+n.def)
		}
	}
	return sqls
}

// remakeGuard gives the guard its form for what has been taken off the old columns, nil for nothing, and notes that.
func (w *work) remakeGuard(ctx context.Context, tx pgx.Tx, saved *relaxed) error {
	m := *w.m
	m.Relaxed = saved
	g, err := readGroup(ctx, tx, &m)
	if err != nil {
		return err
	}
	if !g.Dropping {
		if err := makeFunction(ctx, tx, &m, g, saved != nil); err != nil {
			return err
		}
		if err := recordGuard(ctx, tx, &m, m.Guard.Relatives); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "UPDATE segue.migration SET relaxed = $2 WHERE name = $1", w.name, saved)
	return err
}

func execAll(ctx context.Context, tx pgx.Tx, sqls []string) error {
	for _, sql := range sqls {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// tighten puts back what (a3) took off: at contract/infer-new, where both sides are written and both forms of the table serve. What needs a scan is done before, under
// locks that let others work; it can be cut off anywhere and begun again.
func (w *work) tighten(ctx context.Context) error {
	g, err := readGroup(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	for _, o := range g.old {
		if o.notNull {
			if err := w.makeSure(ctx, demand{name: notNullName(w.name, o.name), column: o.name, cond: catalog.QuoteIdent(o.name) + " IS NOT NULL", what: "that no " + o.name + " is null"}); err != nil {
				return err
			}
		}
	}
	for _, d := range g.demands() {
		if err := w.makeSure(ctx, d); err != nil {
			return err
		}
	}
	if err := w.remakeUnique(ctx); err != nil {
		return err
	}
	return w.alter(ctx, "tighten", func(tx pgx.Tx) error {
		alter := "ALTER TABLE " + w.table + " ALTER COLUMN "
		var sqls, after []string
		for _, n := range g.new {
			if n.def != "" {
				sqls = append(sqls, alter+catalog.QuoteIdent(n.name)+" DROP DEFAULT")
			}
		}
		for _, d := range g.demands() {
			if d.column != "" {
				after = append(after, alter+catalog.QuoteIdent(d.column)+" DROP NOT NULL")
			}
		}
		for _, o := range g.old {
			if o.def != "" {
				sqls = append(sqls, alter+catalog.QuoteIdent(o.name)+" SET DEFAULT "+o.def)
			}
			if o.notNull {
				sqls = append(sqls, alter+catalog.QuoteIdent(o.name)+" SET NOT NULL", "ALTER TABLE "+w.table+" DROP CONSTRAINT "+catalog.QuoteIdent(notNullName(w.name, o.name)))
			}
		}
		if err := execAll(ctx, tx, sqls); err != nil {
			return err
		}
		if err := w.giveBack(ctx, tx); err != nil {
			return err
		}
		if err := execAll(ctx, tx, after); err != nil {
			return err
		}
		return w.remakeGuard(ctx, tx, nil)
	})
}

// notNullName names the CHECK that mirrors NOT NULL on a column: segue_<migration>_<hash of the column>_not_null stays within 63 bytes.
func notNullName(migration, column string) string {
	return fmt.Sprintf("segue_%s_%04x_not_null", migration, uint16(lockKey(column)))
}

// checkName names the CHECK that the definition wants of a new column, until the migration is complete.
func checkName(migration, column string) string {
	return fmt.Sprintf("segue_%s_%04x_wanted", migration, uint16(lockKey(column)))
}

// keptName names the CHECK that stands in the place of an old column's NOT NULL until old code is gone.
func keptName(migration, column string) string {
	return fmt.Sprintf("segue_%s_%04x_kept", migration, uint16(lockKey(column)))
}

// proofName names the CHECK that the old and the new columns agree, where the definition asks for it.
func proofName(migration string) string { return "segue_" + migration + "_proof" }

// makeSure makes a demand's CHECK and validates it, without keeping writers waiting for the scan.
func (w *work) makeSure(ctx context.Context, d demand) error {
	var exists, valid bool
	if err := w.conn.QueryRow(ctx, "SELECT count(*) > 0, COALESCE(bool_and(convalidated), false) FROM pg_constraint WHERE conrelid = $1 AND conname = $2",
		w.m.Table, d.name).Scan(&exists, &valid); err != nil {
		return fmt.Errorf("looking for the constraint %s: %w", d.name, err)
	}
	if valid || exists && d.loose {
		return nil
	}
	def, step := d.def, "mirror "+d.name
	if def == "" {
		def, step = "CHECK ("+d.cond+")", "mirror NOT NULL"
	}
	if !exists {
		if err := w.alter(ctx, step, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" ADD CONSTRAINT "+catalog.QuoteIdent(d.name)+" "+def+" NOT VALID")
			return err
		}); err != nil {
			return err
		}
	}
	if d.loose {
		return nil
	}
	if err := w.say(ctx, "validating %s", d.what); err != nil {
		return err
	}
	if err := w.c.opt.Hooks.at(ctx, "validate "+d.name); err != nil {
		return err
	}
	if _, err := w.conn.Exec(ctx, "ALTER TABLE "+w.table+" VALIDATE CONSTRAINT "+catalog.QuoteIdent(d.name)); err != nil {
		if sqlState(err) == "23514" && d.name == proofName(w.name) {
			return &proxy.GateError{Gate: "proved", Missing: []string{fmt.Sprintf("some rows are apart: `segue verify %s --repair` makes them agree", w.name)}}
		}
		return fmt.Errorf("validating %s: %w", d.what, err)
	}
	return nil
}

// alter changes the table in one transaction that is no epoch, under a short lock_timeout, again and again until it gets the lock.
func (w *work) alter(ctx context.Context, what string, f func(tx pgx.Tx) error) error {
	if err := w.c.opt.Hooks.at(ctx, "before "+what); err != nil {
		return err
	}
	if err := w.locking(ctx, what, true, func() bool { return false }, f); err != nil {
		return err
	}
	if err := w.read(ctx); err != nil {
		return err
	}
	return w.c.opt.Hooks.at(ctx, "after "+what)
}
