package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/config"
	"segue/proxy"
	"segue/rewrite/lens"
)

// Start registers a migration and takes it to dual-write. For one that has not got there, the same definition again goes on.
func (c *Controller) Start(ctx context.Context, def *lens.Definition, opt proxy.StartOptions) error {
	if err := config.ValidateDefinition(def); err != nil {
		return fmt.Errorf("the definition %w: %w", proxy.ErrInvalid, err)
	}
	w, err := c.begin(ctx, def.Name, proxy.AdvanceOptions{MaxWait: opt.MaxWait, Terminate: opt.Terminate}, false)
	if err != nil {
		return err
	}
	detail, err := w.register(ctx, def)
	if err != nil {
		return w.drop(err)
	}
	return w.run(ctx, "start", detail, func(ctx context.Context) error { return w.travel(ctx, w.forward(lens.DualWrite)) })
}

// startedError says that a migration of the same definition is past its start.
type startedError struct{ error }

func (e startedError) Unwrap() error { return e.error }

// Carry takes a definition as far as it is to go, from wherever it stands: it registers it where it is not, and does nothing where it has arrived.
func (c *Controller) Carry(ctx context.Context, def *lens.Definition, opt proxy.AdvanceOptions) error {
	if err := config.ValidateDefinition(def); err != nil {
		return fmt.Errorf("the definition %w: %w", proxy.ErrInvalid, err)
	}
	target := lens.Contract
	if opt.To != nil {
		target = *opt.To
	}
	if target < lens.DualWrite {
		return fmt.Errorf("%w: nothing is carried to %s: the phases to go to are dual-write, backfill, switch-reads, contract, complete, retired", proxy.ErrInvalid, target)
	}
	w, err := c.begin(ctx, def.Name, opt, false)
	if err != nil {
		return err
	}
	w.quiet = defaultQuiet
	if opt.QuietFor != nil {
		w.quiet = *opt.QuietFor
	}
	if target >= lens.Complete && !opt.Yes { // before anything is done for it
		if err := w.read(ctx); err != nil && !errors.Is(err, proxy.ErrUnknown) {
			return w.drop(err)
		} else if err != nil || w.m.Stand.Phase < lens.Complete {
			return w.drop(&proxy.GateError{Gate: lens.Complete.String(), Missing: []string{oldGoes(&migration{Name: def.Name, Definition: def})}})
		}
	}
	detail, err := w.register(ctx, def)
	var started startedError
	if err != nil && !errors.As(err, &started) {
		return w.drop(err)
	}
	if started.error != nil {
		s := w.m.Stand
		settled, current, err := w.epoch(ctx)
		if err != nil {
			return w.drop(err)
		}
		if s.rank() >= (stand{Live: true, Stage: lens.Stage{Phase: target, Proved: target == lens.Backfilling}}).rank() && settled == current {
			return w.drop(nil)
		}
	}
	detail["to"] = target
	return w.run(ctx, "run", detail, func(ctx context.Context) error { return w.travel(ctx, w.forward(target)) })
}

// register checks a definition and inserts its row, which no proxy takes notice of before the first epoch.
func (w *work) register(ctx context.Context, def *lens.Definition) (map[string]any, error) {
	if err := sameFormats(ctx, w.conn); err != nil {
		return nil, err
	}
	def, err := canonicalTypes(ctx, w.conn, def)
	if err != nil {
		return nil, err
	}
	text, err := def.Marshal()
	if err != nil {
		return nil, err
	}
	detail := map[string]any{"definition": def}
	if g, err := def.Group(); err == nil && g.OneWay() {
		detail["one way"] = "what has no `down` cannot be read by old code from complete on, nor written by new code before"
	}
	err = w.read(ctx)
	switch {
	case err == nil:
		stored, err := w.m.Definition.Marshal()
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(text, stored) && w.m.Changed == 0 { // it never began, since its rows would not have it
			if err := w.forget(ctx); err != nil {
				return nil, err
			}
			w.m, w.forgotten = nil, false
			break
		}
		if !bytes.Equal(text, stored) {
			return nil, fmt.Errorf("%w: there is a migration %s with another definition: choose another name, or `segue drop %s` first", proxy.ErrConflict, def.Name, def.Name)
		}
		if s := w.m.Stand; s.Live && s.rank() >= (stand{Live: true, Stage: lens.Stage{Phase: lens.DualWrite}}).rank() {
			return detail, startedError{fmt.Errorf("%w: migration %s has been started and is at %s: `segue advance %s` goes on", proxy.ErrConflict, def.Name, s, def.Name)}
		}
		if w.m.Stand.Phase != lens.Pending || w.m.NewNums != nil {
			return detail, nil
		}
	case !errors.Is(err, proxy.ErrUnknown):
		return nil, err
	}
	f, err := check(ctx, w.conn, def)
	if err != nil {
		return nil, err
	}
	if err := f.err(def.Name); err != nil {
		return nil, err
	}
	if len(f.later) > 0 {
		detail["complete waits for"] = f.later
	}
	if w.m != nil {
		return detail, nil
	}
	err = inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "LOCK TABLE segue.migration IN SHARE ROW EXCLUSIVE MODE"); err != nil { // two that share a column may not both come
			return err
		}
		ms, err := readMigrations(ctx, tx)
		if err != nil {
			return err
		}
		refused, err := refusedBeside(ctx, tx, def, f.table, ms)
		if err != nil {
			return err
		}
		if refused != "" {
			return fmt.Errorf("migration %s %w: %s", def.Name, proxy.ErrInvalid, refused)
		}
		_, err = tx.Exec(ctx, "INSERT INTO segue.migration (name, table_oid, definition, old_nums, old_types) VALUES ($1, $2, $3, $4, $5)",
			def.Name, f.table, text, f.oldNums, f.oldTypes)
		return err
	})
	if err != nil && !errors.Is(err, proxy.ErrInvalid) {
		err = fmt.Errorf("registering migration %s: %w", def.Name, err)
	}
	return detail, err
}

