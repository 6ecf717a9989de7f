package migrate

import (
	"context"
	"errors"
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
	f := &filling{work: w, pace: pace{target: time.Duration(w.m.Definition.Backfill.BatchTarget), rows: firstBatch}, slow: newThrottle(w), done: w.m.RowsDone}
	if f.target == 0 {
		f.target = defaultBatchTarget
	}
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
	slow  *throttle
	group *group
	split *split // instead of a group
	speed speed
	done  int64 // rows gone through
	last  bool  // no relation comes after this one
}

// speed is how many rows a second are gone through, over the last while: what is waited for counts.
type speed struct {
	at   time.Time
	rate float64
}

// speedOver is the time over which a speed is taken, about.
const speedOver = 20 * time.Second

// went takes note of rows that were gone through since the last call.
func (s *speed) went(rows int64) {
	now := time.Now()
	if s.at.IsZero() {
		s.at = now
		return
	}
	d := now.Sub(s.at)
	s.at = now
	r := float64(rows) / max(d.Seconds(), 1e-6)
	if s.rate == 0 {
		s.rate = r
		return
	}
	k := min(1, max(d.Seconds()/speedOver.Seconds(), 0.01))
	s.rate += k * (r - s.rate)
}

// by fills one relation, from where it was left.
func (f *filling) by(ctx context.Context, r relative, keys *keyset) error {
	w, target := f.work, f.target
	defer func() { f.target = target }()
	if err := w.say(ctx, "backfilling %s", keys.table); err != nil {
		return err
	}
	retry := backoff{next: 50 * time.Millisecond, longest: 2 * time.Second}
	var cursor []string
	if f.m.CursorOf == r.oid {
		cursor = f.m.Cursor
	}
	for {
		if err := f.slow.wait(ctx); err != nil {
			return err
		}
		f.target, f.rows = f.slow.bound(target, f.rows)
		start := time.Now()
		end, seen, filled, err := f.batch(ctx, r, keys, cursor)
		switch {
		case locked(err): // a transaction holds some of its rows, or the table
			f.pace.rows = max(f.pace.rows/2, smallestStep)
			if err := f.slow.tell(ctx, "locks: rows are locked by other transactions"); err != nil {
				return err
			}
			if err := retry.pause(ctx); err != nil {
				return err
			}
			f.slow.looked = time.Time{}
			continue
		case err != nil:
			return err
		}
		retry.next = 50 * time.Millisecond
		if err := w.c.opt.Hooks.at(ctx, "batch"); err != nil {
			return err
		}
		f.done += seen
		f.speed.went(seen)
		if end == nil {
			return nil
		}
		cursor = end
		took := time.Since(start)
		f.took(took)
		if err := f.slow.worked(ctx, took, filled); err != nil {
			return err
		}
	}
}

// batch fills the rows past a key: end is the last key of them, nil where none are left.
func (f *filling) batch(ctx context.Context, r relative, keys *keyset, cursor []string) (end []string, seen, filled int64, err error) {
	if end, err = keys.end(ctx, f.conn, cursor, f.pace.rows); err != nil {
		return nil, 0, 0, err
	}
	seen = f.pace.rows
	if end == nil {
		cond, args := keys.bounds(cursor, nil, nil)
		if err := f.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM ONLY %s AS r WHERE %s", keys.table, cond), args...).Scan(&seen); err != nil {
			return nil, 0, 0, fmt.Errorf("counting the last rows of %s: %w", keys.table, err)
		}
	}
	filled, err = f.fill(ctx, r, keys, cursor, end, seen)
	return end, seen, filled, err
}

// batchLockTimeout is how long a batch waits for a row. An application's transaction that holds it may itself be waiting for a row of the batch: the batch
// has to give way well before PostgreSQL's deadlock_timeout (1s by default), or else it is the application that gets the error.
const batchLockTimeout = "200ms"

// asWriter makes a transaction of the control connection one that writes the table's rows: it gives way to the applications', and the table's own
// triggers run in it, which find what they name by the search path that the role and the database are set up with. The key's operators are found behind it.
func asWriter(ctx context.Context, tx pgx.Tx, keys *keyset) error {
	_, err := tx.Exec(ctx, writerSQL, batchLockTimeout, keys.writer)
	return err
}

const writerSQL = "SELECT pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('search_path', $2, true)"

// fill writes one batch and its progress; end is nil for the last one of a relation.
func (f *filling) fill(ctx context.Context, r relative, keys *keyset, from, end []string, seen int64) (filled int64, err error) {
	cond, args := keys.bounds(from, end, nil)
	progress := "UPDATE segue.migration SET cursor = $2, cursor_of = $3, rows_done = $4, rows_total = greatest(rows_total, $4), rate = $5, throttled = $6"
	if end == nil {
		progress += ", filled = array_append(filled, $3)"
	}
	if end == nil && f.last {
		progress = strings.Replace(progress, "rows_done = $4", "backfilled = true, rows_done = greatest(rows_total, $4)", 1)
	}
	err = inTx(ctx, f.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var what, sql string
		if f.split != nil {
			what, sql = f.split.to, f.split.fillSQL(cond)
			if err := asWriter(ctx, tx, keys); err != nil {
				return err
			}
			if err := f.split.holdingSource(ctx, tx); err != nil {
				return err
			}
		} else {
			what, sql = names(f.group.new), fmt.Sprintf("UPDATE ONLY %s AS r SET %s WHERE %s AND %s", keys.table, f.group.assignNew("r"), cond, f.group.unfilled("r"))
		}
		// In one go, since every answer that is waited for costs as much as some hundred rows.
		b := &pgx.Batch{}
		b.Queue(writerSQL, batchLockTimeout, keys.writer)
		b.Queue(sql, args...)
		b.Queue(progress+" WHERE name = $1", f.name, end, r.oid, f.done+seen, f.speed.rate, f.slow.text)
		answers := tx.SendBatch(ctx, b)
		if _, err := answers.Exec(); err != nil {
			return errors.Join(err, answers.Close())
		}
		tag, err := answers.Exec()
		if err != nil {
			_ = answers.Close() // it says the same again
			return fmt.Errorf("backfilling %s past (%s): %w", what, keyText(from), err)
		}
		filled = tag.RowsAffected()
		_, err = answers.Exec()
		if err = errors.Join(err, answers.Close()); err != nil {
			return fmt.Errorf("noting the backfill's progress: %w", err)
		}
		return nil
	})
	if err == nil {
		f.slow.told = f.slow.text
	}
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
