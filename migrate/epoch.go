package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"segue/migrate/agree"
)

// readEpoch reads the epoch's row. Who writes it by what it says locks it with "FOR UPDATE", who must not be passed by a writer with "FOR SHARE".
func readEpoch(ctx context.Context, q queryer, lock string) (r agree.Row, err error) {
	var seconds *float64
	if err := q.QueryRow(ctx, `SELECT current, settled, COALESCE(holder::text, ''), COALESCE(writer::text, ''), COALESCE(system, ''), COALESCE(timeline, 0), COALESCE(branch, 0),
		extract(epoch FROM clock_timestamp() - moved_at)::float8 FROM segue.epoch `+lock).
		Scan(&r.Epoch, &r.Settled, &r.Holder, &r.Writer, &r.System, &r.Timeline, &r.Branch, &seconds); err != nil {
		return r, fmt.Errorf("reading the epoch: %w", err)
	}
	if seconds != nil {
		r.Moved, r.Ago = true, time.Duration(*seconds*float64(time.Second))
	}
	return r, nil
}

// arrive leaves the epoch's row as whoever comes to a database has to leave it: where the database went back to an earlier state, in a failover or a restore, that is noted. lost is what
// the comer knew of it; the zero value where it knew nothing.
func (c *Controller) arrive(ctx context.Context, tx pgx.Tx, me string, lost agree.Mark) error {
	r, err := readEpoch(ctx, tx, "FOR UPDATE")
	if err != nil {
		return err
	}
	next, changed := r.Arrived(me, historyOf(tx.Conn()), lost)
	if !changed {
		return nil
	}
	if _, err := tx.Exec(ctx, `UPDATE segue.epoch SET current = $1, settled = $2, writer = NULLIF($3, '')::uuid, system = $4, timeline = $5, branch = $6,
		moved_at = CASE WHEN $7 THEN clock_timestamp() ELSE moved_at END`,
		next.Epoch, next.Settled, next.Writer, next.System, next.Timeline, next.Branch, next.Moved && next.Epoch != r.Epoch); err != nil {
		return fmt.Errorf("noting where the database stands: %w", err)
	}
	if next.Epoch == r.Epoch {
		return nil
	}
	if _, err := tx.Exec(ctx, "UPDATE segue.migration SET changed = $1 WHERE changed = $2", next.Epoch, r.Epoch); err != nil {
		return fmt.Errorf("noting where the database stands: %w", err)
	}
	if _, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", epochChannel, fmt.Sprint(next.Epoch)); err != nil {
		return fmt.Errorf("noting where the database stands: %w", err)
	}
	c.log.Warn("the database went back to an earlier state; all proxies are waited for anew before the next change",
		zap.Int64("timeline", next.Timeline), zap.Int64("epoch", r.Epoch), zap.Int64("lost_epoch", lost.Epoch))
	return c.note(ctx, tx, "", "database went back", map[string]any{
		"epoch": next.Epoch, "found": r.Epoch, "lost": lost.Epoch, "system": next.System, "timeline": next.Timeline, "timeline_before": r.Timeline,
	})
}

// historyKey is where a connection keeps the history that its server had when it was opened. It cannot become another one while the connection lasts: a standby that is
// promoted was refused.
const historyKey = "segue.history"

func historyOf(conn *pgx.Conn) agree.History {
	h, _ := conn.PgConn().CustomData()[historyKey].(agree.History)
	return h
}

// errStandby says that the control connection reached a server that cannot be written to.
var errStandby = errors.New("the control connection reached a standby, and needs the primary: name all hosts in its string, with target_session_attrs=read-write")

// readHistory reads a server's history. Any role may: neither function is restricted. A server that does not have them, such as one that only speaks the protocol, has an empty timeline;
// what it lost is then found out by its epochs alone.
func readHistory(ctx context.Context, conn *pgx.Conn) (h agree.History, err error) {
	var standby bool
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_is_in_recovery()").Scan(&standby); err != nil {
		return h, err
	}
	if standby {
		return h, errStandby
	}
	// The WAL's name begins with the timeline, right from the promotion on; the control file has it from the next checkpoint only.
	err = conn.QueryRow(ctx, `SELECT system_identifier::text, ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::bigint
		FROM pg_catalog.pg_control_system()`).Scan(&h.System, &h.Timeline)
	switch sqlState(err) {
	case "42501", "42883", "0A000":
		return agree.History{System: "unknown"}, nil
	}
	return h, err
}
