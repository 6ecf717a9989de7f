package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"segue/proxy"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// errReplaced ends a work that a later request takes the place of.
var errReplaced = errors.New("a later request took its place")

// work is what one request asks to be done to one migration. It has one connection for all it does, and on it the migration's advisory lock:
// who loses the connection loses the right to go on. One goroutine uses it at a time: the request, then the work's own.
type work struct {
	c     *Controller
	id    string // holder of the epoch
	name  string
	conn  *pgx.Conn
	opt   proxy.AdvanceOptions
	quiet time.Duration // for retired: how long nobody may have used the old names
	busy  proxy.OnBusy

	patient bool // it waits for quiet

	backOut   bool      // an unsettled change forward is given up rather than waited for
	forgotten bool      // the migration's row has been deleted
	aside     bool      // nothing of it is to stay: its helpers are made in the session's temporary schema
	examined  bool      // its rows have been looked at before it began
	found     *examined // and what was found; nil where there was nothing to look for

	repaired int64 // rows that this work has made agree

	m     *migration // as last read
	table string     // its table as SQL; "" where that was dropped

	deadline time.Time // of the change under way; zero: none
	said     string    // what the migration's row says of what is going on
	saidOld  string    // what it may say still, where the last word's fate is not known

	cancel context.CancelCauseFunc
	done   chan struct{}
}

// begin takes a migration to work on. With replace, this proxy's own work on it is ended first. The caller ends what it begins, by run or
// by drop.
func (c *Controller) begin(ctx context.Context, name string, opt proxy.AdvanceOptions, replace bool) (*work, error) {
	c.workMu.Lock()
	other := c.running[name]
	c.workMu.Unlock()
	if other != nil && replace {
		other.cancel(errReplaced)
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	conn, err := c.connectToWork(ctx)
	if err != nil {
		return nil, err
	}
	w := &work{c: c, id: newID(), name: name, conn: conn, opt: opt, busy: proxy.OnBusyOf(ctx), done: make(chan struct{})}
	if err := w.lock(ctx); err != nil {
		return nil, errors.Join(err, closeConn(conn))
	}
	if err := w.idle(ctx); err != nil {
		return nil, errors.Join(err, closeConn(conn))
	}
	return w, nil
}

// lock takes the migration's advisory lock. A work that has just been cut off may hold it for a moment still; how long another one is waited for is the
// request's choice.
func (w *work) lock(ctx context.Context) error {
	retry, until := backoff{next: 20 * time.Millisecond, longest: 200 * time.Millisecond}, time.Now().Add(2*time.Second)
	if w.busy == proxy.BusyWait && w.opt.MaxWait > 0 {
		until = time.Now().Add(w.opt.MaxWait)
	}
	for {
		var got bool
		if err := w.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, $2)", lockWork, lockKey(w.name)).Scan(&got); err != nil {
			return fmt.Errorf("taking migration %s to work on: %w", w.name, err)
		}
		if got {
			return nil
		}
		if time.Now().After(until) && (w.busy != proxy.BusyWait || w.opt.MaxWait > 0) {
			break
		}
		if err := retry.pause(ctx); err != nil {
			return err
		}
	}
	a, err := holderOf(ctx, w.conn, lockWork, lockKey(w.name))
	if err != nil {
		return err
	}
	return &proxy.BusyError{Text: fmt.Sprintf("migration %s is being worked on by a proxy's server session %d (%s): wait for it with --if-busy wait, or `segue rollback %s` at that proxy; if that proxy was stopped, the server ends the session when it has been silent for its time (three leases, 10s at least), and pg_terminate_backend(%d) does at once",
		w.name, a.pid, a.working, w.name, a.pid)}
}

// drop ends a work that was not run.
func (w *work) drop(err error) error { return errors.Join(err, closeConn(w.conn)) }

// read reads the migration and its table's name as they are now.
func (w *work) read(ctx context.Context) error {
	m, err := readMigration(ctx, w.conn, w.name)
	if err != nil {
		return err
	}
	w.m = m
	w.table, err = tableName(ctx, w.conn, m.Table)
	return err
}

// tableName gives a table's qualified name as SQL; "" where there is no such table.
func tableName(ctx context.Context, q queryer, oid uint32) (string, error) {
	var schema, name string
	err := q.QueryRow(ctx, "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1", oid).Scan(&schema, &name)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("looking for the table: %w", err)
	}
	return catalog.QuoteQualified(schema, name), nil
}

