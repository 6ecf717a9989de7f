package migrate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// TestStartRefuses has one table after another that this build does not migrate. Nothing is changed by any.
func TestStartRefuses(t *testing.T) {
	plain := "CREATE TABLE users (id int PRIMARY KEY, name text, other text);"
	for _, c := range []struct{ name, setup, want string }{
		{"no table", "", "there is no table public.users"},
		{"no column", "CREATE TABLE users (id int PRIMARY KEY);", "has no column name"},
		{"name in use", plain + "ALTER TABLE users ADD full_name text;", "has a column full_name already"},
		{"view", "CREATE VIEW users AS SELECT 1 AS id, 'a' AS name;", "is a view"},
		{"partition key", "CREATE TABLE users (id int, name text, PRIMARY KEY (id, name)) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF users DEFAULT PARTITION BY LIST (name);", "in the partition key of public.part"},
		{"partition", "CREATE TABLE every (id int PRIMARY KEY, name text) PARTITION BY RANGE (id); CREATE TABLE users PARTITION OF every DEFAULT;", "is a partition, whose columns are those of public.every"},
		{
			"partition's default", `CREATE TABLE users (id int PRIMARY KEY, name text DEFAULT 'a') PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF users DEFAULT;
			ALTER TABLE part ALTER name SET DEFAULT 'b';`, "column name of public.part has another default",
		},
		{
			"partition's constraint", `CREATE TABLE users (id int PRIMARY KEY, name text) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF users DEFAULT;
			ALTER TABLE part ALTER name SET NOT NULL;`, "column name of public.part has another NOT NULL",
		},
		{
			"partition's unique index", `CREATE TABLE users (id int PRIMARY KEY, name text) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF users DEFAULT;
			CREATE UNIQUE INDEX ON part (name);`, "column name of public.part is in the unique",
		},
		{"name in use below", plain + "CREATE TABLE more (full_name text, PRIMARY KEY (id)) INHERITS (users);", "has a column full_name already"},
		{"child without key", plain + "CREATE TABLE more () INHERITS (users);", "child public.more has no primary key"},
		{"child", "CREATE TABLE base (name text); CREATE TABLE users (id int PRIMARY KEY) INHERITS (base);", "comes from public.base: migrate that"},
		{"two parents", plain + "CREATE TABLE named (name text); CREATE TABLE more (PRIMARY KEY (id)) INHERITS (users, named);", "from another parent, too"},
		{"not owned below", plain + "CREATE TABLE more (PRIMARY KEY (id)) INHERITS (users); RESET ROLE; ALTER TABLE more OWNER TO postgres; SET ROLE control;", "does not own public.more"},
		{"typed", "CREATE TYPE person AS (id int, name text); CREATE TABLE users OF person (PRIMARY KEY (id));", "typed table"},
		{"no key", "CREATE TABLE users (id int, name text);", "no primary key"},
		{"key", "CREATE TABLE users (id int, name text, PRIMARY KEY (id, name));", "in the primary key"},
		{"deferrable", plain + "ALTER TABLE users ADD UNIQUE (name) DEFERRABLE;", "is DEFERRABLE"},
		{"exclusion", plain + "ALTER TABLE users ADD EXCLUDE USING btree (name WITH =);", "which this build does not mirror"},
		{
			"referenced", plain + "ALTER TABLE users ADD UNIQUE (name); CREATE TABLE names (name text REFERENCES users (name));", "the foreign key names_name_fkey of public.names references an old column",
		},
		{"generated", "CREATE TABLE users (id int PRIMARY KEY, name text GENERATED ALWAYS AS ('x') STORED);", "is generated"},
		{"used by generated", plain + "ALTER TABLE users ADD g text GENERATED ALWAYS AS (lower(name)) STORED;", "a generated column is computed from"},
		{"identity", "CREATE TABLE users (id int PRIMARY KEY, name int GENERATED ALWAYS AS IDENTITY);", "identity column"},
		{"serial", "CREATE TABLE users (id int PRIMARY KEY, name serial);", "is volatile"},
		{"owned sequence", plain + "CREATE SEQUENCE s OWNED BY users.name;", "owns the sequence"},
		{"volatile default", plain + "ALTER TABLE users ALTER name SET DEFAULT 'x' || random();", "is volatile"},
		{"domain", "CREATE DOMAIN nonempty AS text CHECK (VALUE <> ''); CREATE TABLE users (id int PRIMARY KEY, name nonempty);", "of a domain"},
		{"forced policy", plain + "ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;", "FORCE ROW LEVEL SECURITY"},
		{"rule", plain + "CREATE RULE r AS ON DELETE TO users DO INSTEAD NOTHING;", "has rules"},
		{
			"trigger of the column", plain + `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
			CREATE TRIGGER g AFTER UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION f();`, "used by the trigger g",
		},
		{
			"trigger's condition", plain + `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
			CREATE TRIGGER g AFTER UPDATE ON users FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION f();`, "used by the trigger g",
		},
		{
			"trigger after the guard", plain + `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
			CREATE TRIGGER "~zz" BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f();`, "would fire after the guard",
		},
		{"function notation", plain + "CREATE FUNCTION full_name(users) RETURNS text LANGUAGE sql AS 'SELECT $1.name';", "can be called like a column"},
		{"row type", plain + "CREATE FUNCTION all_users() RETURNS SETOF users LANGUAGE sql AS 'SELECT * FROM users';", "all_users() gives rows of the table's own type"},
		{"schema", plain + "RESET ROLE; REVOKE CREATE ON SCHEMA public FROM control, PUBLIC; SET ROLE control;", "GRANT CREATE ON SCHEMA public"},
		{
			"type's schema", "RESET ROLE; CREATE SCHEMA own; CREATE TYPE own.mood AS ENUM ('ok'); CREATE TABLE users (id int PRIMARY KEY, name own.mood); ALTER TABLE users OWNER TO control; SET ROLE control;",
			"GRANT USAGE ON SCHEMA own",
		},
		{"not owned", plain + "RESET ROLE; ALTER TABLE users OWNER TO postgres; SET ROLE control;", "does not own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, c.setup)
			before := e.dump()
			p := e.proxy(0)
			err := p.Start(context.Background(), renameUsers(), proxy.StartOptions{})
			if !errors.Is(err, proxy.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, not %q", err, c.want)
			}
			if m := p.migration(); m.Name != "" {
				t.Fatalf("there is a migration: %+v", m)
			}
			if got := e.dump(); got != before {
				t.Fatalf("the schema was changed:\n%s", got)
			}
		})
	}
}

