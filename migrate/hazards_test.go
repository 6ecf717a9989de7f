package migrate

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"segue/config"
	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// TestHazards finds each hazard by its name, with what it is about, and none where there is none.
func TestHazards(t *testing.T) {
	e := newEnv(t, `
		CREATE TABLE kinds (kind text PRIMARY KEY); INSERT INTO kinds VALUES ('a');
		CREATE TABLE other (id int PRIMARY KEY);
		CREATE TABLE users (id int PRIMARY KEY, name text REFERENCES kinds ON UPDATE CASCADE, stamp int, email text);
		INSERT INTO users VALUES (1, 'a', 1, 'e');
		CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.stamp := 1; RETURN NEW; END';
		CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END';
		CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO users (id) VALUES (NEW.id); RETURN NULL; END';
		CREATE FUNCTION rename_user(int, text) RETURNS void LANGUAGE sql AS 'UPDATE users SET name = $2 WHERE id = $1';
		CREATE FUNCTION count_users() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users';
		CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();
		CREATE TRIGGER shouted BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION shout();
		CREATE TRIGGER of_email AFTER UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION touch();
		CREATE TRIGGER logged AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION log();
		CREATE VIEW names AS SELECT id, name FROM users;
		CREATE VIEW numbers AS SELECT count(*) FROM users;
		CREATE PUBLICATION everything FOR TABLE users;`)
	p := e.proxy(0)
	find := func(allow ...string) map[string]Hazard {
		t.Helper()
		def := renameUsers()
		def.Allow = allow
		answer, err := p.Check(context.Background(), def)
		if err != nil {
			t.Fatal(err)
		}
		var r CheckReport
		if err := json.Unmarshal(answer, &r); err != nil || !r.Ready {
			t.Fatalf("%v, %q", err, r.Problems)
		}
		out := map[string]Hazard{}
		for _, h := range r.Hazards {
			if !slices.Contains(config.Hazards, h.Name) {
				t.Errorf("%s is no name that can be allowed", h.Name)
			}
			out[h.Name] = h
		}
		return out
	}
	found := find(config.HazardUpdateTriggers)
	for name, want := range map[string]struct{ has, hasNot string }{
		config.HazardUpdateTriggers:    {"touched of public.users (public.touch())", "of_email"},
		config.HazardBeforeTriggers:    {"shouted of public.users (public.shout()), which names name", "touched"},
		config.HazardDependents:        {"view public.names", "numbers"},
		config.HazardFunctions:         {"rename_user(integer,text)", "count_users"},
		config.HazardBypassFunctions:   {"rename_user(integer,text)", "count_users"},
		config.HazardBypassTriggers:    {"logged of public.other (public.log())", "touch"},
		config.HazardBypassViews:       {"names", "numbers"},
		config.HazardBypassForeignKeys: {"users_name_fkey of public.users", "kinds_"},
		config.HazardPublications:      {"add full_name there before the start: everything", "touch"},
		config.HazardBypassSessions:    {"pid ", "segue control"},
	} {
		h, ok := found[name]
		if !ok || !strings.Contains(h.Text, want.has) || strings.Contains(h.Text, want.hasNot) {
			t.Errorf("%s: %q; want %q in it, and %q not", name, h.Text, want.has, want.hasNot)
		}
		if h.Allowed != (name == config.HazardUpdateTriggers) {
			t.Errorf("%s: allowed %v", name, h.Allowed)
		}
		delete(found, name)
	}
	if len(found) > 0 {
		t.Errorf("more was found: %+v", found)
	}
	e.exec("DROP TABLE other, users CASCADE; DROP FUNCTION rename_user; CREATE TABLE users (id int PRIMARY KEY, name text)", "ALTER TABLE users OWNER TO control")
	if found = find(); len(found) != 1 { // the test's own session
		t.Errorf("%+v", found)
	}
}

// TestWithoutWantedRoles says what is lost by a control role that has neither of the two.
func TestWithoutWantedRoles(t *testing.T) {
	e := newEnv(t, "")
	e.exec("CREATE ROLE bare_control LOGIN", "GRANT CREATE ON DATABASE "+e.db+" TO bare_control", "GRANT ALL ON SCHEMA public TO bare_control",
		"SET ROLE bare_control", "CREATE TABLE users (id int PRIMARY KEY, name text)", "RESET ROLE")
	t.Cleanup(func() { e.exec("DROP OWNED BY bare_control", "DROP ROLE bare_control") })
	e.dsn = pgtest.Shared().DSNAs("bare_control", e.db)
	p := e.proxy(0)
	answer, err := p.Check(context.Background(), renameUsers())
	if err != nil {
		t.Fatal(err)
	}
	var r CheckReport
	if err := json.Unmarshal(answer, &r); err != nil {
		t.Fatal(err)
	}
	if got := hazardNames(r); !strings.HasPrefix(got, "no-stats no-signal") || !r.Ready {
		t.Errorf("%s, %q", got, r.Problems)
	}
	p.start()
	p.advance(lens.Backfilling)
	p.rollback(lens.Pending)
	p.drop()
	p.end()
}
