package proxy

import (
	"context"
	"net"
	"testing"
	"time"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// A cancel request goes to the server of its session, whichever would be dialled now.
func TestCancelGoesToItsSessionsServer(t *testing.T) {
	other := r0(t)
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.Server = append([]string{other}, o.Server...) })
	conn := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	l, err := net.Listen("tcp", other) // now the first can be reached
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err = conn.Exec(ctx, "SELECT pg_sleep(60)") // pgx cancels it
	if err == nil || time.Since(started) > 20*time.Second {
		t.Fatalf("%v after %v", err, time.Since(started))
	}
	watch := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
	eventually(t, "the statement ends", func() bool {
		return query(t, watch, "SELECT count(*)::text FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'") == "0"
	})
}

// A request that comes when its statement is over must not meet the next one.
func TestCancelOfAnIdleSessionGoesNowhere(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	conn := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	c := r.hub.keyed(r.hub.all()[0].session.Key())
	if c == nil {
		t.Fatal("the session is not known by its key")
	}
	for range 20 {
		if err := conn.PgConn().CancelRequest(context.Background()); err != nil {
			t.Fatal(err)
		}
		query(t, conn, "SELECT 'goes on' FROM pg_sleep(0.001)")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.Cancel() {
		t.Error("a request would be forwarded to an idle session")
	}
	if got := r.counters.cancels.Load(); got != 20 {
		t.Errorf("%d requests counted", got)
	}
}

// What the gate holds the server has not seen: the proxy cancels it.
func TestCancelOfAHeldStatement(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	control.lease = 0
	r := start(t, control)
	dsn, _ := r.database(t, usersTable)
	conn := pgtest.Connect(t, dsn)
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT name FROM users")
		failed <- err
	}()
	eventually(t, "the statement is held", func() bool { return r.counters.held.Load() == 1 })
	if err := conn.PgConn().CancelRequest(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-failed, "57014")
	if got := r.counters.expired.Load(); got != 0 {
		t.Errorf("%d statements have expired", got)
	}
	query(t, conn, "SELECT 'goes on'")
}
