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

// expandSplit is the change that makes the target and the guard on both tables, in one transaction: CREATE TRIGGER's lock waits out every earlier writer.
func (w *work) expandSplit() change {
	to := w.m.Stand
	to.Phase = lens.Expand
	return change{name: "expand", to: to, ddl: func(ctx context.Context, tx pgx.Tx) error {
		group, err := w.m.Definition.Group()
		if err != nil {
			return err
		}
		if _, err := w.oldColumns(ctx, tx, group); err != nil {
			return err
		}
		s, err := readSplit(ctx, tx, w.m)
		if err != nil {
			return err
		}
		found := &findings{}
		if err := s.makeTarget(ctx, tx, w.m.Definition.SplitTable, found); err != nil {
			return err
		}
		if err := found.err(w.name); err != nil { // the table was looked at a moment ago, and has been changed since
			return err
		}
		if err := s.grant(ctx, tx); err != nil {
			return err
		}
		if err := makeSplitGuard(ctx, tx, w.m, s); err != nil {
			return err
		}
		nums := map[string]int16{}
		for _, c := range slices.Concat(s.key, s.moved) {
			x, err := readColumn(ctx, tx, s.target.OID, c.to)
			if err != nil {
				return err
			}
			nums[c.to] = x.Num
		}
		_, err = tx.Exec(ctx, `UPDATE segue.migration SET new_nums = $2, relaxed = NULL, members = NULL, filled = '{}', cursor_of = NULL, cursor = NULL, rows_done = 0, rows_total = 0, rate = 0,
			backfilled = false, analyzed = false, verified = NULL, paused = false, max_rows = NULL, scanned = NULL WHERE name = $1`, w.name, nums)
		return err
	}}
}

// dropSplit drops the guard and the target. Whatever somebody else has made on the target is an error, which names it.
func (w *work) dropSplit(ctx context.Context, tx pgx.Tx) error {
	if err := dropSplitGuard(ctx, tx, w.m); err != nil {
		return err
	}
	if g := w.m.Guard; g != nil && g.Target != nil && w.table != "" { // without the source, its values are nowhere else
		name, err := tableName(ctx, tx, g.Target.OID)
		if err != nil {
			return err
		}
		if name != "" {
			if _, err := tx.Exec(ctx, "DROP TABLE "+name); err != nil {
				return fmt.Errorf("dropping %s: %w", name, err)
			}
		}
	}
	_, err := tx.Exec(ctx, `UPDATE segue.migration SET new_nums = NULL, guard = NULL, relaxed = NULL, members = NULL, filled = '{}', cursor_of = NULL, cursor = NULL, rows_done = 0, rows_total = 0, rate = 0,
		backfilled = false, analyzed = false, verified = NULL, paused = false, max_rows = NULL, scanned = NULL WHERE name = $1`, w.name)
	return err
}

// switchSplit is the change from which on new code is served. It writes the source before the target, so the source's NOT NULL becomes triggers: one that raises at once, for old code, and one
// that looks again at the transaction's end.
func (w *work) switchSplit(ctx context.Context) (change, error) {
	ch := change{name: "switch-reads", to: w.to(lens.SwitchReads)}
	s, err := readSplit(ctx, w.conn, w.m)
	if err != nil {
		return ch, err
	}
	required := s.required(w.m)
	if w.m.Relaxed != nil || len(required) == 0 {
		return ch, nil
	}
	saved := &relaxed{Old: map[string]constraints{}}
	for _, c := range required {
		saved.Old[c.from] = constraints{NotNull: true}
	}
	ch.ddl = func(ctx context.Context, tx pgx.Tx) error {
		for _, c := range required {
			if _, err := tx.Exec(ctx, "ALTER TABLE "+s.table+" ALTER COLUMN "+catalog.QuoteIdent(c.from)+" DROP NOT NULL"); err != nil {
				return err
			}
		}
		return w.remakeSplitGuard(ctx, tx, s, saved)
	}
	return ch, nil
}

// remakeSplitGuard gives the guard its form for what has been taken off the source, nil for nothing, and notes that.
func (w *work) remakeSplitGuard(ctx context.Context, tx pgx.Tx, s *split, saved *relaxed) error {
	m := *w.m
	m.Relaxed = saved
	s.target = &lens.Target{OID: s.target.OID, Foreign: s.target.Foreign}
	if saved != nil {
		for _, c := range s.required(&m) {
			s.target.Required = append(s.target.Required, c.from)
		}
	}
	if err := makeSplitGuard(ctx, tx, &m, s); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "UPDATE segue.migration SET relaxed = $2 WHERE name = $1", w.name, saved)
	return err
}

