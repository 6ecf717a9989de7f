package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// shortLease is a lease that a test can wait for.
const shortLease = time.Second

// client is a server session such as a proxy has for its client, registered with the proxy.
func (e *env) client(p *testProxy, application string) *pgx.Conn {
	e.t.Helper()
	conn := pgtest.Connect(e.t, pgtest.Shared().DSNAs("web", e.db)+"&application_name="+application)
	if err := p.Register(context.Background(), []uint32{conn.PgConn().PID()}); err != nil {
		e.t.Fatal(err)
	}
	return conn
}

// keeps has a proxy that holds back say that these clients are the reason.
func (p *testProxy) keeps(conns ...*pgx.Conn) {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	for _, c := range conns {
		p.host.keep = append(p.host.keep, c.PgConn().PID())
	}
}

func (e *env) alive(conn *pgx.Conn) bool {
	return e.value("SELECT count(*) FROM pg_stat_activity WHERE pid = "+fmt.Sprint(conn.PgConn().PID())) == "1"
}

func (p *testProxy) working(parts ...string) {
	p.t.Helper()
	until(p.t, fmt.Sprintf("status to say %q", parts), func() bool {
		w := p.migration().Working
		for _, part := range parts {
			if !strings.Contains(w, part) {
				return false
			}
		}
		return true
	})
}

func TestEpochWaitsForEveryProxy(t *testing.T) {
	e := newEnv(t, smallTable+"GRANT ALL ON users TO web;")
	p, q := e.proxy(0), e.proxy(0)
	p.bring(lens.Backfilling)
	q.host.holdBack()
	conn, other := e.client(q, "shop"), e.client(q, "other")
	pgtest.Exec(t, conn, "BEGIN", "/* web */ SELECT name FROM public.users")
	pgtest.Exec(t, other, "BEGIN", "SELECT name FROM public.users") // under the new epoch, says the proxy
	q.keeps(conn)
	if err := p.goTo(lens.SwitchReads); err != nil {
		t.Fatal(err)
	}
	p.working("waiting for proxy", fmt.Sprint("pid ", conn.PgConn().PID()), "shop", "user web", "last SELECT")
	m := p.migration()
	if len(m.Blocked) != 1 || m.Blocked[0].AgeSeconds <= 0 {
		t.Fatalf("blocked by %+v", m.Blocked)
	}
	m.Blocked[0].AgeSeconds = 0
	if want := (BlockerStatus{
		Why: "epoch", Proxy: q.self(), Host: q.opt.Host, PID: int32(conn.PgConn().PID()), Application: "shop", User: "web", State: "idle in transaction", Statement: "SELECT",
	}); m.Blocked[0] != want {
		t.Fatalf("blocked by %+v, not %+v", m.Blocked[0], want)
	}
	if m.Settled || m.Phase != lens.SwitchReads || p.status().Settled {
		t.Fatalf("status: %+v", m)
	}
	if err := p.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{}); !errors.Is(err, proxy.ErrConflict) {
		t.Fatalf("a second request: %v", err)
	}
	if err := q.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{}); !errors.Is(err, proxy.ErrConflict) {
		t.Fatalf("a second request, elsewhere: %v", err)
	}
	q.host.release()
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.SwitchReads, lens.NoStep, true)
}

func TestChangeIsGivenUp(t *testing.T) {
	for _, l := range legs()[1:] {
		t.Run(l.name, func(t *testing.T) {
			e := newEnv(t, smallTable)
			p, q := e.proxy(0), e.proxy(0)
			p.bring(l.phase)
			at := p.migration()
			q.host.holdBack()
			if err := p.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{MaxWait: 300 * time.Millisecond, Yes: true}); err != nil {
				t.Fatal(err)
			}
			p.working("settling")
			until(t, "the change to be given up", func() bool { return p.migration().Phase == at.Phase && p.migration().Step == at.Step })
			q.host.release()
			if text := p.finished(); !strings.Contains(text, "gave ") || !strings.Contains(text, q.Controller.opt.Host) {
				t.Fatalf("error: %q", text)
			}
			p.at(at.Phase, at.Step, at.Proved)
			p.advance(l.arrive.Phase)
		})
	}
}

