package migrate

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// relaxed is what (a3) has taken off the old columns, by name.
type relaxed struct {
	Old map[string]constraints `json:"old"`
}

type constraints struct {
	NotNull bool   `json:"not_null"`
	Default string `json:"default"` // as SQL; "" for none
}

// writeNew is the change to complete (b), with (a3) in its transaction: what the old columns demand moves to the new ones, so that writes of the new side alone
// go through; and in the guard, the side at its default yields.
func (w *work) writeNew() change {
	to := stand{Live: true, Stage: lens.Stage{Phase: lens.Complete, Step: lens.WriteNew, Proved: w.m.Stand.Proved}}
	ch := change{name: "write-new", to: to}
	if w.m.Relaxed != nil {
		return ch // a change that was given up has done it
	}
	ch.ddl = func(ctx context.Context, tx pgx.Tx) error {
		saved := relaxed{Old: map[string]constraints{}}
		var sqls []string
		for _, p := range w.m.Definition.Pairs() {
			o, err := readColumn(ctx, tx, w.m.Table, p.Old)
			if err != nil {
				return err
			}
			saved.Old[p.Old] = constraints{NotNull: o.NotNull, Default: o.Default}
			alterOld := "ALTER TABLE " + w.table + " ALTER COLUMN " + catalog.QuoteIdent(p.Old)
			alterNew := "ALTER TABLE " + w.table + " ALTER COLUMN " + catalog.QuoteIdent(p.New)
			if o.Default != "" {
				sqls = append(sqls, alterOld+" DROP DEFAULT", alterNew+" SET DEFAULT "+o.Default)
			}
			if o.NotNull {
				// The validated CHECK proves it without a scan, so it must go in a command after this one.
				sqls = append(sqls, alterOld+" DROP NOT NULL", alterNew+" SET NOT NULL",
					"ALTER TABLE "+w.table+" DROP CONSTRAINT "+catalog.QuoteIdent(notNullName(w.name, p.New)))
			}
		}
		for _, sql := range sqls {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		m := *w.m
		m.Relaxed = &saved
		pairs, err := guardPairs(ctx, tx, &m)
		if err != nil {
			return err
		}
		if err := makeFunction(ctx, tx, &m, pairs, true); err != nil {
			return err
		}
		if err := recordGuard(ctx, tx, &m); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE segue.migration SET relaxed = $2 WHERE name = $1", w.name, saved)
		return err
	}
	return ch
}

// tighten puts back what (a3) took off: at contract/infer-new, where both sides are written and both forms of the table serve. What needs a scan is done before, under
// locks that let others work; it can be cut off anywhere and begun again.
func (w *work) tighten(ctx context.Context) error {
	type pair struct {
		lens.Pair
		constraints
	}
	var pairs []pair
	for _, p := range w.m.Definition.Pairs() {
		pairs = append(pairs, pair{p, w.m.Relaxed.Old[p.Old]})
	}
	for _, p := range pairs {
		if !p.NotNull {
			continue
		}
		for _, col := range []string{p.Old, p.New} {
			if err := w.checkNotNull(ctx, col); err != nil {
				return err
			}
		}
	}
	return w.alter(ctx, "tighten", func(tx pgx.Tx) error {
		for _, p := range pairs {
			alterOld := "ALTER TABLE " + w.table + " ALTER COLUMN " + catalog.QuoteIdent(p.Old)
			alterNew := "ALTER TABLE " + w.table + " ALTER COLUMN " + catalog.QuoteIdent(p.New)
			var sqls []string
			if p.Default != "" {
				sqls = append(sqls, alterNew+" DROP DEFAULT", alterOld+" SET DEFAULT "+p.Default)
			}
			if p.NotNull {
				sqls = append(sqls, alterOld+" SET NOT NULL", alterNew+" DROP NOT NULL",
					"ALTER TABLE "+w.table+" DROP CONSTRAINT "+catalog.QuoteIdent(notNullName(w.name, p.Old)))
			}
			for _, sql := range sqls {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
			}
		}
		m := *w.m
		m.Relaxed = nil
		guards, err := guardPairs(ctx, tx, &m)
		if err != nil {
			return err
		}
		if err := makeFunction(ctx, tx, &m, guards, false); err != nil {
			return err
		}
		if err := recordGuard(ctx, tx, &m); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE segue.migration SET relaxed = NULL WHERE name = $1", w.name)
		return err
	})
}

// notNullName names the CHECK that mirrors NOT NULL on a column: segue_<migration>_<hash of the column>_not_null stays within 63 bytes.
func notNullName(migration, column string) string {
	return fmt.Sprintf("segue_%s_%04x_not_null", migration, uint16(lockKey(column)))
}

// checkNotNull makes a validated CHECK that a column is not null, without keeping writers waiting for the scan.
func (w *work) checkNotNull(ctx context.Context, column string) error {
	name := notNullName(w.name, column)
	state := func(q queryer) (exists, valid bool, err error) {
		err = q.QueryRow(ctx, "SELECT count(*) > 0, COALESCE(bool_and(convalidated), false) FROM pg_constraint WHERE conrelid = $1 AND conname = $2", w.m.Table, name).Scan(&exists, &valid)
		if err != nil {
			err = fmt.Errorf("looking for the constraint %s: %w", name, err)
		}
		return exists, valid, err
	}
	exists, valid, err := state(w.conn)
	if err != nil || valid {
		return err
	}
	if !exists {
		if err := w.alter(ctx, "mirror NOT NULL", func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" ADD CONSTRAINT "+catalog.QuoteIdent(name)+" CHECK ("+catalog.QuoteIdent(column)+" IS NOT NULL) NOT VALID")
			return err
		}); err != nil {
			return err
		}
	}
	if err := w.say(ctx, "validating that no %s is null", column); err != nil {
		return err
	}
	if err := w.c.opt.Hooks.at(ctx, "validate "+column); err != nil {
		return err
	}
	if _, err := w.conn.Exec(ctx, "ALTER TABLE "+w.table+" VALIDATE CONSTRAINT "+catalog.QuoteIdent(name)); err != nil {
		return fmt.Errorf("validating that no %s is null: %w", column, err)
	}
	return nil
}

// alter changes the table in one transaction that is no epoch, under a short lock_timeout, again and again until it gets the lock.
func (w *work) alter(ctx context.Context, what string, f func(tx pgx.Tx) error) error {
	if err := w.c.opt.Hooks.at(ctx, "before "+what); err != nil {
		return err
	}
	retry := backoff{next: firstLockPause, longest: longestLockPause}
	for {
		err := inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+lockTimeout+"'"); err != nil {
				return err
			}
			return f(tx)
		})
		switch {
		case err == nil:
			if err := w.read(ctx); err != nil {
				return err
			}
			return w.c.opt.Hooks.at(ctx, "after "+what)
		case sqlState(err) != "55P03" && sqlState(err) != "40P01":
			return fmt.Errorf("%s: %w", what, err)
		}
		holders, err := w.lockHolders(ctx)
		if err != nil {
			return err
		}
		if err := w.say(ctx, "%s: waiting for a lock on %s, held by %s", what, w.table, holders); err != nil {
			return err
		}
		if err := retry.pause(ctx); err != nil {
			return err
		}
	}
}
