package migrate

import (
	"context"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// orders has every kind of constraint that is mirrored, under a name and over more than one column.
const ordersTable = `
CREATE TABLE customers (region int, id int, PRIMARY KEY (region, id));
CREATE TABLE orders (id int PRIMARY KEY, region int DEFAULT 1, customer int DEFAULT 7, ceiling int NOT NULL DEFAULT 1000, parent int REFERENCES orders,
	CONSTRAINT low CHECK (customer > 0 AND customer < ceiling),
	CONSTRAINT of_customer FOREIGN KEY (region, customer) REFERENCES customers (region, id) ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE orders ADD CONSTRAINT loose CHECK (customer <> 13) NO INHERIT NOT VALID;
INSERT INTO customers SELECT 1, i FROM generate_series(1, 200) i;
INSERT INTO orders SELECT i, 1, 20 + i % 50 FROM generate_series(1, 50) i;
`

// constraintActs are what old and new code do that the constraints have something to say of. new is what new code calls the column.
func constraintActs(added string) func(lens.Stage) []act {
	return func(lens.Stage) []act {
		acts := []act{
			{lens.Old, "INSERT INTO customers VALUES (2, ID), (2, ID + 10000)", ""},
			{lens.Old, "INSERT INTO orders (id, region, customer, ceiling) VALUES (ID, 2, ID, 100000) RETURNING customer = ID", "true"},
			{lens.New, "SELECT NEW = ID FROM orders WHERE id = ID", "true"},
			{lens.Old, "UPDATE orders SET customer = -1 WHERE id = ID", "23514"},
			{lens.New, "UPDATE orders SET NEW = -1 WHERE id = ID", "23514"},
			{lens.New, "UPDATE orders SET ceiling = 1 WHERE id = ID", "23514"},
			{lens.New, "UPDATE orders SET NEW = 13 WHERE id = ID", "23514"},
			{lens.Old, "UPDATE orders SET customer = 13 WHERE id = ID", "23514"},
			{lens.Old, "UPDATE orders SET customer = 9999 WHERE id = ID", "23503"},
			{lens.New, "UPDATE orders SET NEW = 9999 WHERE id = ID", "23503"},
			{lens.Old, "INSERT INTO orders (id, customer) VALUES (ID + 10000, 999)", "23503"},
			{lens.New, "INSERT INTO orders (id, NEW) VALUES (ID + 10000, 999)", "23503"},
			{lens.New, "UPDATE orders SET NEW = ID + 10000 WHERE id = ID", ""},
			{lens.Old, "UPDATE customers SET id = ID + 20000 WHERE region = 2 AND id = ID + 10000", ""},
			{lens.Old, "SELECT customer = ID + 20000 FROM orders WHERE id = ID", "true"},
			{lens.New, "SELECT NEW = ID + 20000 FROM orders WHERE id = ID", "true"},
			{lens.Old, "DELETE FROM customers WHERE region = 2", ""},
			{lens.Old, "SELECT customer IS NULL AND region IS NULL FROM orders WHERE id = ID", "true"},
			{lens.New, "SELECT NEW IS NULL FROM orders WHERE id = ID", "true"},
		}
		for i := range acts {
			acts[i].sql = strings.ReplaceAll(acts[i].sql, "NEW", added)
		}
		return acts
	}
}

// TestConstraints carries CHECKs and foreign keys there, back, and there to the end, with old and new code at work in every epoch.
func TestConstraints(t *testing.T) {
	for _, x := range []pattern{
		{
			name: "rename", setup: ordersTable, script: constraintActs("buyer"), final: `CONSTRAINT low CHECK (((buyer > 0) AND (buyer < ceiling)))`,
			def: lens.Definition{
				Name: "buyer", Table: lens.TableName{Schema: "public", Name: "orders"}, RenameColumn: &lens.RenameColumn{From: "customer", To: "buyer"},
			},
		},
		{
			name: "a wider type", setup: ordersTable, script: constraintActs("customer_id"), final: `CONSTRAINT low CHECK (((customer_id > 0) AND (customer_id < ceiling)))`,
			def: lens.Definition{
				Name: "wider", Table: lens.TableName{Schema: "public", Name: "orders"},
				ChangeType: &lens.ChangeType{Column: "customer", To: "customer_id", Type: "bigint", Up: "customer::bigint", Down: "customer_id::int"},
			},
		},
		{
			name: "another type", def: products(),
			setup: productsTable + "ALTER TABLE products ADD CONSTRAINT digits CHECK (length(price) < 5 AND price <> label);",
			script: func(s lens.Stage) []act {
				return []act{
					{lens.Old, "INSERT INTO products (id, price) VALUES (ID, '12345')", "23514"},
					{lens.Old, "INSERT INTO products (id, price, label) VALUES (ID, '1234', '5')", ""},
					{lens.New, "UPDATE products SET price_v2 = 123456 WHERE id = ID", map[bool]string{true: "23514", false: ""}[s.Phase < lens.Retired]},
					{lens.Old, "UPDATE products SET price = '5' WHERE id = ID", "23514"},
					{lens.New, "UPDATE products SET label = '1234' WHERE id = ID", "23514"},
					{lens.New, "UPDATE products SET price_v2 = 5 WHERE id = ID", "23514"},
				}
			},
			final: "CREATE INDEX products_price_idx ON public.products USING btree (price_v2)",
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := newEnv(t, x.setup)
			before := e.dump()
			c := e.carrier(x)
			for _, from := range []lens.Phase{lens.Contract} {
				c.start()
				c.advance(from)
				c.rollback(lens.Pending)
				c.drop()
				if got := e.dump(); got != before {
					t.Fatalf("after rolling back from %s:\n%s", from, got)
				}
			}
			c.start()
			c.advance(lens.Contract)
			c.toWriteNew()
			c.rollback(lens.Contract)
			c.advance(lens.Complete)
			c.ok(c.Retire(context.Background(), c.def.Name, proxy.RetireOptions{}))
			after := e.dump()
			if strings.Contains(after, "segue") || !strings.Contains(after, x.final) {
				t.Errorf("there is no %s, or something of Segue's is left:\n%s", x.final, after)
			}
			if x.name != "another type" {
				e.want("SELECT string_agg(conname || ' ' || convalidated, ' ' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype IN ('c', 'f')",
					"loose false low true of_customer true orders_parent_fkey true")
			}
		})
	}
}

