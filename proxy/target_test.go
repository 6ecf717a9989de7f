package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

func TestSessionAttrs(t *testing.T) {
	primary, readOnly, standby := ServerState{}, ServerState{ReadOnly: true}, ServerState{Standby: true}
	for attrs, want := range map[SessionAttrs][3]bool{
		"":            {true, true, true},
		AnyServer:     {true, true, true},
		ReadWrite:     {true, false, false},
		ReadOnly:      {false, true, true},
		Primary:       {true, true, false},
		Standby:       {false, false, true},
		PreferStandby: {false, false, true},
	} {
		for i, s := range []ServerState{primary, readOnly, standby} {
			if err := attrs.fits(s); (err == nil) != want[i] {
				t.Errorf("%s, %+v: %v", attrs, s, err)
			}
		}
	}
	for attrs, want := range map[SessionAttrs][2]bool{
		AnyServer: {false, false}, ReadOnly: {false, false}, PreferStandby: {false, false}, ReadWrite: {false, true}, Primary: {false, true}, Standby: {true, false},
	} {
		if got := [2]bool{attrs.belies(false), attrs.belies(true)}; got != want {
			t.Errorf("%s: %v", attrs, got)
		}
	}
}

// replicated starts a server and its standby.
func replicated(t *testing.T) (primary, standby *pgtest.Server) {
	t.Helper()
	ctx, keep := context.Background(), pgtest.Keep(t)
	primary = keep(pgtest.Start(ctx, pgtest.Options{}))
	return primary, keep(primary.Standby(ctx))
}

