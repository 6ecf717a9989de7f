package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// longTable has as many rows as several batches.
const longTable = "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 4000) i;"

func (p *testProxy) backfill(paused *bool, rows *int64) {
	p.t.Helper()
	if _, err := p.Backfill(context.Background(), "users_full_name", proxy.BackfillOptions{Paused: paused, MaxRows: rows}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *testProxy) throttled(text string) {
	p.t.Helper()
	until(p.t, "the backfill to be held back by "+text, func() bool { return strings.Contains(p.migration().Backfill.Throttled, text) })
}

// TestBackfillPauses pauses the backfill before it begins and between two batches, bounds it, and lifts the bound, at another proxy than the one that works.
func TestBackfillPauses(t *testing.T) {
	e := newEnv(t, longTable)
	p, q := e.proxy(0), e.proxy(0)
	p.start()
	yes, no := true, false
	q.backfill(&yes, nil)
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	p.throttled("paused: `segue backfill users_full_name --resume`")
	e.want("SELECT count(full_name) FROM users", "0")
	slowly, none := int64(100), int64(0)
	q.backfill(&no, &slowly)
	until(t, "some rows", func() bool { return e.value("SELECT count(full_name) FROM users") != "0" })
	q.backfill(&yes, nil)
	p.throttled("paused")
	done := e.value("SELECT count(full_name) FROM users")
	if m := q.migration(); !m.Backfill.Paused || m.Backfill.MaxRows != 100 || m.Backfill.Done || done == "4000" {
		t.Errorf("%+v, %s rows", m.Backfill, done)
	}
	q.backfill(&no, &none)
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.Backfilling, lens.NoStep, true)
	e.want("SELECT count(full_name) FROM users", "4000")
	// The proving scan is held back likewise.
	q.backfill(&yes, nil)
	if err := p.Verify(context.Background(), "users_full_name", false); err != nil {
		t.Fatal(err)
	}
	p.throttled("paused")
	q.backfill(&no, nil)
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	if _, err := p.Backfill(context.Background(), "nobody", proxy.BackfillOptions{}); !errors.Is(err, proxy.ErrUnknown) {
		t.Error(err)
	}
	less := int64(-1)
	if _, err := p.Backfill(context.Background(), "users_full_name", proxy.BackfillOptions{MaxRows: &less}); !errors.Is(err, proxy.ErrInvalid) {
		t.Error(err)
	}
	p.rollback(lens.Pending)
	if m := p.migration(); m.Backfill.Paused || m.Backfill.MaxRows != 0 {
		t.Errorf("%+v", m.Backfill)
	}
}

// TestBackfillYieldsToLocks has somebody wait for the table: the backfill lets him in.
func TestBackfillYieldsToLocks(t *testing.T) {
	e := newEnv(t, longTable)
	p := e.proxy(0)
	def := renameUsers()
	def.Backfill.MaxRowsPerSecond = 4000 // so that it is not through before it looks again
	p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
	reader, ddl := pgtest.Connect(t, pgtest.Shared().DSN(e.db)), pgtest.Connect(t, pgtest.Shared().DSN(e.db))
	pgtest.Exec(t, reader, "BEGIN", "SELECT FROM users LIMIT 1")
	waiting := make(chan error, 1)
	p.hooks.on("batch", func() error {
		p.hooks.on("batch", nil)
		go func() {
			_, err := ddl.Exec(context.Background(), "ALTER TABLE users ADD COLUMN more int")
			waiting <- err
		}()
		until(t, "the ALTER TABLE to wait", func() bool {
			return e.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass") == "1"
		})
		return nil
	})
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	p.throttled("locks: 1 sessions wait for a lock on")
	pgtest.Exec(t, reader, "COMMIT")
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	e.want("SELECT count(full_name) FROM users", "4000")
}

