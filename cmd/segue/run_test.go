package main

import (
	"context"
	"strings"
	"testing"

	"segue/internal/pgtest"
)

// TestRun carries a migration as a pipeline does: the same call again goes on from where it stands, and stops at what refuses with exit code 3.
func TestRun(t *testing.T) {
	noLeaks(t)
	db := pgtest.Database(t)
	direct := pgtest.Connect(t, pgtest.Shared().DSN(db))
	pgtest.Exec(t, direct, "CREATE TABLE users (id int PRIMARY KEY, name text)", "INSERT INTO users SELECT i, 'name ' || i FROM generate_series(1, 3000) i",
		"CREATE TABLE products (id int PRIMARY KEY, price text)", "INSERT INTO products VALUES (1, '10'), (2, 'cheap')")
	s := serveProxy(t, db)
	file, price := write(t, rename), write(t, changePrice)
	refused(t, exitGate, []string{"run", price, "--admin", s.admin}, "the gate of start refuses", "1 of 2 rows do not convert")
	refused(t, exitGate, []string{"run", file, "--strict", "--admin", s.admin}, "the gate of start refuses", "the hazard bypass-sessions is not allowed")
	refused(t, exitGate, []string{"run", file, "--to", "complete", "--admin", s.admin}, "the gate of complete refuses", "--yes")
	if out := must(t, "status", "--admin", s.admin); !strings.Contains(out, "no migrations") {
		t.Fatal(out)
	}
	// Cut off on the way, it goes on.
	must(t, "start", file, "--admin", s.admin)
	if out := must(t, "backfill", "users_full_name", "--pause", "--admin", s.admin); out != "users_full_name: the backfill is paused\n" {
		t.Error(out)
	}
	if out := must(t, "run", file, "--no-wait", "--admin", s.admin); !strings.Contains(out, "under way") {
		t.Error(out)
	}
	if out := must(t, "status", "--admin", s.admin); !strings.Contains(out, "segue backfill users_full_name --resume") {
		t.Error(out)
	}
	if out := must(t, "backfill", "users_full_name", "--resume", "--max-rows", "100000", "--json", "--admin", s.admin); out != `{"migration":"users_full_name","paused":false,"max_rows":100000}`+"\n" {
		t.Error(out)
	}
	// While it is being worked on, run follows, and arrives where that one does; then there is nothing left to do.
	for range 2 {
		if out := must(t, "run", file, "--admin", s.admin); !strings.HasSuffix(out, "users_full_name: contract, proved\n") {
			t.Fatal(out)
		}
	}
	if code, out, _ := command(context.Background(), "run", file, "--json", "--admin", s.admin); code != exitDone || !strings.HasPrefix(out, `{"name":"users_full_name"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("%d: %s", code, out)
	}
	refused(t, exitFailed, []string{"run", write(t, strings.Replace(rename, `to = "full_name"`, `to = "other"`, 1)), "--admin", s.admin}, "with another definition")
	pgtest.Exec(t, direct, "CREATE VIEW names AS SELECT name FROM users")
	refused(t, exitGate, []string{"run", file, "--to", "complete", "--yes", "--admin", s.admin}, "the gate of complete refuses", "view public.names")
	pgtest.Exec(t, direct, "DROP VIEW names")
	if out := must(t, "run", file, "--to", "complete", "--yes", "--admin", s.admin); !strings.HasSuffix(out, "users_full_name: complete, proved\n") {
		t.Error(out)
	}
	if out := must(t, "run", file, "--admin", s.admin); !strings.HasSuffix(out, "users_full_name: complete, proved\n") {
		t.Error(out)
	}
}