// Advance goes on, by one phase or to one.
func (c *Controller) Advance(ctx context.Context, name string, opt proxy.AdvanceOptions) error {
	quiet := defaultQuiet
	if opt.QuietFor != nil {
		quiet = *opt.QuietFor
	}
	return c.advance(ctx, name, opt, quiet)
}

// Retire lets the proxies forget a migration that is complete, once nobody has used the old names for a while.
func (c *Controller) Retire(ctx context.Context, name string, opt proxy.RetireOptions) error {
	retired := lens.Retired
	w, err := c.take(ctx, name, proxy.AdvanceOptions{To: &retired, MaxWait: opt.MaxWait, Terminate: opt.Terminate}, opt.Terminate || opt.MaxWait > 0)
	if err != nil {
		return err
	}
	settled, _, err := w.epoch(ctx)
	if err != nil {
		return w.drop(err)
	}
	if s := w.m.Stand; (s.Phase != lens.Complete || s.Step != lens.NoStep) && (s.Phase != lens.Retired || w.m.Changed <= settled) {
		if s.Phase == lens.Retired {
			return w.drop(fmt.Errorf("%w: migration %s is retired already: `segue drop %s` forgets it", proxy.ErrConflict, name, name))
		}
		return w.drop(fmt.Errorf("%w: migration %s is %s, and only what is complete can be retired: `segue advance %s --to complete` comes first", proxy.ErrConflict, name, s, name))
	}
	w.quiet, w.patient = opt.QuietFor, opt.Wait
	return w.advance(ctx, lens.Retired, "retire")
}

func (c *Controller) advance(ctx context.Context, name string, opt proxy.AdvanceOptions, quiet time.Duration) error {
	w, err := c.take(ctx, name, opt, opt.Terminate || opt.MaxWait > 0)
	if err != nil {
		return err
	}
	w.quiet = quiet
	target := w.following()
	if opt.To != nil {
		target = *opt.To
	}
	s := w.m.Stand
	switch {
	case s.Phase == lens.Retired:
		return w.drop(fmt.Errorf("%w: migration %s is retired: `segue drop %s` forgets it", proxy.ErrConflict, name, name))
	case target == lens.Pending || target == lens.Expand:
		return w.drop(fmt.Errorf("%w: nothing advances to %s: the phases to advance to are dual-write, backfill, switch-reads, contract, complete, retired", proxy.ErrInvalid, target))
	case s.Live && s.Step != lens.WriteOld && (target < s.Phase || target == s.Phase && s.Step == lens.NoStep && (s.Phase != lens.Backfilling || s.Proved)):
		// It may still have to be settled.
		settled, current, err := w.epoch(ctx)
		if err != nil {
			return w.drop(err)
		}
		if settled == current || target < s.Phase {
			return w.drop(fmt.Errorf("%w: migration %s is at %s already: `segue rollback %s --to %s` goes back", proxy.ErrConflict, name, s, name, target))
		}
	}
	return w.advance(ctx, target, "advance")
}

// take begins work on a migration that there is.
func (c *Controller) take(ctx context.Context, name string, opt proxy.AdvanceOptions, replace bool) (*work, error) {
	if _, err := c.find(ctx, name); err != nil {
		return nil, err
	}
	w, err := c.begin(ctx, name, opt, replace)
	if err != nil {
		return nil, err
	}
	if err := w.read(ctx); err != nil {
		return nil, w.drop(err)
	}
	return w, nil
}

// find reads a migration on the connection for short work.
func (c *Controller) find(ctx context.Context, name string) (m *migration, err error) {
	err = c.side.do(ctx, func(conn *pgx.Conn) error {
		m, err = readMigration(ctx, conn, name)
		return err
	})
	return m, err
}