func TestStepsWithDDLAreGivenUp(t *testing.T) {
	e := newEnv(t, smallTable)
	before := e.dump()
	p, q := e.proxy(0), e.proxy(0)
	// At expand, in a start that is gone on with by the same start: the column is there and goes again.
	p.hooks.on("settled register", die)
	if err := p.Start(context.Background(), renameUsers(), proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	p.finished()
	hold := func() error { q.host.holdBack(); return nil }
	givenUp := func() string { return e.value("SELECT count(*) FROM segue.event WHERE action = 'give up'") }
	p.hooks.on("before expand", hold)
	give := proxy.AdvanceOptions{MaxWait: 300 * time.Millisecond, Yes: true}
	if err := p.Start(context.Background(), renameUsers(), proxy.StartOptions{MaxWait: give.MaxWait}); err != nil {
		t.Fatal(err)
	}
	until(t, "the change to be given up", func() bool { return givenUp() == "1" })
	q.host.release()
	if text := p.finished(); !strings.Contains(text, "gave expand up") {
		t.Fatalf("error: %q", text)
	}
	if got := e.dump(); got != before {
		t.Fatalf("after giving expand up:\n%s", got)
	}
	p.hooks.on("before expand", nil)
	p.advance(lens.Contract)

	// At write-new: back at infer-new, from where both ways go on.
	p.hooks.on("before write-new", hold)
	give.To = new(lens.Phase)
	*give.To = lens.Complete
	for i := range 2 {
		if err := p.Advance(context.Background(), "users_full_name", give); err != nil {
			t.Fatal(err)
		}
		until(t, "the change to be given up", func() bool { return givenUp() == fmt.Sprint(2+i) })
		e.exec("INSERT INTO users (id, full_name, name) VALUES (1000 + (SELECT count(*) FROM users), 'both', 'both')")
		q.host.release()
		if text := p.finished(); !strings.Contains(text, "gave complete/write-new, proved up") {
			t.Fatalf("error: %q", text)
		}
		p.at(lens.Contract, lens.InferNew, true)
	}
	p.rollback(lens.Pending)
	p.drop()
	if got := e.dump(); got != before {
		t.Fatalf("after rolling back:\n%s", got)
	}
}

func TestRollbackTakesTheWorkOver(t *testing.T) {
	e := newEnv(t, smallTable)
	p, q := e.proxy(0), e.proxy(0)
	p.bring(lens.Backfilling)
	q.host.holdBack()
	if err := p.goTo(lens.SwitchReads); err != nil {
		t.Fatal(err)
	}
	p.working("settling")
	if err := p.Rollback(context.Background(), "users_full_name", proxy.AdvanceOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the change to be given up", func() bool { return p.migration().Phase == lens.Backfilling })
	q.host.release()
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.Backfilling, lens.NoStep, true)
}

func TestTerminate(t *testing.T) {
	e := newEnv(t, smallTable+"GRANT ALL ON users TO web;")
	p, q := e.proxy(0), e.proxy(0)
	p.bring(lens.Backfilling)
	q.host.holdBack()
	busy, idle, failed, later := e.client(q, "busy"), e.client(q, "idle"), e.client(q, "failed"), e.client(q, "later")
	q.keeps(busy, idle, failed)
	pgtest.Exec(t, busy, "BEGIN", "SELECT name FROM public.users")
	pgtest.Exec(t, later, "BEGIN", "SELECT name FROM public.users")
	pgtest.Exec(t, failed, "BEGIN")
	if _, err := failed.Exec(context.Background(), "SELECT nonsense"); err == nil {
		t.Fatal("nonsense was selected")
	}
	to := lens.SwitchReads
	if err := p.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &to, Terminate: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "the transactions to be ended", func() bool { return !e.alive(busy) && !e.alive(failed) })
	until(t, "the proxy to be told of them", func() bool {
		q.host.mu.Lock()
		defer q.host.mu.Unlock()
		return slices.Contains(q.host.over, busy.PgConn().PID()) && slices.Contains(q.host.over, failed.PgConn().PID()) && !slices.Contains(q.host.over, idle.PgConn().PID())
	})
	if !e.alive(idle) || !e.alive(later) {
		t.Fatal("a session was ended that is in no transaction, or in one under the new epoch")
	}
	q.host.release()
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
}

