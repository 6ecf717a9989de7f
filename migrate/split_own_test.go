package migrate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// TestSplitRequired splits off a column that is NOT NULL: old code gets its error at once, in every phase; new code, which writes the source first, when its transaction ends.
func TestSplitRequired(t *testing.T) {
	e := newEnv(t, `CREATE TABLE users (id bigint PRIMARY KEY, name text, address text NOT NULL DEFAULT 'nowhere', zip text);
		GRANT SELECT, INSERT, UPDATE, DELETE ON users TO web;
		INSERT INTO users VALUES (1, 'x', 'a', NULL), (2, 'x', 'b', 'z');`)
	before := e.dump()
	p := e.proxy(0)
	p.split(splitOf(map[string]string{"id": "user_id"}, map[string]string{"address": "street", "zip": "zip"}, "user_id bigint PRIMARY KEY REFERENCES public.users ON DELETE CASCADE, street text, zip text", ""))
	e.fails("INSERT INTO users VALUES (3, 'x', NULL)", "23502")
	p.splitTo(lens.Backfilling)
	e.fails("DELETE FROM addresses", "23502") // new code is not served yet
	p.splitTo(lens.SwitchReads)
	m, err := readMigration(context.Background(), e.super, "user_addresses")
	if err != nil {
		t.Fatal(err)
	}
	if required := m.Guard.Target.Required; len(required) != 1 || required[0] != "address" {
		t.Fatalf("the proxies are told that %q are required", required)
	}
	web := pgtest.Connect(t, pgtest.Shared().DSNAs("web", e.db))
	run := func(sql ...string) string {
		for _, s := range sql {
			if _, err := web.Exec(context.Background(), s); err != nil {
				if _, rollback := web.Exec(context.Background(), "ROLLBACK"); rollback != nil {
					t.Fatal(rollback)
				}
				return sqlState(err)
			}
		}
		return ""
	}
	const first = "INSERT INTO users (id, name, address, zip) VALUES (3, 'x', CASE WHEN segue.absent_user_addresses() THEN NULL END, NULL)"
	for _, c := range []struct {
		sql  []string
		want string
	}{
		{[]string{"INSERT INTO users VALUES (3, 'x', NULL)"}, "23502"},
		{[]string{"UPDATE users SET address = NULL"}, "23502"},
		{[]string{first}, "23502"},
		{[]string{"BEGIN", first, "COMMIT"}, "23502"},
		{[]string{"BEGIN", first, "INSERT INTO addresses VALUES (3, 'c')", "COMMIT"}, ""},
		{[]string{"DELETE FROM addresses WHERE user_id = 3"}, "23502"},
		{[]string{"BEGIN", "DELETE FROM addresses WHERE user_id = 3", "INSERT INTO addresses VALUES (3, 'd')", "COMMIT"}, ""},
		{[]string{"UPDATE addresses SET street = NULL, zip = 'zip' WHERE user_id = 3"}, "23502"},
		{[]string{"BEGIN", "DELETE FROM addresses WHERE user_id = 3", "DELETE FROM users WHERE id = 3", "COMMIT"}, ""},
		{[]string{"INSERT INTO users (id) VALUES (4)"}, ""},
	} {
		if got := run(c.sql...); got != c.want {
			t.Errorf("%s: %q, not %q", strings.Join(c.sql, "; "), got, c.want)
		}
	}
	e.want("SELECT string_agg(user_id || street, ' ' ORDER BY user_id) FROM addresses", "1a 2b 4nowhere")
	// The error is the server's own, row and all.
	e.exec(`CREATE TABLE own (id bigint PRIMARY KEY, name text, address text NOT NULL DEFAULT 'nowhere', zip text, "Odd ""one" boolean, c char(3))`, `ALTER TABLE users ADD "Odd ""one" boolean, ADD c char(3)`)
	failing := func(table string) pgconn.PgError {
		t.Helper()
		_, err := e.super.Exec(context.Background(), "INSERT INTO "+table+" VALUES (9, '"+strings.Repeat("ö", 40)+"', NULL, 'a, b', true, 'x')")
		var pg *pgconn.PgError
		if !errors.As(err, &pg) {
			t.Fatal(err)
		}
		return pgconn.PgError{Code: pg.Code, Message: strings.ReplaceAll(pg.Message, "users", "own"), Detail: pg.Detail, SchemaName: pg.SchemaName, ColumnName: pg.ColumnName}
	}
	if got, want := failing("users"), failing("own"); got != want {
		t.Errorf("old code's NULL: %+v, not %+v", got, want)
	}
	e.exec(`ALTER TABLE users DROP "Odd ""one", DROP c`, "DROP TABLE own")
	p.splitTo(lens.Contract)
	// From new-only on, old code is gone; cut off there and after, the way back is whole.
	for _, point := range []string{"settled new-only", "settled write-new"} {
		p.hooks.on(point, die)
		if err := p.goSplit(lens.Complete); err != nil {
			t.Fatal(err)
		}
		p.finished()
		p.hooks.on(point, nil)
		if point == "settled write-new" {
			e.want("SELECT count(*) FROM pg_attrdef WHERE adrelid = 'users'::regclass", "0")
			if got := run("BEGIN", "INSERT INTO users (id) VALUES (5)", "INSERT INTO addresses VALUES (5, 'e')", "COMMIT"); got != "" {
				t.Errorf("new code's rows in the last step: %s", got)
			}
		}
		p.splitBack(lens.Contract)
		if got := run("INSERT INTO users VALUES (6, 'x', NULL)"); got != "23502" {
			t.Errorf("after the way back from %s, old code's NULL: %q", point, got)
		}
	}
	p.ok(p.Verify(context.Background(), "user_addresses", true))
	p.splitBack(lens.Backfilling)
	e.want("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'address'", "true")
	p.splitBack(lens.Pending)
	p.ok(p.Drop(context.Background(), "user_addresses"))
	if got := e.dump(); got != before {
		t.Fatalf("the schema is not what it was:\n%s", got)
	}
}

