package migrate

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
		"split": {
			"CREATE TABLE t (x int, y int, a text NOT NULL DEFAULT 'x', b int, c text, PRIMARY KEY (y, x)); CREATE INDEX ON t (a); INSERT INTO t SELECT i, i % 3, i, i, i FROM generate_series(1, 30) i;",
			lens.Definition{SplitTable: &lens.SplitTable{
				To: lens.TableName{Schema: "public", Name: "u"}, Key: map[string]string{"x": "x", "y": "z"}, Columns: map[string]string{"a": "a", "b": "n"},
				Create: "CREATE TABLE public.u (z int, x int, a text NOT NULL, n int DEFAULT 7, PRIMARY KEY (x, z), FOREIGN KEY (z, x) REFERENCES public.t (y, x)); CREATE INDEX ON public.u (a)",
			}},
		},
	}
}

// crashPoints are the points at which a run is ended: SEGUE_CRASH_POINTS of them, else as many as given.
func crashPoints(t *testing.T, most int, points []string) []string {
	t.Helper()
	if text := os.Getenv("SEGUE_CRASH_POINTS"); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	if most >= len(points) {
		return points
	}
	var chosen []string
	for i := range most {
		chosen = append(chosen, points[(2*i+1)*len(points)/(2*most)])
	}
	return chosen
}

// TestCrashBackOfSplit ends the way back of a split, from the last step that has one, at some of its points: another proxy's goes on and leaves the schema as it was.
func TestCrashBackOfSplit(t *testing.T) {
	c := crashKinds()["split"]
	c.def.Name, c.def.Table = "m", lens.TableName{Schema: "public", Name: "t"}
	complete, pending := lens.Complete, lens.Pending
	var before string
	arrive := func(t *testing.T) (e *env, p, q *testProxy) {
		t.Helper()
		e = newEnv(t, c.setup)
		before = e.dump()
		p, q = e.proxy(0), e.proxy(0)
		p.hooks.on("settled write-new", die)
		if err := p.Carry(context.Background(), &c.def, proxy.AdvanceOptions{To: &complete, Yes: true, QuietFor: new(time.Duration)}); err != nil {
			t.Fatal(err)
		}
		p.finished()
		p.hooks.on("settled write-new", nil)
		return e, p, q
	}
	back := func(p *testProxy) error {
		return p.Rollback(context.Background(), "m", proxy.AdvanceOptions{To: &pending})
	}
	_, p, q := arrive(t)
	points := p.record(func() error { return back(p) })
	p.end()
	q.end()
	if len(points) < 10 {
		t.Fatalf("points: %q", points)
	}
	for _, point := range crashPoints(t, 1, points) {
		t.Run(point, func(t *testing.T) {
			e, p, q := arrive(t)
			p.hooks.on(point, die)
			if err := back(p); err != nil {
				t.Fatal(err)
			}
			p.finished()
			e.exec("UPDATE t SET a = 'late', b = NULL WHERE x = 7", "DELETE FROM t WHERE x = 8")
			if point != "settled pending" {
				q.ok(back(q))
			}
			q.at(lens.Pending, lens.NoStep, false)
			e.want("SELECT count(*) FROM t WHERE a = 'late'", "1")
			q.ok(q.Drop(context.Background(), "m"))
			if got := e.dump(); got != before {
				t.Fatalf("the schema is not what it was:\n%s", got)
			}
		})
	}
}

// TestCrashOfKinds ends a run of each kind of migration at some of its points, SEGUE_CRASH_POINTS of each (two by default; 1000 for all): another proxy's goes on and ends where
// it would have ended, and where there is a way back, rollback leaves the schema as it was.
func TestCrashOfKinds(t *testing.T) {
	for name, c := range crashKinds() {
		t.Run(name, func(t *testing.T) {
			c.def.Name, c.def.Table = "m", lens.TableName{Schema: "public", Name: "t"}
			complete, pending := lens.Complete, lens.Pending
			run := func(p *testProxy) error {
				return p.Carry(context.Background(), &c.def, proxy.AdvanceOptions{To: &complete, Yes: true, QuietFor: new(time.Duration)})
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
			for _, point := range crashPoints(t, 2, points) {
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
						if point != "before register" && point != "settled register" { // when there is nothing to take back
							q.ok(q.Rollback(context.Background(), "m", proxy.AdvanceOptions{To: &pending}))
						}
						if q.migration().Name != "" { // a start that was given up is forgotten
							q.ok(q.Drop(context.Background(), "m"))
						}
						if got := e.dump(); got != before {
							t.Fatalf("the schema is not what it was:\n%s", got)
						}
					}
					if point == "settled complete" {
						q.finished() // it had arrived
					} else {
						q.ok(run(q))
					}
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
