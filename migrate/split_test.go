package migrate

import (
	"context"
	"strings"
	"testing"
	"time"

	"segue/proxy"
	"segue/rewrite/lens"
)

const splitUsers = `
CREATE TABLE users (id bigint PRIMARY KEY, name text, address text);
CREATE INDEX users_address_idx ON users (address);
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO web;
INSERT INTO users SELECT i, 'user ' || i, CASE WHEN i % 3 > 0 THEN 'street ' || i END FROM generate_series(1, 900) i;
`

// splitOf is a split of a table users, with what `create` has in its brackets, and behind it.
func splitOf(key, columns map[string]string, body, behind string) *lens.Definition {
	return &lens.Definition{
		Name: "user_addresses", Table: lens.TableName{Schema: "public", Name: "users"},
		SplitTable: &lens.SplitTable{
			To: lens.TableName{Schema: "public", Name: "addresses"}, Key: key, Columns: columns,
			Create: "CREATE TABLE public.addresses (" + body + ")" + behind,
		},
	}
}

func cascading() *lens.Definition {
	return splitOf(map[string]string{"id": "user_id"}, map[string]string{"address": "address"},
		"user_id bigint PRIMARY KEY REFERENCES public.users (id) ON DELETE CASCADE, address text", "; CREATE INDEX addresses_address_idx ON public.addresses (address)")
}

func (p *testProxy) split(def *lens.Definition) {
	p.t.Helper()
	p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
}

// splitTo advances a split, without waiting for old code to be quiet for long.
func (p *testProxy) splitTo(to lens.Phase) {
	p.t.Helper()
	p.ok(p.goSplit(to))
}

func (p *testProxy) goSplit(to lens.Phase) error {
	quiet := time.Duration(0)
	return p.Advance(context.Background(), "user_addresses", proxy.AdvanceOptions{To: &to, Yes: true, QuietFor: &quiet})
}

func (p *testProxy) splitBack(to lens.Phase) {
	p.t.Helper()
	p.ok(p.Rollback(context.Background(), "user_addresses", proxy.AdvanceOptions{To: &to}))
}

// agreed demands that both tables hold the same.
func (e *env) agreed() {
	e.t.Helper()
	e.want("SELECT count(*) FROM users u FULL JOIN addresses a ON a.user_id = u.id WHERE u.id IS NULL OR u.address IS DISTINCT FROM a.address OR u.address IS NULL AND a.user_id IS NOT NULL", "0")
}

// TestSplitThereAndBack takes a split through all phases, back from each, and to its end.
func TestSplitThereAndBack(t *testing.T) {
	for _, c := range []struct {
		name, setup string
		def         *lens.Definition
		tops        []lens.Phase // where it turns back
	}{
		{"cascade", splitUsers, cascading(), []lens.Phase{lens.DualWrite, lens.SwitchReads}},
		{"no action, not null, default", strings.Replace(splitUsers, "address text", "address text NOT NULL DEFAULT 'nowhere'", 1) + "UPDATE users SET address = 'x' WHERE address IS NULL;", nil, []lens.Phase{lens.Backfilling, lens.Contract}},
	} {
		t.Run(c.name, func(t *testing.T) {
			def := c.def
			if def == nil {
				c.setup = strings.Replace(c.setup, "CASE WHEN i % 3 > 0 THEN 'street ' || i END", "'street ' || i", 1)
				def = splitOf(map[string]string{"id": "user_id"}, map[string]string{"address": "address"}, "user_id bigint PRIMARY KEY REFERENCES public.users, address text NOT NULL DEFAULT 'nowhere', note text", "")
			}
			e := newEnv(t, c.setup)
			before := e.dump()
			p := e.proxy(0)
			for _, top := range c.tops {
				p.split(def)
				e.exec("UPDATE users SET address = 'moved' WHERE id = 7", "INSERT INTO users VALUES (5000, 'late', 'street 5000')", "DELETE FROM users WHERE id = 8")
				if top > lens.DualWrite {
					p.splitTo(top)
					e.agreed()
				}
				e.exec("UPDATE users SET address = 'moved again' WHERE id = 7", "DELETE FROM users WHERE id = 5000", "INSERT INTO users VALUES (8, 'back', 'street 8')")
				if top > lens.DualWrite {
					e.agreed()
				}
				p.splitBack(lens.Pending)
				e.want("SELECT count(*) FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname NOT IN ('fit', 'formless')", "0")
				p.ok(p.Drop(context.Background(), "user_addresses"))
				if got := e.dump(); got != before {
					t.Fatalf("after the way back from %s the schema is not what it was:\n%s", top, got)
				}
			}
			p.split(def)
			p.splitTo(lens.Complete)
			p.at(lens.Complete, lens.NoStep, true)
			e.want("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '_segue%'", "0")
			e.want("SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped", "id,name")
			e.want("SELECT address FROM addresses WHERE user_id = 7", "moved again")
			p.ok(p.Retire(context.Background(), "user_addresses", proxy.RetireOptions{}))
			e.want("SELECT count(*) FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname NOT IN ('fit', 'formless')", "0")
			p.ok(p.Drop(context.Background(), "user_addresses"))
			if after := e.dump(); strings.Contains(after, "segue") {
				t.Errorf("something of Segue's is left:\n%s", after)
			}
		})
	}
}
