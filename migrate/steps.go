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

// next says whether the migration has arrived, and else goes one step on, by what the durable state says and nothing else. So a
// work that was cut off anywhere is gone on with by calling it again.
type next func(ctx context.Context) (arrived bool, err error)

// travel goes step by step.
func (w *work) travel(ctx context.Context, step next) error {
	if err := w.catchUp(ctx); err != nil {
		return err
	}
	for !w.forgotten {
		if err := w.read(ctx); err != nil {
			return err
		}
		arrived, err := step(ctx)
		if err != nil || arrived {
			return err
		}
	}
	return nil
}

// errNoTable says that there is nothing left to migrate.
func (w *work) errNoTable() error {
	return fmt.Errorf("%w: the table %s of migration %s was dropped: `segue drop %s` forgets the migration", proxy.ErrConflict, w.m.Definition.Table, w.name, w.name)
}

// to gives the migration's stand at another phase, without a step.
func (w *work) to(p lens.Phase) stand {
	return stand{Live: true, Stage: lens.Stage{Phase: p, Proved: w.m.Stand.Proved}}
}

// forward goes on towards a phase.
func (w *work) forward(target lens.Phase) next {
	return func(ctx context.Context) (bool, error) {
		if w.table == "" {
			return false, w.errNoTable()
		}
		s := w.m.Stand
		switch {
		case !s.Live:
			if err := w.examine(ctx); err != nil {
				return false, err
			}
			return false, w.change(ctx, change{name: "register", to: stand{Live: true}, ddl: func(ctx context.Context, tx pgx.Tx) error {
				return makeConverters(ctx, tx, w.m)
			}})
		case s.Step == lens.WriteOld: // a rollback that was begun
			return false, w.change(ctx, change{name: "take rollback back", to: w.to(s.Phase)})
		case s.Phase == target && s.Step == lens.NoStep && (s.Phase != lens.Backfilling || s.Proved):
			if s.Phase == lens.Retired {
				return true, w.cleanUp(ctx)
			}
			return true, nil
		}
		switch s.Phase {
		case lens.Pending:
			return false, w.leavePending(ctx)
		case lens.Expand:
			if err := w.buildLookups(ctx); err != nil {
				return false, err
			}
			return false, w.change(ctx, change{name: "dual-write", to: w.to(lens.DualWrite)})
		case lens.DualWrite:
			return false, w.change(ctx, change{name: "backfill", to: w.to(lens.Backfilling)})
		case lens.Backfilling:
			return w.leaveBackfill(ctx, target)
		case lens.SwitchReads:
			if err := w.pass(ctx, lens.Contract); err != nil {
				return false, err
			}
			return false, w.change(ctx, change{name: "contract", to: w.to(lens.Contract)})
		case lens.Contract:
			return false, w.leaveContract(ctx)
		case lens.Complete:
			if s.Step == lens.WriteNew {
				if err := w.pass(ctx, lens.Complete); err != nil {
					return false, err
				}
				return false, w.change(ctx, w.dropOld())
			}
			if err := w.passQuiet(ctx); err != nil {
				return false, err
			}
			return false, w.change(ctx, w.retire())
		case lens.Retired:
		}
		return true, nil
	}
}

// leavePending goes to expand. What a change that was given up has left goes first, and the table is looked at again: since the start, somebody may
// have changed it.
func (w *work) leavePending(ctx context.Context) error {
	if err := w.tidy(ctx); err != nil {
		return err
	}
	f, err := check(ctx, w.conn, w.m.Definition)
	if err != nil {
		return err
	}
	if err := f.err(w.name); err != nil {
		return err
	}
	if err := w.examine(ctx); err != nil {
		return err
	}
	return w.change(ctx, w.expand())
}