// Sessions are opened at the servers that target_session_attrs asks for, in the order of the servers; after a failover at the new primary.
func TestSeveralServers(t *testing.T) {
	ctx := context.Background()
	primary, standby := replicated(t)
	proxy := func(attrs SessionAttrs, servers ...string) *running {
		return start(t, newControl(renaming(t, 5, lens.DualWrite)), func(o *Options) {
			o.Server, o.SessionAttrs = servers, attrs
			o.HoldTimeout = 50 * time.Millisecond
		})
	}
	where := func(r *running) string {
		t.Helper()
		conn, err := pgx.Connect(ctx, r.dsn("postgres", "postgres"))
		if err != nil {
			return err.Error()
		}
		defer func() { _ = conn.Close(ctx) }()
		return query(t, conn, "SELECT pg_is_in_recovery()::text")
	}
	s, p := standby.Addr(), primary.Addr()
	byAttrs := map[SessionAttrs]*running{}
	for attrs, want := range map[SessionAttrs]string{AnyServer: "true", ReadWrite: "false", Primary: "false", Standby: "true", PreferStandby: "true", ReadOnly: "true"} {
		r := proxy(attrs, s, p)
		if byAttrs[attrs] = r; where(r) != want {
			t.Errorf("%s: in recovery: %s; want %s", attrs, where(r), want)
		}
	}
	byHand := proxy(Standby, p, s)
	if where(byHand) != "true" {
		t.Error("the standby is not found behind the primary")
	}
	if err := where(proxy(Standby, p)); !strings.Contains(err, "08006") || !strings.Contains(err, p+": it is not a standby") {
		t.Error(err)
	}

	// A session at a standby has the state and the lease of the place that is kept for that standby, and is registered there.
	replica := pgtest.Connect(t, byHand.dsn("postgres", "postgres"))
	_, err := replica.Exec(ctx, "SELECT name FROM users")
	wantCode(t, err, "42P01") // it is sent: there is no such table here
	at := byHand.control.follower(s)
	if pids, there := byHand.control.pids(), at.pids(); len(pids) > 0 || !slices.Contains(there, replica.PgConn().PID()) {
		t.Errorf("sessions of a standby are registered: %v, and there %v", pids, there)
	}
	at.host.Lease(0)
	_, err = replica.Exec(ctx, "SELECT name FROM users")
	wantCode(t, err, "57P03")
	at.lose(errors.New("promoted"))
	eventually(t, "its sessions are ended", func() bool { _, err := replica.Exec(ctx, "SELECT 1"); return err != nil })
	eventually(t, "the place is handed back", func() bool {
		at.mu.Lock()
		defer at.mu.Unlock()
		return at.left && slices.Contains(at.calls, "leave")
	})
	if where(byHand) != "true" || byHand.control.follower(s) == at {
		t.Error("there is no new place for a session that comes then")
	}
	byHand.end(t)

	// While nobody can give a session at a standby a place, since the primary is down, it is carried all the same as long as nothing migrates.
	lone := start(t, newControl(noMigrations(t)), func(o *Options) { o.Server, o.SessionAttrs = []string{s}, Standby })
	lone.control.mu.Lock()
	lone.control.placeless = true
	lone.control.mu.Unlock()
	astray := pgtest.Connect(t, lone.dsn("postgres", "postgres"))
	asked := lone.control.follower(s)
	if asked == nil {
		t.Error("no place was asked for")
	}
	lone.control.host.Lease(1) // over since long
	pgtest.Exec(t, pgtest.Connect(t, lone.dsn("postgres", "postgres")), "SELECT 1")
	if lone.control.follower(s) != asked {
		t.Error("a place was asked for while it is known that none can be had")
	}
	_, err = astray.Exec(ctx, "SELECT name FROM users")
	wantCode(t, err, "42P01")
	lone.control.host.Lease(Boottime() + time.Hour)
	applied := make(chan int64, 1)
	lone.control.host.Apply(renaming(t, 6, lens.DualWrite), func(epoch int64) { applied <- epoch })
	if epoch := <-applied; epoch != 6 {
		t.Error(epoch)
	}
	_, err = astray.Exec(ctx, "SELECT 1")
	wantCode(t, err, "57P01")
	if err := where(lone); !strings.Contains(err, "get no place among the proxies") {
		t.Errorf("a session at a standby without a place, while a table migrates: %s", err)
	}
	lone.end(t)

	// What a server was found to be, it may not be any more when the session begins.
	r := byAttrs[ReadWrite]
	wrong := &look{done: make(chan struct{}), until: time.Now().Add(time.Hour)}
	close(wrong.done)
	host, _, _ := net.SplitHostPort(s)
	r.servers.mu.Lock()
	r.servers.looks[endpoint{host, s}] = wrong
	r.servers.mu.Unlock()
	conn, err := pgx.Connect(ctx, r.dsn("postgres", "postgres"))
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT 1")
		_ = conn.Close(ctx)
	}
	wantCode(t, err, "57P03")
	r.servers.mu.Lock()
	wrong.until = time.Time{}
	r.servers.mu.Unlock()

	// One that was a standby when it was looked at, and is none when the session begins, was promoted: the session is the primary's.
	late := proxy(AnyServer, p)
	was := &look{done: make(chan struct{}), state: ServerState{Standby: true}, until: time.Now().Add(time.Hour)}
	close(was.done)
	late.servers.mu.Lock()
	late.servers.looks = map[endpoint]*look{{host, p}: was}
	late.servers.mu.Unlock()
	begun := pgtest.Connect(t, late.dsn("postgres", "postgres"))
	_, err = begun.Exec(ctx, "SELECT name FROM users")
	wantCode(t, err, "42P01")
	if at := late.control.follower(p); at == nil || len(at.pids()) > 0 || !slices.Contains(late.control.pids(), begun.PgConn().PID()) {
		t.Errorf("the session is registered at %v, and at its former standby %v", late.control.pids(), at)
	}
	if n, away := late.hub.sessions.Load(), late.hub.away.Load(); n != 1 || away != 0 {
		t.Errorf("%d sessions, %d at standbys", n, away)
	}
	late.end(t)

	old := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	pgtest.Exec(t, old, "CREATE TABLE before (a int)")
	watch := pgtest.Connect(t, standby.DSN("postgres"))
	eventually(t, "the standby follows", func() bool {
		return query(t, watch, "SELECT (to_regclass('before') IS NOT NULL)::text") == "true"
	})
	if err := primary.Crash(); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Exec(ctx, "SELECT 1"); err == nil {
		t.Error("a session outlives its server")
	}
	if err := where(r); !strings.Contains(err, "it is a standby") || !strings.Contains(err, "refused") {
		t.Errorf("before the promotion: %s", err)
	}
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a primary again", func() bool { return where(r) == "false" })
	pgtest.Exec(t, pgtest.Connect(t, r.dsn("postgres", "postgres")), "INSERT INTO before VALUES (1)")
	eventually(t, "the preferred is done without", func() bool { return where(byAttrs[PreferStandby]) == "false" })
	for _, r := range byAttrs { // before any looks what is left: the places at standbys were taken later than the last proxy was started
		r.end(t)
	}
}

