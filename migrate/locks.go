package migrate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// lockTimeout is how long a change may keep others waiting for a lock on the table, behind its own request.
const lockTimeout = 500 * time.Millisecond

// longestVacuumWait is the longest deadlock_timeout at which a change waits for an autovacuum to be cancelled.
const longestVacuumWait = 5 * time.Second

// Between two attempts to get such a lock.
const (
	firstLockPause   = 100 * time.Millisecond
	longestLockPause = 5 * time.Second
)

// vacuums are the autovacuum workers that a change has already tried to have cancelled.
type vacuums []int32

const (
	// hopeless is the age from which on a transaction with a lock on the table is not expected to end within lockTimeout: a lock that is asked for then only makes others queue.
	hopeless = time.Second
	// askAnyway is how often the lock is asked for all the same, since one such transaction may follow another.
	askAnyway = 10 * time.Second
)

// locking runs f in a transaction, again and again until it gets its locks; late ends that. Where f needs a lock on the table that all others wait behind, it is asked for under a
// short lock_timeout, and not while it cannot be had.
func (w *work) locking(ctx context.Context, what string, table bool, late func() bool, f func(pgx.Tx) error) error {
	retry, look := backoff{next: firstLockPause, longest: longestLockPause}, backoff{next: 50 * time.Millisecond, longest: 500 * time.Millisecond}
	var vacuums vacuums
	began := time.Now()
	for asked := began; ; {
		pause := &look
		long, err := w.longHolders(ctx, table)
		if err != nil {
			return err
		}
		if len(long) == 0 || time.Since(asked) > askAnyway {
			asked, pause = time.Now(), &retry
			err := inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
				if err := w.limitWait(ctx, tx, &vacuums); err != nil {
					return err
				}
				return f(tx)
			})
			if err == nil {
				return nil
			}
			if sqlState(err) != "55P03" && sqlState(err) != "40P01" {
				return fmt.Errorf("%s: %w", what, err)
			}
		}
		holders, err := w.lockHolders(ctx)
		if err != nil {
			return err
		}
		if late() {
			return fmt.Errorf("%s: waited %v for a lock on %s, held by %s; nothing has changed: try again later, or end those transactions", what, w.opt.MaxWait, w.table, holders)
		}
		if err := w.say(ctx, "%s: "+waitingForLock+"%s, held by %s", what, w.table, holders); err != nil {
			return err
		}
		if w.opt.Terminate && time.Since(began) > terminateAfter {
			if err := w.endHolders(ctx, long); err != nil {
				return err
			}
		}
		if err := pause.pause(ctx); err != nil {
			return err
		}
	}
}

// longHolders gives the transactions that have held a lock on the table for so long that they are not expected to end soon. An autovacuum is none of them: it ends when it is in
// somebody's way.
func (w *work) longHolders(ctx context.Context, table bool) ([]blocker, error) {
	if !table || w.table == "" {
		return nil, nil
	}
	holders, err := lockHolders(ctx, w.conn, w.m.Table)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(holders, func(b blocker) bool {
		return b.age < hopeless.Seconds() || !b.old && b.application != applicationName
	}), nil
}

// endHolders ends the clients' transactions among those, for --terminate. What may not be ended is waited for.
func (w *work) endHolders(ctx context.Context, holders []blocker) error {
	for _, b := range holders {
		if !b.old {
			continue
		}
		refused, err := w.terminate(ctx, b.pid)
		if err != nil {
			return err
		}
		if refused != "" {
			if err := w.say(ctx, "%s%s: %s; %s", waitingForLock, w.table, b, refused); err != nil {
				return err
			}
			continue
		}
		if err := w.c.note(ctx, w.conn, w.name, "terminated", map[string]any{"pid": b.pid, "application": b.application, "user": b.user}); err != nil {
			return err
		}
	}
	return nil
}

// limitWait sets how long a transaction waits for a lock. PostgreSQL cancels an autovacuum that is in somebody's way, but only when he has waited for deadlock_timeout: so each
// worker that is met gets one longer attempt. Those that protect the server against wraparound go on all the same, and have to be waited for.
func (w *work) limitWait(ctx context.Context, tx pgx.Tx, met *vacuums) error {
	limit := lockTimeout
	if w.table != "" {
		found, err := collect(ctx, tx, `
			SELECT DISTINCT l.pid FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
			WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.relation IN (SELECT oid FROM `+fmt.Sprintf(familySQL, "$1")+` f)
			AND (a.backend_type = 'autovacuum worker' OR a.backend_type IS NULL AND l.mode = 'ShareUpdateExclusiveLock')`, // a role without pg_read_all_stats is not told
			pgx.RowTo[int32], w.m.Table)
		if err != nil {
			return fmt.Errorf("looking for autovacuum workers: %w", err)
		}
		found = slices.DeleteFunc(found, func(pid int32) bool { return slices.Contains(*met, pid) })
		if len(found) > 0 {
			*met = append(*met, found...)
			var ms float64
			if err := tx.QueryRow(ctx, "SELECT (extract(epoch FROM current_setting('deadlock_timeout')::interval) * 1000)::float8").Scan(&ms); err != nil {
				return fmt.Errorf("reading deadlock_timeout: %w", err)
			}
			if d := time.Duration(ms * float64(time.Millisecond)); d <= longestVacuumWait {
				limit += d
			}
		}
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = '%dms'", limit.Milliseconds())); err != nil {
		return fmt.Errorf("setting lock_timeout: %w", err)
	}
	return nil
}