// following is the phase that advance goes to by itself: the next one, or the one that is under way.
func (w *work) following() lens.Phase {
	s := w.m.Stand
	switch {
	case !s.Live || s.Phase < lens.DualWrite:
		return lens.DualWrite
	case s.Phase == lens.Backfilling && !s.Proved && !w.opt.Unproved, s.Step == lens.WriteOld, s.Step == lens.WriteNew:
		return s.Phase
	case s.Phase == lens.Retired:
		return lens.Retired
	}
	return s.Phase + 1
}

// advance checks the gate that comes first, where nothing has to be done before it can be judged, and sets off.
func (w *work) advance(ctx context.Context, target lens.Phase, action string) error {
	if w.table == "" {
		return w.drop(w.errNoTable())
	}
	s := w.m.Stand
	settled, current, err := w.epoch(ctx)
	if err != nil {
		return w.drop(err)
	}
	if to, ok := nextGate(s); ok && to <= target && settled == current && s.Live && s.Step != lens.WriteOld && s.Phase >= lens.SwitchReads && !w.patient {
		missing, err := w.missing(ctx, to)
		if err != nil {
			return w.drop(err)
		}
		stands := true
		if s.Proved {
			if stands, err = guardStands(ctx, w.conn, w.m); err != nil {
				return w.drop(err)
			}
			came, err := unseen(ctx, w.conn, w.m)
			if err != nil {
				return w.drop(err)
			}
			stands = stands && len(came) == 0
		}
		_, grants, err := w.toGrant(ctx)
		if err != nil {
			return w.drop(err)
		}
		stands = stands && len(grants) == 0
		if len(missing) > 0 && (stands || s.Phase == lens.Complete && s.Step == lens.NoStep) { // else "proved" is to be taken back, or what came since to be looked at or granted
			return w.drop(&proxy.GateError{Gate: to.String(), Missing: missing})
		}
	}
	if target >= lens.Complete && s.Phase < lens.Complete && !w.opt.Yes {
		return w.drop(&proxy.GateError{Gate: lens.Complete.String(), Missing: []string{
			oldGoes(w.m),
		}})
	}
	return w.run(ctx, action, map[string]any{"to": target, "max_wait": w.opt.MaxWait.String(), "terminate": w.opt.Terminate, "unproved": w.opt.Unproved},
		func(ctx context.Context) error { return w.travel(ctx, w.forward(target)) })
}

// Rollback goes back, by one phase or to one. It ends this proxy's own work on the migration first.
func (c *Controller) Rollback(ctx context.Context, name string, opt proxy.AdvanceOptions) error {
	w, err := c.take(ctx, name, opt, true)
	if err != nil {
		return err
	}
	s := w.m.Stand
	if !s.Live || s.Phase == lens.Retired || s.Phase == lens.Complete && s.Step == lens.NoStep {
		return w.drop(w.cannotUndo())
	}
	if w.final() && s.Phase == lens.Complete {
		return w.drop(fmt.Errorf("%w: migration %s is %s and has no way back: new code's writes are not in the old columns; `segue advance %s` goes on", proxy.ErrConflict, name, s, name))
	}
	target := preceding(s)
	if opt.To != nil {
		target = *opt.To
	}
	switch target {
	case lens.Pending, lens.Backfilling, lens.SwitchReads, lens.Contract:
	case lens.Expand, lens.DualWrite, lens.Complete, lens.Retired:
		return w.drop(fmt.Errorf("%w: nothing goes back to %s: the phases to go back to are contract, switch-reads, backfill, pending", proxy.ErrInvalid, target))
	}
	there := stand{Live: true, Stage: lens.Stage{Phase: target, Proved: s.Proved && target > lens.Pending}}
	if s.rank() <= there.rank() && (s.Phase != lens.Pending || w.m.NewNums == nil) {
		settled, current, err := w.epoch(ctx)
		if err != nil {
			return w.drop(err)
		}
		if settled == current {
			return w.drop(fmt.Errorf("%w: migration %s is at %s already: `segue advance %s` goes on, and at pending, `segue drop %s` forgets it", proxy.ErrConflict, name, s, name, name))
		}
	}
	w.backOut = true
	return w.run(ctx, "rollback", map[string]any{"to": target, "max_wait": opt.MaxWait.String(), "terminate": opt.Terminate},
		func(ctx context.Context) error { return w.travel(ctx, w.back(target)) })
}

// final says that what new code writes from write-new on cannot be taken back.
func (w *work) final() bool {
	g, err := w.m.Definition.Group()
	return err == nil && g.Final()
}