// speaker is a server that answers whatever it is sent with one message.
func speaker(t *testing.T, says string) (addr string, met *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	met = new(atomic.Int64)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			met.Add(1)
			_, _ = conn.Read(make([]byte, 1000))
			if says != "" {
				_, _ = io.WriteString(conn, says)
				_ = conn.Close()
			} else {
				t.Cleanup(func() { _ = conn.Close() })
			}
		}
	}()
	return l.Addr().String(), met
}

// As libpq does, the proxy goes on to the next server where one is starting up, or says nothing in time. What the only one says is the client's to read.
func TestServersThatDoNotTakeClientsNow(t *testing.T) {
	starting := "E\x00\x00\x00\x2fSFATAL\x00VFATAL\x00C57P03\x00Mstarting, wait\x00\x00\x00"
	starting = "E\x00\x00\x00" + string(rune(len(starting)-1)) + starting[5:]
	for what, says := range map[string]string{"starting up": starting, "silent": ""} {
		t.Run(what, func(t *testing.T) {
			addr, met := speaker(t, says)
			r := start(t, newControl(noMigrations(t)), func(o *Options) {
				o.Server, o.ConnectTimeout = append([]string{addr}, o.Server...), 200*time.Millisecond
			})
			if got := query(t, pgtest.Connect(t, r.dsn("postgres", "postgres")), "SELECT 'there'"); got != "there" || met.Load() != 1 {
				t.Errorf("%q after %d meetings", got, met.Load())
			}
		})
	}
	addr, _ := speaker(t, starting)
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.Server = []string{addr} })
	_, err := pgx.Connect(context.Background(), r.dsn("postgres", "postgres"))
	if told := wantCode(t, err, "57P03"); told.Message != "starting, wait" {
		t.Error(told)
	}
}

// A cancel request of another proxy's session, whose server is not known, is for all servers.
func TestForeignCancelGoesToAllServers(t *testing.T) {
	one, metOne := speaker(t, "bye")
	two, metTwo := speaker(t, "bye")
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.Server = []string{one, two} })
	conn := r.raw(t)
	if _, err := conn.Write([]byte("\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x07abcd")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if metOne.Load() != 1 || metTwo.Load() != 1 {
		t.Errorf("%d and %d servers were asked", metOne.Load(), metTwo.Load())
	}
}

func TestOrderOfServers(t *testing.T) {
	names := func(p *Proxy) string {
		var words []string
		for at, err := range p.endpoints(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, at.String())
		}
		return strings.Join(words, " ")
	}
	p := &Proxy{opt: Options{Server: []string{"10.0.0.1:1", "[::1]:2", "/run/.s.PGSQL.3"}}}
	const given = "10.0.0.1:1 [::1]:2 /run/.s.PGSQL.3"
	if got := names(p); got != given {
		t.Error(got)
	}
	p.opt.LoadBalance = true
	seen := map[string]bool{}
	for range 1000 {
		seen[names(p)] = true
	}
	if len(seen) != 6 || !seen[given] || strings.Join(p.opt.Server, " ") != given {
		t.Errorf("%v", seen)
	}
	p.opt = Options{Server: []string{"localhost:5", "nowhere.invalid:6"}, ConnectTimeout: 5 * time.Second}
	var local, failed bool
	for at, err := range p.endpoints(context.Background()) {
		local = local || at.host == "localhost" && (at.addr == "127.0.0.1:5" || at.addr == "[::1]:5") && strings.HasPrefix(at.String(), "localhost (")
		failed = failed || at.host == "nowhere.invalid" && err != nil
	}
	if !local || !failed {
		t.Errorf("a name stands for its addresses: %t; one that is not known is said: %t", local, failed)
	}
}
