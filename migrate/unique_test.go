package migrate

import (
	"context"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// uniqueTable has unique indexes of all kinds on the column.
const uniqueTable = `
CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'nobody', email text, tenant int NOT NULL DEFAULT 1,
	CONSTRAINT one_name UNIQUE (name), CONSTRAINT in_tenant UNIQUE (tenant, name) INCLUDE (email));
COMMENT ON CONSTRAINT one_name ON users IS 'a name''s constraint';
CREATE UNIQUE INDEX lower_name ON users (lower(name) text_pattern_ops DESC) WHERE name <> 'nobody';
COMMENT ON INDEX lower_name IS 'an index';
CREATE UNIQUE INDEX c_name ON users (name COLLATE "C" DESC NULLS LAST, id) WITH (fillfactor = 70);
CREATE UNIQUE INDEX email ON users (email) INCLUDE (name) WHERE name LIKE 'u%';
INSERT INTO users SELECT i, 'user ' || i, 'u' || i FROM generate_series(1, 20) i;
`

// uniques are the unique indexes and constraints as the server writes them, but for the primary key.
const uniques = `SELECT string_agg(COALESCE('CONSTRAINT ' || k.conname || ' ' || pg_get_constraintdef(k.oid), pg_get_indexdef(i.indexrelid)) || COALESCE(' -- ' || obj_description(k.oid, 'pg_constraint'),
	' -- ' || obj_description(i.indexrelid, 'pg_class'), ''), E'\n' ORDER BY i.indexrelid::regclass::text)
	FROM pg_index i LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid WHERE i.indrelid = 'users'::regclass AND NOT i.indisprimary AND i.indisunique AND i.indisvalid`

// TestUnique goes there and back, and there again.
func TestUnique(t *testing.T) {
	table, distinct := uniqueTable, ""
	if e := newEnv(t, ""); e.value("current_setting('server_version_num')") >= "150000" {
		distinct = "NULLS NOT DISTINCT "
		table = strings.Replace(table, "UNIQUE (tenant", "UNIQUE "+distinct+"(tenant", 1)
	}
	e := newEnv(t, table)
	before, defs := e.dump(), e.value(uniques)
	p := e.proxy(0)
	p.start()
	p.advance(lens.Contract)
	p.at(lens.Contract, lens.NoStep, true)
	// The mirrors are not UNIQUE while the old ones stand.
	e.want(uniques, defs)
	e.want("SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisunique AND indisvalid", "5")

	p.hooks.on("settled both-unique", die)
	if err := p.goTo(lens.Complete); err != nil {
		t.Fatal(err)
	}
	p.finished()
	p.at(lens.Contract, lens.BothUnique, true)
	e.want(uniques, defs)
	p.hooks.on("settled both-unique", nil)

	// An invalid one that was left goes first.
	strict := strictName("one_name", "users_full_name")
	e.exec("CREATE UNIQUE INDEX "+strict+" ON users (full_name)", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"+strict+"'::regclass")
	p.hooks.on("settled infer-new", die)
	if err := p.goTo(lens.Complete); err != nil {
		t.Fatal(err)
	}
	p.finished()
	p.at(lens.Contract, lens.InferNew, true)
	p.hooks.on("settled infer-new", nil)
	e.want("SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisprimary AND indisunique AND indisvalid", "10")
	e.want("SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisunique", "0")

	p.hooks.on("settled write-new", die)
	if err := p.goTo(lens.Complete); err != nil {
		t.Fatal(err)
	}
	p.finished()
	p.at(lens.Complete, lens.WriteNew, true)
	p.hooks.on("settled write-new", nil)
	// The new ones have the names, so that ON CONFLICT ON CONSTRAINT goes on working.
	after := `CONSTRAINT in_tenant UNIQUE ` + distinct + `(tenant, full_name) INCLUDE (email)
CONSTRAINT one_name UNIQUE (full_name) -- a name's constraint`
	all := `CREATE UNIQUE INDEX c_name ON public.users USING btree (full_name COLLATE "C" DESC NULLS LAST, id) WITH (fillfactor='70')
CREATE UNIQUE INDEX email ON public.users USING btree (email) INCLUDE (full_name) WHERE ((full_name)::text ~~ 'u%'::text)
` + strings.Split(after, "\n")[0] + `
CREATE UNIQUE INDEX lower_name ON public.users USING btree (lower((full_name)::text) text_pattern_ops DESC) WHERE ((full_name)::text <> 'nobody'::text) -- an index
` + strings.Split(after, "\n")[1]
	e.want(uniques, all)
	e.fails("INSERT INTO users (id, full_name) VALUES (50, 'user 1')", "23505")
	e.fails("INSERT INTO users (id, name) VALUES (50, 'user 1')", "23505")

	// Back, and there again from both-unique.
	p.hooks.on("settled back to both-unique", die)
	back := lens.Pending
	if err := p.Rollback(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &back}); err != nil {
		t.Fatal(err)
	}
	p.finished()
	p.at(lens.Contract, lens.BothUnique, true)
	p.hooks.on("settled back to both-unique", nil)
	e.want("SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisprimary AND indisunique AND indisvalid", "10")
	p.hooks.on("settled write-new", die)
	if err := p.goTo(lens.Complete); err != nil {
		t.Fatal(err)
	}
	p.finished()
	p.hooks.on("settled write-new", nil)
	e.want(uniques, all)

	p.rollback(lens.Contract)
	e.want(uniques, defs)
	e.want("SELECT count(*) FROM pg_index WHERE indrelid = 'users'::regclass AND NOT indisunique AND indisvalid", "5")
	p.rollback(lens.Pending)
	p.drop()
	if got := e.dump(); got != before {
		t.Fatalf("the schema is not what it was:\n%s", got)
	}

	p.start()
	p.advance(lens.Complete)
	e.want(uniques, all)
}

// TestUniqueChangeType carries a unique column of another type, in an index with another column and a predicate.
func TestUniqueChangeType(t *testing.T) {
	e := newEnv(t, `
		CREATE TABLE products (id int PRIMARY KEY, price varchar(20), label text, UNIQUE (label, price));
		CREATE UNIQUE INDEX here ON products (price) INCLUDE (id) WHERE label <> 'gone';
		INSERT INTO products SELECT i, i, 'x' || i % 3 FROM generate_series(1, 50) i;`)
	before := e.dump()
	p := e.proxy(0)
	def := &lens.Definition{
		Name: "price_bigint", Table: lens.TableName{Schema: "public", Name: "products"},
		ChangeType: &lens.ChangeType{Column: "price", To: "price_v2", Type: "bigint", Up: "price::bigint", Down: "price_v2::varchar"},
	}
	p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
	to := func(phase lens.Phase) {
		t.Helper()
		p.ok(p.Advance(context.Background(), def.Name, proxy.AdvanceOptions{To: &phase, Yes: true}))
	}
	to(lens.Contract)
	e.exec("INSERT INTO products (id, price) VALUES (100, '100')")
	p.hooks.on("settled write-new", die)
	complete := lens.Complete
	if err := p.Advance(context.Background(), def.Name, proxy.AdvanceOptions{To: &complete, Yes: true}); err != nil {
		t.Fatal(err)
	}
	p.finished()
	p.hooks.on("settled write-new", nil)
	e.fails("INSERT INTO products (id, price, label) VALUES (101, '1', 'x1')", "23505")
	back := lens.Pending
	p.ok(p.Rollback(context.Background(), def.Name, proxy.AdvanceOptions{To: &back}))
	p.ok(p.Drop(context.Background(), def.Name))
	if got := e.dump(); got != before {
		t.Fatalf("the schema is not what it was:\n%s", got)
	}
	p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
	to(lens.Complete)
	e.want(strings.ReplaceAll(uniques, "users", "products"),
		`CREATE UNIQUE INDEX here ON public.products USING btree (price_v2) INCLUDE (id) WHERE (label <> 'gone'::text)
CONSTRAINT products_label_price_key UNIQUE (label, price_v2)`)
}

// TestUniqueGroups carries unique indexes of columns that become one, and of one that becomes several, there and back and there again.
func TestUniqueGroups(t *testing.T) {
	for _, x := range []struct {
		name, table, after string
		columns            lens.Columns
		clash              []string // writes of either side that clash with row 1
	}{
		{
			"merge", `
			CREATE TABLE users (id int PRIMARY KEY, first text NOT NULL, last text NOT NULL, tenant int, CONSTRAINT whole UNIQUE (last, first));
			CREATE UNIQUE INDEX here ON users (tenant, first DESC, last) INCLUDE (id) WHERE tenant > 0;
			INSERT INTO users SELECT i, 'f' || i % 5, 'l' || i, i FROM generate_series(1, 20) i;`,
			`CREATE UNIQUE INDEX here ON public.users USING btree (tenant, full_name DESC) INCLUDE (id) WHERE (tenant > 0)
CONSTRAINT whole UNIQUE (full_name)`,
			lens.Columns{
				Drop: []string{"first", "last"}, Add: []lens.AddColumn{{Name: "full_name", Type: "text", Up: "first || ' ' || last"}},
				Down: map[string]string{"first": "split_part(full_name, ' ', 1)", "last": "substr(full_name, strpos(full_name, ' ') + 1)"},
			},
			[]string{"(id, first, last) VALUES (50, 'f1', 'l1')", "(id, full_name) VALUES (50, 'f1 l1')"},
		},
		{
			"split", `
			CREATE TABLE users (id int PRIMARY KEY, address text NOT NULL UNIQUE);
			INSERT INTO users SELECT i, 'street ' || i || ', town' FROM generate_series(1, 20) i;`,
			`CONSTRAINT users_address_key UNIQUE (street, town)`,
			lens.Columns{
				Drop: []string{"address"},
				Add: []lens.AddColumn{
					{Name: "street", Type: "text", Up: "split_part(address, ', ', 1)", NotNull: true}, {Name: "town", Type: "text", Up: "split_part(address, ', ', 2)", NotNull: true},
				},
				Down: map[string]string{"address": "street || ', ' || town"},
			},
			[]string{"(id, address) VALUES (50, 'street 1, town')", "(id, street, town) VALUES (50, 'street 1', 'town')"},
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := newEnv(t, x.table)
			before, defs := e.dump(), e.value(uniques)
			p := e.proxy(0)
			def := &lens.Definition{Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"}, Columns: &x.columns}
			clash := func() {
				t.Helper()
				for _, c := range x.clash {
					e.fails("INSERT INTO users "+c, "23505")
				}
			}
			p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
			p.advance(lens.Contract)
			clash()
			for _, point := range []string{"settled infer-new", "settled write-new"} {
				p.hooks.on(point, die)
				if err := p.goTo(lens.Complete); err != nil {
					t.Fatal(err)
				}
				p.finished()
				p.hooks.on(point, nil)
				clash()
			}
			e.want(uniques, x.after)
			p.rollback(lens.Contract)
			e.want(uniques, defs)
			clash()
			p.rollback(lens.Pending)
			p.drop()
			if got := e.dump(); got != before {
				t.Fatalf("the schema is not what it was:\n%s", got)
			}
			p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
			p.advance(lens.Complete)
			e.want(uniques, x.after)
			e.fails("INSERT INTO users "+x.clash[1], "23505")
		})
	}
}

// TestUniqueOfTwoMigrations has an index on columns of two migrations: the second has to wait.
func TestUniqueOfTwoMigrations(t *testing.T) {
	e := newEnv(t, "CREATE TABLE users (id int PRIMARY KEY, name text, email text, UNIQUE (email, name))")
	p := e.proxy(0)
	p.start()
	other := &lens.Definition{Name: "mail", Table: lens.TableName{Schema: "public", Name: "users"}, RenameColumn: &lens.RenameColumn{From: "email", To: "mail"}}
	err := p.Start(context.Background(), other, proxy.StartOptions{})
	if err == nil || !strings.Contains(err.Error(), "the unique index users_email_name_key is also on a column of migration users_full_name") {
		t.Fatalf("%v", err)
	}
}

// TestUniqueCrash ends the coordinator at every point of what unique columns add, on the way there and on the way back, and goes on from there.
func TestUniqueCrash(t *testing.T) {
	table := strings.Replace(smallTable, "email text", "email text, UNIQUE (name)", 1) + "CREATE UNIQUE INDEX lower_name ON users (lower(name));"
	toWriteNew := func(p *testProxy) {
		p.hooks.on("settled write-new", die)
		if err := p.goTo(lens.Complete); err != nil {
			p.t.Fatal(err)
		}
		p.finished()
		p.hooks.on("settled write-new", nil)
	}
	var points []string
	e := newEnv(t, table)
	before := e.dump()
	p := e.proxy(0)
	p.bring(lens.Contract)
	record := func(point string) error {
		points = append(points, point)
		return nil
	}
	p.hooks.all(record)
	toWriteNew(p)
	there := len(points)
	p.rollback(lens.Contract)
	p.hooks.all(nil)
	if there < 10 || len(points) < there+10 {
		t.Fatalf("points: %q", points)
	}
	seen := map[string]bool{}
	for i, point := range points {
		name := "there, " + point
		if i >= there {
			name = "back, " + point
		}
		ours := strings.HasPrefix(point, "mirror ") || strings.HasPrefix(point, "drop ") || strings.HasPrefix(point, "settled ") || point == "after tighten"
		if !ours || seen[name] || strings.Contains(point, "lower_name") && i < there || point == "settled write-new" || point == "settled back to contract" {
			continue
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			p.t, e.t = t, t
			back := func() {
				to := lens.Contract
				if err := p.Rollback(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &to}); err != nil {
					t.Fatal(err)
				}
			}
			crash := func(ask func()) {
				p.hooks.on(point, die)
				ask()
				if p.finished() == "" {
					t.Fatal("nobody was told that the work ended")
				}
				p.hooks.on(point, nil)
				e.exec("INSERT INTO users (id, name) VALUES (100, 'late')", "DELETE FROM users WHERE id = 100")
				e.fails("INSERT INTO users (id, name) VALUES (100, 'user 7')", "23505")
			}
			if i < there {
				crash(func() {
					if err := p.goTo(lens.Complete); err != nil {
						t.Fatal(err)
					}
				})
				if p.migration().Step != lens.NoStep { // else it has not begun
					p.rollback(lens.Contract)
				}
				toWriteNew(p)
				p.rollback(lens.Contract)
			} else {
				toWriteNew(p)
				crash(back)
				if s := p.migration(); s.Phase == lens.Contract && s.Step != lens.NoStep {
					toWriteNew(p) // there again from the middle
				}
				p.rollback(lens.Contract)
			}
			p.at(lens.Contract, lens.NoStep, true)
		})
	}
	p.t, e.t = t, t
	p.rollback(lens.Pending)
	p.drop()
	if got := e.dump(); got != before {
		t.Fatalf("the schema is not what it was:\n%s", got)
	}
}