func TestDeadProxyIsFenced(t *testing.T) {
	e := newEnv(t, smallTable+"GRANT ALL ON users TO web;")
	p, q := e.proxy(0), e.proxy(shortLease)
	p.bring(lens.Backfilling)
	conn := e.client(q, "orphan")
	pgtest.Exec(t, conn, "BEGIN", "SELECT name FROM public.users")
	q.kill()
	if err := p.goTo(lens.SwitchReads); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.SwitchReads, lens.NoStep, true)
	if e.alive(conn) {
		t.Fatal("the dead proxy's session lives")
	}
	if s := p.status(); len(s.Proxies) != 1 || !s.Proxies[0].Self {
		t.Fatalf("proxies: %+v", s.Proxies)
	}
}

func TestDeadProxyOfAForeignRole(t *testing.T) {
	e := newEnv(t, smallTable)
	p, q := e.proxy(0), e.proxy(shortLease)
	p.bring(lens.Backfilling)
	conn := pgtest.Connect(t, pgtest.Shared().DSN(e.db)) // a superuser's session may not be ended by the control role
	if err := q.Register(context.Background(), []uint32{conn.PgConn().PID()}); err != nil {
		t.Fatal(err)
	}
	// It is idle; but its proxy may only be stopped, with a statement in hand that it sends when it wakes.
	q.kill()
	if err := p.goTo(lens.SwitchReads); err != nil {
		t.Fatal(err)
	}
	p.working("whose lease ran out", fmt.Sprintf("pid %d, which the control role may not end", conn.PgConn().PID()))
	if !e.alive(conn) {
		t.Fatal("the session was ended")
	}
	if err := conn.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
}

func TestFencedProxyJoinsAnew(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(shortLease)
	p.bring(lens.DualWrite)
	conn := e.client(p, "shop")
	id := p.self()
	p.host.holdBack()
	until(t, "a lease", p.host.leased)
	e.exec("DELETE FROM segue.proxy")
	until(t, "the proxy to join anew", func() bool { return p.self() != id && p.self() != "" })
	until(t, "the state to be handed over", func() bool {
		p.host.mu.Lock()
		defer p.host.mu.Unlock()
		return p.host.held != nil
	})
	if p.host.leased() {
		t.Fatal("leased, while sessions may run under what the proxy knew before")
	}
	p.host.release()
	until(t, "a lease", p.host.leased)
	e.want(fmt.Sprintf("SELECT proxy FROM segue.session WHERE pid = %d", conn.PgConn().PID()), p.self())
}

func TestControlConnectionIsLost(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(shortLease)
	p.bring(lens.DualWrite)
	id := p.self()
	for range 3 {
		before := e.value("SELECT renewals FROM segue.proxy")
		e.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'segue control'")
		until(t, "renewals to go on", func() bool { return e.value("SELECT renewals FROM segue.proxy") != before })
		if err := p.Register(context.Background(), []uint32{1}); err != nil {
			t.Fatal(err)
		}
		p.Unregister(1)
	}
	if p.self() != id || p.host.zero != 0 {
		t.Fatal("the proxy lost its place for a lost connection")
	}
	p.advance(lens.Backfilling)
}

