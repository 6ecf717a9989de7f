package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// dialect is what an application's code was written for: the schema before the rename, or the one after it.
type dialect struct {
	app    string   // "old" or "new"
	column string   // what it calls the column
	star   []string // what `SELECT *` gives it, in order
	works  []work   // what it does
}

var (
	oldDialect = dialect{"old", "name", []string{"id", "name", "email", "logins", "created_at"}, works}
	newDialect = dialect{"new", "full_name", []string{"id", "email", "logins", "created_at", "full_name"}, works}
)

// hotKeys is how many rows all workers of both applications write at once.
const hotKeys = 8

// modes are the ways in which pgx runs a statement: prepared once, described once, described each time, by the unnamed statement, and
// by the simple protocol. The workers take turns in them.
var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement,
	pgx.QueryExecModeSimpleProtocol,
	pgx.QueryExecModeCacheDescribe,
	pgx.QueryExecModeExec,
	pgx.QueryExecModeDescribeExec,
}

// application is one application: workers with a connection each, which run statements without pause and check every answer against
// their own record of what they wrote. Its owner calls stop, which waits for the workers.
type application struct {
	dialect
	meter   *meter
	workers []*worker

	stopping chan struct{}
	wg       sync.WaitGroup
}

// writers counts, for each worker, the values that it has begun to write to the contended rows, so that what is read there can be
// told from what nobody wrote.
type writers struct {
	mu    sync.Mutex
	begun map[string]*atomic.Int64
}

func (w *writers) counter(name string) *atomic.Int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun == nil {
		w.begun = map[string]*atomic.Int64{}
	}
	c := w.begun[name]
	if c == nil {
		c = &atomic.Int64{}
		w.begun[name] = c
	}
	return c
}

// check says what is wrong with a value that was read from a contended row; nil where some writer wrote it.
func (w *writers) check(key int, value string) error {
	var k int
	var n int64
	var by string
	if _, err := fmt.Sscanf(value, "hot %d by %s #%d", &k, &by, &n); err != nil {
		return fmt.Errorf("reads %q, which no writer wrote", value)
	}
	w.mu.Lock()
	c := w.begun[by]
	w.mu.Unlock()
	switch {
	case k != key:
		return fmt.Errorf("reads %q, which was written to another row", value)
	case by == "nobody" && n == 0: // what set-up wrote
		return nil
	case c == nil || n < 1 || n > c.Load():
		return fmt.Errorf("reads %q, which that writer has not written", value)
	}
	return nil
}

// startApplication connects the workers and starts them. first and rows are the range of keys that belongs to the application;
// rate is in statements a second, for all workers together.
func startApplication(ctx context.Context, d dialect, dsn string, n int, first, rows int64, rate float64, hot *writers) (*application, error) {
	a := &application{dialect: d, meter: newMeter()}
	share := rows / int64(n)
	for i := range n {
		w := &worker{
			app: a, n: i, dsn: dsn, mode: modes[i%len(modes)], hot: hot,
			rnd:   rand.New(rand.NewPCG(uint64(i), uint64(first))),
			lo:    first + int64(i)*share,
			hi:    first + int64(i+1)*share - 1,
			pause: time.Duration(float64(n) / rate * float64(time.Second)),
		}
		w.begun = hot.counter(w.name())
		w.remember()
		a.workers = append(a.workers, w)
	}
	for _, w := range a.workers {
		if err := w.connect(ctx); err != nil {
			for _, o := range a.workers {
				o.disconnect()
			}
			return nil, fmt.Errorf("connecting the %s application: %w", d.app, err)
		}
	}
	a.start(ctx)
	return a, nil
}

// start lets the workers work, also again after stop.
func (a *application) start(ctx context.Context) {
	a.stopping = make(chan struct{})
	for _, w := range a.workers {
		a.wg.Go(func() { w.run(ctx) })
	}
}

// stop lets the workers finish what they are at, and waits for them.
func (a *application) stop() {
	select {
	case <-a.stopping:
	default:
		close(a.stopping)
	}
	a.wg.Wait()
}

// worker is one connection of an application and the record of the rows that only it writes. It belongs to its goroutine; after
// stop, to the caller.
type worker struct {
	app    *application
	n      int
	dsn    string
	mode   pgx.QueryExecMode
	conn   *pgx.Conn
	rnd    *rand.Rand
	hot    *writers
	begun  *atomic.Int64 // values begun to write to contended rows
	pause  time.Duration // aimed-at time between two statements
	due    time.Time     // when the next one is
	serial int
	lo, hi int64 // the keys that were there at the start and belong to this worker

	record
}

