package migrate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// familyTable has partitions of several kinds: one with its columns elsewhere, one of several levels in another schema, one for the rest.
const familyTable = `
CREATE SCHEMA archive;
CREATE TABLE users (id bigint, kind text, name varchar(40) NOT NULL DEFAULT 'anon', email text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE TABLE users_a (gone int, kind text NOT NULL, email text, name varchar(40) NOT NULL DEFAULT 'anon', id bigint NOT NULL);
ALTER TABLE users_a DROP COLUMN gone;
ALTER TABLE users ATTACH PARTITION users_a FOR VALUES IN ('a');
CREATE TABLE archive.users_b PARTITION OF users FOR VALUES IN ('b', 'c') PARTITION BY HASH (id);
CREATE TABLE archive.users_b0 PARTITION OF archive.users_b FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE archive.users_b1 PARTITION OF archive.users_b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE users_rest PARTITION OF users DEFAULT;
CREATE INDEX users_name_idx ON users (name);
CREATE INDEX a_lower_idx ON users_a (lower(name)) WHERE email IS NOT NULL;
COMMENT ON COLUMN users_a.name IS 'of A';
INSERT INTO users SELECT i, chr(97 + i % 4), 'user ' || i, CASE WHEN i % 3 > 0 THEN i::text END FROM generate_series(1, 2000) i;
`

// childrenTable has inheritance children: one that declares the column itself, and one of two parents.
const childrenTable = `
CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40), email text);
CREATE TABLE staff (name varchar(40), grade int, PRIMARY KEY (id)) INHERITS (users);
CREATE TABLE dated (at date);
CREATE TABLE guests (PRIMARY KEY (id)) INHERITS (dated, users);
CREATE TABLE late (PRIMARY KEY (id)) INHERITS (guests);
CREATE INDEX users_name_idx ON users (name);
CREATE INDEX staff_name_idx ON staff (name, grade);
INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 300) i;
INSERT INTO staff SELECT i, 'staff ' || i FROM generate_series(301, 600) i;
INSERT INTO guests (id, name) SELECT i, 'guest ' || i FROM generate_series(601, 900) i;
INSERT INTO late (id, name) SELECT i, 'late ' || i FROM generate_series(901, 1000) i;
`

// TestFamilies takes tables with partitions and children all the way there, halfway back and all the way, with writes to all that store rows.
func TestFamilies(t *testing.T) {
	for _, f := range []struct {
		name, setup, insert string
		stored              []string
		rows                int
	}{
		{"partitions", familyTable, "INSERT INTO users (id, kind, name) SELECT i, chr(97 + i %% 5), 'late ' || i FROM generate_series(%d, %[1]d + 99) i", []string{
			"users_a", "archive.users_b0", "archive.users_b1", "users_rest",
		}, 2000},
		{"children", childrenTable, "INSERT INTO guests (id, name) SELECT i, 'late ' || i FROM generate_series(%d, %[1]d + 99) i", []string{"ONLY users", "staff", "ONLY guests", "late"}, 1000},
	} {
		t.Run(f.name, func(t *testing.T) {
			e := newEnv(t, f.setup)
			const indexes = `SELECT string_agg(i.indexrelid::regclass::text, ' ' ORDER BY i.indexrelid::regclass::text) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE relnamespace::regnamespace::text IN ('public', 'archive')`
			before, indexesBefore := e.dump(), e.value(indexes)
			p := e.proxy(0)
			next := 10_000
			write := func() {
				t.Helper()
				e.exec(fmt.Sprintf(f.insert, next))
				next += 100
				for _, r := range f.stored {
					e.exec("UPDATE " + r + " SET name = name || '.' WHERE id % 7 = 0")
					e.exec("UPDATE " + r + " SET full_name = full_name || '!' WHERE id % 11 = 0 AND full_name IS NOT NULL")
				}
				e.want("SELECT count(*) FROM users WHERE full_name IS DISTINCT FROM name AND full_name IS NOT NULL", "0")
			}
			p.start()
			write()
			p.advance(lens.Backfilling)
			p.at(lens.Backfilling, lens.NoStep, true)
			write()
			if m := p.migration(); m.Verify.Rows != int64(f.rows+100) || m.Backfill.RowsTotal != int64(f.rows+100) {
				t.Errorf("%+v %+v", m.Backfill, m.Verify)
			}
			e.want("SELECT count(*) FROM users WHERE full_name IS DISTINCT FROM name", "0")
			e.want("SELECT count(*) - count(*) FILTER (WHERE indisvalid) FROM pg_index", "0")
			p.rollback(lens.Pending)
			if after := e.dump(); after != before {
				t.Fatalf("the schema after the rollback:\n%s", after)
			}

			p.advance(lens.Contract)
			write()
			const below = `attrelid::regclass::text ~ 'users_|staff|guests|late' AND attnum > 0 AND attname = 'name'`
			old := e.value("SELECT string_agg(attrelid::int || ' ' || attnum, ', ' ORDER BY attrelid::int) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relkind IN ('r', 'p') AND " + below)
			p.advance(lens.Complete)
			for _, r := range append(f.stored, "users") {
				e.fails("SELECT name FROM "+r, "42703")
			}
			e.want("SELECT string_agg(m.key || ' ' || (m.value->>'name'), ', ' ORDER BY m.key::int) FROM segue.migration, jsonb_each(members) m", old)
			e.want("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~segue%'", "0")
			e.want(indexes, indexesBefore)
			e.want("SELECT count(*) FROM users WHERE id >= 10000 AND full_name LIKE 'late%'", "300")
		})
	}
}