// TestConstraintsRefused has constraints that have no sound mirror.
func TestConstraintsRefused(t *testing.T) {
	plain := "CREATE TABLE users (id int PRIMARY KEY, name text, other text);"
	hash := &lens.ChangeType{Column: "name", To: "hash", Type: "text", Up: "md5(name)"}
	long := &lens.ChangeType{Column: "name", To: "long_name", Type: "text", Up: "'x' || name", Down: "substr(long_name, 2)"}
	wide := &lens.ChangeType{Column: "num", To: "num_v2", Type: "bigint", Up: "num::bigint", Down: "num_v2::int"}
	for _, x := range []struct {
		name, setup string
		change      *lens.ChangeType // nil: it is renamed
		want        string
	}{
		{"no way back", plain + "ALTER TABLE users ADD CONSTRAINT c CHECK (name <> other);", hash, "the constraint c has an old column in it, and what old code writes could not be held against it"},
		{"other values", plain + "CREATE TABLE names (name text PRIMARY KEY); ALTER TABLE users ADD FOREIGN KEY (name) REFERENCES names;", long, "the new side's values are others than those that it references"},
		{"default", plain + "CREATE TABLE names (name text PRIMARY KEY); ALTER TABLE users ADD FOREIGN KEY (name) REFERENCES names ON DELETE SET DEFAULT;", nil, "SET DEFAULT"},
		{"whole row", plain + "ALTER TABLE users ADD CHECK (users IS NOT NULL);", nil, "it is about the whole row"},
		{
			"a function of the old type", "CREATE FUNCTION small(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 5'; CREATE TABLE users (id int PRIMARY KEY, num int CHECK (small(num)));",
			wide, "cannot be on the new column: function public.small(bigint) does not exist",
		},
		{
			"no grant", plain + "RESET ROLE; CREATE TABLE names (name text PRIMARY KEY); ALTER TABLE users ADD FOREIGN KEY (name) REFERENCES names; SET ROLE control;", nil,
			"GRANT REFERENCES ON public.names TO control",
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := newEnv(t, x.setup)
			before := e.dump()
			def := *renameUsers()
			if x.change != nil {
				def.RenameColumn, def.ChangeType = nil, x.change
			}
			c := e.carrier(pattern{def: def})
			if err := c.Start(context.Background(), &def, proxy.StartOptions{}); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Fatalf("got %v, not %q", err, x.want)
			}
			if got := e.dump(); got != before {
				t.Fatalf("the schema was changed:\n%s", got)
			}
		})
	}
}