// run goes on with f in a goroutine of its own, which the Controller waits for. What is going on is told before run returns.
func (w *work) run(ctx context.Context, action string, detail map[string]any, f func(context.Context) error) error {
	if err := w.begun(ctx, action, detail); err != nil {
		return w.drop(err)
	}
	c := w.c
	c.workMu.Lock()
	defer c.workMu.Unlock()
	if c.works.Err() != nil {
		return w.drop(fmt.Errorf("%w: this proxy is stopping", proxy.ErrConflict))
	}
	works, cancel := context.WithCancelCause(proxy.WithActor(c.works, proxy.ActorOf(ctx)))
	w.cancel = cancel
	c.running[w.name] = w
	c.workers.Go(func() {
		defer cancel(nil)
		defer close(w.done)
		err := f(works)
		if cause := context.Cause(works); err != nil && cause != nil {
			err = cause
		}
		w.finish(proxy.ActorOf(works), action, err)
		c.workMu.Lock()
		defer c.workMu.Unlock()
		if c.running[w.name] == w {
			delete(c.running, w.name)
		}
	})
	return nil
}

func (w *work) begun(ctx context.Context, action string, detail map[string]any) error {
	w.said = action + " has begun"
	w.saidOld = w.said
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET working = $2, error = '' WHERE name = $1", w.name, w.said); err != nil {
		return fmt.Errorf("noting that %s has begun: %w", action, err)
	}
	return w.c.note(ctx, w.conn, w.name, action, detail)
}

// say tells what is going on, in status.
func (w *work) say(ctx context.Context, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if text == w.said || w.aside {
		return nil
	}
	w.said, w.saidOld = text, w.said
	if _, err := w.conn.Exec(ctx, "UPDATE segue.migration SET working = $2 WHERE name = $1", w.name, text); err != nil {
		return fmt.Errorf("noting what is going on: %w", err)
	}
	return nil
}

// finish tells how the work ended and gives the connection up, and the locks with it.
func (w *work) finish(actor, action string, err error) {
	c := w.c
	log := c.log.With(zap.String("migration", w.name), zap.String("action", action))
	var gate *proxy.GateError
	text := ""
	switch {
	case err == nil:
		log.Info("done")
	case errors.Is(err, errKilled):
		_ = closeConn(w.conn) // as if the process were gone
		return
	case errors.Is(err, errReplaced):
		log.Info("ended for a later request")
	case errors.Is(err, context.Canceled):
		text = fmt.Sprintf("the proxy that carried out %s stopped: `segue advance %s` goes on, `segue rollback %s` goes back", action, w.name, w.name)
		log.Info("cut off, since this proxy stops")
	case sqlState(err) == "57P05" || sqlState(err) == "25P03":
		text = fmt.Sprintf("the proxy that carried out %s did nothing for %v, so the server ended its session for others to go on: `segue advance %s` goes on, `segue rollback %s` goes back", action, c.opt.Silence, w.name, w.name)
		log.Error("failed", zap.Error(err))
	case errors.As(err, &gate):
		text = err.Error()
		log.Info("refused", zap.Strings("missing", gate.Missing))
	case errors.Is(err, proxy.ErrInvalid):
		text = err.Error()
		log.Info("refused", zap.Error(err))
	default:
		text = err.Error()
		log.Error("failed", zap.Error(err))
	}
	ctx, cancel := context.WithTimeout(proxy.WithActor(context.Background(), actor), closeTimeout)
	defer cancel()
	tell := func(conn *pgx.Conn) error {
		// On another connection than the work's own, somebody else may be at work already, or may even have ended his: what became of that must not be written over.
		if _, err := conn.Exec(ctx, "UPDATE segue.migration SET working = '', error = $2, throttled = '' WHERE name = $1 AND working IN ($5, $6) AND pg_try_advisory_xact_lock($3, $4)",
			w.name, text, lockWork, lockKey(w.name), w.said, w.saidOld); err != nil {
			return err
		}
		if text == "" {
			return nil
		}
		return c.note(ctx, conn, w.name, action+" failed", map[string]any{"error": text})
	}
	told := errors.New("the connection is lost")
	if !w.conn.IsClosed() {
		told = tell(w.conn)
	}
	if told != nil {
		told = c.side.do(ctx, tell)
	}
	if told != nil {
		log.Warn("noting how the work ended failed", zap.Error(told))
	}
	if err := closeConn(w.conn); err != nil {
		log.Warn("closing the work's connection failed", zap.Error(err))
	}
}

// rank orders the stands as a migration goes through them; what rolls back has its place before what it undoes.
func (s stand) rank() int {
	switch {
	case !s.Live:
		return -1
	case s.Step == lens.WriteOld:
		return 1
	}
	r := 10 * int(s.Phase)
	switch s.Step {
	case lens.NoStep, lens.WriteOld:
	case lens.BothUnique, lens.NewOnly:
		r++
	case lens.InferNew:
		r += 3
	case lens.WriteNew:
		r -= 5
	}
	if s.Proved {
		r++
	}
	return r
}
