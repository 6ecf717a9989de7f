package migrate

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// TestGroupGuards writes past the proxies, in the combinations that the guard tells apart, and looks at the row.
func TestGroupGuards(t *testing.T) {
	type write struct{ sql, want string } // want: the row after it, or a SQLSTATE
	for _, x := range []struct {
		name, setup, row string
		def              lens.Definition
		writes           []write
	}{
		{
			"change_type", productsTable, "price || ' ' || price_v2", products(),
			[]write{
				{"INSERT INTO products (id, price) VALUES (ID, '7')", "7 7"},
				{"UPDATE products SET price_v2 = 8", "8 8"},
				{"UPDATE products SET price = '9'", "9 9"},
				{"UPDATE products SET price = '8', price_v2 = 10", "23000"},
				{"UPDATE products SET price = '11', price_v2 = 11", "11 11"},
				{"UPDATE products SET price = '011'", "22000"},
				{"UPDATE products SET price = '011', price_v2 = 11", "22000"},
				{"UPDATE products SET price_v2 = NULL", "23502"}, // the old column is NOT NULL
				{"UPDATE products SET price = 'x'", "22P02"},
				{"UPDATE products SET label = 'l'", "11 11"},
				{"DELETE FROM products", ""},
				{"INSERT INTO products (id, price, price_v2) VALUES (ID, NULL, 5)", "5 5"},
				{"DELETE FROM products", ""},
				{"INSERT INTO products (id, price_v2) VALUES (ID, 5)", "23000"}, // the old column has its default
				{"INSERT INTO products (id, price, price_v2) VALUES (ID, '5', 6)", "23000"},
				{"INSERT INTO products (id, price, price_v2) VALUES (ID, '05', 5)", "22000"},
				{"INSERT INTO products (id) VALUES (ID)", "0 0"},
			},
		},
		{
			"merge", "CREATE TABLE persons (id int PRIMARY KEY, first_name text, last_name text)",
			"COALESCE(first_name, '-') || ' ' || COALESCE(last_name, '-') || ' ' || COALESCE(full_name, '-')", patterns()[1].def,
			[]write{
				{"INSERT INTO persons (id, first_name) VALUES (ID, 'a')", "22000"}, // the merged one would be NULL
				{"INSERT INTO persons (id, first_name, last_name) VALUES (ID, 'a', 'b')", "a b a b"},
				{"UPDATE persons SET full_name = 'c d e'", "c d e c d e"},
				{"UPDATE persons SET first_name = 'x'", "x d e x d e"},
				{"UPDATE persons SET first_name = 'x y'", "22000"},
				{"UPDATE persons SET full_name = 'nobody'", "22000"},
				{"UPDATE persons SET first_name = 'z', full_name = 'other name'", "23000"},
				{"UPDATE persons SET full_name = NULL", "- - -"},
				{"UPDATE persons SET full_name = 'a b'", "a b a b"},
				{"UPDATE persons SET first_name = NULL, last_name = NULL", "- - -"},
				{"DELETE FROM persons", ""},
				{"INSERT INTO persons (id, full_name) VALUES (ID, 'a b')", "a b a b"},
			},
		},
		{
			"merge of what is not null", "CREATE TABLE persons (id int PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL)",
			"first_name || ' ' || last_name || ' ' || full_name", patterns()[1].def,
			[]write{
				{"INSERT INTO persons (id, first_name) VALUES (ID, 'a')", "23502"},
				{"INSERT INTO persons (id, first_name, last_name) VALUES (ID, 'a', 'b')", "a b a b"},
				{"UPDATE persons SET last_name = NULL", "23502"},
				{"UPDATE persons SET full_name = NULL", "23502"},
				{"UPDATE persons SET first_name = 'x y'", "22000"},
				{"ALTER TABLE persons ALTER last_name DROP NOT NULL", "a b a b"}, // behind the proxies' backs
				{"UPDATE persons SET last_name = NULL", "22000"},
			},
		},
		{
			"lossy", "CREATE TABLE addresses (id int PRIMARY KEY, address text)",
			"COALESCE(address, '-') || '|' || COALESCE(street, '-') || '|' || COALESCE(town, '-')", patterns()[2].def,
			[]write{
				{"INSERT INTO addresses (id, address) VALUES (ID, 'a')", "a|a|"},
				{"UPDATE addresses SET address = 'a, b, c'", "a, b, c|a|b"},
				{"UPDATE addresses SET town = 'd'", "a, d|a|d"},
				{"UPDATE addresses SET street = 'x', town = 'y', address = 'x, y'", "x, y|x|y"},
				{"UPDATE addresses SET street = 'x, y', town = 'z', address = 'x, y, z'", "x, y, z|x, y|z"}, // by `down` only
				{"UPDATE addresses SET address = 'q', town = 'r'", "23000"},
				{"UPDATE addresses SET street = NULL, town = NULL", "-|-|-"},
				{"UPDATE addresses SET address = NULL", "-|-|-"},
			},
		},
		{
			"one way", "CREATE TABLE secrets (id int PRIMARY KEY, secret text)", "COALESCE(secret, '-') || ' ' || left(COALESCE(hash, '-'), 2)", patterns()[3].def,
			[]write{
				{"INSERT INTO secrets (id, secret) VALUES (ID, 'a')", "a 0c"},
				{"UPDATE secrets SET hash = 'x'", "23000"},
				{"UPDATE secrets SET secret = 'b', hash = md5('b')", "b 92"},
				{"UPDATE secrets SET secret = 'b', hash = 'x'", "23000"},
				{"UPDATE secrets SET secret = NULL", "- -"},
				{"DELETE FROM secrets", ""},
				{"INSERT INTO secrets (id, hash) VALUES (ID, 'x')", "23000"},
			},
		},
		{
			"on_error null", "CREATE TABLE ages (id int PRIMARY KEY, age text)", "COALESCE(age, '-') || ' ' || COALESCE(age_v2::text, '-')", patterns()[4].def,
			[]write{
				{"INSERT INTO ages (id, age) VALUES (ID, 'x')", "x -"},
				{"UPDATE ages SET age = '07'", "07 7"},
				{"UPDATE ages SET age_v2 = 8", "8 8"},
				{"UPDATE ages SET age = 'y', age_v2 = 9", "23000"},
				{"UPDATE ages SET age = 'y'", "y -"},
				{"UPDATE ages SET age_v2 = 8, age = '8'", "8 8"},
				{"UPDATE ages SET age_v2 = NULL", "- -"},
			},
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := newEnv(t, x.setup)
			c := e.carrier(pattern{def: x.def})
			c.start()
			e.exec("DELETE FROM " + x.def.Table.String())
			for _, w := range x.writes {
				got := c.direct(strings.ReplaceAll(w.sql, "ID", "1"))
				if got == "" {
					got = c.direct("SELECT " + x.row + " FROM " + x.def.Table.String())
				}
				if got != w.want {
					t.Errorf("%s: got %q, not %q", w.sql, got, w.want)
				}
			}
		})
	}
}

