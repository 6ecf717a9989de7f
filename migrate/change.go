package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/migrate/agree"
	"segue/proxy"
)

// change is one epoch: the migration's stand changes, and with it, in the same transaction, what ddl does.
type change struct {
	name  string // for people, events and hooks
	to    stand
	fixed bool     // it cannot be given up: what ddl does cannot be undone, or nothing would be won
	why   []string // what was waited for in vain, where that is the reason; for the history
	ddl   func(ctx context.Context, tx pgx.Tx) error
}

// lateError says that a change was waited for as long as --max-wait allows.
type lateError struct{ waiting []string }

func (e *lateError) Error() string { return "waited for " + strings.Join(e.waiting, "; ") }

// change waits until the last epoch is settled, writes the next one, and waits until that is settled.
func (w *work) change(ctx context.Context, ch change) error {
	return w.coordinate(ctx, func() error {
		if err := w.settle(ctx); err != nil {
			return w.late(ctx, err)
		}
		if err := w.c.opt.Hooks.at(ctx, "before "+ch.name); err != nil {
			return err
		}
		if err := w.write(ctx, ch, false); err != nil {
			return err
		}
		if err := w.c.opt.Hooks.at(ctx, "written "+ch.name); err != nil {
			return err
		}
		if err := w.settle(ctx); err != nil {
			return w.late(ctx, err)
		}
		return w.c.opt.Hooks.at(ctx, "settled "+ch.name)
	})
}

// coordinate runs f with the right to change the epoch: the advisory lock, and the holder's name in the row.
func (w *work) coordinate(ctx context.Context, f func() error) (err error) {
	w.deadline = time.Time{}
	if w.opt.MaxWait > 0 {
		w.deadline = time.Now().Add(w.opt.MaxWait)
	}
	retry := backoff{next: 20 * time.Millisecond, longest: 500 * time.Millisecond}
	for {
		var got bool
		if err := w.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, 0)", lockCoordinate).Scan(&got); err != nil {
			return fmt.Errorf("taking the epoch to change: %w", err)
		}
		if got {
			break
		}
		if w.busy == proxy.BusyFail {
			return w.busyElsewhere(ctx, "")
		}
		if w.isLate() {
			return w.busyElsewhere(ctx, fmt.Sprintf("waited %v, and ", w.opt.MaxWait))
		}
		if err := w.say(ctx, "waiting for the change of another migration to end"); err != nil {
			return err
		}
		if err := retry.pause(ctx); err != nil {
			return err
		}
	}
	defer func() {
		if w.conn.IsClosed() || errors.Is(err, errKilled) {
			return // the lock goes with the connection
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if _, unlock := w.conn.Exec(ctx, "SELECT pg_advisory_unlock($1, 0)", lockCoordinate); unlock != nil {
			err = errors.Join(err, fmt.Errorf("giving the epoch back: %w", unlock))
		}
	}()
	if err := inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := w.c.arrive(ctx, tx, w.id, agree.Mark{}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE segue.epoch SET holder = $1", w.id)
		return err
	}); err != nil {
		return fmt.Errorf("taking the epoch to change: %w", err)
	}
	return f()
}

func (w *work) isLate() bool { return !w.deadline.IsZero() && time.Now().After(w.deadline) }

// write writes the next epoch. Waiting for a lock on the table is cut short, since all others wait behind it, and tried again.
func (w *work) write(ctx context.Context, ch change, unsettled bool) error {
	err := w.locking(ctx, ch.name, ch.ddl != nil, w.isLate, func(tx pgx.Tx) error { return w.writeOnce(ctx, tx, ch, unsettled) })
	if err != nil {
		return err
	}
	return w.read(ctx)
}

