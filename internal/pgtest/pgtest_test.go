package pgtest

import (
	"context"
	"os"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m, Options{})) }

func TestServerKeepsDataOverRestart(t *testing.T) {
	ctx := context.Background()
	s, err := Start(ctx, Options{Settings: map[string]string{"fsync": "on", "synchronous_commit": "on"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there", s.Dir)
		}
	}()
	conn := Connect(t, s.DSN("postgres"))
	Exec(t, conn, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (7)")
	if err := s.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	var a int
	if err := Connect(t, s.DSN("postgres")).QueryRow(ctx, "SELECT a FROM t").Scan(&a); err != nil || a != 7 {
		t.Fatalf("got %d, %v", a, err)
	}
}

func TestDatabasesAreFresh(t *testing.T) {
	for range 2 {
		Exec(t, Connect(t, Shared().DSN(Database(t))), "CREATE TABLE t (a int)")
	}
}
