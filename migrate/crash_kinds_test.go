package migrate

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// crashKinds are migrations of each kind but a rename, of which TestCrashAnywhere tries every point.
func crashKinds() map[string]struct {
	setup string
	def   lens.Definition
} {
	return map[string]struct {
		setup string
		def   lens.Definition
	}{
		"change": {
			"CREATE TABLE t (id uuid PRIMARY KEY, a varchar(9) NOT NULL DEFAULT '1' UNIQUE CHECK (a <> '')); INSERT INTO t SELECT md5(i::text)::uuid, i FROM generate_series(1, 30) i;",
			lens.Definition{LookupIndexes: true, Proof: "check", ChangeType: &lens.ChangeType{Column: "a", To: "b", Type: "bigint", Up: "a::bigint", Down: "b::varchar", NotNull: true, AppName: "a"}},
		},
		"merge": {
			"CREATE TABLE t (x int, y int, f text NOT NULL, l text NOT NULL, PRIMARY KEY (y, x)); CREATE INDEX ON t (f); INSERT INTO t SELECT i, i % 3, 'f' || i, 'l' || i FROM generate_series(1, 30) i;",
			lens.Definition{Columns: &lens.Columns{
				Drop: []string{"f", "l"}, Add: []lens.AddColumn{{Name: "n", Type: "text", Up: "f || ' ' || l"}},
				Down: map[string]string{"f": "split_part(n, ' ', 1)", "l": "substr(n, strpos(n, ' ') + 1)"},
			}},
		},
		"come": {
			"CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT i, 'A' || i FROM generate_series(1, 30) i;",
			lens.Definition{Columns: &lens.Columns{Add: []lens.AddColumn{{Name: "n", Type: "text", Up: "lower(a)", Check: "n <> ''", Default: "'later'"}}}},
		},
		"go": {
			"CREATE TABLE t (id int PRIMARY KEY, a text, CHECK (a <> '')); CREATE INDEX ON t (a); INSERT INTO t SELECT i, 'A' || i FROM generate_series(1, 30) i;",
			lens.Definition{Columns: &lens.Columns{Drop: []string{"a"}, Down: map[string]string{"a": "'none'"}}},
		},
		"partitions": {
			`CREATE TABLE t (id int PRIMARY KEY, a text) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (20); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (20) TO (99);
			CREATE INDEX ON t (a); INSERT INTO t SELECT i, i FROM generate_series(1, 30) i;`,
			lens.Definition{ChangeType: &lens.ChangeType{Column: "a", To: "b", Type: "int", Up: "a::int", Down: "b::text"}},
		},
	}
}

// TestCrashOfKinds ends a run of each kind of migration at some of its points, SEGUE_CRASH_POINTS of each (two by default; 1000 for all): another proxy's goes on and ends where
// it would have ended, and where there is a way back, rollback leaves the schema as it was.
func TestCrashOfKinds(t *testing.T) {
	most := 2
	if text := os.Getenv("SEGUE_CRASH_POINTS"); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range crashKinds() {
		t.Run(name, func(t *testing.T) {
			c.def.Name, c.def.Table = "m", lens.TableName{Schema: "public", Name: "t"}
			complete, pending := lens.Complete, lens.Pending
			run := func(p *testProxy) error {
				return p.Carry(context.Background(), &c.def, proxy.AdvanceOptions{To: &complete, Yes: true})
			}
			e := newEnv(t, c.setup)
			before := e.dump()
			p := e.proxy(0)
			points := p.record(func() error { return run(p) })
			arrived := e.dump()
			p.end()
			if len(points) < 10 {
				t.Fatalf("points: %q", points)
			}
			chosen := points
			if most < len(points) {
				chosen = nil
				for i := range most {
					chosen = append(chosen, points[(2*i+1)*len(points)/(2*most)])
				}
			}
			for _, point := range chosen {
				t.Run(point, func(t *testing.T) {
					e := newEnv(t, c.setup)
					p, q := e.proxy(0), e.proxy(0)
					p.hooks.on(point, die)
					if err := run(p); err != nil {
						t.Fatal(err)
					}
					if p.finished() == "" {
						t.Fatal("nobody was told that the work ended")
					}
					final := c.def.Columns != nil && (len(c.def.Columns.Drop) == 0 || len(c.def.Columns.Add) == 0)
					at := q.migration()
					if at.Phase < lens.Complete || at.Step == lens.WriteNew && !final {
						q.ok(q.Rollback(context.Background(), "m", proxy.AdvanceOptions{To: &pending}))
						if q.migration().Name != "" { // a start that was given up is forgotten
							q.ok(q.Drop(context.Background(), "m"))
						}
						if got := e.dump(); got != before {
							t.Fatalf("the schema is not what it was:\n%s", got)
						}
					}
					q.ok(run(q))
					if m := q.migration(); m.Phase != lens.Complete || m.Step != lens.NoStep || !m.Settled {
						t.Fatalf("%+v", m)
					}
					if got := e.dump(); got != arrived {
						t.Fatalf("the schema is not what it would have been:\n%s", got)
					}
				})
			}
			if !slices.ContainsFunc(points, func(s string) bool { return strings.HasPrefix(s, "settled ") }) {
				t.Errorf("points: %q", points)
			}
		})
	}
}
