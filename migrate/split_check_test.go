package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// TestSplitRefusals asks for splits that cannot be carried: each is refused with its reason, and nothing is left.
func TestSplitRefusals(t *testing.T) {
	e := newEnv(t, `
		CREATE TABLE users (id bigint PRIMARY KEY, tenant int NOT NULL, name text, address text, zip text, made text GENERATED ALWAYS AS (zip || '!') STORED, n serial, login text UNIQUE, UNIQUE (id, tenant));
		CREATE TABLE cities (name text PRIMARY KEY);
		CREATE TABLE parted (id bigint PRIMARY KEY, address text) PARTITION BY HASH (id);
		CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
		CREATE TABLE secured (id bigint PRIMARY KEY, address text);
		ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
		CREATE TABLE ruled (id bigint PRIMARY KEY, address text);
		CREATE RULE r AS ON INSERT TO ruled DO ALSO NOTHING;
		CREATE TABLE late (id bigint PRIMARY KEY DEFERRABLE, address text);
		CREATE TABLE strict (id bigint PRIMARY KEY, address text CHECK (address IS NOT NULL));
		CREATE TABLE blind (id bigint PRIMARY KEY, address text);
		GRANT INSERT ON blind TO web;
		CREATE TABLE viewed (id bigint PRIMARY KEY, address text);
		CREATE VIEW over_it AS SELECT * FROM viewed;
		GRANT SELECT, UPDATE ON over_it TO web;
		CREATE TABLE referred (id bigint PRIMARY KEY, address text UNIQUE);
		CREATE TABLE referring (a text REFERENCES referred (address));
		CREATE TABLE owned (id bigint PRIMARY KEY, owner bigint REFERENCES users ON DELETE CASCADE, address text);
		CREATE TABLE keyed (id bigint PRIMARY KEY REFERENCES users ON UPDATE CASCADE, address text);
		INSERT INTO users (id, tenant, address, zip) VALUES (1, 1, 'a', 'z'), (2, 1, 'a', NULL), (3, 1, NULL, 'y');
	`)
	before := e.dump()
	p := e.proxy(0)
	const plain = "user_id bigint PRIMARY KEY, address text"
	for _, c := range []struct{ table, key, moved, body, want string }{
		{"users", "nope", "address", plain, "has no column nope"},
		{"users", "name", "address", "user_id text PRIMARY KEY, address text", "column name is in the key and may be NULL"},
		{"users", "tenant", "address", "user_id int PRIMARY KEY, address text", "neither the primary key"},
		{"users", "id", "nope", plain, "has no column nope"},
		{"users", "id", "made", plain, "column made is generated"},
		{"users", "id", "zip", plain, "a generated column is computed from column zip"},
		{"users", "id", "n", plain, "column n owns the sequence"},
		{"parted", "id", "address", plain, "has partitions"},
		{"parted_0", "id", "address", plain, "is a partition"},
		{"secured", "id", "address", plain, "row security is enabled"},
		{"ruled", "id", "address", plain, "has rules"},
		{"late", "id", "address", plain, "neither the primary key"},
		{"strict", "id", "address", plain, "takes no row whose moved columns are NULL"},
		{"blind", "id", "address", plain, "GRANT SELECT (id, address) ON public.blind TO web"},
		{"viewed", "id", "address", plain, "web may UPDATE on the view public.over_it of public.viewed and not on public.viewed itself"},
		{"referred", "id", "address", plain, "refers to column address"},
		{"owned", "id", "address", plain, "deletes its rows with those of public.users"},
		{"owned", "id", "address", "user_id bigint PRIMARY KEY REFERENCES public.owned ON UPDATE CASCADE, address text", "declare ON DELETE CASCADE on the key of public.addresses"},
		{"keyed", "id", "address", "user_id bigint PRIMARY KEY REFERENCES public.keyed ON DELETE CASCADE, address text", "declare ON UPDATE CASCADE on the key of public.addresses"},
		{"users", "id", "address", "user_id int PRIMARY KEY, address text", "is of type integer, and id of public.users is bigint"},
		{"users", "id", "address", "user_id bigint PRIMARY KEY, address varchar(3)", "is of type character varying(3)"},
		{"users", "id", "address", `user_id bigint PRIMARY KEY, address text COLLATE "C"`, "another collation"},
		{"users", "id", "address", "user_id bigint PRIMARY KEY", "has no column address"},
		{"users", "id", "address", "user_id bigint, address text", "may be NULL"},
		{"users", "id", "address", "user_id bigint NOT NULL, address text UNIQUE", "no unique index on exactly (user_id)"},
		{"users", "id", "address", "user_id bigint, address text, PRIMARY KEY (user_id, address)", "no unique index on exactly (user_id)"},
		{"users", "id", "address", "user_id bigint PRIMARY KEY DEFERRABLE, address text", "no unique index on exactly (user_id)"},
		{"users", "id", "address", plain + ", extra int NOT NULL", "column extra of public.addresses is NOT NULL"},
		{"users", "id", "address", "user_id bigint PRIMARY KEY REFERENCES public.users ON DELETE SET NULL, address text", "sets the key to something else"},
		{"users", "id", "address", "user_id bigint PRIMARY KEY REFERENCES public.users DEFERRABLE, address text", "is DEFERRABLE"},
		{"users", "id", "address", "user_id bigint PRIMARY KEY, address text REFERENCES public.users (login)", "is not from the key to the key"},
		{"users", "id", "address", "user_id bigint PRIMARY KEY, address text REFERENCES public.nowhere", "`create` cannot be run"},
		{"users", "id", "address", "user_id bigint PRIMARY KEY, address text REFERENCES public.cities", "in 2 of 2 rows, the foreign key addresses_address_fkey of public.addresses would be violated"},
		{"users", "id", "address", plain + " CHECK (address <> 'a')", "in 2 of 2 rows, the constraint addresses_address_check of public.addresses would be violated"},
		{"users", "id", "address", plain + " UNIQUE", "(address) is unique in public.addresses, and rows have the same: a"},
	} {
		def := splitOf(map[string]string{c.key: "user_id"}, map[string]string{c.moved: "address"}, c.body, "")
		def.Table.Name = c.table
		raw, err := p.Check(context.Background(), def)
		if err != nil {
			t.Fatalf("%s (%s): %v", c.table, c.body, err)
		}
		r := &CheckReport{}
		if err := json.Unmarshal(raw, r); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.Problems, "; "); !strings.Contains(got, c.want) || r.Ready {
			t.Errorf("%s (%s): %q has no %q", c.table, c.body, got, c.want)
		}
	}
	def := splitWith("")
	def.SplitTable.To.Name = "cities"
	def.SplitTable.Create = "CREATE TABLE public.cities (user_id bigint PRIMARY KEY, address text)"
	if err := p.Start(context.Background(), def, proxy.StartOptions{}); !errors.Is(err, proxy.ErrInvalid) || !strings.Contains(err.Error(), "something named public.cities already") {
		t.Errorf("a name that is taken: %v", err)
	}
	if got := e.dump(); got != before {
		t.Errorf("something is left:\n%s", got)
	}
	e.want("SELECT count(*) FROM segue.migration", "0")
}