// TestConstraintComesLate adds a constraint under a migration, which is mirrored.
func TestConstraintComesLate(t *testing.T) {
	e := newEnv(t, ordersTable)
	def := lens.Definition{Name: "buyer", Table: lens.TableName{Schema: "public", Name: "orders"}, RenameColumn: &lens.RenameColumn{From: "customer", To: "buyer"}}
	c := e.carrier(pattern{def: def})
	c.start()
	c.advance(lens.SwitchReads)
	e.exec("ALTER TABLE orders ADD CONSTRAINT late CHECK (customer <> 14)")
	if err := c.goTo(lens.Contract); err == nil || !strings.Contains(err.Error(), "the constraint late has no valid mirror") {
		t.Fatalf("contract: %v", err)
	}
	c.ok(c.Verify(context.Background(), def.Name, false))
	c.advance(lens.Complete)
	e.fails("UPDATE orders SET buyer = 14 WHERE id = 1", "23514")
}

// TestUnsoundConstraintComesLate adds one that cannot be mirrored, which keeps reads from switching.
func TestUnsoundConstraintComesLate(t *testing.T) {
	x := patterns()[3]
	e := newEnv(t, x.setup)
	c := e.carrier(pattern{def: x.def})
	c.start()
	e.exec("ALTER TABLE secrets ADD CONSTRAINT late CHECK (secret <> '')")
	reads := lens.SwitchReads
	if err := c.Advance(context.Background(), c.def.Name, proxy.AdvanceOptions{To: &reads}); err != nil {
		t.Fatal(err)
	}
	if text := c.finished(); !strings.Contains(text, "the constraint late has an old column in it") {
		t.Fatal(text)
	}
	e.exec("ALTER TABLE secrets DROP CONSTRAINT late")
	c.advance(lens.SwitchReads)
}

// TestSharedConstraint refuses a second migration whose column is in a constraint with the first one's.
func TestSharedConstraint(t *testing.T) {
	e := newEnv(t, ordersTable)
	def := lens.Definition{Name: "buyer", Table: lens.TableName{Schema: "public", Name: "orders"}, RenameColumn: &lens.RenameColumn{From: "customer", To: "buyer"}}
	c := e.carrier(pattern{def: def})
	c.start()
	other := lens.Definition{Name: "top", Table: def.Table, RenameColumn: &lens.RenameColumn{From: "ceiling", To: "top"}}
	if err := c.Start(context.Background(), &other, proxy.StartOptions{}); err == nil || !strings.Contains(err.Error(), "the constraint low has a column of migration buyer in it, too") {
		t.Fatalf("got %v", err)
	}
}

// TestStandsOnColumn carries what else may stand on a column: some of it goes over, and for some complete waits until it is let to use the new column.
func TestStandsOnColumn(t *testing.T) {
	e := newEnv(t, `CREATE DOMAIN label AS text;
		CREATE TABLE users (id int PRIMARY KEY, name label, email text);
		CREATE STATISTICS name_email (dependencies, mcv) ON name, email FROM users; ALTER STATISTICS name_email SET STATISTICS 70;
		CREATE POLICY own ON users USING (name = current_user);
		INSERT INTO users SELECT i, 'u' || i % 7, 'e' || i % 7 FROM generate_series(1, 100) i;`)
	lists := e.value("current_setting('server_version_num')::int >= 150000") == "true" // publications with lists of columns
	if lists {
		e.exec("CREATE PUBLICATION p FOR TABLE users (id, name)")
	}
	before := e.dump()
	c := e.carrier(pattern{def: *renameUsers()})
	c.start()
	c.advance(lens.Contract)
	c.rollback(lens.Pending)
	c.drop()
	if got := e.dump(); got != before {
		t.Fatalf("the schema is not what it was:\n%s", got)
	}
	c.start()
	c.advance(lens.Contract)
	err := c.goTo(lens.Complete)
	if err == nil || !strings.Contains(err.Error(), "the policy own on table public.users uses column name") || lists && !strings.Contains(err.Error(), "publication p uses column name") {
		t.Fatalf("complete: %v", err)
	}
	e.exec("ALTER POLICY own ON users USING (full_name = current_user)")
	if lists {
		e.exec("ALTER PUBLICATION p SET TABLE users (id, full_name)")
	}
	c.advance(lens.Complete)
	e.want(`SELECT stxname || ' ' || stxstattarget || ' ' || array_to_string(stxkind, '') || ' ' || (SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = stxrelid AND attnum = ANY (stxkeys::int2[]))
		FROM pg_statistic_ext`, "name_email 70 fm email full_name")
	e.want("SELECT count(*) FROM pg_statistic_ext_data", "1")
	e.want("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'full_name'", "label")
}