// retire is the change after which the proxies forget the migration. What new code calls by another name gets that name in the table: its gate has
// seen that no client is there to meet it. A column that came beside others has been kept filled for old code's rows until here.
func (w *work) retire() change {
	ch := change{name: "retire", to: w.to(lens.Retired)}
	if w.m.splitting() {
		ch.fixed = true
		ch.ddl = func(ctx context.Context, tx pgx.Tx) error { return dropSplitGuard(ctx, tx, w.m) }
		return ch
	}
	again := renamed(w.m.Definition)
	if len(again) == 0 && !w.m.adding() {
		return ch
	}
	ch.fixed = true
	ch.ddl = func(ctx context.Context, tx pgx.Tx) error {
		for _, n := range again {
			if _, err := tx.Exec(ctx, "ALTER TABLE "+w.table+" RENAME COLUMN "+catalog.QuoteIdent(n.Name)+" TO "+catalog.QuoteIdent(n.As)); err != nil {
				return err
			}
		}
		if !w.m.adding() {
			return nil
		}
		g, err := readGroup(ctx, tx, w.m)
		if err != nil {
			return err
		}
		if err := dropGuard(ctx, tx, w.m, false); err != nil {
			return err
		}
		if err := execAll(ctx, tx, setDefaults(w.table, g)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE segue.migration SET guard = NULL, relaxed = NULL WHERE name = $1", w.name)
		return err
	}
	return ch
}

// renamed lists the new columns that new code calls by another name than the table does.
func renamed(def *lens.Definition) []lens.NewColumn {
	g, err := def.Group()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(g.New), func(n lens.NewColumn) bool { return n.As == n.Name })
}

// leaveBackfill fills, mirrors and proves; then it goes to switch-reads, where it is to go so far.
func (w *work) leaveBackfill(ctx context.Context, target lens.Phase) (bool, error) {
	if err := w.grantAgain(ctx); err != nil {
		return false, err
	}
	if err := w.backfill(ctx); err != nil {
		return false, err
	}
	if !w.m.splitting() { // a split's are declared with its new table
		if err := w.buildMirrors(ctx); err != nil {
			return false, err
		}
	}
	if !w.m.Analyzed {
		if err := w.analyze(ctx); err != nil {
			return false, err
		}
	}
	if !w.m.Stand.Proved && (!w.opt.Unproved || w.m.dropping() || w.m.splitting()) { // where there is nothing to prove, it is proved
		missing, err := w.prove(ctx)
		if err != nil {
			return false, err
		}
		if missing != nil {
			return false, &proxy.GateError{Gate: "proved", Missing: missing}
		}
		return false, w.setProved(ctx)
	}
	if target <= lens.Backfilling {
		return true, nil
	}
	if err := w.pass(ctx, lens.SwitchReads); err != nil {
		return false, err
	}
	ch := change{name: "switch-reads", to: w.to(lens.SwitchReads)}
	if w.m.splitting() {
		var err error
		if ch, err = w.switchSplit(ctx); err != nil {
			return false, err
		}
	}
	return false, w.change(ctx, ch)
}

func (w *work) setProved(ctx context.Context) error {
	to := w.m.Stand
	to.Proved = true
	return w.change(ctx, change{name: "prove", to: to})
}

func (w *work) analyze(ctx context.Context) error {
	if err := w.say(ctx, "analyzing %s", w.table); err != nil {
		return err
	}
	family, err := readFamily(ctx, w.conn, w.m.Table)
	if err != nil {
		return err
	}
	for _, r := range family {
		if r.partition {
			continue // with its table
		}
		if _, err := w.conn.Exec(ctx, "ANALYZE "+r.name); err != nil {
			return fmt.Errorf("analyzing %s: %w", r.name, err)
		}
	}
	if w.m.splitting() {
		s, err := readSplit(ctx, w.conn, w.m)
		if err != nil {
			return err
		}
		if _, err := w.conn.Exec(ctx, "ANALYZE "+s.to); err != nil {
			return fmt.Errorf("analyzing %s: %w", s.to, err)
		}
	}
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET analyzed = true WHERE name = $1", w.name); err != nil {
		return fmt.Errorf("noting that %s was analyzed: %w", w.table, err)
	}
	return w.read(ctx)
}

