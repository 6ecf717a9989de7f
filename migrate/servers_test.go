package migrate

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
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
	register("", []string{primary.Addr()}, there) // it has ended
	notes := func() (notes []string) {
		t.Helper()
		s, err := p.status(ctx, pgtest.Connect(t, primary.DSN(db)))
		if err != nil {
			t.Fatal(err)
		}
		return s.Notes
	}
	if got := notes(); len(got) != 0 {
		t.Errorf("notes without a pooler: %q", got)
	}
	pooler := otherPIDs(t, primary.Addr())
	p.servers.same = time.Time{}
	register("", []string{pooler}, there)
	if got := notes(); len(got) != 1 || !strings.HasPrefix(got[0], "at "+pooler+" a pooler answers") {
		t.Errorf("notes behind a pooler: %q", got)
	}
	p.opt.Servers = elsewhere
	if err := p.sameSystems(ctx, agree.History{System: "7", Timeline: 1}); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("another system: %v", err)
	}
}

// otherPIDs carries connections to a server, and gives their sessions PIDs of its own, as a pooler does.
func otherPIDs(t *testing.T, server string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var carrying sync.WaitGroup
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		carrying.Wait()
	})
	carry := func(client net.Conn) error {
		there, err := net.Dial("tcp", server)
		if err != nil {
			return err
		}
		carrying.Go(func() {
			_, _ = io.Copy(there, client) // until either is closed
			_ = there.Close()
		})
		in := bufio.NewReader(there)
		if b, err := in.Peek(1); err == nil && b[0] == 'N' { // no TLS
			if _, err := io.CopyN(client, in, 1); err != nil {
				return err
			}
		}
		for {
			head, err := in.Peek(5)
			if err != nil {
				return err
			}
			kind, length := head[0], int64(1+binary.BigEndian.Uint32(head[1:]))
			if kind == 'K' {
				if head, err = in.Peek(9); err != nil {
					return err
				}
				binary.BigEndian.PutUint32(head[5:], 1) // in the buffer itself
			}
			if _, err := io.CopyN(client, in, length); err != nil {
				return err
			}
			if kind == 'Z' {
				break
			}
		}
		_, err = io.Copy(client, in)
		return err
	}
	carrying.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			carrying.Go(func() {
				_ = carry(client) // until either is closed
				_ = client.Close()
			})
		}
	})
	return l.Addr().String()
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
