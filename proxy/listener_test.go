package proxy

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// Each listener has its version; they may be unix sockets, and IPv6's.
func TestListeners(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".s.PGSQL.6432")
	left, err := net.Listen("unix", path) // what a process that is gone has left
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	r := start(t, newControl(renaming(t, 5, lens.DualWrite)), func(o *Options) {
		o.Listeners = []Listener{{Addr: path, Version: "new"}, {Addr: "[::1]:0", Version: "old"}}
	})
	dsn, _ := r.database(t, usersTable, "INSERT INTO users VALUES (1, 'Ann', 'Ann')")
	_, database, _ := strings.Cut(dsn[len("postgres://"):], "/")
	database, _, _ = strings.Cut(database, "?")
	for dsn, column := range map[string]string{
		dsn: "name",
		fmt.Sprintf("host=%s port=6432 user=postgres dbname=%s", dir, database):                             "full_name",
		fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", r.Addrs()[2], database):                    "name",
		fmt.Sprintf("host=%s port=6432 user=postgres dbname=%s options=-csegue.version=old", dir, database): "name",
	} {
		conn := pgtest.Connect(t, dsn)
		rows, err := conn.Query(context.Background(), "SELECT * FROM users")
		if err != nil {
			t.Fatal(err)
		}
		if got := rows.FieldDescriptions()[1].Name; got != column {
			t.Errorf("%s sees %s", dsn, got)
		}
		rows.Close()
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := listenUnix(context.Background(), path, Access{}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a socket in use: %v", err)
	}
}

func TestLimits(t *testing.T) {
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.Limits = Live{MaxUserConnections: 2, ClientLoginTimeout: 300 * time.Millisecond, MaxPacketSize: 10000, MaxStatementSize: 5000}
	})
	dsn := r.dsn("postgres", "postgres")
	first := pgtest.Connect(t, dsn)
	pgtest.Connect(t, dsn)
	_, err := pgx.Connect(context.Background(), dsn)
	if pg := wantCode(t, err, "53300"); !strings.Contains(pg.Message, `limit of 2 clients for the user "postgres"`) || pg.Hint == "" {
		t.Error(pg)
	}
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a place is free", func() bool { return r.hub.sessions.Load() == 1 })
	conn := pgtest.Connect(t, dsn)

	silent := r.raw(t)
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("a client that says nothing is kept")
	}
	_, err = conn.Exec(context.Background(), "SELECT '"+strings.Repeat("x", 6000)+"'", pgx.QueryExecModeSimpleProtocol)
	wantCode(t, err, "54000")
	query(t, conn, "SELECT 'goes on'")
	_, err = conn.Exec(context.Background(), "SELECT $1::text", pgx.QueryExecModeExec, strings.Repeat("x", 20000))
	if pg := wantCode(t, err, "54000"); !strings.Contains(pg.Hint, "max_packet_size") {
		t.Error(pg)
	}
	if !conn.IsClosed() {
		t.Error("the connection goes on after a message that is too large")
	}
}

// An idle client is told to go; one in a transaction, or with a statement that runs, stays.
func TestIdleClients(t *testing.T) {
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.Limits.ClientIdleTimeout = 100 * time.Millisecond })
	dsn := r.dsn("postgres", "postgres")
	run := func(sql string) *pgx.Conn {
		for { // on a machine that is busy, the time may be over before the statement is there
			conn := pgtest.Connect(t, dsn)
			_, err := conn.Exec(context.Background(), sql)
			if err == nil {
				return conn
			}
			wantCode(t, err, "57P05")
		}
	}
	idle, open := pgtest.Connect(t, dsn), run("BEGIN")
	run("SELECT FROM pg_sleep(0.5)")
	query(t, open, "SELECT 'still here'")
	_, err := idle.Exec(context.Background(), "SELECT 1")
	if pg := wantCode(t, err, "57P05"); !strings.Contains(pg.Message, "client_idle_timeout") {
		t.Error(pg)
	}
}
