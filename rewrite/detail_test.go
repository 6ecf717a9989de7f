package rewrite

import (
	"testing"

	"segue/rewrite/lens"
)

var (
	contract   = lens.Stage{Phase: lens.Contract, Proved: true}
	bothUnique = lens.Stage{Phase: lens.Contract, Step: lens.BothUnique, Proved: true}
	inferNew   = lens.Stage{Phase: lens.Contract, Step: lens.InferNew, Proved: true}
	writeNew   = lens.Stage{Phase: lens.Complete, Step: lens.WriteNew, Proved: true}
)

// TestAgain has the statements that may meet the other side's unique index, and only where it may stand. What goes to the server is what goes in contract.
func TestAgain(t *testing.T) {
	for _, c := range []struct {
		table, sql string
		again      bool
	}{
		{"users", "INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (name) DO NOTHING", true},
		{"users", "INSERT INTO users (id, full_name) VALUES (1, 'x') ON CONFLICT (full_name) DO UPDATE SET email = ''", true},
		{"users", "INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id, lower(name)) DO NOTHING", true},
		{"users", "INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (email) WHERE name > '' DO NOTHING", true},
		{"users", "INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT ON CONSTRAINT one DO NOTHING", true},
		{"users", "WITH i AS (INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (name) DO NOTHING RETURNING id) SELECT * FROM i", true},
		{"products", "INSERT INTO products (id, price) VALUES (1, '1') ON CONFLICT (price) DO NOTHING", true},
		{"persons", "INSERT INTO persons (id, first_name, last_name) VALUES (1, 'x', 'y') ON CONFLICT (last_name, first_name) DO NOTHING", true},
		{"persons", "INSERT INTO persons (id, full_name) VALUES (1, 'x y') ON CONFLICT ON CONSTRAINT one DO NOTHING", true},
		{"users", "INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'y'", false},
		{"users", "INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT DO NOTHING", false},
		{"users", "INSERT INTO users (id, name) VALUES (1, 'x')", false},
		{"users", "SELECT 1; INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (name) DO NOTHING", false},
		{"users", "UPDATE users SET name = 'x'", false},
	} {
		plan := func(s lens.Stage) *Plan {
			p := stateOn(t, s, c.table).Plan(c.sql, settings(lens.Auto))
			if p.Kind == Refuse {
				t.Fatalf("%s at %s: %s", c.sql, s, p.Refusal.Message)
			}
			return p
		}
		for _, s := range []lens.Stage{contract, writeNew} {
			if plan(s).Again() {
				t.Errorf("%s may be sent again at %s", c.sql, s)
			}
		}
		for _, s := range []lens.Stage{bothUnique, inferNew} {
			if plan(s).Again() != c.again {
				t.Errorf("%s may be sent again at %s: %v", c.sql, s, !c.again)
			}
		}
		if got, want := plan(bothUnique).SQL, plan(contract).SQL; got != want {
			t.Errorf("at both-unique:\n%s\nat contract:\n%s", got, want)
		}
	}
}

func TestTryAgain(t *testing.T) {
	p := stateOn(t, bothUnique, "users").Plan("INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (name) DO NOTHING", settings(lens.Old))
	for _, c := range []struct {
		code, detail string
		want         bool
	}{
		{"23505", "Key (full_name)=(x) already exists.", true},
		{"23505", "Key (name)=(x) already exists.", true},
		{"23505", "Schlüssel »(lower(full_name::text), id)=(x, 1)« existiert bereits.", true},
		{"23505", "", true}, // the role may not read it
		{"23505", "Key (id)=(1) already exists.", false},
		{"23505", "Key (full_name(id), x.name, \"Name\")=((name)=(1)) already exists.", false},
		{"23514", "Key (full_name)=(x) already exists.", false},
		{"40P01", "Process 1 waits for ShareLock on transaction 2; blocked by process 3.", true},
	} {
		if got := p.TryAgain(c.code, c.detail); got != c.want {
			t.Errorf("%s %s: %v", c.code, c.detail, got)
		}
	}
	if p := stateOn(t, contract, "users").Plan("INSERT INTO users (id, name) VALUES (1, 'x') ON CONFLICT (name) DO NOTHING", settings(lens.Old)); p.TryAgain("23505", "") || p.TryAgain("40P01", "") {
		t.Error("at contract, too")
	}
}

func TestClientKey(t *testing.T) {
	for _, c := range []struct {
		version      lens.Version
		stage        lens.Stage
		detail, want string
	}{
		{lens.Old, writeNew, "Key (full_name)=(full_name) already exists.", "Key (name)=(full_name) already exists."},
		{lens.Old, writeNew, "Key (lower(full_name::text), id)=(x, 1) already exists.", "Key (lower(name::text), id)=(x, 1) already exists."},
		{lens.New, contract, "Key (name)=(a)=(b) already exists.", "Key (full_name)=(a)=(b) already exists."},
		{lens.New, writeNew, "Key (full_name)=(x) already exists.", "Key (full_name)=(x) already exists."},
		{lens.New, contract, "Key (name(id), 'name'::name, x.name)=(x) already exists.", "Key (name(id), 'name'::name, x.name)=(x) already exists."},
		{lens.Old, writeNew, "no key", "no key"},
		{lens.Old, writeNew, "", ""},
	} {
		p := stateOn(t, c.stage, "users").Plan("UPDATE users SET email = 'x'", settings(c.version))
		if got := p.ClientKey("users", c.detail); got != c.want {
			t.Errorf("%s at %s: %s gives %s, not %s", c.version, c.stage, c.detail, got, c.want)
		}
		if got := p.ClientKey("others", c.detail); got != c.detail {
			t.Errorf("of another table: %s", got)
		}
	}
}