// TestSplitBesideOtherTriggers has triggers of the tables' own edit, suppress and write again what the guard is to keep in step.
func TestSplitBesideOtherTriggers(t *testing.T) {
	e := newEnv(t, emptyUsers+`
		CREATE FUNCTION lower_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.address := lower(NEW.address); RETURN NEW; END';
		CREATE TRIGGER lower_it BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION lower_it();
		CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE public.users SET address = NEW.address || ''!'' WHERE id = NEW.id; RETURN NULL; END';
		CREATE TRIGGER again AFTER UPDATE ON users FOR EACH ROW WHEN (NEW.name = 'again' AND right(NEW.address, 1) <> '!') EXECUTE FUNCTION again();
		CREATE FUNCTION write_other(i bigint) RETURNS text LANGUAGE sql AS 'UPDATE public.users SET address = ''function'' WHERE id = 1; SELECT ''outer'' || i';
		CREATE TABLE audit (what text);
		CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (TG_TABLE_NAME); RETURN NULL; END';
		CREATE TRIGGER log_it AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION log_it();
		CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE FUNCTION upper_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := upper(NEW.address); RETURN NEW; END';`)
	p := e.proxy(0)
	p.split(splitWith("ON DELETE CASCADE"))
	p.splitTo(lens.SwitchReads)
	content := func(want string) {
		t.Helper()
		e.agreed()
		if got := e.content(); got != want {
			t.Errorf("got %s, not %s", got, want)
		}
	}
	e.exec("INSERT INTO users VALUES (1, 'x', 'A'), (2, 'x', 'B')")
	content("1=a 2=b / 1=a 2=b")
	e.exec("UPDATE addresses SET address = 'NEW' WHERE user_id = 1")
	content("1=new 2=b / 1=new 2=b")
	e.exec("CREATE TRIGGER log_it AFTER INSERT OR UPDATE ON addresses FOR EACH ROW EXECUTE FUNCTION log_it()", "UPDATE users SET address = 'BB' WHERE id = 2")
	e.want("SELECT string_agg(what, ' ') FROM audit", "users users addresses") // found by the writer's search path, from within the guard, too
	e.exec("UPDATE users SET name = 'again', address = 'c' WHERE id = 2", "UPDATE users SET name = 'x'")
	content("1=new 2=c! / 1=new 2=c!")
	e.exec("UPDATE users SET address = CASE id WHEN 2 THEN write_other(id) ELSE 'first' END WHERE id IN (1, 2)")
	content("1=function 2=outer2 / 1=function 2=outer2") // the first row was written again before the statement was through
	e.exec("TRUNCATE users, addresses", "INSERT INTO users VALUES (1, 'x', 'a')",
		"CREATE TRIGGER upper_it BEFORE INSERT OR UPDATE ON addresses FOR EACH ROW EXECUTE FUNCTION upper_it()", "UPDATE users SET address = 'd' WHERE id = 1")
	content("1=d / 1=d:D")
	// What is suppressed on the other side is an error, not a difference.
	e.exec("CREATE TRIGGER suppress BEFORE UPDATE ON addresses FOR EACH ROW EXECUTE FUNCTION suppress()")
	e.fails("UPDATE users SET address = 'e' WHERE id = 1", "23000")
	e.exec("DROP TRIGGER suppress ON addresses", "CREATE TRIGGER suppress BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION suppress()")
	e.fails("UPDATE addresses SET address = 'e' WHERE user_id = 1", "23000")
	content("1=d / 1=d:D")
	// A trigger of the target's own that edits what has moved: the source follows.
	e.exec("DROP TRIGGER suppress ON users", "DROP TRIGGER lower_it ON users", "CREATE OR REPLACE FUNCTION upper_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.address := upper(NEW.address); RETURN NEW; END'",
		"UPDATE users SET address = 'f' WHERE id = 1")
	content("1=F / 1=F:D")
	e.exec("INSERT INTO users VALUES (2, 'x', 'g')")
	content("1=F 2=G / 1=F:D 2=G")
}

