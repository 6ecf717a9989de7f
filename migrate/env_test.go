package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite"
	"segue/rewrite/lens"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Options{})) }

// patience is how long a test waits for what must come; a healthy machine needs a small part of it.
const patience = 60 * time.Second

const usersTable = `
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(40) NOT NULL, email text);
CREATE INDEX users_name_idx ON users (name);
CREATE INDEX users_lower_idx ON users (lower(name) text_pattern_ops) INCLUDE (email) WHERE name <> 'name';
INSERT INTO users (name, email) SELECT 'user ' || i, 'u' || i || '@example.org' FROM generate_series(1, 1000) i;
`

func renameUsers() *lens.Definition {
	return &lens.Definition{
		Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"},
		RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
	}
}

// env is a fresh database with a control role that is no superuser and owns everything in it.
type env struct {
	t     *testing.T
	db    string
	dsn   string    // the control role's
	super *pgx.Conn // a superuser's session, which bypasses the proxies
}

var makeRoles sync.Once

func newEnv(t *testing.T, setup string) *env {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	e := &env{t: t, db: pgtest.Database(t)}
	e.dsn = pgtest.Shared().DSNAs("control", e.db)
	e.super = pgtest.Connect(t, pgtest.Shared().DSN(e.db))
	makeRoles.Do(func() {
		pgtest.Exec(t, e.super, "CREATE ROLE control LOGIN", "CREATE ROLE web LOGIN", "GRANT pg_read_all_stats, pg_signal_backend TO control")
	})
	pgtest.Exec(t, e.super, "GRANT CREATE ON DATABASE "+e.db+" TO control", "GRANT ALL ON SCHEMA public TO control", "GRANT USAGE ON SCHEMA public TO web",
		"SET ROLE control", setup, "RESET ROLE")
	return e
}

// fakeHost applies at once, unless it is told to hold back.
type fakeHost struct {
	mu    sync.Mutex
	state *rewrite.State
	hold  bool
	held  func()
	lease time.Duration
	zero  int // how often the lease was taken away
	usage proxy.Usage
	over  []uint32 // the server sessions that it was told are over
	keep  []uint32 // the server sessions that keep it from applying, while it is told to hold back
}

// use counts a use of the old names.
func (h *fakeHost) use(application string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.usage.OldNames = append(h.usage.OldNames, proxy.OldNames{Migration: "users_full_name", Application: application, User: "web", Version: "old", Count: 3})
}

func (h *fakeHost) Apply(state *rewrite.State, applied func(int64)) {
	h.mu.Lock()
	h.state = state
	if h.hold {
		h.held = func() { applied(state.Epoch) }
		h.mu.Unlock()
		return
	}
	h.held = nil
	h.mu.Unlock()
	applied(state.Epoch)
}

func (h *fakeHost) Lease(until time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lease = until
	if until == 0 {
		h.zero++
	}
}

func (h *fakeHost) Usage() proxy.Usage {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.usage
	h.usage.OldNames = nil
	if h.held != nil {
		u.Behind = h.keep
	}
	return u
}

func (h *fakeHost) Ended(pids []uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = append(h.over, pids...)
}

func (h *fakeHost) holdBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = true
}

func (h *fakeHost) release() {
	h.mu.Lock()
	h.hold = false
	held := h.held
	h.held = nil
	h.mu.Unlock()
	if held != nil {
		held()
	}
}

// current is the state that the host was given last; nil before the first.
func (h *fakeHost) current() *rewrite.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

func (h *fakeHost) leased() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lease > proxy.Boottime()
}

// member is a proxy in a test.
type testProxy struct {
	*Controller
	t     *testing.T
	host  *fakeHost
	stop  context.CancelFunc
	done  chan error
	hooks *hooks
	ended bool
}

// hooks lets a test say what happens at points, while the proxy runs.
type hooks struct {
	mu   sync.Mutex
	at   map[string]func() error
	each func(point string) error
}

// all has a function called at every point; nil ends that.
func (h *hooks) all(f func(point string) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.each = f
}

func (h *hooks) on(point string, f func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at[point] = f
}

func (h *hooks) call(_ context.Context, point string) error {
	h.mu.Lock()
	f, each := h.at[point], h.each
	h.mu.Unlock()
	if each != nil {
		if err := each(point); err != nil {
			return err
		}
	}
	if f == nil {
		return nil
	}
	return f()
}

