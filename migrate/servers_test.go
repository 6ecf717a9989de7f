package migrate

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap/zaptest"

	"segue/internal/pgtest"
	"segue/migrate/agree"
	"segue/proxy"
)

// Clients' sessions have to be on the server that the control connection reaches, and that has to be the primary.
func TestSessionsOfAnotherServer(t *testing.T) {
	ctx := context.Background()
	keep := pgtest.Keep(t)
	primary := keep(pgtest.Start(ctx, pgtest.Options{}))
	super, err := pgx.Connect(ctx, primary.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, super, "CREATE ROLE control LOGIN", "CREATE ROLE web LOGIN", "GRANT CREATE ON DATABASE postgres TO control")
	if err := super.Close(ctx); err != nil {
		t.Fatal(err)
	}
	standby := keep(primary.Standby(ctx))
	const db = "postgres"
	// The string's standby is passed over, and its mode of TLS, which the servers do not speak, lets them be reached without.
	several := fmt.Sprintf("postgres://control@%s,%s/%s?sslmode=prefer", standby.Addr(), primary.Addr(), db)
	p, err := Open(ctx, Options{DSN: several, Host: "here", Build: "test", Log: zaptest.NewLogger(t, zaptest.Level(zapLevel))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := p.Join(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, Options{DSN: standby.DSNAs("control", db), Log: zaptest.NewLogger(t)}); err == nil || !strings.Contains(err.Error(), "target_session_attrs=read-write") {
		t.Errorf("the control connection reaches a standby: %v", err)
	}
	there := pgtest.Connect(t, standby.DSNAs("web", db)).PgConn().PID()
	here := pgtest.Connect(t, primary.DSNAs("web", db)).PgConn().PID()
	register := func(want string, servers []string, pids ...uint32) {
		t.Helper()
		p.opt.Servers = servers
		err := p.Register(ctx, pids)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	elsewhere := []string{standby.Addr()}
	register("is a standby", elsewhere, here, there)
	register("", elsewhere, here)
	p.servers.same = time.Time{} // look again
	p.opt.Primaries = true
	register("", elsewhere, there) // no session is opened at a standby then: it has ended
	p.opt.Primaries = false
	p.servers.same = time.Time{}
	for server, want := range map[*pgtest.Server]proxy.ServerState{primary: {}, standby: {Standby: true}} {
		if state, err := p.Server(ctx, "some.name", server.Addr()); err != nil || state != want {
			t.Errorf("%+v, %v; want %+v", state, err, want)
		}
	}
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	register("timeline 2) is not the one", elsewhere, there)
	register("", []string{primary.Addr()}, there) // as behind a pooler, whose sessions have PIDs of its own
	p.opt.Servers = elsewhere
	if err := p.sameSystems(ctx, agree.History{System: "7", Timeline: 1}); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("another system: %v", err)
	}
}

func TestSplitAddr(t *testing.T) {
	for addr, want := range map[string]string{"10.0.0.1:5433": "10.0.0.1 5433", "[::1]:1": "::1 1", "/run/pg/.s.PGSQL.5432": "/run/pg/ 5432", "a": "error", "a:x": "error", "/run/x": "error"} {
		host, port, err := splitAddr(addr)
		got := fmt.Sprint(host, " ", port)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s (%v); want %s", addr, got, err, want)
		}
	}
}
