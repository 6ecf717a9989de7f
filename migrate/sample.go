package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
)

// BackfillEstimate is what filling the new columns would take, from a sample of the rows that was filled on a copy and timed.
type BackfillEstimate struct {
	Rows          int64   `json:"rows"`        // to go through, about
	Bytes         int64   `json:"bytes"`       // of the table, without its indexes; the backfill writes each row once more
	SampleRows    int64   `json:"sample_rows"` // that were timed
	RowsPerSecond float64 `json:"rows_per_second"`
	// Seconds is for filling and for the proving scan, without what they are throttled by and without building indexes.
	Seconds float64 `json:"seconds"`
	// Note says why there is no figure; "" where there is.
	Note string `json:"note"`
}

// sampleRows is how many rows are copied and timed, at most.
const sampleRows = 10_000

// errNoSample says that a sample could not be taken, and why.
type errNoSample struct{ error }

// sample times the backfill on a copy of some rows, with the table's indexes, in a transaction that is rolled back. It takes no lock on the table but a reader's.
func (w *work) sample(ctx context.Context) (*BackfillEstimate, error) {
	if w.m.dropping() {
		return nil, nil
	}
	stored, err := w.stored(ctx)
	if err != nil || len(stored) == 0 {
		return nil, err
	}
	out := &BackfillEstimate{}
	if out.Rows, err = w.countRows(ctx); err != nil {
		return nil, err
	}
	largest, most := stored[0], int64(-1)
	for _, r := range stored {
		var size int64
		if err := w.conn.QueryRow(ctx, "SELECT pg_table_size($1::oid)", r.oid).Scan(&size); err != nil {
			return nil, fmt.Errorf("reading the size of %s: %w", r.name, err)
		}
		out.Bytes += size
		if size > most {
			largest, most = r, size
		}
	}
	if out.Rows == 0 {
		out.Note = "the table is empty"
		return out, nil
	}
	var spent time.Duration
	err = undone(ctx, w.conn, func(tx pgx.Tx) error {
		out.SampleRows, spent, err = w.timeSample(ctx, tx, largest)
		return err
	})
	var none errNoSample
	if errors.As(err, &none) {
		out.Note = "it was not timed: " + none.Error()
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("timing the backfill on a copy of some rows: %w", err)
	}
	if out.SampleRows == 0 {
		out.Note = "no row of the sample is to be filled"
		return out, nil
	}
	out.RowsPerSecond = float64(out.SampleRows) / max(spent.Seconds(), 1e-6)
	if limit := w.m.Definition.Backfill.MaxRowsPerSecond; limit > 0 {
		out.RowsPerSecond = min(out.RowsPerSecond, float64(limit))
	}
	out.Seconds = float64(out.Rows) / out.RowsPerSecond
	if w.found != nil { // the scan reads what looking at the rows has read
		out.Seconds += w.found.took.Seconds()
	}
	return out, nil
}

// timeSample fills a copy of some rows of a relation, as the backfill would.
func (w *work) timeSample(ctx context.Context, tx pgx.Tx, r relative) (rows int64, spent time.Duration, err error) {
	refused := func(err error) error {
		if sqlState(err) != "" {
			return errNoSample{err}
		}
		return err
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = '%dms'", lockTimeout.Milliseconds())); err != nil {
		return 0, 0, err
	}
	if err := makeConverters(ctx, tx, w.m); err != nil {
		return 0, 0, refused(err)
	}
	g, err := readGroup(ctx, tx, w.m)
	if err != nil {
		return 0, 0, err
	}
	copied := catalog.QuoteQualified("segue", "check_"+strings.ReplaceAll(newID(), "-", ""))
	sqls := []string{"CREATE TABLE " + copied + " (LIKE " + r.name + " INCLUDING INDEXES INCLUDING STORAGE)"}
	var pages int64
	if err := tx.QueryRow(ctx, "SELECT pg_relation_size($1::oid) / current_setting('block_size')::bigint", r.oid).Scan(&pages); err != nil {
		return 0, 0, err
	}
	some := ""
	if pages > 1000 { // a part of the pages, spread over the table
		some = fmt.Sprintf(" TABLESAMPLE SYSTEM (%g)", min(100, 100*500/float64(pages)))
	}
	sqls = append(sqls, fmt.Sprintf("INSERT INTO %s SELECT r.* FROM ONLY %s AS r%s LIMIT %d", copied, r.name, some, sampleRows))
	for _, n := range g.new {
		sqls = append(sqls, "ALTER TABLE "+copied+" ADD COLUMN "+catalog.QuoteIdent(n.name)+" "+n.typ)
	}
	sqls = append(sqls, "ANALYZE "+copied)
	for _, sql := range sqls {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return 0, 0, refused(err)
		}
	}
	keys, err := readKeyset(ctx, tx, r.oid, copied)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	var cursor []string
	for {
		end, err := keys.end(ctx, tx, cursor, 1000)
		if err != nil {
			return 0, 0, refused(err)
		}
		cond, args := keys.bounds(cursor, end, nil)
		tag, err := tx.Exec(ctx, fmt.Sprintf("UPDATE ONLY %s AS r SET %s WHERE %s AND %s", copied, g.assignNew("r"), cond, g.unfilled("r")), args...)
		if err != nil {
			return 0, 0, refused(err)
		}
		rows += tag.RowsAffected()
		if end == nil {
			return rows, time.Since(began), nil
		}
		cursor = end
	}
}