func (w *work) writeOnce(ctx context.Context, tx pgx.Tx, ch change, unsettled bool) error {
	row, err := readEpoch(ctx, tx, "FOR UPDATE")
	if err != nil {
		return err
	}
	if err := row.MayWrite(w.id, unsettled); err != nil {
		return err
	}
	if ch.ddl != nil {
		if err := ch.ddl(ctx, tx); err != nil {
			return err
		}
	}
	var prior *stand
	if !ch.fixed && !unsettled {
		prior = &w.m.Stand
	}
	current := row.Epoch
	if _, err := tx.Exec(ctx, "UPDATE segue.epoch SET current = current + 1, writer = $1, changed_at = now()", w.id); err != nil {
		return err
	}
	from := w.m.Stand
	if tag, err := tx.Exec(ctx, `UPDATE segue.migration SET live = $2, phase = $3, step = $4, proved = $5, changed = $6, prior = $7, changed_at = now()
		WHERE name = $1 AND live = $8 AND phase = $9 AND step = $10 AND proved = $11`,
		w.name, ch.to.Live, ch.to.Phase.String(), ch.to.Step.String(), ch.to.Proved, current+1, prior,
		from.Live, from.Phase.String(), from.Step.String(), from.Proved); err != nil {
		return err
	} else if tag.RowsAffected() != 1 {
		return agree.ErrReplaced
	}
	if _, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", epochChannel, fmt.Sprint(current+1)); err != nil {
		return err
	}
	detail := map[string]any{"epoch": current + 1, "from": from.String(), "to": ch.to.String()}
	if ch.why != nil {
		detail["waited for"] = ch.why
	}
	return w.c.note(ctx, tx, w.name, ch.name, detail)
}

// late decides what becomes of a change that has been waited for long enough.
func (w *work) late(ctx context.Context, err error) error {
	var late *lateError
	if !errors.As(err, &late) {
		return err
	}
	if rerr := w.read(ctx); rerr != nil {
		return rerr
	}
	row, err := readEpoch(ctx, w.conn, "")
	if err != nil {
		return err
	}
	switch row.Late(w.m.Changed, w.m.Prior != nil) {
	case agree.Foreign:
		return fmt.Errorf("%w: epoch %d, of another migration, is not settled yet: %w", proxy.ErrConflict, row.Epoch, late)
	case agree.WaitOn:
		return fmt.Errorf("%s is reached, and not settled yet after %v: %w; it cannot be given up: `segue advance %s` waits on", w.m.Stand, w.opt.MaxWait, late, w.name)
	case agree.GiveUp:
	}
	reached := w.m.Stand
	if err := w.giveUp(ctx, late.waiting); err != nil {
		return err
	}
	return fmt.Errorf("gave %s up after %v, back at %s: %w; end what is waited for, or use --terminate", reached, w.opt.MaxWait, w.m.Stand, late)
}

// giveUp goes back to what the unsettled epoch came from, by an epoch with the old stand: at most these two are alive. It is the one change that starts from an
// unsettled epoch, and it cannot be given up itself.
func (w *work) giveUp(ctx context.Context, waited []string) error {
	w.deadline = time.Time{}
	if err := w.rest(ctx); err != nil {
		return err
	}
	if err := w.write(ctx, change{name: "give up", to: *w.m.Prior, fixed: true, why: waited}, true); err != nil {
		return err
	}
	if err := w.c.opt.Hooks.at(ctx, "written give up"); err != nil {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	return w.tidy(ctx)
}

// epoch reads the epoch that is settled and the one that is current.
func (w *work) epoch(ctx context.Context) (settled, current int64, err error) {
	row, err := readEpoch(ctx, w.conn, "")
	return row.Settled, row.Epoch, err
}

// catchUp settles what a work that was cut off has left unsettled, or gives it up where the request is to go back.
func (w *work) catchUp(ctx context.Context) error {
	row, err := readEpoch(ctx, w.conn, "")
	if err != nil || row.IsSettled() {
		return err
	}
	return w.coordinate(ctx, func() error {
		if err := w.read(ctx); err != nil {
			return err
		}
		row, err := readEpoch(ctx, w.conn, "")
		if err != nil || row.IsSettled() {
			return err
		}
		if m := w.m; w.backOut && m.Prior != nil && m.Prior.rank() < m.Stand.rank() && row.Late(m.Changed, true) == agree.GiveUp {
			return w.giveUp(ctx, nil)
		}
		if err := w.settle(ctx); err != nil {
			return w.late(ctx, err)
		}
		return nil
	})
}
