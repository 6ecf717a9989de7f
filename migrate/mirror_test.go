package migrate

import (
	"strings"
	"testing"

	"segue/rewrite/lens"
)

func TestMirrorDefinition(t *testing.T) {
	m := &migration{Name: "m", Definition: &lens.Definition{RenameColumn: &lens.RenameColumn{From: "name", To: "Full Name"}}}
	const head = "CREATE INDEX CONCURRENTLY own ON "
	for _, c := range []struct{ def, want string }{
		{"CREATE INDEX i ON public.users USING btree (name)", `public.users USING btree ("Full Name")`},
		{"CREATE INDEX i ON public.name USING btree (name, other)", `public.name USING btree ("Full Name", other)`},
		{"CREATE INDEX i ON name.name USING name (name name_ops)", `name.name USING name ("Full Name" name_ops)`},
		{"CREATE INDEX i ON public.users USING btree (name(name), ((name)::name))", `public.users USING btree (name("Full Name"), (("Full Name")::name))`},
		{"CREATE INDEX i ON public.users USING gin (x.name(other), ('name'::text || name), E'\\'name')", `public.users USING gin (x.name(other), ('name'::text || "Full Name"), E'\'name')`},
		{`CREATE INDEX i ON public.users USING btree ("Name", name COLLATE name DESC NULLS LAST) INCLUDE (name) WHERE (name IS NOT NULL)`, `public.users USING btree ("Name", "Full Name" COLLATE name DESC NULLS LAST) INCLUDE ("Full Name") WHERE ("Full Name" IS NOT NULL)`},
	} {
		x := mirror{name: "i", def: c.def, own: "own"}
		got, err := x.definition(m)
		if err != nil || got != head+c.want {
			t.Errorf("%s\n got %s (%v)\nwant %s", c.def, got, err, head+c.want)
		}
	}
	strict := mirror{name: "i", def: "CREATE UNIQUE INDEX i ON public.users USING btree (name) NULLS NOT DISTINCT", strict: "own", unique: true}.asUnique()
	if got, err := strict.definition(m); err != nil || got != `CREATE UNIQUE INDEX CONCURRENTLY own ON public.users USING btree ("Full Name") NULLS NOT DISTINCT` {
		t.Errorf("%s (%v)", got, err)
	}
	for _, def := range []string{"CREATE OTHER INDEX i ON public.users USING btree (name)", "CREATE INDEX j ON public.users USING btree (name)"} {
		if got, err := (mirror{name: "i", def: def, own: "own"}).definition(m); err == nil {
			t.Errorf("%s gives %s", def, got)
		}
	}
	odd := mirror{name: "a ON b", def: `CREATE INDEX "a ON b" ON public.users USING btree (name)`, own: "own"}
	if got, err := odd.definition(m); err != nil || got != head+`public.users USING btree ("Full Name")` {
		t.Errorf("%s: %v", got, err)
	}
}

func TestGroupKeys(t *testing.T) {
	for _, c := range []struct {
		def, want  string
		old, added []string
	}{
		{"public.t USING btree (a, b)", "public.t USING btree (c)", []string{"a", "b"}, []string{"c"}},
		{"a.b USING btree (x, b DESC NULLS LAST, f(y, z), a) INCLUDE (q) WHERE (x > 1)", "a.b USING btree (x, c DESC NULLS LAST, f(y, z)) INCLUDE (q) WHERE (x > 1)", []string{"a", "b"}, []string{"c"}},
		{`public.t USING btree (x, "A" DESC) WITH (fillfactor='70')`, `public.t USING btree (x, c DESC, "D" DESC) WITH (fillfactor='70')`, []string{"A"}, []string{"c", "D"}},
		{"public.t USING btree (a)", "public.t USING btree (c, d)", []string{"a"}, []string{"c", "d"}},
	} {
		tokens := lexSQL(c.def)
		using := 0
		for tokens[using].text != "USING" {
			using++
		}
		if got := groupKeys(tokens, using, c.old, c.added); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.def, got, c.want)
		}
	}
}

