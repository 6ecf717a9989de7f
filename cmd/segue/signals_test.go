package main

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
)

// The first SIGTERM drains: nobody comes in, and what is open goes on. The second ends it at once, and the lease is handed back all the same.
func TestSignals(t *testing.T) {
	db := pgtest.Database(t)
	ctx := context.Background()
	direct := pgtest.Connect(t, pgtest.Shared().DSN(db))
	pgtest.Exec(t, direct, "CREATE TABLE a (b int)")
	var cmd *exec.Cmd
	p := startProcess(t, db, func(c *exec.Cmd) { cmd = c })
	count := func() (n int) {
		t.Helper()
		if err := direct.QueryRow(ctx, "SELECT count(*) FROM segue.proxy").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	open := pgtest.Connect(t, "postgres://postgres@"+p.addr+"/"+db+"?sslmode=disable")
	pgtest.Exec(t, open, "BEGIN", "INSERT INTO a VALUES (1)")
	term := func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	term()
	eventually(t, "nobody comes in", func() bool {
		c, err := net.Dial("tcp", p.addr)
		return err != nil || c.Close() != nil
	})
	pgtest.Exec(t, open, "INSERT INTO a VALUES (2)", "SAVEPOINT s")
	if n := count(); n != 1 {
		t.Errorf("%d leases while a client is served", n)
	}
	term()
	_, err := open.WaitForNotification(ctx) // what the server says unasked, and nothing may be on its way to it
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "57P01" {
		t.Errorf("after the second signal: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the proxy ended badly: %v", err)
	}
	if n := count(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
	if err := direct.QueryRow(ctx, "SELECT FROM a").Scan(); !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("the transaction was not rolled back: %v", err)
	}
}