// TestPartitionsComeAndGo has partitions made, attached and detached while the migration is proved: what was made with the guard costs no proof; what was attached with
// rows that do not agree does.
func TestPartitionsComeAndGo(t *testing.T) {
	e := newEnv(t, strings.ReplaceAll(familyTable, "NOT NULL DEFAULT 'anon'", "")) // or else a CHECK would have to be in what is attached
	p := e.proxy(0)
	p.start()
	p.advance(lens.SwitchReads)
	e.exec("SET ROLE control", "DELETE FROM users WHERE kind = 'd'", "CREATE TABLE users_d PARTITION OF users FOR VALUES IN ('d')", "INSERT INTO users (id, kind, name) VALUES (1, 'd', 'Dora')",
		"ALTER TABLE users DETACH PARTITION users_a")
	if m := p.migration(); m.Gate.Ready || !strings.Contains(strings.Join(m.Gate.Missing, ";"), "public.users_d came since") {
		t.Fatalf("%+v", m.Gate)
	}
	p.advance(lens.Contract)
	p.at(lens.Contract, lens.NoStep, true)
	e.want("SELECT count(*) FROM segue.event WHERE action = 'adopted'", "1")
	e.want("SELECT count(*) FROM segue.event WHERE action = 'unprove'", "0")
	p.rollback(lens.SwitchReads)

	// It comes with a column that is not filled, and with one that says otherwise.
	e.exec("CREATE TABLE users_e (LIKE users INCLUDING ALL)", "INSERT INTO users_e (id, kind, name) VALUES (1, 'e', 'Emil')", "ALTER TABLE users ATTACH PARTITION users_e FOR VALUES IN ('e')")
	p.advance(lens.Contract)
	p.at(lens.Contract, lens.NoStep, true)
	e.want("SELECT full_name FROM users WHERE kind = 'e'", "Emil")
	p.rollback(lens.SwitchReads)
	e.exec("CREATE TABLE users_f (LIKE users INCLUDING ALL)", "INSERT INTO users_f (id, kind, name, full_name) VALUES (1, 'f', 'Fay', 'Not Fay')",
		"ALTER TABLE users ATTACH PARTITION users_f FOR VALUES IN ('f')")
	if err := p.goTo(lens.Contract); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "proved") {
		t.Fatalf("got %q", text)
	}
	p.at(lens.SwitchReads, lens.NoStep, false)
	p.ok(p.Verify(context.Background(), "users_full_name", true))
	p.at(lens.SwitchReads, lens.NoStep, true)

	// A partition's guard that was off for a while.
	e.exec(`ALTER TABLE users_f DISABLE TRIGGER "~segue_users_full_name"`, "UPDATE users_f SET name = 'Faith'", `ALTER TABLE users_f ENABLE TRIGGER "~segue_users_full_name"`)
	if err := p.goTo(lens.Contract); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "guard") {
		t.Fatalf("got %q", text)
	}
	p.at(lens.SwitchReads, lens.NoStep, false)
	p.ok(p.Verify(context.Background(), "users_full_name", true))
	p.advance(lens.Complete)
	e.want("SELECT string_agg(full_name, ' ' ORDER BY kind) FROM users WHERE kind > 'c' AND id = 1", "Dora Emil Not Fay")
	e.want("SELECT count(*) FROM pg_index WHERE NOT indisvalid", "0")
}

