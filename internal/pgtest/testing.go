package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

var shared *Server

// Main runs a package's tests with one server that they share through Database: `os.Exit(pgtest.Main(m))` from TestMain.
func Main(m *testing.M, opt Options) int {
	s, err := Start(context.Background(), opt)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the tests' server:", err)
		return 1
	}
	shared = s
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the tests' server:", err)
		return 1
	}
	return code
}

// Shared is the server that Main started.
func Shared() *Server {
	// Main has read this before the tests began, which `go test` does not see: it would take another server's results for this one's.
	_ = os.Getenv("SEGUE_PG_BIN")
	return shared
}

var databases atomic.Int64

// Database makes a fresh database on the shared server, gives its name, and drops it when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", databases.Add(1))
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, Shared().DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(ctx, Shared().DSN("postgres"))
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return name
}

// Connect opens a connection and closes it when the test ends.
func Connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	return conn
}

// Keep gives what takes a server of the test's own as it was started, and stops it when the test ends.
func Keep(t testing.TB) func(*Server, error) *Server {
	return func(s *Server, err error) *Server {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
}

// Exec runs statements, each of which must succeed.
func Exec(t testing.TB, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
