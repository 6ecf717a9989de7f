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

// stagesOf gives the stages that a table of the goldens goes through.
func stagesOf(table string) []lens.Stage {
	list := slices.Clone(stages)
	for i := range list {
		if splits[table] != nil && list[i].Step == lens.InferNew {
			list[i].Step = lens.NewOnly
		}
	}
	return list
}

// usersTable is users(id, name, email) as it physically is in a stage.
func usersTable(s lens.Stage) *catalog.Relation {
	varchar := catalog.Type{OID: 1043, Mod: 44, SQL: "character varying(40)"}
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	r := &catalog.Relation{OID: 1001, RowType: 1101, Schema: "public", Name: "users", Kind: catalog.Table, PrimaryKey: []string{"id"}}
	r.Constraints = map[string][]string{"users_pkey": {"id", ""}, "users_email_key": {"email"}, "users_whole": {"email", ""}, "users_name_check": {"email", "name"}}
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

// tables are what a golden's argument on= can name: the table in a stage, and its migration.
var tables = map[string]func(s lens.Stage) (*catalog.Relation, Migration){
	"users": func(s lens.Stage) (*catalog.Relation, Migration) {
		return usersTable(s), Migration{
			Definition: &lens.Definition{
				Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"},
				RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
			},
			OldNums: map[string]int16{"name": 2},
		}
	},
	"products": func(s lens.Stage) (*catalog.Relation, Migration) {
		def := &lens.Definition{
			Name: "price_bigint", Table: lens.TableName{Schema: "public", Name: "products"},
			ChangeType: &lens.ChangeType{Column: "price", To: "price_v2", Type: "bigint", Up: "price::bigint", Down: "price_v2::varchar"},
		}
		return splitTable(s, "products", []catalog.Column{
			{Name: "price", Num: 2, Type: catalog.Type{OID: 1043, Mod: 24, SQL: "character varying(20)"}, Default: "'0'::character varying"},
		}, []catalog.Column{{Name: "price_v2", Num: 4, Type: catalog.Type{OID: 20, Mod: -1, SQL: "bigint"}}}, def)
	},
	"priced": func(s lens.Stage) (*catalog.Relation, Migration) {
		def := &lens.Definition{
			Name: "price_bigint", Table: lens.TableName{Schema: "public", Name: "priced"},
			ChangeType: &lens.ChangeType{Column: "price", To: "price_v2", Type: "bigint", Up: "price::bigint", Down: "price_v2::varchar", AppName: "price"},
		}
		return splitTable(s, "priced", []catalog.Column{
			{Name: "price", Num: 2, Type: catalog.Type{OID: 1043, Mod: 24, SQL: "character varying(20)"}},
		}, []catalog.Column{{Name: "price_v2", Num: 4, Type: catalog.Type{OID: 20, Mod: -1, SQL: "bigint"}}}, def)
	},
	"docs": func(s lens.Stage) (*catalog.Relation, Migration) {
		def := &lens.Definition{
			Name: "doc_text", Table: lens.TableName{Schema: "public", Name: "docs"},
			ChangeType: &lens.ChangeType{Column: "doc", To: "doc_text", Type: "text", Up: "doc::text", Down: "doc_text::jsonb"},
		}
		return splitTable(s, "docs", []catalog.Column{{Name: "doc", Num: 2, Type: catalog.Type{OID: 3802, Mod: -1, SQL: "jsonb"}}},
			[]catalog.Column{{Name: "doc_text", Num: 4, Type: catalog.Type{OID: 25, Mod: -1, SQL: "text"}}}, def)
	},
	"persons": func(s lens.Stage) (*catalog.Relation, Migration) {
		text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
		def := &lens.Definition{
			Name: "persons_full", Table: lens.TableName{Schema: "public", Name: "persons"},
			Columns: &lens.Columns{
				Drop: []string{"first_name", "last_name"},
				Add:  []lens.AddColumn{{Name: "full_name", Type: "text", Up: "first_name || ' ' || last_name"}},
				Down: map[string]string{
					"first_name": "split_part(full_name, ' ', 1)", "last_name": "substr(full_name, strpos(full_name, ' ') + 1)",
				},
			},
		}
		return splitTable(s, "persons", []catalog.Column{{Name: "first_name", Num: 2, Type: text}, {Name: "last_name", Num: 3, Type: text}},
			[]catalog.Column{{Name: "full_name", Num: 5, Type: text}}, def)
	},
	"addresses": func(s lens.Stage) (*catalog.Relation, Migration) {
		text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
		def := &lens.Definition{
			Name: "address_parts", Table: lens.TableName{Schema: "public", Name: "addresses"}, Allow: []string{"lossy"},
			Columns: &lens.Columns{
				Drop: []string{"address"},
				Add: []lens.AddColumn{
					{Name: "street", Type: "text", Up: "split_part(address, ', ', 1)"},
					{Name: "town", Type: "text", Up: "split_part(address, ', ', 2)"},
				},
				Down: map[string]string{"address": "street || ', ' || town"},
			},
		}
		return splitTable(s, "addresses", []catalog.Column{{Name: "address", Num: 2, Type: text}},
			[]catalog.Column{{Name: "street", Num: 4, Type: text}, {Name: "town", Num: 5, Type: text}}, def)
	},
	// Tightened: what was NULL becomes a value.
	"contacts": func(s lens.Stage) (*catalog.Relation, Migration) {
		text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
		def := &lens.Definition{
			Name: "email_not_null", Table: lens.TableName{Schema: "public", Name: "contacts"},
			Columns: &lens.Columns{
				Drop: []string{"email"},
				Add:  []lens.AddColumn{{Name: "email_v2", Type: "text", Up: "COALESCE(email, '')", NotNull: true, Default: "''", AppName: "email"}},
				Down: map[string]string{"email": "NULLIF(email_v2, '')"},
			},
		}
		added := catalog.Column{Name: "email_v2", Num: 4, Type: text}
		if s.Phase >= lens.Complete {
			added.Default, added.NotNull = "''::text", true
		}
		return splitTable(s, "contacts", []catalog.Column{{Name: "email", Num: 2, Type: text}}, []catalog.Column{added}, def)
	},
	// A column comes beside one that stays.
	"tagged": func(s lens.Stage) (*catalog.Relation, Migration) {
		text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
		def := &lens.Definition{
			Name: "label_lower", Table: lens.TableName{Schema: "public", Name: "tagged"},
			Columns: &lens.Columns{Add: []lens.AddColumn{{Name: "tag", Type: "text", Up: "lower(label)"}}},
		}
		return splitTable(s, "tagged", nil, []catalog.Column{{Name: "tag", Num: 3, Type: text}}, def)
	},
	// A column goes, and leaves a constant to old code.
	"aged": func(s lens.Stage) (*catalog.Relation, Migration) {
		def := &lens.Definition{
			Name: "no_age", Table: lens.TableName{Schema: "public", Name: "aged"},
			Columns: &lens.Columns{Drop: []string{"age"}, Down: map[string]string{"age": "0"}},
		}
		age := catalog.Column{Name: "age", Num: 2, Type: catalog.Type{OID: 23, Mod: -1, SQL: "integer"}, NotNull: s.Phase < lens.Complete}
		return splitTable(s, "aged", []catalog.Column{age}, nil, def)
	},
}

// tempTables reads names of temporary tables, each with its columns behind it: t.id.name. One without is of unknown shape.
func tempTables(args []string) (names []string, tables []*catalog.Relation) {
	for _, arg := range args {
		words := strings.Split(arg, ".")
		names = append(names, words[0])
		if len(words) == 1 {
			continue
		}
		r := &catalog.Relation{OID: 9000 + uint32(len(names)), Schema: "pg_temp", Name: words[0], Kind: catalog.Table}
		for i, c := range words[1:] {
			r.Columns = append(r.Columns, catalog.Column{Name: c, Num: int16(i + 1), Type: catalog.Type{OID: 25, Mod: -1, SQL: "text"}})
		}
		tables = append(tables, r)
	}
	return names, tables
}

// events is users as a partitioned table of that name, with partitions: events_2024, which came from elsewhere, so that its columns stand otherwise, and
// archive.events_old, which has a partition events_older of its own.
func events(s lens.Stage) (*catalog.Relation, Migration, []*catalog.Relation) {
	r := usersTable(s)
	r.OID, r.Name, r.Kind = 2001, "events", catalog.PartitionedTable
	member := func(oid, parent uint32, schema, name string, nums map[string]int16) *catalog.Relation {
		m := &catalog.Relation{OID: oid, Schema: schema, Name: name, Kind: catalog.Table, PrimaryKey: []string{"id"}, Parents: []uint32{parent}}
		for _, c := range r.Columns {
			if n, moved := nums[c.Name]; moved {
				c.Num = n
			}
			m.Columns = append(m.Columns, c)
		}
		slices.SortFunc(m.Columns, func(a, b catalog.Column) int { return int(a.Num - b.Num) })
		return m
	}
	older := member(2003, 2001, "archive", "events_old", nil)
	older.Kind = catalog.PartitionedTable
	_, m := tables["users"](s)
	def := *m.Definition
	def.Table.Name = "events"
	m.Definition, m.Members = &def, map[uint32]map[string]int16{2002: {"name": 4}}
	return r, m, []*catalog.Relation{
		member(2002, 2001, "public", "events_2024", map[string]int16{"email": 2, "id": 3, "name": 4, "full_name": 5}),
		older, member(2004, 2003, "archive", "events_older", nil),
	}
}

// splitTable is a table with an id before the old columns and a label behind them, as it physically is in a stage.
func splitTable(s lens.Stage, name string, old, added []catalog.Column, def *lens.Definition) (*catalog.Relation, Migration) {
	oids := map[string]uint32{"products": 1011, "priced": 1012, "persons": 1013, "addresses": 1014, "contacts": 1015, "tagged": 1016, "aged": 1017}
	r := &catalog.Relation{OID: oids[name], Schema: "public", Name: name, Kind: catalog.Table, PrimaryKey: []string{"id"}}
	m := Migration{Definition: def, OldNums: map[string]int16{}, OldTypes: map[string]catalog.Type{}}
	r.Columns = append(r.Columns, catalog.Column{Name: "id", Num: 1, Type: catalog.Type{OID: 20, Mod: -1, SQL: "bigint"}})
	for _, o := range old {
		m.OldNums[o.Name], m.OldTypes[o.Name] = o.Num, o.Type
		if s.Phase < lens.Complete || s.Step == lens.WriteNew {
			r.Columns = append(r.Columns, o)
		}
	}
	r.Columns = append(r.Columns, catalog.Column{Name: "label", Num: int16(2 + len(old)), Type: catalog.Type{OID: 25, Mod: -1, SQL: "text"}})
	if s.Phase != lens.Pending {
		r.Columns = append(r.Columns, added...)
	}
	return r, m
}

func testState(t testing.TB, s lens.Stage) *State { return stateOn(t, s, "users") }

func stateOn(t testing.TB, s lens.Stage, table string) *State {
	t.Helper()
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	rel := func(oid uint32, schema, name string, cols ...string) *catalog.Relation {
		r := &catalog.Relation{OID: oid, Schema: schema, Name: name, Kind: catalog.Table}
		for i, c := range cols {
			r.Columns = append(r.Columns, catalog.Column{Name: c, Num: int16(i + 1), Type: text})
		}
		return r
	}
	var migrating *catalog.Relation
	var m Migration
	var members []*catalog.Relation
	if table == "events" {
		migrating, m, members = events(s)
	} else if split := splits[table]; split != nil {
		migrating, m, members = split(s)
	} else {
		migrating, m = tables[table](s)
	}
	m.Stage, m.Seq = s, 1
	cat := catalog.New(append([]*catalog.Relation{
		migrating,
		rel(1002, "public", "orders", "id", "user_id", "total", "name"),
		rel(1003, "public", "people", "id", "full_name"),
		rel(1004, "other", "users", "id", "name"),
		rel(1249, "pg_catalog", "pg_attribute", "attrelid", "attname", "atttypid", "attnum", "attnotnull", "attisdropped"),
		rel(2604, "pg_catalog", "pg_attrdef", "oid", "adrelid", "adnum", "adbin"),
		rel(13295, "information_schema", "columns", "table_schema", "table_name", "column_name"),
	}, members...), []*catalog.Function{
		{Schema: "pg_catalog", Name: "upper", Scalar: true},
		{Schema: "pg_catalog", Name: "now", Scalar: true},
		{Schema: "other", Name: "dear", Scalar: true, Dear: true},
		{Schema: "pg_catalog", Name: "random", Volatile: true, Scalar: true},
		{Schema: "pg_catalog", Name: "generate_series", Scalar: true},
		{Schema: "pg_catalog", Name: "unnest", Row: true, Scalar: true, Columns: []string{"lexeme", "positions", "weights"}},
		{Schema: "pg_catalog", Name: "json_each", Row: true, Columns: []string{"key", "value"}},
	}, nil)
	st, err := NewState(7, cat, []Migration{m})
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
		for _, c := range p.Copies {
			if st := c.Staged; st != nil { // what is the same in all of them
				s = strings.Replace(s, st.Before+"; ", "{stage} ", 1)
				s = strings.Replace(s, "; "+st.After+"; "+st.Count, " {"+strings.ReplaceAll(st.Insert, "pg_catalog.nextval('pg_temp.segue_copy_rows'::pg_catalog.regclass) OPERATOR(pg_catalog.", "{row}(")+"}", 1)
			}
			s += describeData(&c)
		}
		for _, r := range p.Results {
			for _, o := range r.Origins {
				if o.Type != 0 {
					s += fmt.Sprintf("\n  -- statement %d, column %d: type %d", r.Statement, o.Column, o.Type)
					continue
				}
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

// describeData says what becomes of a COPY's data.
func describeData(c *CopyIn) string {
	if c.Spec == nil {
		return ""
	}
	s := fmt.Sprintf("\n  -- statement %d, data of %d columns:", c.Statement, c.Spec.Columns)
	for _, a := range c.Spec.Added {
		s += [...]string{fmt.Sprintf(" field %d again", a.Field+1), " NULL", " line"}[a.Kind]
	}
	for _, n := range c.Spec.Names {
		s += fmt.Sprintf(" %s=%s", n.Client, n.Server)
	}
	return s
}

// TestGoldens reads pages of statements. "plan" shows a statement in every stage; stages with the same outcome share a line.
// Arguments: version=old|new|auto (several: version=(old,new)); on= names the table that migrates, users if
// it is left out; temp= names the session's temporary tables.
func TestGoldens(t *testing.T) {
	datadriven.Walk(t, "testdata/plan", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "plan" {
				t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			}
			versions, table, temp := []string{"old", "new"}, "users", []string(nil)
			for _, arg := range d.CmdArgs {
				switch arg.Key {
				case "version":
					versions = arg.Vals
				case "on":
					table = arg.Vals[0]
				case "temp":
					temp = arg.Vals
				}
			}
			var b strings.Builder
			for _, v := range versions {
				var outcomes []string
				in := map[string][]string{}
				stages := stagesOf(table)
				for _, s := range stages {
					set := settings(lens.Version(v))
					if temp != nil {
						set.Path = append([]string{"pg_temp_3"}, set.Path...)
						set.Temp, set.TempTables = tempTables(temp)
					}
					p := stateOn(t, s, table).Plan(d.Input, set)
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