// TestChildWithoutGuard makes an inheritance child, which PostgreSQL gives no trigger of its parent's.
func TestChildWithoutGuard(t *testing.T) {
	e := newEnv(t, childrenTable)
	p := e.proxy(0)
	p.start()
	p.advance(lens.SwitchReads)
	e.exec("SET ROLE control", "CREATE TABLE robots (PRIMARY KEY (id)) INHERITS (users)", "INSERT INTO robots (id, name) VALUES (5000, 'R2')")
	if err := p.goTo(lens.Contract); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "guard") {
		t.Fatalf("got %q", text)
	}
	p.at(lens.SwitchReads, lens.NoStep, false)
	p.ok(p.Verify(context.Background(), "users_full_name", true))
	p.advance(lens.Complete)
	e.want("SELECT full_name FROM robots", "R2")
}

// TestPartsOfMirrors ends the building of a partitioned table's mirror between its parts, and leaves an invalid part behind.
func TestPartsOfMirrors(t *testing.T) {
	e := newEnv(t, familyTable)
	p := e.proxy(0)
	p.start()
	n := 0
	p.hooks.all(func(point string) error {
		if strings.HasPrefix(point, "mirror ") {
			if n++; n == 4 {
				return errTest
			}
		}
		return nil
	})
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); text == "" {
		t.Fatal("the work was to end")
	}
	p.hooks.all(nil)
	e.exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT oid FROM pg_class WHERE relname LIKE 'a\\_lower\\_idx\\_segue%')",
		"SET ROLE control", "DELETE FROM users WHERE kind = 'd'", "CREATE TABLE users_d PARTITION OF users FOR VALUES IN ('d')", "RESET ROLE")
	p.advance(lens.Backfilling)
	e.want("SELECT count(*) FROM pg_index WHERE NOT indisvalid", "0")
	p.advance(lens.Complete)
	e.want("SELECT count(*) FROM pg_class WHERE relname ~ 'segue_[0-9a-f]{8}'", "0")
}

