package proxy

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"segue/internal/pgtest"
)

// r0 gives an address on which nothing listens.
func r0(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

func TestDrain(t *testing.T) { onDrivers(t, testDrain) }

func testDrain(t *testing.T, driver func(*Options)) {
	r := start(t, newControl(noMigrations(t)), driver)
	dsn, direct := r.database(t, "CREATE TABLE a (b int)")
	ctx := context.Background()
	idle, busy, silent := pgtest.Connect(t, dsn), pgtest.Connect(t, dsn), r.raw(t)
	pgtest.Exec(t, busy, "BEGIN", "INSERT INTO a VALUES (1)")
	r.stop()

	// A client at a transaction boundary is told at once; one that has not said who it is, too.
	var err error
	eventually(t, "the drain begins", func() bool {
		_, err = idle.Exec(ctx, "SELECT 1")
		return err != nil
	})
	if pg := wantCode(t, err, "57P01"); !strings.Contains(pg.Message, "proxy is shutting down") {
		t.Error(pg.Message)
	}
	answer := make([]byte, 1)
	if _, err := silent.Read(answer); err != nil || answer[0] != 'E' {
		t.Errorf("%q, %v", answer, err)
	}
	if conn, err := net.Dial("tcp", r.Addr().String()); err == nil {
		t.Error("it still accepts", conn.Close())
	}
	// One in a transaction goes on to its end.
	pgtest.Exec(t, busy, "INSERT INTO a VALUES (2)", "COMMIT")
	_, err = busy.Exec(ctx, "SELECT 1")
	wantCode(t, err, "57P01")
	r.end(t)
	if got := query(t, pgtest.Connect(t, direct), "SELECT sum(b)::text FROM a"); got != "3" {
		t.Errorf("sum is %s", got)
	}
}

func TestDrainTimeout(t *testing.T) {
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.DrainTimeout = 100 * time.Millisecond })
	conn := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	pgtest.Exec(t, conn, "BEGIN")
	r.end(t)
	_, err := conn.Exec(context.Background(), "SELECT 1")
	wantCode(t, err, "57P01")
}

func TestKillEndsADrain(t *testing.T) {
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.DrainTimeout = time.Hour })
	conn := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	running := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT pg_sleep(3)")
		running <- err
	}()
	direct := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
	eventually(t, "the statement runs", func() bool {
		return query(t, direct, "SELECT count(*)::text FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3)' AND state = 'active'") == "1"
	})
	r.stop()
	r.Kill()
	wantCode(t, <-running, "57P01")
	r.end(t)
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, c := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Listen = l.Addr().String() }, "listening for clients on " + l.Addr().String() + ": bind: address already in use; stop what uses it, or choose another with --listen"},
		{func(o *Options) { o.Metrics = l.Addr().String() }, "listening for metrics on " + l.Addr().String() + ": bind: address already in use; stop what uses it, or choose another with --metrics"},
	} {
		opt := options(t)
		c.change(&opt)
		if _, err := Open(context.Background(), opt); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
		if _, err := os.Stat(opt.Admin); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the admin socket is left: %v", err)
		}
	}
}

func TestDatabaseDown(t *testing.T) {
	p, err := Open(context.Background(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Join(context.Background(), newControl(nil)); err == nil || err.Error() != "the database is down" {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.opt.Admin); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the admin socket is left: %v", err)
	}
}

func TestServerCrash(t *testing.T) {
	ctx := context.Background()
	server, err := pgtest.Start(ctx, pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stop := func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.Server = []string{server.Addr()} })
	t.Cleanup(stop) // before start looks for goroutines that are left: Restart makes one
	idle, busy := pgtest.Connect(t, r.dsn("postgres", "postgres")), pgtest.Connect(t, r.dsn("postgres", "postgres"))
	failed := make(chan error, 1)
	go func() {
		_, err := busy.Exec(ctx, "SELECT pg_sleep(100)")
		failed <- err
	}()
	watch := pgtest.Connect(t, server.DSN("postgres"))
	eventually(t, "the statement runs", func() bool {
		return query(t, watch, "SELECT count(*)::text FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(100)' AND state = 'active'") == "1"
	})
	if err := server.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Error("the statement did not fail")
	}
	if _, err := idle.Exec(ctx, "SELECT 1"); err == nil {
		t.Error("the idle client was not told")
	}
	eventually(t, "both clients are gone", func() bool { return r.hub.sessions.Load() == 0 })
	_, err = pgx.Connect(ctx, r.dsn("postgres", "postgres"))
	wantCode(t, err, "08006")
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	query(t, pgtest.Connect(t, r.dsn("postgres", "postgres")), "SELECT 'back'")
}

func TestAdminSocketBelongsToOneProxy(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	path := r.opt.Admin
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != fs.ModeSocket|0o600 {
		t.Errorf("the socket's mode is %v", got)
	}
	if info, err = os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its directory's mode is %v, %v", info.Mode(), err)
	}
	opt := options(t)
	opt.Admin = path
	if _, err := Open(context.Background(), opt); err == nil || !strings.Contains(err.Error(), "another proxy that runs uses it") {
		t.Errorf("a second proxy: %v", err)
	}
	r.end(t)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

func TestAdminSocketOfTheDead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(path, Access{}); err == nil || !strings.Contains(err.Error(), "another proxy that runs uses it") {
		t.Errorf("over a live socket without a lock: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := listenAdmin(path, Access{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(path, Access{}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("over a file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

// tiredListener fails some times before it accepts.
type tiredListener struct {
	net.Listener
	failures atomic.Int64
}

func (l *tiredListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestAcceptGoesOnAfterFailures(t *testing.T) {
	opt := options(t)
	opt.Log = zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
	p := open(t, opt, newControl(noMigrations(t)))
	tired := &tiredListener{Listener: p.clients[0].Listener}
	tired.failures.Store(3)
	p.clients[0].Listener = tired
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx) }()
	r := &running{Proxy: p}
	if got := query(t, pgtest.Connect(t, r.dsn("postgres", "postgres")), "SELECT 'yes'"); got != "yes" {
		t.Error(got)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
