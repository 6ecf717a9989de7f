package migrate

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

const guardTable = `
CREATE TABLE users (id int PRIMARY KEY, name varchar(40), other int);
`

// TestGuardMatrix writes directly, as a session does that bypasses the proxies, in every combination of columns given, of order and of NULLs; after each
// write the row agrees, or the write has failed.
func TestGuardMatrix(t *testing.T) {
	e := newEnv(t, guardTable)
	p := e.proxy(0)
	p.start()
	row := func(id int) string {
		return e.value(fmt.Sprintf("SELECT COALESCE(name, 'NULL') || ' ' || COALESCE(full_name, 'NULL') FROM users WHERE id = %d", id))
	}
	const apart = "23000"
	for _, c := range []struct{ cols, vals, want string }{
		{"name", "'a'", "a a"},
		{"full_name", "'a'", "a a"},
		{"name, full_name", "'a', 'a'", "a a"},
		{"full_name, name", "'a', 'a'", "a a"},
		{"name, full_name", "'a', NULL", "a a"},
		{"name, full_name", "NULL, 'a'", "a a"},
		{"name, full_name", "NULL, NULL", "NULL NULL"},
		{"name, full_name", "'a', 'b'", apart},
		{"other", "1", "NULL NULL"},
	} {
		sql := fmt.Sprintf("INSERT INTO users (id, %s) VALUES (1, %s)", c.cols, c.vals)
		if c.want == apart {
			e.fails(sql, apart)
			continue
		}
		e.exec(sql)
		if got := row(1); got != c.want {
			t.Errorf("%s: got %s, not %s", sql, got, c.want)
		}
		e.exec("DELETE FROM users")
	}
	for _, c := range []struct{ before, set, want string }{
		{"'a', 'a'", "name = 'b'", "b b"},
		{"'a', 'a'", "full_name = 'b'", "b b"},
		{"'a', 'a'", "name = NULL", "NULL NULL"},
		{"'a', 'a'", "full_name = NULL", "NULL NULL"},
		{"'a', 'a'", "name = 'b', full_name = 'b'", "b b"},
		{"'a', 'a'", "full_name = 'b', name = 'b'", "b b"},
		{"'a', 'a'", "name = 'b', full_name = 'c'", apart},
		{"'a', 'a'", "name = NULL, full_name = 'c'", apart},
		{"'a', 'a'", "name = 'c', full_name = NULL", apart},
		{"'a', 'a'", "other = 2", "a a"},
		{"NULL, NULL", "name = 'b'", "b b"},
		{"NULL, NULL", "full_name = 'b'", "b b"},
		// Rows from before expand, which are not filled yet.
		{"'a', unfilled", "other = 2", "a a"},
		{"'a', unfilled", "name = 'b'", "b b"},
		{"'a', unfilled", "full_name = 'b'", "b b"},
		{"'a', unfilled", "full_name = NULL", "a a"}, // it cannot be told from one that is not filled
		{"'a', unfilled", "name = NULL", "NULL NULL"},
		{"'a', unfilled", "name = 'b', full_name = 'b'", "b b"},
	} {
		vals, unfilled := strings.CutSuffix(c.before, "unfilled")
		if unfilled {
			e.exec("ALTER TABLE users DISABLE TRIGGER ALL", "INSERT INTO users (id, name, full_name) VALUES (1, "+vals+"NULL)", `ALTER TABLE users ENABLE ALWAYS TRIGGER "~segue_users_full_name"`)
		} else {
			e.exec("INSERT INTO users (id, name, full_name) VALUES (1, " + c.before + ")")
		}
		sql := "UPDATE users SET " + c.set + " WHERE id = 1"
		if c.want == apart {
			e.fails(sql, apart)
		} else {
			e.exec(sql)
			if got := row(1); got != c.want {
				t.Errorf("(%s) %s: got %s, not %s", c.before, sql, got, c.want)
			}
		}
		e.exec("DELETE FROM users")
	}
}