func TestRequestsOutOfPlace(t *testing.T) {
	e := newEnv(t, smallTable+"CREATE VIEW names AS SELECT name FROM users;")
	p := e.proxy(0)
	ctx := context.Background()
	for _, err := range []error{
		p.Advance(ctx, "nobody", proxy.AdvanceOptions{}), p.Rollback(ctx, "nobody", proxy.AdvanceOptions{}),
		p.Retire(ctx, "nobody", proxy.RetireOptions{}), p.Drop(ctx, "nobody"), p.Verify(ctx, "nobody", false),
	} {
		if !errors.Is(err, proxy.ErrUnknown) {
			t.Errorf("unknown: %v", err)
		}
	}
	bad := renameUsers()
	bad.Name = "Ünfit"
	if err := p.Start(ctx, bad, proxy.StartOptions{}); !errors.Is(err, proxy.ErrInvalid) {
		t.Errorf("a name that is none: %v", err)
	}
	p.start()
	if err := p.Start(ctx, renameUsers(), proxy.StartOptions{}); !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("started twice: %v", err)
	}
	other := renameUsers()
	other.RenameColumn.To = "label"
	if err := p.Start(ctx, other, proxy.StartOptions{}); !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("another definition of the name: %v", err)
	}
	other.Name = "users_label"
	if err := p.Start(ctx, other, proxy.StartOptions{}); !errors.Is(err, proxy.ErrInvalid) || !strings.Contains(err.Error(), "users_full_name") {
		t.Errorf("the same column: %v", err)
	}
	for _, to := range []lens.Phase{lens.Pending, lens.Expand, lens.DualWrite} {
		if err := p.goTo(to); err == nil {
			t.Errorf("advanced from dual-write to %s", to)
		}
	}
	if err := p.Drop(ctx, "users_full_name"); !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("dropped at dual-write: %v", err)
	}
	if err := p.Retire(ctx, "users_full_name", proxy.RetireOptions{}); !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("retired at dual-write: %v", err)
	}
	p.advance(lens.Contract)
	err := p.goTo(lens.Complete)
	var gate *proxy.GateError
	if !errors.As(err, &gate) || !strings.Contains(err.Error(), "names") {
		t.Errorf("complete with a view: %v", err)
	}
	e.exec("CREATE OR REPLACE VIEW names AS SELECT full_name AS name FROM users")
	p.advance(lens.Complete)
}

// TestTableGoes has the table dropped under the migration: the proxies go on, and the migration can be forgotten.
func TestTableGoes(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(shortLease)
	p.bring(lens.DualWrite)
	e.exec("DROP TABLE users")
	until(t, "the proxies to see it", func() bool { return !p.host.current().HasMigration("users_full_name") })
	if err := p.goTo(lens.Backfilling); !errors.Is(err, proxy.ErrConflict) {
		t.Fatalf("advance: %v", err)
	}
	p.drop()
	e.want("SELECT count(*) FROM segue.migration", "0")
	e.want("SELECT count(*) FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname NOT IN ('fit', 'formless')", "0")
}

// TestTableIsRenamed has the table renamed under the migration, which goes on.
func TestTableIsRenamed(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.bring(lens.DualWrite)
	e.exec("ALTER TABLE users RENAME TO people")
	p.advance(lens.Complete)
	e.want("SELECT count(full_name) FROM people", "20")
	if m := p.migration(); m.Table != "public.people" {
		t.Fatalf("status: %+v", m)
	}
}

func TestTwoMigrationsOfOneTable(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.start()
	other := renameUsers()
	other.Name, other.RenameColumn = "users_mail", &lens.RenameColumn{From: "email", To: "mail"}
	if err := p.Start(context.Background(), other, proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the second start", func() bool {
		s := p.status()
		return len(s.Migrations) == 2 && s.Migrations[1].Phase == lens.DualWrite && s.Migrations[1].Working == ""
	})
	e.exec("INSERT INTO users (id, full_name, name, email) VALUES (50, 'a', 'a', 'e')", "UPDATE users SET mail = 'f', name = 'b' WHERE id = 50")
	e.want("SELECT concat(name, full_name, email, mail) FROM users WHERE id = 50", "bbff")
	p.advance(lens.Complete)
	e.exec("UPDATE users SET email = 'g' WHERE id = 50")
	e.want("SELECT concat(full_name, email, mail) FROM users WHERE id = 50", "bgg")
}