func (w *work) cannotUndo() error {
	if !w.m.Stand.Live {
		return fmt.Errorf("%w: migration %s has not been registered: `segue start` goes on, `segue drop %s` forgets it", proxy.ErrConflict, w.name, w.name)
	}
	return fmt.Errorf("%w: migration %s is %s: the old column is gone, so it cannot be undone; start a migration that goes the other way", proxy.ErrConflict, w.name, w.m.Stand)
}

// preceding is the phase that rollback goes to by itself.
func preceding(s stand) lens.Phase {
	switch {
	case s.Step == lens.WriteOld, s.Phase <= lens.Backfilling:
		return lens.Pending
	case s.Step == lens.BothUnique || s.Step == lens.NewOnly || s.Step == lens.InferNew || s.Step == lens.WriteNew:
		return lens.Contract
	}
	return s.Phase - 1
}

// Drop forgets a migration that is pending or retired, or one whose table is gone.
func (c *Controller) Drop(ctx context.Context, name string) error {
	w, err := c.take(ctx, name, proxy.AdvanceOptions{}, false)
	if err != nil {
		return err
	}
	s := w.m.Stand
	if w.table != "" && s.Live && s.Phase != lens.Retired && (s.Phase != lens.Pending || s.Step != lens.NoStep) {
		return w.drop(fmt.Errorf("%w: migration %s is at %s: `segue rollback %s --to pending` or `segue retire %s` comes first", proxy.ErrConflict, name, s, name, name))
	}
	w.backOut = true // a start that is not settled yet
	return w.run(ctx, "drop", nil, func(ctx context.Context) error {
		return w.travel(ctx, func(ctx context.Context) (bool, error) {
			if w.m.Stand.Live && w.table != "" {
				if err := w.tidy(ctx); err != nil {
					return false, err
				}
			}
			if !w.m.Stand.Live {
				return true, w.forget(ctx)
			}
			ch := change{name: "forget", to: stand{Stage: w.m.Stand.Stage}}
			if w.table == "" {
				ch.fixed, ch.ddl = true, w.dropNew // the guard's function is left
			}
			return false, w.change(ctx, ch)
		})
	})
}

// Verify looks at every row; with repair, it makes those agree that are apart. A clean scan proves, from the backfill on.
func (c *Controller) Verify(ctx context.Context, name string, repair bool) error {
	w, err := c.take(ctx, name, proxy.AdvanceOptions{}, false)
	if err != nil {
		return err
	}
	if w.m.NewNums == nil || w.m.Guard == nil || !w.m.Stand.Live || w.table == "" {
		return w.drop(fmt.Errorf("%w: migration %s is at %s, where there are no two columns to compare", proxy.ErrConflict, name, w.m.Stand))
	}
	if w.final() && w.m.Stand.Phase == lens.Complete {
		return w.drop(fmt.Errorf("%w: migration %s is %s and has no way back: its old columns are not kept in step any more", proxy.ErrConflict, name, w.m.Stand))
	}
	return w.run(ctx, "verify", map[string]any{"repair": repair}, func(ctx context.Context) error {
		if err := w.catchUp(ctx); err != nil {
			return err
		}
		if err := w.read(ctx); err != nil {
			return err
		}
		return w.verify(ctx, repair)
	})
}

func (w *work) verify(ctx context.Context, repair bool) error {
	if err := w.unprove(ctx); err != nil {
		return err
	}
	if err := w.adopt(ctx); err != nil {
		return err
	}
	s := w.m.Stand
	if repair {
		stands, err := guardStands(ctx, w.conn, w.m)
		if err != nil {
			return err
		}
		if !stands {
			if err := w.alter(ctx, "make the guard anew", func(tx pgx.Tx) error { return w.makeGuardAnew(ctx, tx) }); err != nil {
				return err
			}
		}
		if v, err := w.scan(ctx, true); err != nil {
			return err
		} else if v.Apart > 0 {
			if err := w.keepRepair(ctx, v); err != nil {
				return err
			}
		}
	}
	if !w.m.Backfilled || s.Step == lens.WriteOld {
		if repair {
			return nil
		}
		_, err := w.scan(ctx, false)
		return err
	}
	if s.Phase < lens.Complete && !w.m.splitting() {
		if err := w.buildMirrors(ctx); err != nil {
			return err
		}
	}
	missing, err := w.prove(ctx)
	if err != nil {
		return err
	}
	if missing != nil {
		return &proxy.GateError{Gate: "proved", Missing: missing}
	}
	if s.Proved || s.Phase < lens.Backfilling {
		return nil
	}
	return w.setProved(ctx)
}

// keepRepair notes what was repaired, since the scan that proves it finds nothing any more.
func (w *work) keepRepair(ctx context.Context, v *verified) error {
	return w.c.note(ctx, w.conn, w.name, "repaired", map[string]any{"apart": v.Apart, "repaired": v.Repaired, "first_keys": v.FirstKeys})
}
