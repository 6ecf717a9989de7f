package oracle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

const partitionsSetup = `
CREATE TABLE events (id int, day int, name text, note text, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events_2 (note text, gone int, name text, day int NOT NULL, id int NOT NULL);
ALTER TABLE events_2 DROP COLUMN gone;
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES IN (2);
CREATE INDEX ON events (name);
INSERT INTO events SELECT i, 1 + i % 2, 'event ' || i, 'n' || i FROM generate_series(1, 50) i;`

// TestPartitions carries a partitioned table through a migration, with statements on the table and on its partitions by their names, and with a job that makes and drops
// partitions through a proxy as the days go by.
func TestPartitions(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	ctx := context.Background()
	name := pgtest.Database(t)
	direct := pgtest.Connect(t, pgtest.Shared().DSN(name))
	pgtest.Exec(t, direct, partitionsSetup)
	addrs := make([]string, 2)
	m := &migration{t: t, name: "users_full_name"}
	for i := range addrs {
		addrs[i], m.control = startProxy(t, pgtest.Shared().DSN(name))
	}
	client := func(i int, version string) *pgx.Conn {
		return pgtest.Connect(t, fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&options=-csegue.version%%3D%s", addrs[i], name, version))
	}
	clients := map[string]*pgx.Conn{"job": client(0, "auto"), "old": client(1, "old"), "new": client(0, "new"), "direct": direct}
	ask := func(who, sql string) string {
		rows, err := clients[who].Query(ctx, sql)
		if err == nil {
			var out []string
			for rows.Next() {
				values, err := rows.Values()
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, strings.Trim(fmt.Sprint(values), "[]"))
			}
			if err = rows.Err(); err == nil {
				return strings.Join(out, ", ")
			}
		}
		var pe *pgconn.PgError
		if !errors.As(err, &pe) {
			t.Fatal(err)
		}
		return pe.Code + " " + pe.Message
	}
	phases := []lens.Phase{lens.DualWrite, lens.Backfilling, lens.SwitchReads, lens.Contract, lens.Complete}
	for n, phase := range phases {
		if phase == lens.DualWrite {
			v := Variant{Name: "partitions", Table: "events", Pattern: lens.Definition{RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"}}}
			if err := m.control.Start(ctx, v.Definition(), proxy.StartOptions{}); err != nil {
				t.Fatal(err)
			}
			if text := m.idle(); text != "" {
				t.Fatal(text)
			}
		} else if text := m.to(phase); text != "" {
			t.Fatal(text)
		}
		id := 1000 + 100*n
		day := fmt.Sprintf("events_%d", 10+n)
		fill := func(s string) string {
			return strings.NewReplacer("{day}", day, "{n}", fmt.Sprint(10+n), "{id}", fmt.Sprint(id), "{last}", fmt.Sprintf("events_%d", 9+n)).Replace(s)
		}
		for _, c := range []struct{ who, sql, want string }{
			{"job", "CREATE TABLE {day} PARTITION OF events FOR VALUES IN ({n})", ""},
			{"job", "INSERT INTO {day} VALUES ({id}, {n}, 'made', 'x') RETURNING *", "{id} {n} made x"},
			{"old", "SELECT * FROM {day} WHERE name = 'made'", "{id} {n} made x"},
			{"new", "SELECT * FROM {day} WHERE full_name = 'made'", "{id} {n} x made"},
			{"old", "UPDATE events SET name = name || '!' WHERE id = {id} RETURNING *", "{id} {n} made! x"},
			{"new", "UPDATE {day} SET full_name = full_name || '?' WHERE id = {id} RETURNING full_name", "made!?"},
			{"old", "INSERT INTO events_2 VALUES ('note', 'two', 2, {id}) RETURNING *", "note two 2 {id}"},
			{"new", "INSERT INTO events_2 (id, day, full_name) VALUES ({id} + 1, 2, 'three') RETURNING *", "<nil> 2 1 three"},
			{"old", "INSERT INTO events (id, day, name) VALUES (1, 2, 'taken') ON CONFLICT (id, day) DO UPDATE SET name = EXCLUDED.name || {n} RETURNING name", "taken{n}"},
			{"old", "SELECT e.name, p.name, p.* FROM events e JOIN events_2 p USING (id, day) WHERE id = {id}", "two two note two 2 {id}"},
			{"new", "SELECT e.full_name, p.* FROM events_2 e JOIN events p USING (id, day) WHERE id = {id}", "two {id} 2 note two"},
			{"old", "UPDATE events SET day = 1 WHERE id = {id} AND day = 2 RETURNING name, tableoid::regclass::text", "two events_1"},
			{"new", "DELETE FROM events_1 WHERE full_name = 'two' RETURNING id", "{id}"},
			{"job", "ALTER TABLE events DETACH PARTITION {day}", ""},
			{"job", "DROP TABLE {day}", ""},
			{"direct", "SELECT count(*) FROM events WHERE full_name IS NULL", ""},
		} {
			want := fill(c.want)
			if strings.Contains(want, "2 1 three") {
				want = fmt.Sprintf("<nil> 2 %d three", id+1)
			}
			switch {
			case c.who == "direct":
				if got := ask(c.who, c.sql); phase > lens.DualWrite && got != "0" {
					t.Fatalf("%s: %s rows are not filled", phase, got)
				}
				continue
			case strings.Contains(c.sql, "SELECT * FROM {day} WHERE"):
				// Other sessions hear of the partition a moment later.
				for deadline := time.Now().Add(patience); ask(c.who, fill(c.sql)) != want && time.Now().Before(deadline); {
				}
			}
			if got := ask(c.who, fill(c.sql)); got != want {
				t.Fatalf("%s, %s: %s: got %q, not %q", phase, c.who, fill(c.sql), got, want)
			}
		}
		if phase < lens.Complete {
			if got := ask("direct", "SELECT count(*) FROM events WHERE name IS DISTINCT FROM full_name AND full_name IS NOT NULL"); got != "0" {
				t.Fatalf("%s: %s rows are apart", phase, got)
			}
		}
	}
}