var errTest = errors.New("the test ends it")

func die() error { return errTest }

func (e *env) proxy(lease time.Duration) *testProxy {
	e.t.Helper()
	p := &testProxy{t: e.t, host: &fakeHost{}, done: make(chan error, 1), hooks: &hooks{at: map[string]func() error{}}}
	ctx := context.Background()
	var err error
	p.Controller, err = Open(ctx, Options{
		DSN: e.dsn, Host: fmt.Sprintf("host%p", p), Build: "test", Lease: lease, Log: zaptest.NewLogger(e.t, zaptest.Level(zapLevel)), Hooks: Hooks{At: p.hooks.call},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := p.Join(ctx); err != nil {
		e.t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	p.stop = stop
	go func() { p.done <- p.Run(run, p.host) }()
	e.t.Cleanup(p.end)
	until(e.t, "the first state", func() bool { return p.host.current() != nil })
	return p
}

// end stops the proxy as its owner would.
func (p *testProxy) end() {
	if p.ended {
		return
	}
	p.ended = true
	p.stop()
	if err := <-p.done; err != nil {
		p.t.Error(err)
	}
	if err := p.Close(); err != nil {
		p.t.Error(err)
	}
}

// kill ends the proxy without handing back its lease.
func (p *testProxy) kill() {
	p.hooks.on("leave", die)
	p.end()
}

func (p *testProxy) status() *Status {
	p.t.Helper()
	raw, err := p.Status(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	s := &Status{}
	if err := json.Unmarshal(raw, s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// migration gives the status of the one migration; its Name is "" where there is none.
func (p *testProxy) migration() MigrationStatus {
	p.t.Helper()
	for _, m := range p.status().Migrations {
		return m
	}
	return MigrationStatus{}
}

// until waits for a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v for: %s", patience, what)
		}
	}
}

// finished waits until no work is going on, and gives the last work's error.
func (p *testProxy) finished() string {
	p.t.Helper()
	var m MigrationStatus
	until(p.t, "the work to end", func() bool { m = p.migration(); return m.Working == "" })
	return m.Error
}

// ok demands that a request succeeds, and the work after it.
func (p *testProxy) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	if text := p.finished(); text != "" {
		p.t.Fatal(text)
	}
}

func (p *testProxy) start() {
	p.t.Helper()
	p.ok(p.Start(context.Background(), renameUsers(), proxy.StartOptions{}))
}
func (p *testProxy) advance(to lens.Phase) { p.t.Helper(); p.ok(p.goTo(to)) }

func (p *testProxy) goTo(to lens.Phase) error {
	return p.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &to, Yes: true})
}

func (p *testProxy) rollback(to lens.Phase) {
	p.t.Helper()
	p.ok(p.Rollback(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &to}))
}

func (p *testProxy) drop() { p.t.Helper(); p.ok(p.Drop(context.Background(), "users_full_name")) }

// at demands that the migration stands somewhere, settled.
func (p *testProxy) at(phase lens.Phase, step lens.Step, proved bool) {
	p.t.Helper()
	m := p.migration()
	if m.Phase != phase || m.Step != step || m.Proved != proved || !m.Settled {
		p.t.Fatalf("the migration is at %s/%s, proved %v, settled %v, error %q", m.Phase, m.Step, m.Proved, m.Settled, m.Error)
	}
}

// value reads one value as text.
func (e *env) value(sql string, args ...any) string {
	e.t.Helper()
	var s *string
	if err := e.super.QueryRow(context.Background(), "SELECT ("+sql+")::text", args...).Scan(&s); err != nil {
		e.t.Fatalf("%s: %v", sql, err)
	}
	if s == nil {
		return "NULL"
	}
	return *s
}

func (e *env) want(sql, want string) {
	e.t.Helper()
	if got := e.value(sql); got != want {
		e.t.Fatalf("%s gives %q, not %q", sql, got, want)
	}
}

func (e *env) exec(sql ...string) { e.t.Helper(); pgtest.Exec(e.t, e.super, sql...) }

// fails demands that a statement fails with a SQLSTATE.
func (e *env) fails(sql, state string) {
	e.t.Helper()
	_, err := e.super.Exec(context.Background(), sql)
	if sqlState(err) != state {
		e.t.Fatalf("%s: got %v, not SQLSTATE %s", sql, err, state)
	}
}