// TestSplitRepair makes differences past the guard: each is found, from either side, and mended.
func TestSplitRepair(t *testing.T) {
	e := newEnv(t, emptyUsers+"INSERT INTO users SELECT i, 'x', CASE WHEN i % 2 = 0 THEN 'a' || i END FROM generate_series(1, 40) i;")
	p := e.proxy(0)
	p.split(splitWith(""))
	spoil := func(sql ...string) {
		t.Helper()
		m, err := readMigration(context.Background(), e.super, "user_addresses")
		if err != nil {
			t.Fatal(err)
		}
		s, err := readSplit(context.Background(), e.super, m)
		if err != nil {
			t.Fatal(err)
		}
		e.exec("ALTER TABLE users DISABLE TRIGGER USER", "ALTER TABLE addresses DISABLE TRIGGER USER")
		e.exec(sql...)
		for _, x := range s.triggers() {
			e.exec("ALTER TABLE " + x.table + " ENABLE ALWAYS TRIGGER " + x.name)
		}
	}
	for _, c := range []struct {
		phase lens.Phase
		want  string
	}{
		{lens.Backfilling, "2=a2 4=past 6=- / 2=a2 4=past"},
		{lens.SwitchReads, "2=a2 4=apart 6=added / 2=a2 4=apart 6=added"},
	} {
		p.splitTo(c.phase)
		spoil("DELETE FROM addresses WHERE user_id = 2", "UPDATE users SET address = 'past' WHERE id = 4", "UPDATE addresses SET address = 'apart' WHERE user_id = 4",
			"UPDATE users SET address = NULL WHERE id = 6", "DELETE FROM addresses WHERE user_id = 6", "INSERT INTO addresses VALUES (6, 'added'), (99, 'orphan')")
		if err := p.Verify(context.Background(), "user_addresses", false); err != nil {
			t.Fatal(err)
		}
		if text := p.finished(); !strings.Contains(text, "--repair") {
			t.Fatalf("at %s: %q", c.phase, text)
		}
		p.ok(p.Verify(context.Background(), "user_addresses", true))
		e.agreed()
		p.at(c.phase, lens.NoStep, true)
		e.exec("CREATE TEMP TABLE kept AS SELECT * FROM users", "DELETE FROM users WHERE id NOT IN (2, 4, 6)")
		if got := e.content(); got != c.want {
			t.Errorf("at %s: %s, not %s", c.phase, got, c.want)
		}
		e.exec("DELETE FROM users", "INSERT INTO users SELECT * FROM kept", "DROP TABLE kept", "UPDATE users SET address = 'a' || id WHERE id IN (2, 4, 6)")
	}
	v := p.migration().Verify
	if v.Apart != 0 || v.Rows != 40 {
		t.Errorf("the last scan found %+v", v)
	}
}

