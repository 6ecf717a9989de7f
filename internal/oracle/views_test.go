package oracle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"segue/internal/pgtest"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

const viewsSetup = `
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL DEFAULT 'anon', email text);
INSERT INTO users SELECT i, 'user ' || i, 'u' || i FROM generate_series(1, 20) i;
CREATE VIEW everybody AS SELECT * FROM users;
CREATE VIEW short AS SELECT id, name FROM users WHERE id < 1000 WITH CHECK OPTION;
CREATE VIEW shorter AS SELECT name AS n, id FROM short;
CREATE VIEW counted AS SELECT name, count(*) FROM users GROUP BY name;
CREATE FUNCTION add_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO users (id, name) VALUES (NEW.id, NEW.name); RETURN NEW; END $$;
CREATE VIEW triggered AS SELECT id, name FROM users LIMIT 1000;
CREATE TRIGGER add INSTEAD OF INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION add_user();
CREATE VIEW ruled AS SELECT id, name FROM users LIMIT 1000;
CREATE RULE add AS ON INSERT TO ruled DO INSTEAD INSERT INTO users (id, name) VALUES (NEW.id, NEW.name) RETURNING id, name;
CREATE MATERIALIZED VIEW kept AS SELECT id, name FROM users;`

// migration drives a migration by its controller.
type migration struct {
	t       *testing.T
	control *migrate.Controller
	name    string
}

// to goes to a phase, and gives the error of the work, or of the request.
func (m *migration) to(p lens.Phase) string {
	m.t.Helper()
	ctx := context.Background()
	if err := m.control.Advance(ctx, m.name, proxy.AdvanceOptions{To: &p, Yes: true}); err != nil {
		return err.Error()
	}
	return m.idle()
}

// idle waits until nothing is being worked on.
func (m *migration) idle() string {
	m.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		text, err := m.control.Status(context.Background())
		if err != nil {
			m.t.Fatal(err)
		}
		var s migrate.Status
		if err := json.Unmarshal(text, &s); err != nil {
			m.t.Fatal(err)
		}
		if len(s.Migrations) == 1 && s.Migrations[0].Working == "" {
			return s.Migrations[0].Error
		}
		select {
		case <-tick.C:
		case <-deadline:
			m.t.Fatalf("waited %s: %s", patience, text)
		}
	}
}

