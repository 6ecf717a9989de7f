package rewrite

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// stages are all (phase, step, proved) of the design's table, in order.
var stages = []lens.Stage{
	{Phase: lens.Pending},
	{Phase: lens.Expand},
	{Phase: lens.DualWrite},
	{Phase: lens.Backfilling},
	{Phase: lens.Backfilling, Proved: true},
	{Phase: lens.SwitchReads},
	{Phase: lens.SwitchReads, Proved: true},
	{Phase: lens.Contract, Proved: true},
	{Phase: lens.Contract, Step: lens.InferNew, Proved: true},
	{Phase: lens.Complete, Step: lens.WriteNew, Proved: true},
	{Phase: lens.Complete, Proved: true},
	{Phase: lens.Backfilling, Step: lens.WriteOld},
}

// usersTable is users(id, name, email) as it physically is in a stage.
func usersTable(s lens.Stage) *catalog.Relation {
	varchar := catalog.Type{OID: 1043, Mod: 44, SQL: "character varying(40)"}
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	r := &catalog.Relation{OID: 1001, Schema: "public", Name: "users", Kind: catalog.Table, PrimaryKey: []string{"id"}}
	r.Columns = append(r.Columns, catalog.Column{Name: "id", Num: 1, Type: catalog.Type{OID: 20, Mod: -1, SQL: "bigint"}, NotNull: true})
	final := s.Phase == lens.Complete && s.Step == lens.NoStep
	if !final {
		r.Columns = append(r.Columns, catalog.Column{Name: "name", Num: 2, Type: varchar, Default: "'anon'::character varying"})
	}
	r.Columns = append(r.Columns, catalog.Column{Name: "email", Num: 3, Type: text})
	if s.Phase != lens.Pending {
		n := catalog.Column{Name: "full_name", Num: 4, Type: varchar}
		if final {
			n.Default = "'anon'::character varying"
		}
		r.Columns = append(r.Columns, n)
	}
	return r
}

func testState(t testing.TB, s lens.Stage) *State {
	t.Helper()
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	rel := func(oid uint32, schema, name string, cols ...string) *catalog.Relation {
		r := &catalog.Relation{OID: oid, Schema: schema, Name: name, Kind: catalog.Table}
		for i, c := range cols {
			r.Columns = append(r.Columns, catalog.Column{Name: c, Num: int16(i + 1), Type: text})
		}
		return r
	}
	cat := catalog.New([]*catalog.Relation{
		usersTable(s),
		rel(1002, "public", "orders", "id", "user_id", "total", "name"),
		rel(1003, "public", "people", "id", "full_name"),
		rel(1004, "other", "users", "id", "name"),
	}, []*catalog.Function{
		{Schema: "pg_catalog", Name: "upper"},
		{Schema: "pg_catalog", Name: "now"},
		{Schema: "pg_catalog", Name: "random", Volatile: true},
		{Schema: "pg_catalog", Name: "generate_series"},
		{Schema: "pg_catalog", Name: "json_each", Row: true, Columns: []string{"key", "value"}},
	}, nil)
	st, err := NewState(7, cat, []Migration{{
		Definition: &lens.Definition{
			Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"},
			RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
		},
		Stage: s, OldNums: map[string]int16{"name": 2}, Seq: 1,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func settings(v lens.Version) Settings {
	return Settings{Version: v, Path: []string{"pg_catalog", "public"}, ServerMajor: 15, Encoding: "UTF8"}
}

func describe(p *Plan) string {
	switch p.Kind {
	case Pass:
		return "pass"
	case Rewrite:
		s := p.SQL
		for _, r := range p.Results {
			for _, o := range r.Origins {
				s += fmt.Sprintf("\n  -- statement %d, column %d: origin %d.%d", r.Statement, o.Column, o.Table, o.Num)
			}
		}
		return s
	}
	s := fmt.Sprintf("refuse %s: %s", p.Refusal.Code, p.Refusal.Message)
	if p.Refusal.Position > 0 {
		s += fmt.Sprintf(" @%d", p.Refusal.Position)
	}
	return s
}

// TestGoldens reads pages of statements. "plan" shows a statement in every stage; stages with the same outcome share a line.
// Arguments: version=old|new|auto (several: version=(old,new)).
func TestGoldens(t *testing.T) {
	datadriven.Walk(t, "testdata/plan", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "plan" {
				t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			}
			versions := []string{"old", "new"}
			for _, arg := range d.CmdArgs {
				if arg.Key == "version" {
					versions = arg.Vals
				}
			}
			var b strings.Builder
			for _, v := range versions {
				var outcomes []string
				in := map[string][]string{}
				for _, s := range stages {
					p := testState(t, s).Plan(d.Input, settings(lens.Version(v)))
					checkPlan(t, d.Input, p)
					o := describe(p)
					if !slices.Contains(outcomes, o) {
						outcomes = append(outcomes, o)
					}
					in[o] = append(in[o], stageName(s))
				}
				for _, o := range outcomes {
					where := strings.Join(in[o], " ")
					if len(in[o]) == len(stages) {
						where = "every phase"
					}
					fmt.Fprintf(&b, "%s, %s:\n  %s\n", v, where, strings.ReplaceAll(o, "\n", "\n  "))
				}
			}
			return b.String()
		})
	})
}

func stageName(s lens.Stage) string { return strings.ReplaceAll(s.String(), ", ", "+") }
