package migrate

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
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
	primary *pgtest.Server
	reads   *served // before the standby
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
	r := &replicated{env: &env{t: t, db: "postgres"}, primary: primary, standby: keep(primary.Standby(ctx))}
	r.dsn = fmt.Sprintf("postgres://control@%s,%s/postgres?sslmode=disable", primary.Addr(), r.standby.Addr())
	r.super = pgtest.Connect(t, primary.DSN("postgres"))
	r.there = pgtest.Connect(t, r.standby.DSN("postgres"))
	return r
}

// served is a proxy as the binary has it, with its admin side.
type served struct {
	*testProxy
	addr string
}

// serve runs a proxy whose sessions are at one server.
func (r *replicated) serve(addr string, lease time.Duration) *served {
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
	t.Cleanup(func() {
		stop()
		x.Kill()
		if err := errors.Join(<-done, p.Close()); err != nil {
			t.Error(err)
		}
	})
	return &served{testProxy: p, addr: x.Addr().String()}
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
			if r.failed = conn.QueryRow(context.Background(), "SELECT "+column+" FROM users WHERE "+column+" IN ('user 7', 'u7@example.org')").Scan(&got); r.failed != nil {
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
			if !strings.Contains(got, "7") || len(strings.Fields(all)) != 3 || !strings.Contains(all, column) {
				r.failed = fmt.Errorf("got %q with columns %q, and looked for %s", got, all, column)
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

// replayed waits until something holds at the standby.
func (r *replicated) replayed(what, sql string) {
	r.t.Helper()
	until(r.t, what, func() bool {
		var is bool
		if err := r.there.QueryRow(context.Background(), "SELECT "+sql).Scan(&is); err != nil {
			r.t.Fatal(err)
		}
		return is
	})
}

// Reads through a standby are rewritten by what it has replayed: applications of old and of new code see no error and right values in every phase, there and back.
func TestReadsThroughAStandby(t *testing.T) {
	ctx := context.Background()
	r := newReplicated(t)
	const lease = time.Second
	writes, reads := r.serve(r.primary.Addr(), lease), r.serve(r.standby.Addr(), lease)
	r.reads = reads
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
	r.replayed("the standby has no old column", "NOT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'name')")
	pgtest.Exec(t, through, "SELECT name FROM users")
	stop()
	old.check(t)
	fresh.check(t)

	r.frozen(writes, through, lease)
	r.deadAtTheStandby(writes)
	r.promoted(reads, reads.open("old"))
}

// frozen stops all processes of the standby: nobody can look at it, nor does it refuse anybody. Its sessions are left alone for as long as no change waits for them; one that does goes on without them.
func (r *replicated) frozen(p *served, open *pgx.Conn, lease time.Duration) {
	t := r.t
	ctx := context.Background()
	pgtest.Exec(t, r.super, "SET ROLE control", "CREATE TABLE shelves (id int PRIMARY KEY, label text)", "RESET ROLE")
	var stopped []int
	freeze := func() {
		t.Helper()
		stopped = []int{r.standby.PID()} // first, so that there are no more processes
		if err := syscall.Kill(stopped[0], syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		rows, err := r.there.Query(ctx, "SELECT pid FROM pg_stat_activity")
		if err != nil {
			t.Fatal(err)
		}
		others, err := pgx.CollectRows(rows, pgx.RowTo[int])
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range others {
			stopped = append(stopped, pid)
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Fatal(err)
			}
		}
	}
	thaw := func() {
		for _, pid := range stopped {
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Error(err)
			}
		}
	}
	t.Cleanup(thaw)
	freeze()
	var began time.Time
	if err := r.super.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&began); err != nil {
		t.Fatal(err)
	}
	until(t, "the place goes on without the standby", func() bool {
		var renewed time.Time
		if err := r.super.QueryRow(ctx, "SELECT renewed_at FROM segue.proxy WHERE standby = $1", r.standby.Addr()).Scan(&renewed); err != nil {
			t.Fatal(err)
		}
		return renewed.After(began.Add(2 * lease))
	})
	thaw()
	pgtest.Exec(t, open, "BEGIN", "SELECT name FROM users")

	def := &lens.Definition{
		Name: "shelves_title", Table: lens.TableName{Schema: "public", Name: "shelves"}, RenameColumn: &lens.RenameColumn{From: "label", To: "title"},
	}
	if err := p.Start(ctx, def, proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the change waits for the transaction", func() bool {
		b := p.named(def.Name).Blocked
		return len(b) > 0 && b[0].Why == "epoch" && b[0].Standby == r.standby.Addr()
	})
	freeze()
	until(t, "the change does not wait for a standby that hangs", func() bool { m := p.named(def.Name); return m.Name != "" && m.Working == "" })
	if m := p.named(def.Name); m.Error != "" || m.Phase != lens.DualWrite || !m.Settled {
		t.Errorf("%+v", m)
	}
	if _, err := open.Exec(ctx, "SELECT 1"); sqlState(err) != "57P01" {
		t.Errorf("a session at a standby that hangs while a change waits: %v", err)
	}
	thaw()
}