// TestGuardCatchesEveryWriter writes by other ways than a statement of its own.
func TestGuardCatchesEveryWriter(t *testing.T) {
	e := newEnv(t, guardTable+`
		CREATE VIEW people AS SELECT id, name FROM users;
		CREATE FUNCTION add_user(i int, n text) RETURNS void LANGUAGE sql AS 'INSERT INTO users (id, name) VALUES (i, n)';
		GRANT ALL ON users, people TO web;`)
	old := pgtest.Connect(t, pgtest.Shared().DSN(e.db))
	pgtest.Exec(t, old, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM pg_class") // its snapshot is from before expand
	p := e.proxy(0)
	p.start()
	web := pgtest.Connect(t, pgtest.Shared().DSNAs("web", e.db))
	ctx := context.Background()
	pgtest.Exec(t, web, "INSERT INTO users (id, name) VALUES (1, 'web')", "INSERT INTO people VALUES (2, 'view')", "UPDATE people SET name = 'view again' WHERE id = 2",
		"SELECT add_user(3, 'function')")
	if _, err := web.PgConn().CopyFrom(ctx, strings.NewReader("4\tcopy\n5\t\\N\n"), "COPY users (id, name) FROM STDIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := web.PgConn().CopyFrom(ctx, strings.NewReader("6,copied new\n"), "COPY users (id, full_name) FROM STDIN WITH (FORMAT csv)"); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, old, "INSERT INTO users (id, name) VALUES (7, 'older snapshot')", "COMMIT")
	e.exec("SET session_replication_role = replica", "INSERT INTO users (id, name) VALUES (8, 'replicated')", "UPDATE users SET full_name = 'replicated too' WHERE id = 1", "RESET session_replication_role")
	pgtest.Exec(t, web, "INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'upserted'")
	e.want("SELECT count(*) FROM users WHERE name IS DISTINCT FROM full_name", "0")
	e.want("SELECT string_agg(COALESCE(full_name, '-'), ',' ORDER BY id) FROM users", "upserted,view again,function,copy,-,copied new,older snapshot,replicated")
}

// TestGuardBesideOtherTriggers has a trigger that edits the old column after the proxies have written both.
func TestGuardBesideOtherTriggers(t *testing.T) {
	e := newEnv(t, guardTable+`
		CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := lower(NEW.name); RETURN NEW; END';
		CREATE TRIGGER tidy BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION tidy();`)
	p := e.proxy(0)
	p.start()
	e.exec("INSERT INTO users (id, name, full_name) VALUES (1, 'Ann', 'Ann')", "UPDATE users SET name = 'BOB', full_name = 'BOB'")
	e.want("SELECT name || full_name FROM users", "bobbob")
	p.advance(lens.Contract)
	if err := p.goTo(lens.Complete); err == nil || !strings.Contains(err.Error(), "the trigger tidy (public.tidy()) names name") {
		t.Fatalf("complete with a trigger that names the old column: %v", err)
	}
}

// TestGuardOfOtherTypes compares types by image whose = says equal of different ones.
func TestGuardOfOtherTypes(t *testing.T) {
	for _, typ := range []struct{ name, a, b string }{
		{"numeric", "1.0", "1.00"},
		{"json", `{"a":1}`, `{"a": 1}`},
		{"char(5)", "a", "b"},
		{"int[]", "{1}", "{2}"},
		{"double precision", "0", "-0"},
		{"timestamptz", "2020-01-01", "2021-01-01"},
		{"interval", "24:00", "1 day"},
	} {
		t.Run(typ.name, func(t *testing.T) {
			e := newEnv(t, "CREATE TABLE users (id int PRIMARY KEY, name "+typ.name+"); INSERT INTO users VALUES (1, '"+typ.a+"');")
			p := e.proxy(0)
			p.start()
			e.exec("UPDATE users SET name = '" + typ.b + "'")
			e.want("SELECT record_image_eq(ROW(name), ROW(full_name)) FROM users", "true")
			e.exec("UPDATE users SET full_name = '" + typ.a + "'")
			e.want("SELECT record_image_eq(ROW(name), ROW('"+typ.a+"'::"+typ.name+")) FROM users", "true")
			e.fails("INSERT INTO users VALUES (2, '"+typ.a+"', '"+typ.b+"')", "23000")
			p.advance(lens.Backfilling)
			p.at(lens.Backfilling, lens.NoStep, true)
		})
	}
}

// TestGuardTakenAway shows that a guard that was switched off for a time takes "proved" back, and how it is proved again.
func TestGuardTakenAway(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.bring(lens.SwitchReads)
	trigger := `"~segue_users_full_name"`
	e.exec("ALTER TABLE users DISABLE TRIGGER "+trigger, "UPDATE users SET name = 'past the guard' WHERE id IN (3, 4)", "ALTER TABLE users ENABLE ALWAYS TRIGGER "+trigger)
	if m := p.migration(); m.Gate.Ready || !strings.Contains(strings.Join(m.Gate.Missing, ";"), "switched off") {
		t.Fatalf("gate: %+v", m.Gate)
	}
	if err := p.goTo(lens.Contract); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "the guard is not the one") {
		t.Fatalf("error: %q", text)
	}
	p.at(lens.SwitchReads, lens.NoStep, false)
	if err := p.Verify(context.Background(), "users_full_name", false); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "--repair") {
		t.Fatalf("error: %q", text)
	}
	p.ok(p.Verify(context.Background(), "users_full_name", true))
	p.at(lens.SwitchReads, lens.NoStep, true)
	e.want("SELECT name FROM users WHERE id = 3", "user 3") // the phase reads the new side
	p.advance(lens.Contract)

	e.exec("DROP TRIGGER " + trigger + " ON users")
	if err := p.goTo(lens.Complete); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "the guard is not the one") {
		t.Fatalf("error: %q", text)
	}
	p.ok(p.Verify(context.Background(), "users_full_name", true))
	e.exec("UPDATE users SET name = 'guarded' WHERE id = 5")
	e.want("SELECT full_name FROM users WHERE id = 5", "guarded")
	p.advance(lens.Complete)
}
