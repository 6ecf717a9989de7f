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

func TestStandby(t *testing.T) {
	ctx := context.Background()
	s, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	standby, err := s.Standby(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := standby.Stop(); err != nil {
			t.Error(err)
		}
	}()
	conn := Connect(t, s.DSN("postgres"))
	Exec(t, conn, "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")
	for sync := false; !sync; {
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync') FROM pg_sleep(0.01)").Scan(&sync); err != nil {
			t.Fatal(err)
		}
	}
	Exec(t, conn, "SET synchronous_commit = on", "CREATE TABLE t (a int)", "INSERT INTO t VALUES (7)")
	if err := s.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	conn = Connect(t, standby.DSN("postgres"))
	Exec(t, conn, "INSERT INTO t VALUES (8)")
	var sum int
	if err := conn.QueryRow(ctx, "SELECT sum(a) FROM t").Scan(&sum); err != nil || sum != 15 {
		t.Fatalf("got %d, %v", sum, err)
	}
}
