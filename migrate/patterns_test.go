package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
	"segue/rewrite"
	"segue/rewrite/lens"
)

// pattern is a migration of a table, with what its applications do at every stage.
type pattern struct {
	name  string
	setup string
	def   lens.Definition
	// script is what old and new code do, each with its outcome. ID is a key of its own at each stage.
	script func(s lens.Stage) []act
	final  string // pg_get_indexdef and the columns in the end
}

// act is a statement of one version's code: its only value as text, or a SQLSTATE.
type act struct {
	version lens.Version
	sql     string
	want    string
}

const refused = "0A000"

func products() lens.Definition {
	return lens.Definition{
		Name: "price_bigint", Table: lens.TableName{Schema: "public", Name: "products"},
		ChangeType:    &lens.ChangeType{Column: "price", To: "price_v2", Type: "int8", Up: "price::bigint", Down: "price_v2::varchar", NotNull: true},
		LookupIndexes: true,
	}
}

const productsTable = `
CREATE TABLE products (id bigint PRIMARY KEY, price varchar(20) NOT NULL DEFAULT '0', label text);
CREATE INDEX products_price_idx ON products (price);
CREATE INDEX products_lower_idx ON products (label, lower(price)) WHERE price <> '1';
COMMENT ON COLUMN products.price IS 'in cents';
GRANT SELECT (price) ON products TO web;
INSERT INTO products SELECT i, i, 'label ' || i FROM generate_series(1, 700) i;
`

// before says that a stage comes before a phase, or is a rollback's.
func before(s lens.Stage, p lens.Phase) bool { return s.Phase < p || s.Step == lens.WriteOld }

// gone says that old code reads the old columns no more.
func gone(s lens.Stage) bool { return s.Phase >= lens.Complete }