func TestLeaseIsHandedBack(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	e.client(p, "shop")
	p.end()
	e.want("SELECT count(*) FROM segue.proxy", "0")
	e.want("SELECT count(*) FROM segue.session", "0")
	if p.host.leased() {
		t.Fatal("leased after leaving")
	}
}

func TestUnregister(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(shortLease)
	conn := e.client(p, "shop")
	e.want("SELECT count(*) FROM segue.session", "1")
	if s := p.status(); len(s.Bypass) != 1 { // the test's own
		t.Fatalf("bypass: %+v", s.Bypass)
	}
	p.Unregister(conn.PgConn().PID())
	until(t, "the session to be forgotten", func() bool { return e.value("SELECT count(*) FROM segue.session") == "0" })
	if s := p.status(); len(s.Bypass) != 2 {
		t.Fatalf("bypass: %+v", s.Bypass)
	}
}

func TestPreparedTransactionsAreWaitedFor(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.bring(lens.Backfilling)
	e.exec("BEGIN", "UPDATE users SET name = 'prepared' WHERE id = 1", "PREPARE TRANSACTION 'segue test'")
	if err := p.goTo(lens.SwitchReads); err != nil {
		t.Fatal(err)
	}
	p.working("prepared transaction 'segue test'")
	if b := p.migration().Blocked; len(b) != 1 || b[0].Why != "prepared" || b[0].Prepared != "segue test" {
		t.Fatalf("blocked by %+v", b)
	}
	e.exec("COMMIT PREPARED 'segue test'")
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	e.want("SELECT full_name FROM users WHERE id = 1", "prepared")
}

func TestLocksOnTheTable(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	e.exec("BEGIN", "SELECT name FROM users")
	if err := p.Start(context.Background(), renameUsers(), proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	p.working("waiting for a lock on public.users")
	until(t, "status to name who holds it", func() bool {
		b := p.migration().Blocked
		return len(b) == 1 && b[0].Why == "lock" && b[0].User == "postgres" && b[0].Statement == "SELECT"
	})
	e.exec("UPDATE users SET name = 'written before' WHERE id = 1", "COMMIT")
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.advance(lens.Backfilling)
	e.want("SELECT full_name FROM users WHERE id = 1", "written before")
}

func TestProxyJoinsDuringAChange(t *testing.T) {
	e := newEnv(t, smallTable)
	p, q := e.proxy(0), e.proxy(0)
	p.bring(lens.Backfilling)
	q.host.holdBack()
	if err := p.goTo(lens.SwitchReads); err != nil {
		t.Fatal(err)
	}
	p.working("settling")
	r := e.proxy(0)
	if r.host.current().Epoch != p.host.current().Epoch {
		t.Fatal("a proxy that joins has not the epoch that is being settled")
	}
	q.host.release()
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
}

func TestOutsideChangesReachTheProxies(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(shortLease)
	epoch := p.host.current().Epoch
	state := func() bool {
		s := p.host.current()
		return s.Epoch == epoch && s.Catalog.Relation("public", "users").Column("phone") != nil && s.Catalog.Function(nil, "public", "later") != nil
	}
	e.exec("ALTER TABLE users ADD COLUMN phone text", "CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1'")
	until(t, "the catalog to be read anew", state)
}

// A proxy that died when all was settled has nothing more to tell, so the gate of retired does not wait for its counts for ever.
func TestDeadProxyIsNotHeard(t *testing.T) {
	e := newEnv(t, smallTable)
	p, q := e.proxy(0), e.proxy(shortLease)
	p.bring(lens.Contract)
	p.advance(lens.Complete)
	q.kill()
	until(t, "the gate to open", func() bool {
		err := p.Retire(context.Background(), "users_full_name", proxy.RetireOptions{})
		if err != nil && !strings.Contains(err.Error(), "has not told its counts") {
			t.Fatal(err)
		}
		return err == nil
	})
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.Retired, lens.NoStep, true)
}
