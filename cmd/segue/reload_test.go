package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
)

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited a minute until %s", what)
		}
	}
}

// SIGHUP puts the settings into force that can be, names the others, and leaves all as it is where the file is wrong.
func TestReload(t *testing.T) {
	noLeaks(t)
	db := pgtest.Database(t)
	file := write(t, "[limits]\nmax_connections = 1\n")
	s := serveProxy(t, db, "-c", file)
	first := pgtest.Connect(t, s.dsn(db, "auto"))
	// second connects once more, and says whether it could.
	second := func() bool {
		t.Helper()
		conn, err := pgx.Connect(context.Background(), s.dsn(db, "auto"))
		if err == nil {
			return conn.Close(context.Background()) == nil
		}
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "53300" {
			t.Fatal(err)
		}
		return false
	}
	if second() {
		t.Fatal("there may be two clients")
	}
	reload := func(text string, done func() bool) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is read again", done)
	}
	reload("[limits]\nmax_connections = 2\n[metrics]\naddr = \"127.0.0.1:1\"\n", second)
	reload("[limits]\nmax_connections = 0\n", func() bool { return strings.Contains(s.stderr.String(), "those in force stay") })
	eventually(t, "there may be two clients still", second)
	reload("[limits]\nmax_connections = 1\n", func() bool { return !second() })
	pgtest.Exec(t, first, "SELECT 1")
	s.stop()
	log := s.stderr.String()
	for _, want := range []string{`"settings":["metrics.addr"]`, "limits.max_connections: is 0; it must be at least 1"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
}