func patterns() []pattern {
	merge := lens.Definition{
		Name: "persons_full", Table: lens.TableName{Schema: "public", Name: "persons"},
		Columns: &lens.Columns{
			Drop: []string{"first_name", "last_name"},
			Add:  []lens.AddColumn{{Name: "full_name", Type: "text", Up: "first_name || ' ' || last_name"}},
			Down: map[string]string{"first_name": "split_part(full_name, ' ', 1)", "last_name": "substr(full_name, strpos(full_name, ' ') + 1)"},
		},
	}
	split := lens.Definition{
		Name: "address_parts", Table: lens.TableName{Schema: "public", Name: "addresses"}, Allow: []string{"lossy"},
		Columns: &lens.Columns{
			Drop: []string{"address"},
			Add: []lens.AddColumn{
				{Name: "street", Type: "text", Up: "split_part(address, ', ', 1)"}, {Name: "town", Type: "text", Up: "split_part(address, ', ', 2)"},
			},
			Down: map[string]string{"address": "street || ', ' || town"},
		},
	}
	oneWay := lens.Definition{
		Name: "hashed", Table: lens.TableName{Schema: "public", Name: "secrets"},
		ChangeType: &lens.ChangeType{Column: "secret", To: "hash", Type: "text", Up: "md5(secret)"},
	}
	orNull := lens.Definition{
		Name: "age_int", Table: lens.TableName{Schema: "public", Name: "ages"}, Allow: []string{"lossy"},
		ChangeType: &lens.ChangeType{Column: "age", To: "age_v2", Type: "integer", Up: "age::integer", Down: "age_v2::text", OnError: "null"},
	}
	tighten := lens.Definition{
		Name: "email_not_null", Table: lens.TableName{Schema: "public", Name: "contacts"},
		Columns: &lens.Columns{
			Drop: []string{"email"}, Add: []lens.AddColumn{{Name: "mail", Type: "text", Up: `email COLLATE "default"`, NotNull: true}}, Down: map[string]string{"email": `mail COLLATE "C"`},
		},
	}
	return []pattern{
		{
			name: "change_type", setup: productsTable, def: products(),
			script: func(s lens.Stage) []act {
				return []act{
					{lens.Old, "INSERT INTO products (id, price) VALUES (ID, '7') RETURNING price", "7"},
					{lens.New, "SELECT price_v2 + 1 FROM products WHERE id = ID", "8"},
					{lens.New, "UPDATE products SET price_v2 = price_v2 + 5 WHERE id = ID RETURNING price_v2", "12"},
					{lens.Old, "SELECT price || label IS NULL FROM products WHERE id = ID AND price = '12'", "true"},
					{lens.Old, "UPDATE products SET price = price || '0', label = 'x' WHERE id = ID RETURNING price", "120"},
					{lens.New, "SELECT label || price_v2 FROM products WHERE id = ID AND price_v2 BETWEEN 119 AND 121", "x120"},
					{lens.Old, "UPDATE products SET price = 'abc' WHERE id = ID", map[bool]string{true: "", false: "22P02"}[s.Phase == lens.Pending && s.Step == lens.NoStep]},
					{lens.Old, "UPDATE products SET price = '5' WHERE id = ID", ""},
					{lens.Old, "UPDATE products SET price = '" + strings.Repeat("1", 21) + "' WHERE id = ID", "22001"},
					{lens.New, "DELETE FROM products WHERE price_v2 = 5 AND id = ID RETURNING price_v2", "5"},
					{lens.New, "INSERT INTO products (id, price_v2) VALUES (ID, 99) RETURNING price_v2", "99"},
					{lens.Old, "SELECT price FROM products WHERE id = ID", "99"},
					{lens.Old, "DELETE FROM products WHERE id = ID", ""},
					{lens.Old, "INSERT INTO products (id) VALUES (ID) RETURNING price", "0"},
					{lens.New, "UPDATE products SET label = 'y' WHERE id = ID RETURNING price_v2", "0"},
				}
			},
			final: "CREATE INDEX products_price_idx ON public.products USING btree (price_v2)",
		},
		{
			name: "merge", def: merge,
			setup: `CREATE TABLE persons (id int PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, label text);
				CREATE INDEX persons_first_idx ON persons (first_name);
				INSERT INTO persons SELECT i, 'first' || i, 'last ' || i FROM generate_series(1, 50) i;`,
			script: func(s lens.Stage) []act {
				formless := "22000"
				if s.Phase == lens.Pending { // there is no other side yet
					formless = ""
				}
				return []act{
					{lens.Old, "INSERT INTO persons (id, first_name, last_name) VALUES (ID, 'Ann', 'Lee') RETURNING first_name", "Ann"},
					{lens.New, "SELECT full_name FROM persons WHERE id = ID", "Ann Lee"},
					{lens.Old, "UPDATE persons SET last_name = 'Lie' WHERE id = ID", ""},
					{lens.New, "UPDATE persons SET full_name = 'Bob ' || full_name WHERE id = ID RETURNING full_name", "Bob Ann Lie"},
					{lens.Old, "SELECT first_name || '/' || last_name FROM persons WHERE first_name = 'Bob' AND id = ID", "Bob/Ann Lie"},
					{lens.Old, "UPDATE persons SET first_name = 'Jo Ann' WHERE id = ID", formless},
					{lens.Old, "UPDATE persons SET first_name = 'x', last_name = 'y' WHERE id = ID", ""},
					{lens.New, "SELECT full_name FROM persons WHERE id = ID", "x y"},
				}
			},
		},
		{
			name: "split, lossy", def: split,
			setup: `CREATE TABLE addresses (id int PRIMARY KEY, address text, label text);
				CREATE INDEX addresses_address_idx ON addresses (address);
				INSERT INTO addresses SELECT i, 'street ' || i || CASE WHEN i % 3 > 0 THEN ', town ' || i ELSE '' END FROM generate_series(1, 50) i;`,
			script: func(s lens.Stage) []act {
				acts := []act{
					{lens.Old, "INSERT INTO addresses (id, address) VALUES (ID, 'a, b')", ""},
					{lens.New, "SELECT street || '/' || town FROM addresses WHERE id = ID", "a/b"},
					{lens.Old, "UPDATE addresses SET address = 'c' WHERE id = ID", ""},
					{lens.New, "SELECT street || '/' || town FROM addresses WHERE id = ID AND street = 'c'", "c/"},
				}
				if before(s, lens.Contract) {
					acts = append(acts, act{lens.Old, "SELECT address FROM addresses WHERE id = ID", "c"}) // its own column
				}
				if before(s, lens.SwitchReads) {
					return append(acts, act{lens.New, "UPDATE addresses SET street = 'x' WHERE id = ID", refused})
				}
				return append(acts, []act{
					{lens.New, "UPDATE addresses SET street = 'x', town = 'y, z' WHERE id = ID", ""},
					{lens.New, "SELECT street || '/' || town FROM addresses WHERE id = ID", "x/y, z"},
					{lens.Old, "SELECT address FROM addresses WHERE id = ID", "x, y, z"},
					{lens.New, "UPDATE addresses SET street = NULL, town = NULL WHERE id = ID", ""},
					{lens.Old, "SELECT address IS NULL FROM addresses WHERE id = ID", "true"},
				}...)
			},
		},
		{
			name: "one way", def: oneWay,
			setup: `CREATE TABLE secrets (id int PRIMARY KEY, secret text NOT NULL DEFAULT 's');
				CREATE INDEX secrets_idx ON secrets (secret);
				INSERT INTO secrets SELECT i, 'secret ' || i FROM generate_series(1, 50) i;`,
			script: func(s lens.Stage) []act {
				acts := []act{
					{lens.Old, "INSERT INTO secrets (id, secret) VALUES (ID, 'a')", ""},
					{lens.New, "SELECT hash FROM secrets WHERE id = ID", "0cc175b9c0f1b6a831c399e269772661"},
					{lens.Old, "UPDATE secrets SET secret = 'b' WHERE id = ID", ""},
					{lens.New, "SELECT hash FROM secrets WHERE id = ID", "92eb5ffee6ae2fec3ad71c777531578f"},
				}
				if !gone(s) {
					return append(acts, act{lens.Old, "SELECT secret FROM secrets WHERE id = ID", "b"}, act{lens.New, "UPDATE secrets SET hash = 'x' WHERE id = ID", refused})
				}
				return append(acts, act{lens.Old, "SELECT secret FROM secrets WHERE id = ID", refused}, act{lens.New, "UPDATE secrets SET hash = 'x' WHERE id = ID RETURNING hash", "x"})
			},
			final: "CREATE INDEX secrets_idx ON public.secrets USING btree (hash)",
		},
		{
			name: "on_error null", def: orNull,
			setup: `CREATE TABLE ages (id int PRIMARY KEY, age text);
				INSERT INTO ages SELECT i, CASE WHEN i % 4 > 0 THEN i::text ELSE 'about ' || i END FROM generate_series(1, 50) i;`,
			script: func(s lens.Stage) []act {
				acts := []act{
					{lens.Old, "INSERT INTO ages (id, age) VALUES (ID, '007')", ""},
					{lens.New, "SELECT age_v2 FROM ages WHERE id = ID", "7"},
					{lens.Old, "UPDATE ages SET age = 'old' WHERE id = ID", ""},
					{lens.New, "SELECT age_v2 FROM ages WHERE id = ID", "NULL"},
				}
				switch {
				case before(s, lens.SwitchReads):
					return append(acts, act{lens.Old, "SELECT age FROM ages WHERE id = ID", "old"}, act{lens.New, "UPDATE ages SET age_v2 = 8 WHERE id = ID", refused})
				case before(s, lens.Contract):
					acts = append(acts, act{lens.Old, "SELECT age FROM ages WHERE id = ID", "old"})
				default:
					acts = append(acts, act{lens.Old, "SELECT age FROM ages WHERE id = ID", "NULL"})
				}
				return append(acts, act{lens.New, "UPDATE ages SET age_v2 = 8 WHERE id = ID", ""}, act{lens.Old, "SELECT age FROM ages WHERE id = ID", "8"})
			},
		},
		{
			name: "tighten", def: tighten,
			setup: `CREATE TABLE contacts (id int PRIMARY KEY, email varchar(9) COLLATE "C");
				CREATE INDEX contacts_email_idx ON contacts (email) INCLUDE (id);
				INSERT INTO contacts SELECT i, 'u' || i || '@x' FROM generate_series(1, 50) i;`,
			script: func(lens.Stage) []act {
				return []act{
					{lens.Old, "INSERT INTO contacts (id, email) VALUES (ID, 'B@x') RETURNING email", "B@x"},
					{lens.New, "SELECT mail FROM contacts WHERE id = ID AND mail < 'a'", "B@x"},
					{lens.New, "UPDATE contacts SET mail = lower(mail) WHERE id = ID RETURNING mail", "b@x"},
					{lens.Old, "SELECT email FROM contacts WHERE id = ID AND email = 'b@x'", "b@x"},
					{lens.Old, "UPDATE contacts SET email = '0123456789' WHERE id = ID", "22001"},
				}
			},
		},
	}
}