// begin begins another migration, and comes back at once.
func (r *replicated) begin(p *served, opt proxy.StartOptions) {
	r.t.Helper()
	def := &lens.Definition{
		Name: "users_mail", Table: lens.TableName{Schema: "public", Name: "users"}, RenameColumn: &lens.RenameColumn{From: "email", To: "mail"},
	}
	if err := p.Start(context.Background(), def, opt); err != nil {
		r.t.Fatal(err)
	}
}

func (p *testProxy) named(name string) (m MigrationStatus) {
	p.t.Helper()
	for _, x := range p.status().Migrations {
		if x.Name == name {
			m = x
		}
	}
	return m
}

// deadAtTheStandby has the place of a proxy that died, and its session at the standby, be ended by whoever changes the epoch.
func (r *replicated) deadAtTheStandby(p *served) {
	t := r.t
	ctx := context.Background()
	dead, err := Open(ctx, Options{DSN: r.dsn, Host: "here", Build: "test", Lease: time.Second, Log: zaptest.NewLogger(t, zaptest.Level(zapLevel))})
	if err != nil {
		t.Fatal(err)
	}
	f := dead.Follow("", r.standby.Addr())
	if _, err := f.Join(ctx); err != nil {
		t.Fatal(err)
	}
	left := pgtest.Connect(t, r.standby.DSNAs("web", "postgres"))
	if err := f.Register(ctx, []uint32{left.PgConn().PID()}); err != nil {
		t.Fatal(err)
	}
	if err := f.Register(ctx, []uint32{4_000_000}); err == nil || !strings.Contains(err.Error(), "does not have the server session") {
		t.Errorf("a session that the standby does not have: %v", err)
	}
	elsewhere := member{id: "89abcdef-0000", host: "elsewhere", standby: r.standby.Addr()}
	if err := p.visit(ctx, elsewhere, nil); !errors.Is(err, errNotReached) {
		t.Errorf("an address that means another server on each host: %v", err)
	}
	if err := errors.Join(f.Leave(), dead.Close()); err != nil { // without Run, nothing is handed back
		t.Fatal(err)
	}

	// A transaction at the standby, under the epoch before, keeps the change waiting, and is ended where that is asked for.
	long := r.reads.open("old")
	pgtest.Exec(t, long, "BEGIN", "SELECT name FROM users")
	r.begin(p, proxy.StartOptions{Terminate: true})
	var blocked BlockerStatus
	until(t, "the transaction keeps the change waiting", func() bool {
		for _, blocked = range p.named("users_mail").Blocked {
			if blocked.Why == "epoch" && blocked.Standby == r.standby.Addr() {
				return true
			}
		}
		return false
	})
	if blocked.User != "web" || blocked.Statement != "SELECT" || blocked.State != "idle in transaction" || uint32(blocked.PID) != long.PgConn().PID() {
		t.Errorf("%+v", blocked)
	}
	until(t, "the work to end", func() bool { m := p.named("users_mail"); return m.Name != "" && m.Working == "" })
	if m := p.named("users_mail"); m.Error != "" || m.Phase != lens.DualWrite || !m.Settled {
		t.Fatalf("%+v", m)
	}
	for what, conn := range map[string]*pgx.Conn{"the transaction that was ended": long, "the session of the dead proxy": left} {
		_, err := conn.Exec(ctx, "SELECT 1")
		if state := sqlState(err); state != "57P01" {
			t.Errorf("%s: %v", what, err)
		}
	}
	var events string
	if err := r.super.QueryRow(ctx, "SELECT string_agg(action, ' ' ORDER BY id) FROM segue.event WHERE migration = 'users_mail'").Scan(&events); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(events, "fenced") || !strings.Contains(events, "terminated") {
		t.Error(events)
	}
}

// promoted makes a primary of the standby: its sessions are ended, clients connect anew, and the migrations go on.
func (r *replicated) promoted(reads *served, open *pgx.Conn) {
	t := r.t
	ctx := context.Background()
	reading := read(ctx, reads.open("new"), "mail")
	if err := r.primary.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := r.standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	<-reading.done
	if state := sqlState(reading.failed); state != "57P01" {
		t.Errorf("a session at the standby that was promoted: %v", reading.failed)
	}
	if _, err := open.Exec(ctx, "SELECT name FROM users"); sqlState(err) != "57P01" {
		t.Errorf("an idle session at the standby that was promoted: %v", err)
	}
	again := reads.open("old")
	pgtest.Exec(t, again, "UPDATE users SET name = 'written', email = 'written@x' WHERE id = 7")
	var name, mail string
	if err := reads.open("new").QueryRow(ctx, "SELECT full_name, mail FROM users WHERE id = 7").Scan(&name, &mail); err != nil || name != "written" || mail != "written@x" {
		t.Errorf("%q, %q, %v", name, mail, err)
	}
	to := lens.Backfilling
	if err := reads.Advance(ctx, "users_mail", proxy.AdvanceOptions{To: &to}); err != nil {
		t.Fatal(err)
	}
	until(t, "the work to end", func() bool { m := reads.named("users_mail"); return m.Name != "" && m.Working == "" })
	if m := reads.named("users_mail"); m.Error != "" || m.Phase != to || !m.Settled {
		t.Errorf("%+v", m)
	}
}