// leaveContract goes (a1) where the old columns are UNIQUE, (a2), then (a3) with (b).
func (w *work) leaveContract(ctx context.Context) error {
	if w.m.splitting() {
		return w.leaveSplitContract(ctx)
	}
	if err := w.dropRemade(ctx); err != nil {
		return err
	}
	if err := w.pass(ctx, lens.Complete); err != nil {
		return err
	}
	to := w.m.Stand
	switch w.m.Stand.Step {
	case lens.InferNew:
		return w.change(ctx, w.writeNew())
	case lens.BothUnique:
		if err := w.buildUnique(ctx); err != nil {
			return err
		}
	case lens.NoStep, lens.WriteNew, lens.WriteOld, lens.NewOnly:
		unique, err := w.hasUnique(ctx)
		if err != nil {
			return err
		}
		if unique {
			to.Step = lens.BothUnique
			return w.change(ctx, change{name: "both-unique", to: to})
		}
	}
	to.Step = lens.InferNew
	return w.change(ctx, change{name: "infer-new", to: to})
}

// back goes back towards a phase.
func (w *work) back(target lens.Phase) next {
	return func(ctx context.Context) (bool, error) {
		s := w.m.Stand
		if w.m.splitting() && w.table != "" {
			if done, err := w.backSplit(ctx); done || err != nil {
				return false, err
			}
		}
		if !s.Live || s.Phase == target && s.Step == lens.NoStep {
			return true, w.tidy(ctx)
		}
		if w.table == "" {
			return false, w.errNoTable()
		}
		switch {
		case s.Step == lens.WriteOld:
			return false, w.change(ctx, change{
				name: "pending", to: stand{Live: true}, fixed: true, ddl: w.dropNew,
			})
		case s.Phase == lens.Complete && s.Step == lens.WriteNew:
			to := w.to(lens.Contract)
			to.Step = lens.InferNew
			return false, w.change(ctx, change{name: "back to infer-new", to: to})
		case s.Phase == lens.Contract && s.Step == lens.InferNew:
			if w.m.Relaxed != nil {
				if err := w.tighten(ctx); err != nil {
					return false, err
				}
			}
			unique, err := w.hasUnique(ctx)
			if err != nil {
				return false, err
			}
			if unique {
				to := w.to(lens.Contract)
				to.Step = lens.BothUnique
				return false, w.change(ctx, change{name: "back to both-unique", to: to})
			}
			return false, w.change(ctx, change{name: "back to contract", to: w.to(lens.Contract)})
		case s.Phase == lens.Contract && s.Step == lens.BothUnique:
			if err := w.dropUnique(ctx); err != nil {
				return false, err
			}
			return false, w.change(ctx, change{name: "back to contract", to: w.to(lens.Contract)})
		case s.Phase == lens.Contract:
			return false, w.change(ctx, change{name: "back to switch-reads", to: w.to(lens.SwitchReads)})
		case s.Phase == lens.SwitchReads:
			return false, w.change(ctx, change{name: "back to backfill", to: w.to(lens.Backfilling)})
		case s.Phase == lens.Backfilling, s.Phase == lens.DualWrite, s.Phase == lens.Expand:
			to := w.to(s.Phase)
			to.Step = lens.WriteOld
			return false, w.change(ctx, change{name: "write-old", to: to})
		}
		return false, fmt.Errorf("%w: migration %s is %s, which cannot be undone", proxy.ErrConflict, w.name, s)
	}
}

// tidy takes away what a change that was given up has left behind: at pending, the new columns; unregistered, the row.
func (w *work) tidy(ctx context.Context) error {
	if err := w.read(ctx); err != nil {
		return err
	}
	switch {
	case !w.m.Stand.Live:
		return w.forget(ctx)
	case w.m.Stand.Phase == lens.Pending && w.m.NewNums != nil:
		return w.alter(ctx, "tidy", func(tx pgx.Tx) error { return w.dropNew(ctx, tx) })
	}
	return nil
}

// forget deletes the row of a migration that no proxy has the lens of any more.
func (w *work) forget(ctx context.Context) error {
	if err := w.cleanUp(ctx); err != nil {
		return err
	}
	if err := dropConverters(ctx, w.conn, w.m.Definition); err != nil {
		return err
	}
	if _, err := w.conn.Exec(ctx, "DELETE FROM segue.migration WHERE name = $1 AND NOT live", w.name); err != nil {
		return fmt.Errorf("forgetting migration %s: %w", w.name, err)
	}
	w.forgotten = true
	return w.c.note(ctx, w.conn, w.name, "forgotten", nil)
}
