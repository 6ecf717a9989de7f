package migrate

import (
	"context"
	"fmt"
	"slices"
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
// one that was committed. The guard fills what is written meanwhile, so a row need be looked at only once. A partition or child that has come since the
// backfill was through is filled by itself.
func (w *work) backfill(ctx context.Context) error {
	all, err := w.stored(ctx)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(all, func(r relative) bool { return slices.Contains(w.m.Filled, r.oid) })
	if w.m.Backfilled && len(left) == 0 {
		return nil
	}
	if w.m.dropping() {
		if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET backfilled = true WHERE name = $1", w.name); err != nil {
			return fmt.Errorf("noting that there is nothing to fill: %w", err)
		}
		return w.read(ctx)
	}
	if err := w.estimate(ctx); err != nil {
		return err
	}
	opt := w.m.Definition.Backfill
	f := &filling{work: w, pace: pace{target: time.Duration(opt.BatchTarget), rows: firstBatch}, began: time.Now(), begunAt: w.m.RowsDone, done: w.m.RowsDone}
	if f.target == 0 {
		f.target = defaultBatchTarget
	}
	f.limit()
	if w.m.splitting() {
		f.split, err = readSplit(ctx, w.conn, w.m)
	} else {
		f.group, err = readGroup(ctx, w.conn, w.m)
	}
	if err != nil {
		return err
	}
	for i, r := range left {
		f.last = i == len(left)-1
		if err := w.byKey(ctx, r, func(keys *keyset) error { return f.by(ctx, r, keys) }); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return w.read(ctx)
	}
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET backfilled = true, rows_done = rows_total, throttled = '' WHERE name = $1", w.name); err != nil {
		return fmt.Errorf("noting the backfill's progress: %w", err)
	}
	return w.read(ctx)
}

// filling is a backfill under way.
type filling struct {
	*work
	pace
	group         *group
	split         *split // instead of a group
	began         time.Time
	begunAt, done int64 // rows gone through
	written       int64 // by this work
	last          bool  // no relation comes after this one
}

// limit holds batches to max_rows_per_second.
func (f *filling) limit() {
	if limit := f.m.Definition.Backfill.MaxRowsPerSecond; limit > 0 {
		f.pace.rows = min(f.pace.rows, max(limit/10, 1))
	}
}

// by fills one relation, from where it was left.
func (f *filling) by(ctx context.Context, r relative, keys *keyset) error {
	w, opt := f.work, f.m.Definition.Backfill
	if err := w.say(ctx, "backfilling %s", keys.table); err != nil {
		return err
	}
	retry := backoff{next: 50 * time.Millisecond, longest: 2 * time.Second}
	var cursor []string
	if f.m.CursorOf == r.oid {
		cursor = f.m.Cursor
	}
	for {
		if err := w.yieldTo(ctx, time.Duration(opt.MaxReplicationLag)); err != nil {
			return err
		}
		start := time.Now()
		end, err := keys.end(ctx, w.conn, cursor, f.pace.rows)
		if err != nil {
			return err
		}
		seen := f.pace.rows
		if end == nil {
			cond, args := keys.bounds(cursor, nil, nil)
			if err := w.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM ONLY %s AS r WHERE %s", keys.table, cond), args...).Scan(&seen); err != nil {
				return fmt.Errorf("counting the last rows of %s: %w", keys.table, err)
			}
		}
		filled, err := f.fill(ctx, r, keys, cursor, end, seen)
		switch code := sqlState(err); {
		case code == "55P03" || code == "40P01": // a transaction holds some of its rows
			f.pace.rows = max(f.pace.rows/2, smallestStep)
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
		f.written, f.done = f.written+filled, f.done+seen
		if end == nil {
			return nil
		}
		cursor = end
		f.took(time.Since(start))
		f.limit()
		if limit := opt.MaxRowsPerSecond; limit > 0 {
			if ahead := time.Duration(float64(f.written)/float64(limit)*float64(time.Second)) - time.Since(f.began); ahead > 0 {
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

// fill writes one batch and its progress; end is nil for the last one of a relation.
func (f *filling) fill(ctx context.Context, r relative, keys *keyset, from, end []string, seen int64) (filled int64, err error) {
	rate := float64(f.done-f.begunAt) / max(time.Since(f.began).Seconds(), 0.001)
	err = inTx(ctx, f.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := asWriter(ctx, tx, keys); err != nil {
			return err
		}
		cond, args := keys.bounds(from, end, nil)
		var what, sql string
		if f.split != nil {
			what, sql = f.split.to, f.split.fillSQL(cond)
			if err := f.split.holdingSource(ctx, tx); err != nil {
				return err
			}
		} else {
			what, sql = names(f.group.new), fmt.Sprintf("UPDATE ONLY %s AS r SET %s WHERE %s AND %s", keys.table, f.group.assignNew("r"), cond, f.group.unfilled("r"))
		}
		tag, err := tx.Exec(ctx, sql, args...)
		if err != nil {
			return fmt.Errorf("backfilling %s past (%s): %w", what, keyText(from), err)
		}
		filled = tag.RowsAffected()
		sql = "UPDATE segue.migration SET cursor = $2, cursor_of = $3, rows_done = $4, rows_total = greatest(rows_total, $4), rate = $5, throttled = ''"
		if end == nil {
			sql += ", filled = array_append(filled, $3)"
		}
		if end == nil && f.last {
			sql = strings.Replace(sql, "rows_done = $4", "backfilled = true, rows_done = greatest(rows_total, $4)", 1)
		}
		if _, err := tx.Exec(ctx, sql+" WHERE name = $1", f.name, end, r.oid, f.done+seen, rate); err != nil {
			return fmt.Errorf("noting the backfill's progress: %w", err)
		}
		return nil
	})
	return filled, err
}

// estimate notes how many rows there are to go through.
func (w *work) estimate(ctx context.Context) error {
	if w.m.RowsTotal > 0 {
		return nil
	}
	total, err := w.countRows(ctx)
	if err != nil {
		return err
	}
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET rows_total = $2 WHERE name = $1", w.name, total); err != nil {
		return fmt.Errorf("estimating the backfill: %w", err)
	}
	return nil
}

// countRows says how many rows there are to go through; it counts only a table that is small.
func (w *work) countRows(ctx context.Context) (int64, error) {
	var total, pages int64
	if err := w.conn.QueryRow(ctx, "SELECT COALESCE(sum(greatest(reltuples, 0)), 0)::bigint, COALESCE(sum(pg_relation_size(c.oid)), 0)::bigint / current_setting('block_size')::bigint FROM "+
		fmt.Sprintf(familySQL, "$1")+" f JOIN pg_class c ON c.oid = f.oid WHERE c.relkind = 'r'", w.m.Table).Scan(&total, &pages); err != nil {
		return 0, fmt.Errorf("estimating the backfill: %w", err)
	}
	if pages < 20_000 {
		if err := w.conn.QueryRow(ctx, "SELECT count(*) FROM "+w.table).Scan(&total); err != nil {
			return 0, fmt.Errorf("estimating the backfill: %w", err)
		}
	}
	return max(total, 0), nil
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