// TestSplitComparison has check say in what the new table differs from what stands on the columns that move, and what start would do.
func TestSplitComparison(t *testing.T) {
	e := newEnv(t, `
		CREATE TABLE cities (name text PRIMARY KEY);
		CREATE TABLE users (id bigint PRIMARY KEY, address text DEFAULT 'x' CONSTRAINT short CHECK (length(address) < 50), city text NOT NULL REFERENCES cities, CONSTRAINT both_of CHECK (id > 0 OR city <> ''));
		CREATE INDEX users_address_idx ON users (address);
		CREATE INDEX users_city_idx ON users (lower(city));
		CREATE VIEW towns AS SELECT city FROM users;
		GRANT SELECT, INSERT ON users TO web;
		GRANT UPDATE (address) ON users TO PUBLIC;`)
	p := e.proxy(0)
	report := func(def *lens.Definition) *CheckReport {
		t.Helper()
		raw, err := p.Check(context.Background(), def)
		if err != nil {
			t.Fatal(err)
		}
		r := &CheckReport{}
		if err := json.Unmarshal(raw, r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	e.exec("GRANT SELECT ON users TO PUBLIC")
	r := report(splitOf(map[string]string{"id": "user_id"}, map[string]string{"address": "address", "city": "town"}, "user_id bigint PRIMARY KEY REFERENCES public.users, address text, town text", ""))
	all := strings.Join(r.Notes, "\n") + "\n" + strings.Join(r.CompleteWaitsFor, "\n")
	for _, s := range r.Steps {
		all += "\n" + s.SQL
	}
	for _, want := range []string{
		"column address has the default 'x'::text, and public.addresses.address has none", "column city is NOT NULL, and public.addresses.town is not", "the constraint both_of has other columns in it", "no constraint like short",
		"no constraint like users_city_fkey", "no index like the index users_address_idx", "no index like the index users_city_idx", "web may write public.users and not UPDATE (address, city)",
		"view public.towns", "GRANT INSERT ON public.addresses TO web", "GRANT DELETE ON public.addresses TO PUBLIC", `CREATE TRIGGER "!segue_user_addresses:delete"`, "ALTER COLUMN city DROP NOT NULL", "DROP COLUMN address",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if !r.Ready {
		t.Errorf("problems: %q", r.Problems)
	}
	// What is declared alike is not mentioned.
	r = report(splitOf(map[string]string{"id": "user_id"}, map[string]string{"address": "address", "city": "town"},
		"user_id bigint PRIMARY KEY REFERENCES public.users, address text DEFAULT 'x' CHECK (length(address) < 50), town text NOT NULL REFERENCES public.cities",
		"; CREATE INDEX ON public.addresses (address); CREATE INDEX ON public.addresses (lower(town))"))
	if got := strings.Join(r.Notes, "\n"); strings.Count(got, "\n") != 2 || strings.Count(got, "may write") != 2 || !strings.Contains(got, "both_of") {
		t.Errorf("notes:\n%s", got)
	}
}