// TestViews has old and new code read and write through views of every kind beside the table, in every phase up to the one that views keep from coming: what a view
// shows are the columns that it was made of, and the guard keeps both in step.
func TestViews(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	ctx := context.Background()
	name := pgtest.Database(t)
	direct := pgtest.Connect(t, pgtest.Shared().DSN(name))
	pgtest.Exec(t, direct, viewsSetup)
	addr, control := startProxy(t, pgtest.Shared().DSN(name))
	client := func(version string) *pgx.Conn {
		return pgtest.Connect(t, fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&options=-csegue.version%%3D%s", addr, name, version))
	}
	clients := map[string]*pgx.Conn{"old": client("old"), "new": client("new"), "auto": client("auto")}
	ask := func(c *pgx.Conn, sql string) string {
		rows, err := c.Query(ctx, sql)
		if err != nil {
			return err.Error()
		}
		var out []string
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, strings.Trim(fmt.Sprint(values...), "[]"))
		}
		var pe *pgconn.PgError
		if errors.As(rows.Err(), &pe) {
			return pe.Code
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
		return strings.Join(out, ",")
	}
	m := &migration{t: t, control: control, name: "users_full_name"}
	stops := []lens.Phase{lens.Pending, lens.DualWrite, lens.Backfilling, lens.SwitchReads, lens.Contract}
	for n, phase := range stops {
		switch {
		case phase == lens.DualWrite:
			v := Variant{Name: "views", Table: "users", Pattern: lens.Definition{RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"}}}
			if err := control.Start(ctx, v.Definition(), proxy.StartOptions{}); err != nil {
				t.Fatal(err)
			}
			if text := m.idle(); text != "" {
				t.Fatal(text)
			}
			pgtest.Exec(t, direct, "CREATE VIEW named AS SELECT id, full_name FROM users")
			// A view that was made past the proxy is of unknown shape until its next look at the catalog.
			for deadline := time.Now().Add(patience); strings.Contains(ask(clients["old"], "SELECT name FROM users JOIN named USING (id)"), "unknown shape"); {
				if time.Now().After(deadline) {
					t.Fatal("the proxy does not look at the catalog")
				}
			}
		case phase > lens.DualWrite:
			if text := m.to(phase); text != "" {
				t.Fatal(text)
			}
		}
		at := 100 * (n + 1)
		for i, c := range []struct{ who, sql, want string }{
			{"old", "INSERT INTO short (id, name) VALUES (%d, 'Ann') RETURNING name, id", "Ann%d"},
			{"new", "INSERT INTO shorter (id, n) VALUES (%d, 'Bob') RETURNING n", "Bob"},
			{"auto", "INSERT INTO everybody (id, email) VALUES (%d, 'c') RETURNING name", "anon"},
			{"old", "INSERT INTO everybody VALUES (%d, 'Dan', 'd') RETURNING *", "%d Dan d"},
			{"old", "INSERT INTO short (id, name) VALUES (1, 'Eve') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name || %d RETURNING name", "Eve%d"},
			{"new", "UPDATE short SET name = 'Fay %d' WHERE id = 2 RETURNING name", "Fay %d"},
			{"old", "UPDATE short AS s SET name = u.name || ' twice' FROM users u WHERE u.id = s.id AND s.id = 2 RETURNING s.name, u.name", "Fay %d twiceFay %d"},
			{"old", "UPDATE users u SET name = s.n || '!' FROM shorter s WHERE s.id = u.id AND u.id = 2 RETURNING u.name, s.n", "Fay %d twice!Fay %d twice"},
			{"old", "SELECT u.name = s.name AND u.name = e.name FROM users u JOIN short s USING (id) JOIN everybody e USING (id) WHERE id = 2", "true"},
			{"old", "SELECT name FROM users JOIN short USING (id, name) WHERE id = 2 AND id < %d", "Fay %d twice!"},
			{"old", "SELECT name, full_name FROM users JOIN named USING (id) WHERE id = 1", "Eve%dEve%d"},
			{"new", "SELECT full_name, name FROM users JOIN short USING (id) WHERE id = 1", "Eve%dEve%d"},
			{"new", "SELECT u.*, s.* FROM users u JOIN short s USING (id) WHERE id = 1", "1 u1 Eve%d 1 Eve%d"},
			{"old", "INSERT INTO triggered VALUES (%d, 'Gil')", ""},
			{"new", "INSERT INTO ruled VALUES (%d, 'Hal')", ""},
			{"old", "SELECT count FROM counted JOIN users USING (name) WHERE id = 2", "1"},
			{"old", "DELETE FROM short s USING users u WHERE s.id = u.id AND u.name = s.name AND s.id = 3 RETURNING u.name", "user 3"},
			{"old", "INSERT INTO users (id, name) SELECT 3, 'user 3'", ""},
			{"old", "INSERT INTO short VALUES (%d000, 'far')", "44000"},
			{"auto", "REFRESH MATERIALIZED VIEW kept", ""},
			{"old", "SELECT k.name = u.name FROM kept k JOIN users u USING (id) WHERE id = 2", "true"},
		} {
			if strings.Contains(c.sql, "named") && phase < lens.DualWrite || c.who == "new" && strings.Contains(c.sql, "full_name, name") && phase < lens.DualWrite ||
				c.who == "new" && strings.Contains(c.sql, "u.*") && phase < lens.DualWrite {
				continue // the migration has not begun
			}
			place := at + i
			if !strings.HasPrefix(c.sql, "INSERT INTO") || strings.Contains(c.sql, "CONFLICT") {
				place = at
			}
			fill := func(s string) string { return strings.ReplaceAll(s, "%d", fmt.Sprint(place)) }
			if got := ask(clients[c.who], fill(c.sql)); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(fill(c.want), " ", "") {
				t.Fatalf("%s, %s: %s: got %q, not %q", phase, c.who, fill(c.sql), got, fill(c.want))
			}
		}
		if phase >= lens.Backfilling {
			if got := ask(direct, "SELECT count(*) FROM users WHERE name IS DISTINCT FROM full_name"); got != "0" {
				t.Fatalf("%s: %s rows are apart", phase, got)
			}
		}
	}
	text := m.to(lens.Complete)
	for _, what := range []string{"on view public.short uses column name", "materialized view public.kept", "rule add on view public.ruled"} {
		if !strings.Contains(text, what) {
			t.Fatalf("got %q, without %s", text, what)
		}
	}
	pgtest.Exec(t, direct, "DROP VIEW everybody, shorter, short, counted, triggered, ruled; DROP MATERIALIZED VIEW kept")
	if text := m.to(lens.Complete); text != "" {
		t.Fatal(text)
	}
	if got := ask(clients["old"], "SELECT u.name, n.full_name FROM users u JOIN named n USING (id) WHERE id = 3"); got != "user 3 user 3" && got != "user 3user 3" {
		t.Fatalf("got %q", got)
	}
}