// tightenSplit puts the source's NOT NULL back, once new code is served no more.
func (w *work) tightenSplit(ctx context.Context) error {
	s, err := readSplit(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	required := s.required(w.m)
	for _, c := range required {
		if err := w.makeSure(ctx, demand{name: notNullName(w.name, c.from), column: c.from, cond: catalog.QuoteIdent(c.from) + " IS NOT NULL", what: "that no " + c.from + " is null"}); err != nil {
			return err
		}
	}
	return w.alter(ctx, "tighten", func(tx pgx.Tx) error {
		sqls := s.dropNulls()
		for _, c := range required {
			// The validated CHECK proves it without a scan.
			sqls = append(sqls, "ALTER TABLE "+s.table+" ALTER COLUMN "+catalog.QuoteIdent(c.from)+" SET NOT NULL", "ALTER TABLE "+s.table+" DROP CONSTRAINT "+catalog.QuoteIdent(notNullName(w.name, c.from)))
		}
		if err := execAll(ctx, tx, sqls); err != nil {
			return err
		}
		s, err := readSplit(ctx, tx, w.m)
		if err != nil {
			return err
		}
		return w.remakeSplitGuard(ctx, tx, s, nil)
	})
}

// leaveSplitContract goes on to new-only, where old code is served no more, and from there to write-new.
func (w *work) leaveSplitContract(ctx context.Context) error {
	if err := w.pass(ctx, lens.Complete); err != nil {
		return err
	}
	to := w.m.Stand
	if to.Step != lens.NewOnly {
		to.Step = lens.NewOnly
		return w.change(ctx, change{name: "new-only", to: to})
	}
	to.Phase, to.Step = lens.Complete, lens.WriteNew
	return w.change(ctx, change{name: "write-new", to: to, ddl: w.undefault})
}

// undefault takes the defaults off the columns that move: new code's INSERT leaves them out from here on, and old code is gone. NOT NULL goes on being looked at when a transaction ends.
func (w *work) undefault(ctx context.Context, tx pgx.Tx) error {
	s, err := readSplit(ctx, tx, w.m)
	if err != nil {
		return err
	}
	saved := &relaxed{Old: map[string]constraints{}}
	if w.m.Relaxed != nil {
		for name, c := range w.m.Relaxed.Old {
			saved.Old[name] = c
		}
	}
	for _, c := range s.moved {
		if c.def != "" {
			saved.Old[c.from] = constraints{NotNull: saved.Old[c.from].NotNull, Default: c.def}
		}
	}
	if err := execAll(ctx, tx, s.undefaultSQL()); err != nil {
		return err
	}
	if err := recordSplitGuard(ctx, tx, w.m, s); err != nil {
		return err
	}
	if len(saved.Old) == 0 {
		saved = nil
	}
	_, err = tx.Exec(ctx, "UPDATE segue.migration SET relaxed = $2 WHERE name = $1", w.name, saved)
	return err
}

// undefaultSQL gives its statements.
func (s *split) undefaultSQL() (sqls []string) {
	for _, c := range s.moved {
		if c.def != "" {
			sqls = append(sqls, "ALTER TABLE "+s.table+" ALTER COLUMN "+catalog.QuoteIdent(c.from)+" DROP DEFAULT")
		}
	}
	return append(sqls, "DROP TRIGGER IF EXISTS "+s.late("null")+" ON "+s.table)
}

// redefault puts back what undefault took, once new code names the columns again.
func (w *work) redefault(ctx context.Context) error {
	s, err := readSplit(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	return w.alter(ctx, "defaults", func(tx pgx.Tx) error {
		saved := &relaxed{Old: map[string]constraints{}}
		if w.m.Relaxed != nil {
			for name, c := range w.m.Relaxed.Old {
				if c.Default != "" {
					if _, err := tx.Exec(ctx, "ALTER TABLE "+s.table+" ALTER COLUMN "+catalog.QuoteIdent(name)+" SET DEFAULT "+c.Default); err != nil {
						return err
					}
				}
				if c.NotNull {
					saved.Old[name] = constraints{NotNull: true}
				}
			}
		}
		if len(saved.Old) == 0 {
			saved = nil
		}
		return w.remakeSplitGuard(ctx, tx, s, saved)
	})
}

// undefaulted says that redefault has something to do.
func (w *work) undefaulted(ctx context.Context) (bool, error) {
	if w.m.Relaxed == nil {
		return false, nil
	}
	s, err := readSplit(ctx, w.conn, w.m)
	if err != nil {
		return false, err
	}
	for _, c := range w.m.Relaxed.Old {
		if c.Default != "" {
			return true, nil
		}
	}
	if len(s.required(w.m)) == 0 {
		return false, nil
	}
	var there bool
	if err := w.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = $1 AND quote_ident(tgname) = $2)", w.m.Table, s.late("null")).Scan(&there); err != nil {
		return false, fmt.Errorf("looking for what stands for NOT NULL: %w", err)
	}
	return !there, nil
}