// TestGroupsRefused has definitions that the server's own judgement or the rows are against.
func TestGroupsRefused(t *testing.T) {
	plain := "CREATE TABLE products (id int PRIMARY KEY, price varchar(20), label text);"
	change := func(typ, up, down string) func(*lens.Definition) {
		return func(d *lens.Definition) { d.ChangeType.Type, d.ChangeType.Up, d.ChangeType.Down = typ, up, down }
	}
	merge := func(d *lens.Definition) {
		d.ChangeType, d.Columns = nil, &lens.Columns{
			Drop: []string{"price", "label"}, Add: []lens.AddColumn{{Name: "both", Type: "text", Up: "price || ' ' || label"}},
			Down: map[string]string{"price": "split_part(\"both\", ' ', 1)", "label": "substr(\"both\", strpos(\"both\", ' ') + 1)"},
		}
	}
	for _, x := range []struct {
		name, setup string
		edit        func(*lens.Definition)
		want        string
	}{
		{"no type", plain, change("nothing", "price::bigint", ""), `type "nothing" does not exist`},
		{"sequence", plain, change("bigserial", "price::bigint", ""), "stands for a sequence"},
		{"bits", plain, change("bit(3)", "price::bit(3)", ""), "bit strings"},
		{"array of short texts", plain, change("varchar(3)[]", "ARRAY[price]::varchar(3)[]", ""), "which casts cut off"},
		{"time zone", plain, change("timestamptz", "price::timestamptz", ""), "is not immutable"},
		{"date style", plain, change("date", "price::date", ""), "is not immutable"},
		{"now", plain, change("text", "price || now()", ""), "is not immutable"},
		{"down is not", plain, change("bigint", "price::bigint", "to_char(price_v2, 'L')"), "is not immutable"},
		{"no cast", plain, change("bigint", "price", ""), "write the cast"},
		{"no function", plain, change("bigint", "convert_it(price)", ""), "is written with its schema"},
		{"aggregate", plain, change("bigint", "max(price)::bigint", ""), "aggregate functions are not allowed"},
		{"up of null", plain, func(d *lens.Definition) {
			d.ChangeType.Up, d.ChangeType.NotNull = "COALESCE(price, '0')::bigint", false
		}, "gives '0' for NULLs on the old side"},
		{"down of null", plain, change("bigint", "price::bigint", "COALESCE(price_v2, 0)::varchar"), "gives '0' for NULLs on the new side"},
		{"collation", "CREATE TABLE products (id int PRIMARY KEY, price text COLLATE \"C\");", change("varchar", "upper(price)", "price_v2"), "another collation"},
		{"default", plain + "ALTER TABLE products ALTER price SET DEFAULT 'none';", change("bigint", "price::bigint", "price_v2::varchar"), "the default of price does not convert"},
		{"default's way back", plain + "ALTER TABLE products ALTER price SET DEFAULT '007';", change("bigint", "price::bigint", "price_v2::varchar"), "does not come back"},
		{"one default", plain + "ALTER TABLE products ALTER price SET DEFAULT '1';", func(d *lens.Definition) {
			d.ChangeType, d.Columns = nil, &lens.Columns{Drop: []string{"price", "label"}, Add: []lens.AddColumn{{Name: "both", Type: "text", Up: "price || label"}}}
		}, "price has a default and label has none"},
		{"domain", plain + "CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);", change("public.cents", "price::bigint", ""), "is a domain"},
		{"unique one way", plain + "ALTER TABLE products ADD UNIQUE (price);", change("bigint", "price::bigint", ""), "it takes a `down`"},
		{"unique lossy", plain + "ALTER TABLE products ADD UNIQUE (price);", func(d *lens.Definition) {
			change("bigint", "price::bigint", "price_v2::varchar")(d)
			d.Allow = []string{"lossy"}
		}, "does not keep different values different"},
		{"unique and equal", plain + "ALTER TABLE products ADD UNIQUE (price);", change("numeric", "price::numeric", "price_v2::varchar"), "values of type numeric can be equal and yet differ"},
		{"unique expression", plain + "CREATE UNIQUE INDEX ON products (lower(price));", change("bigint", "price::bigint", "price_v2::varchar"), "as a plain column"},
		{"unique predicate", plain + "CREATE UNIQUE INDEX ON products (label) WHERE price > '';", change("bigint", "price::bigint", "price_v2::varchar"), "in no expression or predicate"},
		{"unique, several that can be NULL", plain + "ALTER TABLE products ADD UNIQUE (price, label);", merge, "column price can be NULL"},
		{"unique, not all of several", "CREATE TABLE products (id int PRIMARY KEY, price varchar(20) NOT NULL, label text NOT NULL, UNIQUE (id, label));", merge, "each of the columns price, label as a key"},
		{"unique, split into what can be NULL", "CREATE TABLE products (id int PRIMARY KEY, price varchar(20) NOT NULL UNIQUE, label text);", func(d *lens.Definition) {
			d.ChangeType, d.Columns = nil, &lens.Columns{
				Drop: []string{"price"}, Add: []lens.AddColumn{{Name: "a", Type: "text", Up: "split_part(price, '-', 1)"}, {Name: "b", Type: "text", Up: "split_part(price, '-', 2)"}},
				Down: map[string]string{"price": "a || '-' || b"},
			}
		}, "column a can be NULL"},
		{"unique nulls", plain + "CREATE UNIQUE INDEX u ON products (price);", change("bigint", "COALESCE(price, '0')::bigint", "NULLIF(price_v2, 0)::varchar"), "the unique index u cannot be mirrored: its column may be NULL in many rows"},
		{"dropped and unique", plain + "CREATE UNIQUE INDEX u ON products (price);", func(d *lens.Definition) {
			d.ChangeType, d.Columns = nil, &lens.Columns{Drop: []string{"price"}, Down: map[string]string{"price": "'1'"}}
		}, "the unique index u cannot be mirrored: it takes one column"},
		{"dropped without a value", plain + "ALTER TABLE products ALTER price SET NOT NULL;", func(d *lens.Definition) {
			d.ChangeType, d.Columns = nil, &lens.Columns{Drop: []string{"price"}, Down: map[string]string{"price": "label"}}
		}, "is NOT NULL and has no default, so that new code"},
		{"no column that stays", plain, func(d *lens.Definition) {
			d.ChangeType, d.Columns = nil, &lens.Columns{Add: []lens.AddColumn{{Name: "b", Type: "text", Up: "lower(title)"}}}
		}, "has no column title, which the definition mentions"},
		{"generated that stays", plain + "ALTER TABLE products ADD g text GENERATED ALWAYS AS (lower(label)) STORED;", func(d *lens.Definition) {
			d.ChangeType, d.Columns = nil, &lens.Columns{Add: []lens.AddColumn{{Name: "b", Type: "text", Up: "upper(g)"}}}
		}, "column g is generated"},
		{"added of nothing", plain, func(d *lens.Definition) {
			d.ChangeType, d.Columns = nil, &lens.Columns{Add: []lens.AddColumn{{Name: "b", Type: "text", Up: "'new'"}}}
		}, "gives 'new' for NULLs on the old side"},
		{"no condition", plain, func(d *lens.Definition) { d.ChangeType.Check = "price_v2 + 1" }, "`check` of price_v2, price_v2 + 1: argument of CHECK"},
		{"no such default", plain, func(d *lens.Definition) { d.ChangeType.Default = "'x'" }, "`default` of price_v2, 'x': invalid input syntax"},
		{"other default", plain, func(d *lens.Definition) { d.ChangeType.Default = "7" }, "the default of price_v2, 7, is not what the old columns' defaults come to by `up`, which is NULL"},
		{
			"check of rows", plain + "INSERT INTO products VALUES (1, '1'), (2, '20'), (3, '3');", func(d *lens.Definition) { d.ChangeType.Check = "price_v2 < 10" },
			"1 of 3 rows would not be as `check` says: (2) price_v2 would not",
		},
		{"no column", "CREATE TABLE products (id int PRIMARY KEY);", change("bigint", "price::bigint", ""), "has no column price: correct `column`"},
		{"name in use", plain + "ALTER TABLE products ADD price_v2 int;", change("bigint", "price::bigint", ""), "has a column price_v2 already"},
		{
			"does not convert", plain + "INSERT INTO products SELECT i, CASE WHEN i IN (11, 7000) THEN 'x' || i ELSE i::text END FROM generate_series(1, 7001) i;",
			change("bigint", "price::bigint", "price_v2::varchar"), `2 of 7001 rows do not convert: (11) invalid input syntax for type bigint: "x11"; (7000) invalid input syntax for type bigint: "x7000": mend them`,
		},
		{"does not fit", plain + "INSERT INTO products VALUES (1, 'abcd');", change("varchar(3)", "price", "price_v2"), "1 of 1 rows do not convert: (1) value too long"},
		{
			"does not come back", plain + "INSERT INTO products VALUES (1, '1'), (2, '02'), (3, NULL);", change("bigint", "price::bigint", "price_v2::varchar"),
			"1 of 3 rows do not come back as they are: (2) price '02' would come back as '2': mend them",
		},
		{"null becomes of errors", plain + "INSERT INTO products VALUES (1, 'x');", func(d *lens.Definition) { d.ChangeType.OnError, d.ChangeType.NotNull = "null", false }, "price 'x' would come back as NULL"},
		{"null where it may not be", plain + "INSERT INTO products VALUES (1, NULL);", func(*lens.Definition) {}, "1 of 1 rows have no value for a column that is not_null: (1) price_v2 would be null"},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := newEnv(t, x.setup)
			before := e.dump()
			def := products()
			x.edit(&def)
			c := e.carrier(pattern{def: def})
			var text string
			if err := c.Start(context.Background(), &def, proxy.StartOptions{}); err != nil {
				text = err.Error()
			} else {
				text = c.finished()
			}
			if !strings.Contains(text, x.want) {
				t.Fatalf("got %q, not %q", text, x.want)
			}
			if got := e.dump(); got != before {
				t.Fatalf("the schema was changed:\n%s", got)
			}
			e.want("SELECT count(*) FROM pg_class WHERE relnamespace = 'segue'::regnamespace AND relname LIKE 'check%'", "0")
			e.want("SELECT count(*) FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname NOT IN ('fit', 'formless')", "0")
			if m := c.migration(); m.Settled || m.Phase != lens.Pending {
				t.Fatalf("it stands at %+v", m)
			}
		})
	}
}

