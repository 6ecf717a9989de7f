package migrate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The bounds of a batch, in rows.
const (
	firstBatch   = 500
	smallestStep = 50
	largestBatch = 50_000
)

const defaultBatchTarget = 100 * time.Millisecond

// pace sizes batches by the time that they take.
type pace struct {
	target time.Duration
	rows   int64
}

// took takes note of how long a batch took, and sizes the next: at most twice as large, since one fast batch does not promise another.
func (p *pace) took(d time.Duration) {
	if d <= 0 {
		d = time.Microsecond
	}
	want := int64(float64(p.rows) * float64(p.target) / float64(d))
	p.rows = min(max(want, p.rows/4, smallestStep), 2*p.rows, largestBatch)
}

// backfill fills the new columns where they are not filled, by ranges of the primary key, each its own transaction with the progress in it. It goes on from the last
// one that was committed. The guard fills what is written meanwhile, so a row need be looked at only once.
func (w *work) backfill(ctx context.Context) error {
	if w.m.Backfilled {
		return nil
	}
	if err := w.estimate(ctx); err != nil {
		return err
	}
	return w.byKey(ctx, func(keys *keyset) error { return w.backfillBy(ctx, keys) })
}

func (w *work) backfillBy(ctx context.Context, keys *keyset) error {
	g, err := readGroup(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	opt := w.m.Definition.Backfill
	p := pace{target: time.Duration(opt.BatchTarget), rows: firstBatch}
	if p.target == 0 {
		p.target = defaultBatchTarget
	}
	if limit := opt.MaxRowsPerSecond; limit > 0 {
		p.rows = min(p.rows, max(limit/10, 1))
	}
	if err := w.say(ctx, "backfilling %s", w.table); err != nil {
		return err
	}
	began, begunAt, retry := time.Now(), w.m.RowsDone, backoff{next: 50 * time.Millisecond, longest: 2 * time.Second}
	cursor, done, written := w.m.Cursor, w.m.RowsDone, int64(0)
	for {
		if err := w.yieldTo(ctx, time.Duration(opt.MaxReplicationLag)); err != nil {
			return err
		}
		start := time.Now()
		end, err := keys.end(ctx, w.conn, cursor, p.rows)
		if err != nil {
			return err
		}
		rate := float64(done-begunAt) / max(time.Since(began).Seconds(), 0.001)
		filled, err := w.fill(ctx, g, keys, cursor, end, done, p.rows, rate)
		switch code := sqlState(err); {
		case code == "55P03" || code == "40P01": // a transaction holds some of its rows
			p.rows = max(p.rows/2, smallestStep)
			if err := w.throttle(ctx, "rows are locked by other transactions"); err != nil {
				return err
			}
			if err := retry.pause(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		retry.next = 50 * time.Millisecond
		if err := w.c.opt.Hooks.at(ctx, "batch"); err != nil {
			return err
		}
		written += filled
		if end == nil {
			return w.read(ctx)
		}
		cursor, done = end, done+p.rows
		p.took(time.Since(start))
		if limit := opt.MaxRowsPerSecond; limit > 0 {
			p.rows = min(p.rows, max(limit/10, 1))
			if ahead := time.Duration(float64(written)/float64(limit)*float64(time.Second)) - time.Since(began); ahead > 0 {
				if err := sleep(ctx, ahead); err != nil {
					return err
				}
			}
		}
	}
}

// batchLockTimeout is how long a batch waits for a row. An application's transaction that holds it may itself be waiting for a row of the batch: the batch
// has to give way well before PostgreSQL's deadlock_timeout (1s by default), or else it is the application that gets the error.
const batchLockTimeout = "200ms"

// asWriter makes a transaction of the control connection one that writes the table's rows: it gives way to the applications', and the table's own
// triggers run in it, which find what they name by the search path that the role and the database are set up with. The key's operators are found behind it.
func asWriter(ctx context.Context, tx pgx.Tx, keys *keyset) error {
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+batchLockTimeout+"'"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT set_config('search_path', concat_ws(', ',
		NULLIF((SELECT reset_val FROM pg_settings WHERE name = 'search_path'), ''), NULLIF($1, '')), true)`, keys.schemas)
	return err
}

// fill writes one batch and its progress; end is nil for the last one.
func (w *work) fill(ctx context.Context, g *group, keys *keyset, from, end []string, done, rows int64, rate float64) (filled int64, err error) {
	err = inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := asWriter(ctx, tx, keys); err != nil {
			return err
		}
		cond, args := keys.bounds(from, end, nil)
		tag, err := tx.Exec(ctx, fmt.Sprintf("UPDATE ONLY %s AS r SET %s WHERE %s AND %s", w.table, g.assignNew("r"), cond, g.unfilled("r")), args...)
		if err != nil {
			return fmt.Errorf("backfilling %s past (%s): %w", names(g.new), keyText(from), err)
		}
		filled = tag.RowsAffected()
		sql, args := "UPDATE segue.migration SET cursor = $2, rows_done = $3, rows_total = greatest(rows_total, $3), rate = $4, throttled = '' WHERE name = $1",
			[]any{w.name, end, done + rows, rate}
		if end == nil {
			sql, args = "UPDATE segue.migration SET backfilled = true, rows_done = rows_total, throttled = '' WHERE name = $1", []any{w.name}
		}
		if _, err := tx.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("noting the backfill's progress: %w", err)
		}
		return nil
	})
	return filled, err
}

// estimate says how many rows there are to go through; it counts only a table that is small.
func (w *work) estimate(ctx context.Context) error {
	if w.m.RowsTotal > 0 {
		return nil
	}
	var total, pages int64
	if err := w.conn.QueryRow(ctx, "SELECT reltuples::bigint, pg_relation_size(oid) / current_setting('block_size')::bigint FROM pg_class WHERE oid = $1", w.m.Table).Scan(&total, &pages); err != nil {
		return fmt.Errorf("estimating the backfill: %w", err)
	}
	if pages < 20_000 {
		if err := w.conn.QueryRow(ctx, "SELECT count(*) FROM ONLY "+w.table).Scan(&total); err != nil {
			return fmt.Errorf("estimating the backfill: %w", err)
		}
	}
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET rows_total = $2 WHERE name = $1", w.name, max(total, 0)); err != nil {
		return fmt.Errorf("estimating the backfill: %w", err)
	}
	return nil
}

// throttle tells why the backfill waits.
func (w *work) throttle(ctx context.Context, why string) error {
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET throttled = $2 WHERE name = $1", w.name, why); err != nil {
		return fmt.Errorf("noting what the backfill waits for: %w", err)
	}
	return nil
}

// yieldTo waits while a standby is further behind than it may be, or while it cannot be told. replay_lag alone does not grow while a standby is
// silent, so where there is something to replay the time since its last word counts as well, past the interval of its reports.
func (w *work) yieldTo(ctx context.Context, limit time.Duration) error {
	if limit <= 0 {
		return nil
	}
	for {
		behind, err := collect(ctx, w.conn, `
			SELECT CASE WHEN r.state IS NULL THEN 'its state cannot be read: grant the control role pg_read_all_stats'
			            WHEN r.replay_lsn IS NULL THEN coalesce(nullif(r.application_name, ''), 'a standby') || ' does not say how far it has replayed'
			            ELSE coalesce(nullif(r.application_name, ''), 'a standby') || ' is ' || round(l.lag::numeric, 1)::text || 's behind' END
			FROM pg_stat_replication r CROSS JOIN LATERAL (SELECT greatest(extract(epoch FROM coalesce(r.replay_lag, '0')),
				CASE WHEN r.replay_lsn < pg_current_wal_flush_lsn() THEN extract(epoch FROM clock_timestamp() - r.reply_time) - 10 ELSE 0 END)::float8 AS lag) l
			WHERE r.state IS DISTINCT FROM 'backup' AND r.state IS DISTINCT FROM 'startup' AND (r.state IS NULL OR r.replay_lsn IS NULL OR l.lag > $1)`,
			pgx.RowTo[string], limit.Seconds())
		if err != nil {
			return fmt.Errorf("reading the standbys' lag, which max_replication_lag asks for: %w", err)
		}
		if len(behind) == 0 {
			return nil
		}
		if err := w.throttle(ctx, "replication: "+strings.Join(behind, "; ")); err != nil {
			return err
		}
		if err := w.c.opt.Hooks.at(ctx, "throttled"); err != nil {
			return err
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}