// TestSplitGrantsOfLater grants privileges on the source once its target stands: they are named, and each step brings them to the target, for old code runs as the role that has them.
func TestSplitGrantsOfLater(t *testing.T) {
	e := newEnv(t, emptyUsers+"INSERT INTO users VALUES (1, 'x', 'a');")
	p := e.proxy(0)
	p.split(splitOf(map[string]string{"id": "user_id"}, map[string]string{"address": "address"}, "id bigserial PRIMARY KEY, user_id bigint NOT NULL UNIQUE REFERENCES public.users, address text", ""))
	late := `late "role" ` + e.db
	name := pgx.Identifier{late}.Sanitize()
	e.exec("CREATE ROLE " + name)
	e.t.Cleanup(func() { e.exec("DROP OWNED BY "+name, "DROP ROLE "+name) })
	as := func(sql string) string {
		e.t.Helper()
		e.exec("SET ROLE " + name)
		defer e.exec("RESET ROLE")
		_, err := e.super.Exec(context.Background(), sql)
		return sqlState(err)
	}
	const insert = "INSERT INTO public.users SELECT 1 + max(id), 'x', 'b' FROM public.users"
	gate := func(to lens.Phase) string {
		e.t.Helper()
		m, err := readMigration(context.Background(), e.super, "user_addresses")
		if err != nil {
			t.Fatal(err)
		}
		missing, err := gate(context.Background(), e.super, m, to, gateOptions{yes: true})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(missing, "\n")
	}
	e.exec("GRANT SELECT, INSERT ON users TO "+name, "GRANT UPDATE (address), DELETE ON users TO "+name+" WITH GRANT OPTION")
	if got := as(insert); got != "42501" {
		t.Fatalf("before the grants are brought along: %q", got)
	}
	for _, want := range []string{"GRANT USAGE ON SEQUENCE public.addresses_id_seq TO " + name, "GRANT UPDATE ON public.addresses TO " + name + " WITH GRANT OPTION", "segue advance user_addresses"} {
		if got := gate(lens.SwitchReads); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	p.splitTo(lens.Backfilling)
	for _, sql := range []string{insert, "UPDATE public.users SET address = 'c' WHERE id = 1", "DELETE FROM public.users WHERE id = 1"} {
		if got := as(sql); got != "" {
			t.Errorf("%s: %q", sql, got)
		}
	}
	p.splitTo(lens.SwitchReads)
	e.exec("GRANT TRUNCATE ON users TO " + name)
	if got := gate(lens.Contract); !strings.Contains(got, "GRANT TRUNCATE ON public.addresses TO "+name) {
		t.Errorf("once reads have switched, the gate says %q", got)
	}
	p.splitTo(lens.Contract)
	if got := gate(lens.Complete); strings.Contains(got, "GRANT") {
		t.Errorf("in contract, the gate says %q", got)
	}
	// What no grant on the target helps has to be granted on the source.
	e.exec("REVOKE SELECT ON users FROM " + name)
	if got := gate(lens.Complete); !strings.Contains(got, "may write public.users and not read") {
		t.Errorf("of a role that may not read, the gate says %q", got)
	}
	e.agreed()
}