// TestFamilyOfAnotherType changes a type over partitions: with a check of its old values, indexes for both sides and one for what old code reads, and the rows examined first.
func TestFamilyOfAnotherType(t *testing.T) {
	e := newEnv(t, `
		CREATE TABLE products (id bigint, price varchar(20) NOT NULL DEFAULT '0' CHECK (price <> '13'), label text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
		CREATE TABLE products_1 PARTITION OF products FOR VALUES FROM (0) TO (500);
		CREATE TABLE products_2 (label text, price varchar(20) NOT NULL DEFAULT '0' CONSTRAINT products_price_check CHECK (price <> '13'), id bigint NOT NULL);
		ALTER TABLE products ATTACH PARTITION products_2 FOR VALUES FROM (500) TO (1000);
		CREATE INDEX products_price_idx ON products (price);
		CREATE INDEX products_lower_idx ON products (label, lower(price)) WHERE price <> '1';
		INSERT INTO products SELECT i, i, 'label ' || i FROM generate_series(1, 900) i WHERE i <> 13;`)
	before := e.dump()
	p := e.proxy(0)
	ctx, def := context.Background(), products()
	to := func(phase lens.Phase) {
		t.Helper()
		p.ok(p.Advance(ctx, def.Name, proxy.AdvanceOptions{To: &phase, Yes: true}))
	}
	e.exec("SET ROLE control", "INSERT INTO products VALUES (999, 'dear')")
	if err := p.Start(ctx, &def, proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "1 of 900 rows do not convert: (999)") {
		t.Fatalf("got %q", text)
	}
	e.exec("DELETE FROM products WHERE id = 999", "RESET ROLE")
	p.ok(p.Start(ctx, &def, proxy.StartOptions{}))
	e.fails("INSERT INTO products_2 (id, price) VALUES (998, 'dear')", "22P02")
	to(lens.Contract)
	e.want("SELECT count(*) FROM pg_index WHERE indrelid::regclass::text ~ 'products_[12]' AND indisvalid", "14") // of which one each is for new code's lookups
	e.exec("INSERT INTO products_2 (id, price) VALUES (997, '42')", "UPDATE products_1 SET price = '7' WHERE id = 7")
	e.want("SELECT string_agg(price || ' ' || price_v2, ', ' ORDER BY id) FROM products WHERE id IN (7, 997)", "7 7, 42 42")
	pending := lens.Pending
	p.ok(p.Rollback(ctx, def.Name, proxy.AdvanceOptions{To: &pending}))
	if after := e.dump(); after != before {
		t.Fatalf("the schema after the rollback:\n%s", after)
	}
	to(lens.Complete)
	p.ok(p.Retire(ctx, def.Name, proxy.RetireOptions{}))
	e.want("SELECT count(*) FROM pg_class WHERE relname LIKE 'segue%' AND relkind IN ('i', 'I')", "0")
	e.want("SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = 'products'::regclass", "products_pkey products_price_idx")
	e.want("SELECT price_v2 FROM products WHERE id = 997", "42")
}

// TestFamilyIsLockedFromTheTop has a transaction in the middle of a statement, with the table locked and its partitions not yet, while the schema is changed: the change waits
// for it, and it does not wait for the change.
func TestFamilyIsLockedFromTheTop(t *testing.T) {
	e := newEnv(t, familyTable)
	app := pgtest.Connect(t, pgtest.Shared().DSN(e.db))
	const waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'users'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted)"
	meet := func(what string) {
		t.Helper()
		until(t, what+" to wait for the table", func() bool { return e.value(waits) == "true" })
		pgtest.Exec(t, app, "SET LOCAL lock_timeout = '200ms'", "SELECT count(*) FROM archive.users_b0", "SELECT count(*) FROM archive.users_b1", "SELECT count(*) FROM users_a", "COMMIT")
	}
	p := e.proxy(0)
	p.start()
	var attach sync.WaitGroup
	met := false
	p.hooks.all(func(point string) error {
		if !met && strings.HasPrefix(point, "before attach the index archive.users_b1_") { // the one that is built last makes the whole valid
			met = true
			pgtest.Exec(t, app, "BEGIN", "LOCK TABLE ONLY users IN ROW EXCLUSIVE MODE")
			attach.Go(func() { meet(point) })
		}
		return nil
	})
	p.advance(lens.Backfilling)
	attach.Wait()
	if !met {
		t.Fatal("no index was attached")
	}
	p.hooks.all(func(point string) error {
		if point == "before pending" {
			pgtest.Exec(t, app, "BEGIN", "LOCK TABLE ONLY users IN ROW EXCLUSIVE MODE")
			attach.Go(func() { meet("the rollback") })
		}
		return nil
	})
	p.rollback(lens.Pending)
	attach.Wait()
}