func TestMirrorName(t *testing.T) {
	long := strings.Repeat("ä", 31)
	for _, name := range []string{"i", long, long + "x"} {
		got := mirrorName(name, "m")
		if len(got) > 63 || strings.ToValidUTF8(got, "?") != got || got == mirrorName(name, "n") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestMentions(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{"NEW.name := 1", true},
		{`NEW."NAME"`, true},
		{"full_name names name2", false},
		{"namename name", true},
		{"", false},
	} {
		if got := mentions(c.text, "name"); got != c.want {
			t.Errorf("%q: %v", c.text, got)
		}
	}
}

// TestMirrors builds the mirrors of all kinds of index, over an invalid one that was left.
func TestMirrors(t *testing.T) {
	e := newEnv(t, `
		CREATE TABLE users (id int PRIMARY KEY, name text, email text, "Name" text);
		CREATE INDEX a ON users USING hash (name);
		CREATE INDEX b ON users (email, name DESC NULLS LAST) INCLUDE ("Name") WITH (fillfactor = 70);
		CREATE INDEX c ON users (upper(name || email)) WHERE name IS NOT NULL;
		CREATE INDEX d ON users (email) WHERE lower(name) LIKE 'x%';
		CREATE INDEX e ON users ("Name");
		CREATE INDEX f ON users (name COLLATE "C" text_pattern_ops);
		CREATE INDEX g ON users USING gin (to_tsvector('english', name));
		INSERT INTO users SELECT i, 'x' || i, i, i FROM generate_series(1, 100) i;`)
	p := e.proxy(0)
	p.start()
	e.exec("CREATE INDEX " + mirrorName("a", "users_full_name") + " ON users (full_name)")
	e.exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '" + mirrorName("a", "users_full_name") + "'::regclass")
	p.advance(lens.Contract)
	e.want("SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisvalid", "0")
	e.want("SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass", "14")
	p.advance(lens.Complete)
	e.want(`SELECT string_agg(pg_get_indexdef(indexrelid), E'\n' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisprimary`,
		`CREATE INDEX a ON public.users USING hash (full_name)
CREATE INDEX b ON public.users USING btree (email, full_name DESC NULLS LAST) INCLUDE ("Name") WITH (fillfactor='70')
CREATE INDEX c ON public.users USING btree (upper((full_name || email))) WHERE (full_name IS NOT NULL)
CREATE INDEX d ON public.users USING btree (email) WHERE (lower(full_name) ~~ 'x%'::text)
CREATE INDEX e ON public.users USING btree ("Name")
CREATE INDEX f ON public.users USING btree (full_name COLLATE "C" text_pattern_ops)
CREATE INDEX g ON public.users USING gin (to_tsvector('english'::regconfig, full_name))`)
}

// TestCommentsGoOver has comments on what stands on the old column: the mirrors have them when they take the names.
func TestCommentsGoOver(t *testing.T) {
	e := newEnv(t, `CREATE TABLE users (id int PRIMARY KEY, name varchar(40) CONSTRAINT named CHECK (name <> ''));
		CREATE INDEX users_name_idx ON users (name);
		COMMENT ON INDEX users_name_idx IS 'by ''name''';
		COMMENT ON CONSTRAINT named ON users IS 'not empty';`)
	p := e.proxy(0)
	p.start()
	p.advance(lens.Complete)
	e.want("SELECT obj_description('users_name_idx'::regclass, 'pg_class')", "by 'name'")
	e.want("SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'named'", "not empty")
}

// TestRestGoesOver has what else an index can have, there and back from each step, and in the end: CLUSTER ON, the table's replica identity, statistics targets of expressions, and
// comments on statistics objects.
func TestRestGoesOver(t *testing.T) {
	for _, c := range []struct{ name, index, describe string }{
		{
			"unique index", "CREATE UNIQUE INDEX by_name ON users (name); ALTER TABLE users REPLICA IDENTITY USING INDEX by_name; ALTER TABLE users CLUSTER ON by_name;",
			"SELECT string_agg(concat(indexrelid::regclass, indisclustered, indisreplident), ' ' ORDER BY 1) FROM pg_index WHERE indisclustered OR indisreplident",
		},
		{
			"unique constraint", "ALTER TABLE users ADD CONSTRAINT by_name UNIQUE (name); ALTER TABLE users REPLICA IDENTITY USING INDEX by_name; ALTER TABLE users CLUSTER ON by_name; COMMENT ON CONSTRAINT by_name ON users IS 'x';",
			"SELECT string_agg(concat(indexrelid::regclass, indisclustered, indisreplident), ' ' ORDER BY 1) FROM pg_index WHERE indisclustered OR indisreplident",
		},
		{
			"others", "CREATE INDEX by_name ON users (email, lower(name)); ALTER INDEX by_name ALTER COLUMN 2 SET STATISTICS 77; ALTER TABLE users CLUSTER ON by_name; CREATE STATISTICS of_name ON name, email FROM users; COMMENT ON STATISTICS of_name IS 'it''s known';",
			"SELECT concat((SELECT string_agg(attrelid::regclass || ' ' || attnum || ' ' || attstattarget, ' ') FROM pg_attribute WHERE attrelid = 'by_name'::regclass AND attstattarget >= 0), (SELECT indexrelid::regclass FROM pg_index WHERE indisclustered), (SELECT obj_description(oid, 'pg_statistic_ext') FROM pg_statistic_ext WHERE stxname = 'of_name'))",
		},
		{
			"unique expression", "CREATE UNIQUE INDEX by_name ON users (lower(name)); ALTER INDEX by_name ALTER COLUMN 1 SET STATISTICS 77;",
			"SELECT string_agg(attrelid::regclass || ' ' || attnum || ' ' || attstattarget, ' ') FROM pg_attribute WHERE attrelid = 'by_name'::regclass AND attstattarget >= 0",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, "CREATE TABLE users (id int PRIMARY KEY, name varchar(40) NOT NULL, email text); INSERT INTO users VALUES (1, 'a', 'b'); "+c.index)
			before, want := e.dump(), e.value(c.describe)
			if want == "NULL" {
				t.Fatal("there is nothing to go over")
			}
			p := e.proxy(0)
			p.start()
			p.advance(lens.Contract)
			p.hooks.on("settled write-new", die)
			if err := p.goTo(lens.Complete); err != nil {
				t.Fatal(err)
			}
			p.finished()
			p.hooks.on("settled write-new", nil)
			p.rollback(lens.Pending)
			p.drop()
			if got := e.dump(); got != before {
				t.Fatalf("the schema is not what it was:\n%s", got)
			}
			p.start()
			p.advance(lens.Complete)
			e.want(c.describe, want)
		})
	}
}
