package migrate

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
)

// atWork is who holds one of the advisory locks.
type atWork struct {
	pid       int32  // of its server session; 0 where nobody holds it any more
	migration string // that it works on; "" where it cannot be told
	working   string // what it is at
}

// holderOf gives who holds the advisory lock of these two keys.
func holderOf(ctx context.Context, q queryer, class int64, key int32) (a atWork, err error) {
	const held = `locktype = 'advisory' AND granted AND objsubid = 2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	if err := q.QueryRow(ctx, "SELECT COALESCE(max(pid), 0) FROM pg_locks WHERE "+held+" AND classid::bigint = $1 AND objid = $2::bigint::oid", class, int64(uint32(key))).Scan(&a.pid); err != nil {
		return a, fmt.Errorf("looking for who is at work: %w", err)
	}
	works, err := collect(ctx, q, "SELECT objid::bigint FROM pg_locks WHERE "+held+" AND classid::bigint = $1 AND pid = $2", pgx.RowTo[int64], int64(lockWork), a.pid)
	if err != nil {
		return a, fmt.Errorf("looking for who is at work: %w", err)
	}
	ms, err := readMigrations(ctx, q)
	if err != nil {
		return a, err
	}
	for _, m := range ms {
		for _, objid := range works {
			if objid == int64(uint32(lockKey(m.Name))) {
				a.migration, a.working = m.Name, m.Working
			}
		}
	}
	return a, nil
}

// busyElsewhere is the answer to who does not want to wait for the change of another migration.
func (w *work) busyElsewhere(ctx context.Context, waited string) error {
	a, err := holderOf(ctx, w.conn, lockCoordinate, 0)
	if err != nil {
		return err
	}
	text := "the epoch is being changed"
	if a.migration != "" {
		text += fmt.Sprintf(" for migration %s (%s)", a.migration, a.working)
	}
	return &proxy.BusyError{Text: fmt.Sprintf("%s%s: try again when `segue status` shows that it is settled, or wait for it with --if-busy wait", waited, text)}
}

// idle gives an error where a change of another migration is under way and the request does not want to wait for it.
func (w *work) idle(ctx context.Context) error {
	if w.busy != proxy.BusyFail {
		return nil
	}
	a, err := holderOf(ctx, w.conn, lockCoordinate, 0)
	if err != nil {
		return err
	}
	if a.pid != 0 {
		return w.busyElsewhere(ctx, "")
	}
	return nil
}
