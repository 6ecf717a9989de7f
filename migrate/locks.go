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