// completeSplit is the change that ends the migration's work on the tables: the guard and the source's columns go. What new code's statements call goes on being there,
// for those of the epoch before, and does nothing.
func (w *work) completeSplit() change {
	to := stand{Live: true, Stage: lens.Stage{Phase: lens.Complete, Proved: w.m.Stand.Proved}}
	return change{name: "complete", to: to, fixed: true, ddl: func(ctx context.Context, tx pgx.Tx) error {
		s, err := readSplit(ctx, tx, w.m)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "LOCK TABLE "+s.table+", "+s.to+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		if err := s.leave(ctx, tx, w.m); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE segue.migration SET guard = NULL, relaxed = NULL WHERE name = $1", w.name)
		return err
	}}
}

// leave drops the guard and the columns that have moved; what the statements of the epoch before call gives true from then on.
func (s *split) leave(ctx context.Context, tx pgx.Tx, m *migration) error {
	if err := dropSplitGuard(ctx, tx, m); err != nil {
		return err
	}
	var sqls []string
	for _, f := range []struct{ name, params string }{{lens.LockFunction(m.Name), s.parameters()}, {lens.AloneFunction(m.Name), s.parameters()}, {lens.AbsentFunction(m.Name), ""}} {
		sqls = append(sqls, "CREATE FUNCTION "+f.name+"("+f.params+") RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'", "GRANT EXECUTE ON FUNCTION "+f.name+"("+f.params+") TO PUBLIC")
	}
	for _, c := range s.moved {
		sqls = append(sqls, "ALTER TABLE "+s.table+" DROP COLUMN "+catalog.QuoteIdent(c.from))
	}
	if err := execAll(ctx, tx, sqls); err != nil {
		return fmt.Errorf("dropping the columns that have moved: %w", err)
	}
	return nil
}

// backSplit goes a step back from where a split alone can be; done is false where the way back is that of all migrations.
func (w *work) backSplit(ctx context.Context) (done bool, err error) {
	s := w.m.Stand
	if g := w.m.Guard; g != nil && g.Target != nil { // which a way back to the end drops
		others, err := collect(ctx, w.conn, "SELECT name FROM segue.migration WHERE table_oid = $1 AND live AND phase NOT IN ('pending', 'retired') ORDER BY 1", pgx.RowTo[string], g.Target.OID)
		if err != nil {
			return true, fmt.Errorf("looking for migrations of the new table: %w", err)
		}
		if len(others) > 0 {
			return true, fmt.Errorf("%w: migration %s is under way on %s: `segue rollback %[2]s --to pending` comes first", proxy.ErrConflict, others[0], w.m.Definition.SplitTable.To)
		}
	}
	switch {
	case s.Phase == lens.Complete && s.Step == lens.WriteNew:
		to := w.to(lens.Contract)
		to.Step = lens.NewOnly
		return true, w.change(ctx, change{name: "back to new-only", to: to})
	case s.Phase == lens.Contract && s.Step == lens.NewOnly:
		undefaulted, err := w.undefaulted(ctx)
		if err != nil {
			return true, err
		}
		if undefaulted {
			if err := w.redefault(ctx); err != nil {
				return true, err
			}
		}
		return true, w.change(ctx, change{name: "back to contract", to: w.to(lens.Contract)})
	case s.Live && s.Phase <= lens.Backfilling && s.Phase > lens.Pending && s.Step == lens.NoStep && w.m.Relaxed != nil:
		return true, w.tightenSplit(ctx)
	}
	return false, nil
}