// TestBackfillKeepsTheWALRate has others write more WAL than is allowed.
func TestBackfillKeepsTheWALRate(t *testing.T) {
	e := newEnv(t, longTable+"CREATE TABLE noise (t text)")
	p := e.proxy(0)
	def := renameUsers()
	def.Backfill.MaxWALRate, def.Backfill.MaxRowsPerSecond = 1<<20, 4000
	p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
	p.hooks.on("batch", func() error {
		p.hooks.on("batch", nil)
		e.exec("INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 4000)")
		return nil
	})
	began := time.Now()
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	p.throttled("WAL: the server has written ")
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("4 MB of WAL at 1 MB a second took %v", took)
	}
}

// watched is a throttle over made-up reports of one proxy.
type watched struct {
	*throttle
	window int64
}

func newWatched(growth float64) *watched {
	w := &watched{throttle: &throttle{share: 1}}
	w.latency.growth = growth
	return w
}

// tell gives one window's figures to the watch.
func (w *watched) tell(statements int64, p95 time.Duration) string {
	w.window++
	return w.latency.see([]proxySignal{{"p", proxy.Latency{Window: w.window, Statements: statements, P95: p95.Seconds()}}}, w.throttle)
}

// TestLatencyWatch follows the share of the time that is worked, by what a proxy tells.
func TestLatencyWatch(t *testing.T) {
	w := newWatched(1.2)
	share := func(want float64, what string) {
		t.Helper()
		if got := fmt.Sprintf("%.3f", w.share); got != fmt.Sprintf("%.3f", want) {
			t.Fatalf("%s: the share is %s, not %.3f", what, got, want)
		}
	}
	w.tell(1000, 10*time.Millisecond) // before the work
	w.tell(1000, 11*time.Millisecond)
	share(1, "a tenth slower")
	w.tell(1000, 13*time.Millisecond)
	share(0.5, "three tenths slower")
	if !strings.Contains(w.text, "take 13 ms, 10 ms without") {
		t.Error(w.text)
	}
	w.tell(10, time.Second)
	share(0.5, "too few to judge by")
	w.tell(1000, 10*time.Millisecond)
	share(0.6, "as before")
	for range 3 {
		w.tell(1000, 30*time.Millisecond)
	}
	share(leastShare, "slower for long")
	if why := w.tell(1000, 30*time.Millisecond); why != "" {
		t.Fatalf("it rests too soon: %s", why)
	}
	if why := w.tell(1000, 30*time.Millisecond); why != "" {
		t.Fatalf("it rests too soon: %s", why)
	}
	if why := w.tell(1000, 30*time.Millisecond); !strings.Contains(why, "resting") {
		t.Fatalf("it does not rest: %s", why)
	}
	w.latency.quiet = true
	if why := w.tell(1000, 30*time.Millisecond); why == "" {
		t.Fatal("a window in which there was still work has ended the rest")
	}
	if why := w.tell(1000, 28*time.Millisecond); why != "" {
		t.Fatalf("a quiet window has not ended the rest: %s", why)
	}
	share(4*leastShare, "after the rest")
	w.latency.quiet = false
	w.tell(1000, 28*time.Millisecond) // partly quiet
	w.tell(1000, 30*time.Millisecond)
	if w.share <= 4*leastShare {
		t.Errorf("the new measure is not held by: %.3f", w.share)
	}
	// Without figures from before the work, it rests first.
	w = newWatched(1.2)
	w.tell(0, 0)
	if why := w.tell(1000, 10*time.Millisecond); !strings.Contains(why, "resting") {
		t.Errorf("%q", why)
	}
	// Differences that are smaller than a machine's unrest are not minded.
	w = newWatched(1.2)
	w.tell(1000, 100*time.Microsecond)
	w.tell(1000, 500*time.Microsecond)
	share(1, "small differences")
}

// TestBoundedBatches demands that a smaller share takes smaller batches, and that a rate bounds them.
func TestBoundedBatches(t *testing.T) {
	w := newWatched(1.2)
	w.share = 0.1
	if target, rows := w.bound(100*time.Millisecond, 1000); target != shortestBatch || rows != 1000 {
		t.Errorf("%v, %d", target, rows)
	}
	w.limit = 50
	if _, rows := w.bound(100*time.Millisecond, 1000); rows != 5 {
		t.Errorf("%d", rows)
	}
}
