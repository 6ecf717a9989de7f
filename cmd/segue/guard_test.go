package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
)

// TestGuardIsNotCalledThroughAProxy writes by old and new code through a proxy in the phases that write both sides: the guard's function is not called once, as the server
// counts. It is for what goes around: a direct write calls it.
func TestGuardIsNotCalledThroughAProxy(t *testing.T) {
	noLeaks(t)
	for _, c := range []struct{ name, definition, old, new string }{
		{"users_full_name", rename, "name", "full_name"},
		{"name_bigint", strings.ReplaceAll(strings.ReplaceAll(changePrice, "public.products", "public.users"), `"price`, `"name`), "name", "name_v2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := pgtest.Database(t)
			direct := pgtest.Connect(t, pgtest.Shared().DSN(db))
			pgtest.Exec(t, direct, "CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT '7', email text)", "INSERT INTO users SELECT i, i::text FROM generate_series(1, 100) i")
			s := serveProxy(t, db)
			file := write(t, strings.ReplaceAll(c.definition, "price::", "name::"))
			must(t, "start", file, "--admin", s.admin)
			key := 1000
			writeBoth := func() {
				for i, conn := range []*pgx.Conn{pgtest.Connect(t, s.dsn(db, "old")), pgtest.Connect(t, s.dsn(db, "new"))} {
					column := []string{c.old, c.new}[i]
					key++
					pgtest.Exec(t, conn,
						fmt.Sprintf("INSERT INTO users (id, %s) VALUES (%d, '%[2]d')", column, key),
						fmt.Sprintf("UPDATE users SET %s = '%d' WHERE id = %d", column, key+1, key),
						fmt.Sprintf("UPDATE users SET email = 'e' WHERE id = %d", key),
						fmt.Sprintf("INSERT INTO users (id, %s) VALUES (%d, '5') ON CONFLICT (id) DO UPDATE SET %[1]s = EXCLUDED.%[1]s", column, key),
						fmt.Sprintf("DELETE FROM users WHERE id = %d", key),
						fmt.Sprintf("INSERT INTO users (id, email) VALUES (%d, 'left out'), (%d, DEFAULT)", key, key+100000),
						fmt.Sprintf("INSERT INTO users (id) SELECT i + 200000 FROM generate_series(%d, %d) i", key, key+5),
						fmt.Sprintf("DELETE FROM users WHERE id >= %d", key))
					if err := conn.Close(context.Background()); err != nil { // a session tells its counts when it ends
						t.Fatal(err)
					}
				}
			}
			writeBoth()
			for _, phase := range []string{"backfill", "switch-reads", "contract"} {
				must(t, "advance", c.name, "--to", phase, "--admin", s.admin)
				writeBoth()
			}
			around := pgtest.Connect(t, pgtest.Shared().DSN(db))
			pgtest.Exec(t, around, "UPDATE users SET name = '70' WHERE id IN (1, 2, 3)")
			if err := around.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			calls, sessions := int64(0), int64(2)
			for until := time.Now().Add(time.Minute); (calls < 3 || sessions > 1) && time.Now().Before(until); {
				if err := direct.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> 'segue control'").Scan(&sessions); err != nil {
					t.Fatal(err)
				}
				if err := direct.QueryRow(context.Background(), "SELECT COALESCE(sum(calls), 0)::bigint FROM pg_stat_user_functions WHERE schemaname = 'segue' AND funcname LIKE 'guard%'").Scan(&calls); err != nil {
					t.Fatal(err)
				}
			}
			if calls != 3 { // of three rows that were written around the proxy
				t.Errorf("the guard was called %d times", calls)
			}
		})
	}
}
