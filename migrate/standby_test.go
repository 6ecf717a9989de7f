package migrate

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// replicated is a primary with a standby, and two proxies before each: what is opened through one of them is at the one server.
type replicated struct {
	*env
	standby *pgtest.Server
	there   *pgx.Conn // a superuser's session at the standby, which bypasses the proxies
}

func newReplicated(t *testing.T) *replicated {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	ctx := context.Background()
	keep := pgtest.Keep(t)
	primary := keep(pgtest.Start(ctx, pgtest.Options{}))
	super, err := pgx.Connect(ctx, primary.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, super, "CREATE ROLE control LOGIN", "CREATE ROLE web LOGIN", "GRANT pg_read_all_stats, pg_signal_backend TO control",
		"GRANT CREATE ON DATABASE postgres TO control", "GRANT ALL ON SCHEMA public TO control", "SET ROLE control", usersTable, "GRANT ALL ON users TO web", "RESET ROLE")
	if err := super.Close(ctx); err != nil {
		t.Fatal(err)
	}
	r := &replicated{env: &env{t: t, db: "postgres", dsn: primary.DSNAs("control", "postgres")}, standby: keep(primary.Standby(ctx))}
	r.super = pgtest.Connect(t, primary.DSN("postgres"))
	r.there = pgtest.Connect(t, r.standby.DSN("postgres"))
	return r
}

// served is a proxy as the binary has it, with its admin side.
type served struct {
	*testProxy
	addr string
	kill func() // ends it without a word to the database
}

// serve runs a proxy whose sessions are at one server.
func (r *replicated) serve(server *pgtest.Server, addr string, lease time.Duration) *served {
	t := r.t
	t.Helper()
	ctx := context.Background()
	p := &testProxy{t: t, hooks: &hooks{at: map[string]func() error{}}, ended: true}
	var err error
	log := zaptest.NewLogger(t, zaptest.Level(zapLevel))
	if p.Controller, err = Open(ctx, Options{
		DSN: r.dsn, Host: "here", Build: "test", Lease: lease, Log: log, Hooks: Hooks{At: p.hooks.call}, Servers: []string{addr},
	}); err != nil {
		t.Fatal(err)
	}
	x, err := proxy.Open(ctx, proxy.Options{
		Listen: "127.0.0.1:0", Version: lens.Auto, Server: []string{addr}, ConnectTimeout: 5 * time.Second,
		Admin: filepath.Join(t.TempDir(), "admin", "admin.sock"), MaxConnections: 100, HoldTimeout: 30 * time.Second, Log: log,
	})
	if err == nil {
		err = x.Join(ctx, p.Controller)
	}
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- x.Serve(run) }()
	var once sync.Once
	end := func() {
		once.Do(func() {
			stop()
			x.Kill()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(end)
	_ = server
	return &served{testProxy: p, addr: x.Addr().String(), kill: func() { p.hooks.on("leave", die); end() }}
}

func (s *served) open(version string) *pgx.Conn {
	s.t.Helper()
	return pgtest.Connect(s.t, fmt.Sprintf("postgres://web@%s/postgres?sslmode=disable&options=%s", s.addr, url.QueryEscape("-csegue.version="+version)))
}

// reader is an application that reads through a standby, until it is told to stop.
type reader struct {
	name   string
	failed error // read after done is closed
	reads  int
	done   chan struct{}
}

// read has an application read row 7, by its own name for the column, and by `*`, one transaction after the other.
func read(ctx context.Context, conn *pgx.Conn, column string) *reader {
	r := &reader{name: column, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		for ctx.Err() == nil {
			var got, all string
			if r.failed = conn.QueryRow(context.Background(), "SELECT "+column+" FROM users WHERE "+column+" = 'user 7'").Scan(&got); r.failed != nil {
				return
			}
			rows, err := conn.Query(context.Background(), "SELECT * FROM users WHERE id = 7")
			if err == nil {
				for _, f := range rows.FieldDescriptions() {
					all += f.Name + " "
				}
				rows.Close()
				err = rows.Err()
			}
			if r.failed = err; err != nil {
				return
			}
			if want := "user 7 id email"; got != "user 7" || len(strings.Fields(all)) != 3 || !strings.Contains(all, column) {
				r.failed = fmt.Errorf("got %q with columns %q; want %s and %s", got, all, want, column)
				return
			}
			r.reads++
		}
	}()
	return r
}

func (r *reader) check(t *testing.T) {
	t.Helper()
	<-r.done
	if r.failed != nil || r.reads == 0 {
		t.Errorf("the reader of %s: %v, after %d reads", r.name, r.failed, r.reads)
	}
}

// Reads through a standby are rewritten by what it has replayed: applications of old and of new code see no error and right values in every phase, there and back.
func TestReadsThroughAStandby(t *testing.T) {
	ctx := context.Background()
	r := newReplicated(t)
	writes := r.serve(nil, strings.Split(strings.Split(r.dsn, "@")[1], "/")[0], 0)
	reads := r.serve(r.standby, r.standby.Addr(), 0)
	run, stop := context.WithCancel(ctx)
	old := read(run, reads.open("old"), "name")
	writes.start()
	fresh := read(run, reads.open("new"), "full_name")
	through := reads.open("old")
	if _, err := through.Exec(ctx, "UPDATE users SET name = 'x' WHERE id = 1"); sqlState(err) != "25006" {
		t.Errorf("a write at a standby: %v", err)
	}
	for _, to := range []lens.Phase{lens.Backfilling, lens.SwitchReads, lens.Contract} {
		writes.advance(to)
	}
	for _, to := range []lens.Phase{lens.SwitchReads, lens.Backfilling} {
		writes.rollback(to)
	}
	writes.advance(lens.Contract)

	// A change waits for a standby that does not replay, and says so. Its readers go on.
	pgtest.Exec(t, r.there, "SELECT pg_wal_replay_pause()")
	zero := time.Duration(0)
	to := lens.Complete
	if err := writes.Advance(ctx, "users_full_name", proxy.AdvanceOptions{To: &to, Yes: true, QuietFor: &zero}); err != nil {
		t.Fatal(err)
	}
	var blocked BlockerStatus
	until(t, "the standby keeps the change waiting", func() bool {
		m := writes.migration()
		for _, blocked = range m.Blocked {
			if blocked.Why == "standby" && strings.Contains(blocked.State, "paused") && strings.Contains(m.Working, "it has not replayed the epoch (replay is paused") {
				return true
			}
		}
		return false
	})
	if blocked.Standby != r.standby.Addr() || blocked.Host != "here" || blocked.Proxy == "" {
		t.Errorf("%+v", blocked)
	}
	pgtest.Exec(t, r.there, "SELECT pg_wal_replay_resume()")
	if text := writes.finished(); text != "" {
		t.Fatal(text)
	}
	writes.at(lens.Complete, lens.NoStep, true)
	until(t, "the standby has no old column", func() bool {
		var n int
		if err := r.there.QueryRow(ctx, "SELECT count(*) FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'name'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
	pgtest.Exec(t, through, "SELECT name FROM users")
	stop()
	old.check(t)
	fresh.check(t)
}
