package migrate

import (
	"context"
	"strings"
	"testing"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

const emptyUsers = `
CREATE TABLE users (id bigint PRIMARY KEY, name text, address text);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON users TO web;
`

// splitWith is a split of users with a foreign key that ends so; "" for none.
func splitWith(foreign string) *lens.Definition {
	if foreign != "" {
		foreign = " REFERENCES public.users (id) " + foreign
	}
	return splitOf(map[string]string{"id": "user_id"}, map[string]string{"address": "address"}, "user_id bigint PRIMARY KEY"+foreign+", address text, note text", "")
}

// content writes both tables as old and as new code see them.
func (e *env) content() string {
	return e.value("SELECT (SELECT COALESCE(string_agg(id || '=' || COALESCE(address, '-'), ' ' ORDER BY id), '') FROM users) || ' / ' || (SELECT COALESCE(string_agg(user_id || '=' || COALESCE(address, '-') || COALESCE(':' || note, ''), ' ' ORDER BY user_id), '') FROM addresses)")
}

// TestSplitGuardMatrix writes directly, as a session does that bypasses the proxies, to either table; after each write both agree, or the write has failed.
func TestSplitGuardMatrix(t *testing.T) {
	const orphan, formless = "23503", "0A000"
	type write struct{ sql, want string }
	for _, foreign := range []string{"", "ON DELETE CASCADE ON UPDATE CASCADE", "ON DELETE RESTRICT", "ON DELETE NO ACTION"} {
		t.Run("foreign key "+foreign, func(t *testing.T) {
			setup, def := emptyUsers, splitWith(foreign)
			if foreign == "ON DELETE RESTRICT" { // a key of a domain, over one with a CHECK, that takes no NULL
				setup = "CREATE DOMAIN number AS bigint CHECK (VALUE > -100); CREATE DOMAIN row_key AS number NOT NULL;" + strings.Replace(setup, "id bigint", "id row_key", 1)
				def.SplitTable.Create = strings.Replace(def.SplitTable.Create, "user_id bigint", "user_id public.row_key", 1)
			}
			e := newEnv(t, setup)
			p := e.proxy(0)
			p.split(def)
			p.splitTo(lens.SwitchReads)
			web := pgtest.Connect(t, pgtest.Shared().DSNAs("web", e.db))
			begin := "1=a 2=b 3=- / 1=a:n1 2=b"
			for _, w := range []write{
				// Old code.
				{"INSERT INTO users VALUES (4, 'x', 'd')", "1=a 2=b 3=- 4=d / 1=a:n1 2=b 4=d"},
				{"INSERT INTO users VALUES (4, 'x', NULL)", "1=a 2=b 3=- 4=- / 1=a:n1 2=b"},
				{"UPDATE users SET address = 'z' WHERE id = 1", "1=z 2=b 3=- / 1=z:n1 2=b"},
				{"UPDATE users SET address = NULL WHERE id = 1", "1=- 2=b 3=- / 2=b"},
				{"UPDATE users SET address = 'c' WHERE id = 3", "1=a 2=b 3=c / 1=a:n1 2=b 3=c"},
				{"UPDATE users SET name = 'other'", begin},
				{"UPDATE users SET id = 9 WHERE id = 1", "2=b 3=- 9=a / 2=b 9=a:n1"},
				{"UPDATE users SET id = 9, address = 'z' WHERE id = 1", "2=b 3=- 9=z / 2=b 9=z:n1"},
				{"UPDATE users SET id = 9, address = NULL WHERE id = 1", "2=b 3=- 9=- / 2=b"},
				{"UPDATE users SET id = 9, address = 'c' WHERE id = 3", "1=a 2=b 9=c / 1=a:n1 2=b 9=c"},
				{"DELETE FROM users WHERE id = 1", "2=b 3=- / 2=b"},
				{"DELETE FROM users", " / "},
				{"INSERT INTO users VALUES (1, 'x', 'z') ON CONFLICT (id) DO UPDATE SET address = EXCLUDED.address", "1=z 2=b 3=- / 1=z:n1 2=b"},
				{"INSERT INTO users VALUES (3, 'x', 'z') ON CONFLICT (id) DO UPDATE SET address = EXCLUDED.address", "1=a 2=b 3=z / 1=a:n1 2=b 3=z"},
				{"MERGE INTO users u USING (VALUES (1, 'm'), (4, 'n')) v (id, a) ON u.id = v.id WHEN MATCHED THEN UPDATE SET address = a WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'x', a)", "1=m 2=b 3=- 4=n / 1=m:n1 2=b 4=n"},
				{"WITH d AS (DELETE FROM users WHERE id = 1 RETURNING *) INSERT INTO users SELECT 7, name, address FROM d", "2=b 3=- 7=a / 2=b 7=a"},
				{"WITH d AS (DELETE FROM users WHERE id = 1 RETURNING *) INSERT INTO users SELECT id, name, 'again' FROM d", "1=again 2=b 3=- / 1=again 2=b"},
				{"WITH d AS (DELETE FROM users WHERE id = 1 RETURNING *) UPDATE users u SET id = 1 FROM d WHERE u.id = 2", "1=b 3=- / 1=b"},
				{"WITH d AS (DELETE FROM users WHERE id = 1 RETURNING *) UPDATE users u SET id = 1 FROM d WHERE u.id = 3", "1=- 2=b / 2=b"},
				{"WITH u AS (UPDATE users SET address = 'w' WHERE id = 1) UPDATE users SET address = 'v' WHERE id = 2", "1=w 2=v 3=- / 1=w:n1 2=v"},
				{"TRUNCATE users, addresses", " / "},
				// New code.
				{"INSERT INTO addresses VALUES (3, 'c', 'n3')", "1=a 2=b 3=c / 1=a:n1 2=b 3=c:n3"},
				{"INSERT INTO addresses (user_id, address) SELECT 3, 'c'", "1=a 2=b 3=c / 1=a:n1 2=b 3=c"},
				{"INSERT INTO addresses VALUES (8, 'c')", orphan},
				{"INSERT INTO addresses VALUES (3, NULL)", formless},
				{"UPDATE addresses SET address = NULL WHERE user_id = 1", formless},
				{"UPDATE addresses SET address = 'z' WHERE user_id = 1 AND segue.lock_user_addresses(user_id)", "1=z 2=b 3=- / 1=z:n1 2=b"},
				{"UPDATE addresses SET note = 'new' WHERE user_id = 1", "1=a 2=b 3=- / 1=a:new 2=b"},
				{"UPDATE addresses SET user_id = 3 WHERE user_id = 1", "1=- 2=b 3=a / 2=b 3=a:n1"},
				{"UPDATE addresses SET user_id = user_id + 1", "1=- 2=a 3=b / 2=a:n1 3=b"},
				{"UPDATE addresses SET user_id = 8 WHERE user_id = 1", orphan},
				{"DELETE FROM addresses WHERE user_id = 1", "1=- 2=b 3=- / 2=b"},
				{"DELETE FROM addresses", "1=- 2=- 3=- / "},
				{"INSERT INTO addresses VALUES (1, 'z') ON CONFLICT (user_id) DO UPDATE SET address = EXCLUDED.address", "1=z 2=b 3=- / 1=z:n1 2=b"},
				{"INSERT INTO addresses VALUES (1, 'z') ON CONFLICT DO NOTHING", begin},
				{"TRUNCATE addresses", "1=- 2=- 3=- / "},
				{"DELETE FROM users WHERE id = 1 AND segue.alone_user_addresses(id)", map[bool]string{true: formless, false: orphan}[foreign == ""]},
				{"DELETE FROM users WHERE id = 3 AND segue.alone_user_addresses(id)", "1=a 2=b / 1=a:n1 2=b"},
			} {
				if strings.Contains(w.sql, "user_id + 1") { // in this order, no key is there twice at a time
					e.exec("BEGIN", "INSERT INTO users VALUES (2, 'x', 'b'), (1, 'x', 'a'), (3, 'x', NULL)", "UPDATE addresses SET note = 'n1' WHERE user_id = 1", "COMMIT")
				} else {
					e.exec("INSERT INTO users VALUES (1, 'x', 'a'), (2, 'x', 'b'), (3, 'x', NULL)", "UPDATE addresses SET note = 'n1' WHERE user_id = 1")
				}
				if got := e.content(); got != begin {
					t.Fatalf("it begins with %s", got)
				}
				_, err := web.Exec(context.Background(), w.sql)
				got := e.content()
				switch {
				case w.want == orphan || w.want == formless:
					if sqlState(err) != w.want {
						t.Errorf("%s: got %v, not %s", w.sql, err, w.want)
					} else if got != begin {
						t.Errorf("%s failed and left %s", w.sql, got)
					}
				case err != nil:
					t.Errorf("%s: %v", w.sql, err)
				case got != w.want:
					t.Errorf("%s: got\n%s, not\n%s", w.sql, got, w.want)
				}
				e.agreed()
				e.exec("TRUNCATE users, addresses")
			}
			if foreign == "" {
				e.exec("INSERT INTO users VALUES (1, 'x', 'a'), (2, 'x', 'b')", "TRUNCATE users")
				e.want("SELECT count(*) FROM addresses", "0")
			}
			// TRUNCATE takes rows that the transaction does not see.
			e.exec("INSERT INTO users VALUES (1, 'x', 'a')")
			for sql, want := range map[string]string{"TRUNCATE addresses": formless, "TRUNCATE users, addresses": "", "TRUNCATE users": map[bool]string{true: "", false: formless}[foreign == ""]} {
				pgtest.Exec(t, web, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1")
				e.exec("INSERT INTO users VALUES (7, 'x', 'later')")
				_, err := web.Exec(context.Background(), sql)
				if got := sqlState(err); got != want {
					t.Errorf("%s with an old snapshot: %v, not %q", sql, err, want)
				}
				pgtest.Exec(t, web, "COMMIT")
				e.agreed()
				e.exec("TRUNCATE users, addresses")
			}
			// Logical replication applies as a replica, for which PostgreSQL's own foreign keys do nothing.
			e.exec("SET session_replication_role = replica", "INSERT INTO users VALUES (1, 'x', 'a'), (2, 'x', 'b')", "UPDATE users SET address = 'z' WHERE id = 1", "UPDATE users SET id = 5 WHERE id = 2", "DELETE FROM users WHERE id = 1",
				"UPDATE addresses SET address = 'y' WHERE user_id = 5", "RESET session_replication_role")
			if got := e.content(); got != "5=y / 5=y" {
				t.Errorf("as a replica: %s", got)
			}
		})
	}
}

// TestSplitKeys splits by keys of every kind.
func TestSplitKeys(t *testing.T) {
	for _, c := range []struct {
		name, columns  string
		key            map[string]string
		target, insert string
		moved          map[string]string
	}{
		{
			name: "composite", columns: "tenant int, id uuid DEFAULT gen_random_uuid(), address text, zip varchar(5), PRIMARY KEY (id, tenant)", key: map[string]string{"tenant": "t", "id": "u"},
			target: "u uuid, t int, address text, zip varchar(5), PRIMARY KEY (t, u), FOREIGN KEY (u, t) REFERENCES public.users (id, tenant) ON DELETE CASCADE",
			moved:  map[string]string{"address": "address", "zip": "zip"}, insert: "INSERT INTO users (tenant, address, zip) VALUES (1, 'a', NULL), (1, NULL, '123'), (2, NULL, NULL)",
		},
		{
			name: "identity", columns: "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, address text", key: map[string]string{"id": "u"}, target: "u bigint UNIQUE NOT NULL, address text",
			moved: map[string]string{"address": "address"}, insert: "INSERT INTO users (address) VALUES ('a'), (NULL), ('b')",
		},
		{
			name: "sequence", columns: "id serial PRIMARY KEY, address text", key: map[string]string{"id": "u"}, target: "u int PRIMARY KEY, address text",
			moved: map[string]string{"address": "address"}, insert: "INSERT INTO users (address) VALUES ('a'), (NULL), ('b')",
		},
		{
			name: "volatile default", columns: "id uuid PRIMARY KEY DEFAULT gen_random_uuid(), address text DEFAULT gen_random_uuid()::text", key: map[string]string{"id": "u"}, target: "u uuid PRIMARY KEY, address text",
			moved: map[string]string{"address": "address"}, insert: "INSERT INTO users (address) VALUES ('a'), (NULL), (DEFAULT), (DEFAULT)",
		},
		{
			name: "another unique key", columns: `id int PRIMARY KEY, "Login name" varchar(20) NOT NULL UNIQUE DEFAULT 'n' || trunc(random() * 1e9), address jsonb`, key: map[string]string{"Login name": "u"}, target: "u varchar(20) PRIMARY KEY, address jsonb",
			moved: map[string]string{"address": "address"}, insert: `INSERT INTO users (id, address) VALUES (1, '{"a":  1}'), (2, NULL), (3, '[]')`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, "CREATE TABLE users ("+c.columns+"); "+c.insert)
			p := e.proxy(0)
			p.split(splitOf(c.key, c.moved, c.target, ""))
			p.splitTo(lens.Backfilling)
			p.at(lens.Backfilling, lens.NoStep, true)
			p.splitTo(lens.SwitchReads)
			e.want("SELECT count(*) >= 2 FROM addresses", "true")
			e.exec("UPDATE users SET address = NULL WHERE address IS NOT NULL")
			p.ok(p.Verify(context.Background(), "user_addresses", false))
			p.at(lens.SwitchReads, lens.NoStep, true)
			p.splitTo(lens.Complete)
		})
	}
}