// name is how the worker signs its values.
func (w *worker) name() string { return fmt.Sprintf("%s-%d", w.app.app, w.n) }

func (w *worker) connect(ctx context.Context) error {
	cfg, err := pgx.ParseConfig(w.dsn)
	if err != nil {
		return err
	}
	cfg.DefaultQueryExecMode = w.mode
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	w.conn = conn
	return nil
}

func (w *worker) disconnect() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.conn.Close(ctx) // the statement before it has told what was wrong
	w.conn = nil
}

// run works until the application stops or ctx ends.
func (w *worker) run(ctx context.Context) {
	defer w.disconnect()
	w.due = time.Now()
	for w.wait(ctx) {
		if err := w.step(ctx); err != nil && ctx.Err() == nil {
			w.app.meter.fail("%v", err)
			w.recover(ctx)
		}
	}
}

// wait waits until the next statement is due. It says false when the work is over.
func (w *worker) wait(ctx context.Context) bool {
	d := time.Until(w.due)
	if d < -time.Second { // far behind: go on from here, without a burst
		w.due = time.Now()
	}
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-w.app.stopping:
		return false
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// recover brings the connection back to where the next statement can run, after a failure.
func (w *worker) recover(ctx context.Context) {
	w.due = time.Now().Add(50 * time.Millisecond) // a failure is not repeated at full speed
	if w.conn != nil && !w.conn.IsClosed() {
		if w.conn.PgConn().TxStatus() == 'I' {
			return
		}
		if _, err := w.conn.Exec(ctx, "ROLLBACK"); err == nil {
			return
		}
	}
	w.disconnect() // step opens another one
}

// answer is what a statement gave.
type answer struct {
	rows   [][]any
	names  []string // the result's column names
	tag    string
	failed error
}

// errWrong marks a statement that ran and whose answer is not what the record says.
var errWrong = errors.New("wrong answer")

// query runs a statement, measures it, and collects its answer.
func (w *worker) query(ctx context.Context, sql string, args ...any) answer {
	start := time.Now()
	w.due = w.due.Add(w.pause)
	rows, err := w.conn.Query(ctx, sql, args...)
	if err != nil {
		return answer{failed: w.failed(sql, args, err)}
	}
	a := collect(rows)
	if a.failed != nil {
		a.failed = w.failed(sql, args, a.failed)
		return a
	}
	w.app.meter.done(sql, 1, time.Since(start))
	return a
}

func collect(rows pgx.Rows) answer {
	var a answer
	for _, f := range rows.FieldDescriptions() {
		a.names = append(a.names, f.Name)
	}
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			rows.Close()
			return answer{failed: err}
		}
		for i := range v {
			switch n := v[i].(type) {
			case int16:
				v[i] = int64(n)
			case int32:
				v[i] = int64(n)
			}
		}
		a.rows = append(a.rows, v)
	}
	rows.Close()
	a.tag, a.failed = rows.CommandTag().String(), rows.Err()
	return a
}

func (w *worker) failed(sql string, args []any, err error) error {
	return fmt.Errorf("worker %s (%s): %s %v: %w", w.name(), w.mode, sql, args, err)
}

// rows checks that a statement gave these rows, in this order.
func (w *worker) rows(ctx context.Context, want [][]any, sql string, args ...any) error {
	a := w.query(ctx, sql, args...)
	if a.failed != nil {
		return a.failed
	}
	return w.same(a, want, sql, args)
}

func (w *worker) same(a answer, want [][]any, sql string, args []any) error {
	same := len(a.rows) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = len(a.rows[i]) == len(want[i])
		for j := 0; same && j < len(want[i]); j++ {
			same = a.rows[i][j] == want[i][j]
		}
	}
	if same {
		return nil
	}
	return w.failed(sql, args, fmt.Errorf("%w: got %v, want %v", errWrong, a.rows, want))
}

// tag checks that a statement ended with this command tag.
func (w *worker) tag(ctx context.Context, want, sql string, args ...any) error {
	a := w.query(ctx, sql, args...)
	if a.failed != nil {
		return a.failed
	}
	if a.tag != want {
		return w.failed(sql, args, fmt.Errorf("%w: got %q, want %q", errWrong, a.tag, want))
	}
	return nil
}