// carrier carries one pattern.
type carrier struct {
	*testProxy
	e    *env
	def  *lens.Definition
	acts func(s lens.Stage) []act
	id   int
	seen map[string]bool
}

func (e *env) carrier(x pattern) *carrier {
	c := &carrier{testProxy: e.proxy(0), e: e, def: &x.def, acts: x.script, id: 1000, seen: map[string]bool{}}
	c.hooks.all(func(point string) error {
		name, ok := strings.CutPrefix(point, "settled ")
		if !ok || x.script == nil {
			return nil
		}
		c.seen[name] = true
		if err := c.play(name); err != nil {
			c.t.Error(err)
		}
		return nil
	})
	return c
}

// play runs the script as clients of a proxy do that has the current state.
func (c *carrier) play(point string) error {
	m, err := c.find(context.Background(), c.def.Name)
	if errors.Is(err, proxy.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if m.Stand.Phase == lens.Retired || !m.Stand.Live {
		return nil
	}
	c.id++
	for _, a := range c.acts(m.Stand.Stage) {
		sql := strings.ReplaceAll(a.sql, "ID", fmt.Sprint(c.id))
		if got := c.through(a.version, sql); got != a.want {
			plan := c.host.current().Plan(sql, rewriteSettings(a.version))
			return fmt.Errorf("at %s, %s: %s code's %s (%s) gave %q, not %q", point, m.Stand, a.version, sql, plan.SQL, got, a.want)
		}
	}
	return nil
}

func rewriteSettings(version lens.Version) rewrite.Settings {
	return rewrite.Settings{Version: version, Path: []string{"pg_catalog", "public"}, ServerMajor: 15, Encoding: "UTF8"}
}

// through runs a statement as a session behind the proxy would, and gives its only value, "" where there is none, or the SQLSTATE.
func (c *carrier) through(version lens.Version, sql string) string {
	plan := c.host.current().Plan(sql, rewriteSettings(version))
	if plan.Kind == rewrite.Refuse {
		return plan.Refusal.Code
	}
	return c.direct(plan.SQL)
}

// direct runs a statement past the proxies.
func (c *carrier) direct(sql string) string {
	rows, err := c.e.super.Query(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
	if state := sqlState(err); state != "" {
		return state
	}
	if err != nil {
		return err.Error()
	}
	got := ""
	for rows.Next() {
		if raw := rows.RawValues()[0]; raw == nil {
			got = "NULL"
		} else if got = string(raw); got == "t" {
			got = "true"
		}
	}
	if err := rows.Err(); err != nil {
		if state := sqlState(err); state != "" {
			return state
		}
		return err.Error()
	}
	return got
}

func (c *carrier) start() {
	c.t.Helper()
	c.ok(c.Start(context.Background(), c.def, proxy.StartOptions{}))
}

func (c *carrier) goTo(to lens.Phase) error {
	return c.Advance(context.Background(), c.def.Name, proxy.AdvanceOptions{To: &to, Yes: true})
}

// toWriteNew goes on towards complete, and stops in the step before the last.
func (c *carrier) toWriteNew() {
	c.t.Helper()
	c.hooks.on("settled write-new", die)
	if err := c.goTo(lens.Complete); err != nil {
		c.t.Fatal(err)
	}
	c.finished()
	c.hooks.on("settled write-new", nil)
	c.at(lens.Complete, lens.WriteNew, true)
}

func (c *carrier) advance(to lens.Phase) { c.t.Helper(); c.ok(c.goTo(to)) }

func (c *carrier) rollback(to lens.Phase) {
	c.t.Helper()
	c.ok(c.Rollback(context.Background(), c.def.Name, proxy.AdvanceOptions{To: &to}))
}

func (c *carrier) drop() { c.t.Helper(); c.ok(c.Drop(context.Background(), c.def.Name)) }

// TestPatterns carries each pattern there, back, and there again to the end, with code of both versions at work at every stage.
func TestPatterns(t *testing.T) {
	for i, x := range patterns() {
		t.Run(x.name, func(t *testing.T) {
			e := newEnv(t, x.setup)
			before := e.dump()
			c := e.carrier(x)
			turns := []lens.Phase{lens.DualWrite, lens.Backfilling, lens.Contract}
			if i > 0 {
				turns = turns[2:]
			}
			for _, from := range turns {
				c.start()
				if from > lens.DualWrite {
					c.advance(from)
				}
				c.rollback(lens.Pending)
				c.drop()
				if got := e.dump(); got != before {
					t.Fatalf("after rolling back from %s:\n%s", from, got)
				}
				e.want("SELECT count(*) FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname NOT IN ('fit', 'formless')", "0")
			}
			c.start()
			reads := lens.SwitchReads
			c.ok(c.Advance(context.Background(), c.def.Name, proxy.AdvanceOptions{To: &reads, Unproved: true}))
			c.at(lens.SwitchReads, lens.NoStep, false)
			c.ok(c.Verify(context.Background(), c.def.Name, false))
			c.at(lens.SwitchReads, lens.NoStep, true)
			c.advance(lens.Complete)
			c.at(lens.Complete, lens.NoStep, true)
			c.ok(c.Retire(context.Background(), c.def.Name, proxy.RetireOptions{}))
			c.at(lens.Retired, lens.NoStep, true)
			for _, point := range []string{"expand", "dual-write", "backfill", "prove", "switch-reads", "contract", "infer-new", "write-new", "complete", "write-old"} {
				if !c.seen[point] {
					t.Errorf("nobody wrote at %s", point)
				}
			}
			e.want("SELECT count(*) FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname NOT IN ('fit', 'formless')", "0")
			if after := e.dump(); strings.Contains(after, "segue") {
				t.Errorf("something of Segue's is left:\n%s", after)
			} else if !strings.Contains(after, x.final) {
				t.Errorf("there is no %s in\n%s", x.final, after)
			}
			c.drop()
		})
	}
}