// TestSplitTargetWithKeyOfItsOwn splits into a table as mappers make it, with a key of its own, and takes another migration of it into account.
func TestSplitTargetWithKeyOfItsOwn(t *testing.T) {
	e := newEnv(t, emptyUsers+"INSERT INTO users VALUES (1, 'x', 'a'), (2, 'x', NULL);")
	before := e.dump()
	p := e.proxy(0)
	p.split(splitOf(map[string]string{"id": "user_id"}, map[string]string{"address": "address"},
		"id bigserial PRIMARY KEY, user_id bigint NOT NULL UNIQUE REFERENCES public.users ON DELETE CASCADE, address text, at timestamptz NOT NULL DEFAULT now(), n int GENERATED ALWAYS AS IDENTITY, note text", ""))
	web := pgtest.Connect(t, pgtest.Shared().DSNAs("web", e.db))
	pgtest.Exec(t, web, "UPDATE users SET address = 'b' WHERE id = 2")
	p.splitTo(lens.SwitchReads)
	pgtest.Exec(t, web, "UPDATE addresses SET address = 'c' WHERE user_id = 2", "DELETE FROM users WHERE id = 1", "INSERT INTO users VALUES (3, 'x', NULL)", "INSERT INTO addresses (user_id, address) VALUES (3, 'd')")
	e.agreed()
	e.want("SELECT count(DISTINCT id) || string_agg(address, '' ORDER BY user_id) FROM addresses", "2cd")
	other := &lens.Definition{Name: "notes", Table: lens.TableName{Schema: "public", Name: "addresses"}, RenameColumn: &lens.RenameColumn{From: "note", To: "remark"}}
	ended := func(name string, err error) (text string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the work on "+name+" to end", func() bool {
			for _, m := range p.status().Migrations {
				if m.Name == name && m.Working != "" {
					return false
				} else if m.Name == name {
					text = m.Error
				}
			}
			return true
		})
		return text
	}
	if text := ended("notes", p.Start(context.Background(), other, proxy.StartOptions{})); text != "" {
		t.Fatal(text)
	}
	back := lens.Pending
	text := ended("user_addresses", p.Rollback(context.Background(), "user_addresses", proxy.AdvanceOptions{To: &back}))
	if !strings.Contains(text, "migration notes is under way on public.addresses") {
		t.Fatalf("the way back with another migration on the new table: %q", text)
	}
	if text := ended("notes", p.Rollback(context.Background(), "notes", proxy.AdvanceOptions{To: &back})) + ended("notes", p.Drop(context.Background(), "notes")); text != "" {
		t.Fatal(text)
	}
	p.splitBack(lens.Pending)
	p.ok(p.Drop(context.Background(), "user_addresses"))
	if got := e.dump(); got != before {
		t.Fatalf("the schema is not what it was:\n%s", got)
	}
}