// TestStartAgainOtherwise starts a definition that the rows are against, and then one that they are not.
func TestStartAgainOtherwise(t *testing.T) {
	e := newEnv(t, "CREATE TABLE products (id int PRIMARY KEY, price varchar(20)); INSERT INTO products VALUES (1, '01');")
	def := products()
	c := e.carrier(pattern{def: def})
	if err := c.Start(context.Background(), &def, proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	if text := c.finished(); !strings.Contains(text, "allow = [\"lossy\"]") {
		t.Fatal(text)
	}
	def.Allow = []string{"lossy"}
	c.ok(c.Start(context.Background(), &def, proxy.StartOptions{}))
	c.at(lens.DualWrite, lens.NoStep, false)
	if m := c.migration(); !m.Lossy || m.OneWay {
		t.Fatalf("%+v", m)
	}
}

// TestReadsKeepTheirIndex plans old code's and new code's lookups on a table that is large enough for PostgreSQL to want an index.
func TestReadsKeepTheirIndex(t *testing.T) {
	e := newEnv(t, productsTable+"INSERT INTO products SELECT i, i FROM generate_series(701, 20000) i; ANALYZE products;")
	x := patterns()[0]
	c := e.carrier(pattern{def: x.def, script: func(lens.Stage) []act { return nil }})
	look := func(stage string, version lens.Version, sql string) {
		t.Helper()
		plan := c.host.current().Plan(sql, rewriteSettings(version))
		lines, err := collect(context.Background(), e.super, "EXPLAIN "+plan.SQL, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		rows := strings.Join(lines, "\n")
		if !strings.Contains(rows, "Index") || strings.Contains(rows, "Seq Scan") {
			t.Errorf("%s: %s\nis planned\n%s", stage, plan.SQL, rows)
		}
	}
	c.start()
	for _, phase := range []lens.Phase{lens.Backfilling, lens.SwitchReads, lens.Contract, lens.Complete} {
		c.advance(phase)
		look(phase.String(), lens.Old, "SELECT label FROM products WHERE price = '77'")
		look(phase.String(), lens.Old, "SELECT id FROM products WHERE price IN ('77', '78') ORDER BY id")
		look(phase.String(), lens.Old, "SELECT id FROM products WHERE label = 'label 7' AND lower(price) = '7' AND price <> '1'")
		if phase > lens.Backfilling {
			look(phase.String(), lens.New, "SELECT label FROM products WHERE price_v2 BETWEEN 77 AND 78")
		}
	}
}

// TestFormsFunctionReplaced takes "proved" back when a function that `up` calls has become another one.
func TestFormsFunctionReplaced(t *testing.T) {
	e := newEnv(t, productsTable+"CREATE FUNCTION cents(text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1::bigint';")
	def := products()
	def.ChangeType.Up = "public.cents(price)"
	c := e.carrier(pattern{def: def})
	c.start()
	c.advance(lens.SwitchReads)
	if m := c.migration(); !m.Gate.Ready {
		t.Fatalf("gate: %+v", m.Gate)
	}
	e.exec("CREATE OR REPLACE FUNCTION cents(text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS 'SELECT 100 * $1::bigint'")
	if err := c.goTo(lens.Contract); err != nil {
		t.Fatal(err)
	}
	if text := c.finished(); !strings.Contains(text, "the guard is not the one") {
		t.Fatal(text)
	}
	c.at(lens.SwitchReads, lens.NoStep, false)
}

// TestAppName gives the column its name in the table when nobody is there to meet it.
func TestAppName(t *testing.T) {
	e := newEnv(t, productsTable)
	def := products()
	def.ChangeType.AppName = "price"
	c := e.carrier(pattern{def: def, script: func(lens.Stage) []act {
		return []act{
			{lens.New, "INSERT INTO products (id, price) VALUES (ID, 5) RETURNING price + 1", "6"},
			{lens.Old, "UPDATE products SET price = price || '0' WHERE id = ID RETURNING price", "50"},
			{lens.New, "SELECT price + 1 FROM products WHERE id = ID", "51"},
		}
	}})
	c.start()
	c.advance(lens.Complete)
	c.host.mu.Lock()
	c.host.usage.Sessions = 2
	c.host.mu.Unlock()
	if err := c.Retire(context.Background(), def.Name, proxy.RetireOptions{}); err == nil || !strings.Contains(err.Error(), "2 connected clients") {
		t.Fatalf("retired with clients there: %v", err)
	}
	c.host.mu.Lock()
	c.host.usage.Sessions = 0
	c.host.mu.Unlock()
	c.ok(c.Retire(context.Background(), def.Name, proxy.RetireOptions{}))
	e.want("SELECT pg_typeof(price)::text || price FROM products WHERE id = 7", "bigint7")
}

// TestFunctionsOfForms converts by somebody's own function, under a role that may do little, and notices that the function has become another one.
func TestFunctionsOfForms(t *testing.T) {
	e := newEnv(t, `ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
		CREATE TABLE ages (id int PRIMARY KEY, age varchar(5));
		CREATE FUNCTION years(text) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1::int';
		GRANT EXECUTE ON FUNCTION years(text) TO web;
		GRANT SELECT (id, age), INSERT (id, age), UPDATE (age) ON ages TO web;
		INSERT INTO ages SELECT i, CASE WHEN i = 7 THEN 'seven' ELSE i::text END FROM generate_series(1, 20) i;`)
	def := lens.Definition{
		Name: "age_int", Table: lens.TableName{Schema: "public", Name: "ages"}, Allow: []string{"lossy"},
		ChangeType: &lens.ChangeType{Column: "age", To: "age_v2", Type: "integer", Up: "public.years(age) -- in years", Down: "age_v2::text", OnError: "null"},
	}
	c := e.carrier(pattern{def: def})
	c.start()
	c.advance(lens.Contract)
	web := pgtest.Connect(t, pgtest.Shared().DSNAs("web", e.db))
	pgtest.Exec(t, web, "INSERT INTO ages (id, age) VALUES (100, 'x')", "UPDATE ages SET age = '8' WHERE id IN (7, 100)", "UPDATE ages SET age_v2 = 9 WHERE id = 7",
		"SELECT segue.fit('abc  ', 3), segue.up_age_int_age_v2('x')")
	if _, err := web.Exec(context.Background(), "SELECT segue.fit('abcd', 3)"); sqlState(err) != "22001" {
		t.Errorf("what is too long: %v", err)
	}
	e.want("SELECT string_agg(age || age_v2, ' ' ORDER BY id) FROM ages WHERE id IN (7, 100)", "99 88")
	if m := c.migration(); !m.Gate.Ready {
		t.Fatalf("gate: %+v", m.Gate)
	}
}
