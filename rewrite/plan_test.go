package rewrite

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// checkPlan holds what is true of every plan: what it sends parses, positions map into the client's text, and what no edit touched is
// there as it was.
func checkPlan(t testing.TB, input string, p *Plan) {
	t.Helper()
	switch p.Kind {
	case Pass:
		if p.SQL != input {
			t.Errorf("%q passes as %q", input, p.SQL)
		}
	case Refuse:
		if p.Refusal == nil || p.SQL != "" {
			t.Errorf("%q: a refusal without its error, or with SQL %q", input, p.SQL)
		}
	case Rewrite:
		if _, err := pg.Parse(p.SQL); err != nil {
			t.Errorf("%q became %q, which does not parse: %v", input, p.SQL, err)
		}
		n := len([]rune(input))
		for i := 1; i <= len([]rune(p.SQL))+1; i++ {
			if c := p.ClientPosition(i); c < 0 || c > n+1 {
				t.Errorf("%q: position %d of %q maps to %d", input, i, p.SQL, c)
			}
		}
		for _, s := range p.spans {
			if s.verbatim && p.SQL[s.out] != input[s.src] {
				t.Errorf("%q: span %+v of %q is not verbatim", input, s, p.SQL)
			}
		}
	}
}

func FuzzPlan(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	var states []*State
	for _, s := range stages {
		for table := range tables {
			states = append(states, stateOn(f, s, table))
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, st := range states {
			for _, v := range []lens.Version{lens.Old, lens.New, lens.Auto} {
				checkPlan(t, s, st.plan(s, settings(v)))
			}
		}
	})
}

// seeds are the statements of the goldens.
func seeds(f testing.TB) []string {
	var all []string
	files, err := filepath.Glob("testdata/plan/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no goldens: ", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, block := range strings.Split(string(b), "\nplan") {
			if _, s, ok := strings.Cut(block, "\n"); ok {
				s, _, _ = strings.Cut(s, "\n----")
				all = append(all, s)
			}
		}
	}
	return all
}

func TestBoundsBeforeTheParser(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	for name, c := range map[string]struct{ sql, code string }{
		"terms":      {"SELECT " + strings.Repeat("1+", 50_000) + "1 FROM users", "54001"},
		"brackets":   {"SELECT " + strings.Repeat("(", 50_000) + "1" + strings.Repeat(")", 50_000) + " FROM users", "54001"},
		"not":        {"SELECT " + strings.Repeat("NOT ", 50_000) + "true FROM users", "54001"},
		"minus":      {"SELECT " + strings.Repeat("- ", 50_000) + "1 FROM users", "54001"},
		"casts":      {"SELECT 1" + strings.Repeat("::int", 50_000) + " FROM users", "54001"},
		"subscripts": {"SELECT name" + strings.Repeat("[1]", 50_000) + " FROM users", "54001"},
		"unions":     {"SELECT name FROM users" + strings.Repeat(" UNION SELECT 'x'", 50_000), "54001"},
		"joins":      {"SELECT 1 FROM users" + strings.Repeat(" CROSS JOIN a", 50_000), "54001"},
		"cases":      {"SELECT " + strings.Repeat("CASE WHEN true THEN ", 20_000) + "1" + strings.Repeat(" END", 20_000) + " FROM users", "54001"},
		"collations": {"SELECT name" + strings.Repeat(` COLLATE "C"`, 50_000) + " FROM users", "54001"},
		"zones":      {"SELECT now()" + strings.Repeat(" AT TIME ZONE 'UTC'", 50_000) + " FROM users", "54001"},
		"tests":      {"SELECT name" + strings.Repeat(" IS NULL", 50_000) + " FROM users", "54001"},
		"arrays":     {"SELECT " + strings.Repeat("ARRAY[", 50_000) + "1" + strings.Repeat("]", 50_000) + " FROM users", "54001"},
		"selects":    {strings.Repeat("SELECT (", 20_000) + "SELECT name FROM users" + strings.Repeat(")", 20_000), "54001"},
		"long":       {"SELECT name FROM users WHERE name = '" + strings.Repeat("x", 64<<20) + "'", "54000"},
	} {
		t.Run(name, func(t *testing.T) {
			p := st.Plan(c.sql, settings(lens.Old))
			if p.Kind != Refuse || p.Refusal.Code != c.code {
				t.Fatalf("got %v %+v", p.Kind, p.Refusal)
			}
		})
	}
}

func TestWideStatementsArePlanned(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	for name, sql := range map[string]string{
		"in":     "SELECT name FROM users WHERE id IN (1" + strings.Repeat(",2", 100_000) + ")",
		"and":    "SELECT name FROM users WHERE id = 1" + strings.Repeat(" AND id <> 2", 20_000),
		"values": "INSERT INTO users (name, email) VALUES ('x', 'y')" + strings.Repeat(", ('a', 'b')", 50_000),
	} {
		t.Run(name, func(t *testing.T) {
			if p := st.Plan(sql, settings(lens.Old)); p.Kind == Refuse {
				t.Fatalf("%+v", p.Refusal)
			}
		})
	}
}

func TestWhatOnlyTheParserMisreadsIsRefused(t *testing.T) {
	// PostgreSQL takes these; pg_query does not, so its syntax error must not be taken for the server's.
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	for _, sql := range []string{"SELECT name FROM users WHERE name = 'a' -- c\n 'b'", "SELECT\vname FROM users"} {
		if p := st.Plan(sql, settings(lens.Old)); p.Kind != Refuse {
			t.Errorf("%q: got %s", sql, describe(p))
		}
	}
	if p := st.Plan("SELECT FROM FROM users", settings(lens.Old)); p.Kind != Pass {
		t.Errorf("a syntax error: got %s", describe(p))
	}
}

// What the parser does not understand, a server with another grammar may: it passes where no server does.
func TestWhatDoesNotParse(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	for _, c := range []struct {
		sql     string
		refused bool // by servers of which the parser does not know the whole grammar
	}{
		{"SELECT name FROM users WHERE", true},
		{"MERGE INTO users USING orders o ON o.id = users.id WHEN MATCHED THEN DELETE RETURNING name", true}, // 17 knows it
		{"SELECT id ! FROM users", true}, // 13 does
		{"SELECT name FROM users WHERE (name = 'x'", false},
		{"SELECT name FROM users WHERE name = 'x')", false},
		{"SELECT (name[1)] FROM users", false},
		{"SELECT name FROM users WHERE name = 'x", false},
		{"SELECT name FROM users /* open", false},
		{`SELECT "name FROM users`, false},
	} {
		for major := 13; major <= 18; major++ {
			set := settings(lens.Old)
			set.ServerMajor = major
			want := Pass
			if c.refused && (major < 14 || major > 16) {
				want = Refuse
			}
			if p := st.Plan(c.sql, set); p.Kind != want {
				t.Errorf("%d: %q: %s", major, c.sql, describe(p))
			}
		}
	}
}

// Servers from 18 on know old and new in RETURNING.
func TestReturningOldAndNew(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.Complete, Proved: true})
	for sql, want := range map[string]string{
		"UPDATE users SET email = 'x' RETURNING old.name, NEW.name, name":                      "UPDATE users SET email = 'x' RETURNING old.full_name AS name, NEW.full_name AS name, users.full_name AS name",
		"DELETE FROM users RETURNING old.*, new.email":                                         "DELETE FROM users RETURNING old.id, old.full_name AS name, old.email, new.email",
		"UPDATE users AS old SET email = 'x' WHERE old.id = 1 RETURNING old.name":              "UPDATE users AS old SET email = 'x' WHERE old.id = 1 RETURNING old.full_name AS name",
		"UPDATE users SET email = 'x' FROM orders AS new RETURNING new.name, old.name":         "UPDATE users SET email = 'x' FROM orders AS new RETURNING new.name, old.full_name AS name",
		"WITH u AS (INSERT INTO users (id) VALUES (1) RETURNING \"new\".name) SELECT * FROM u": "WITH u AS (INSERT INTO users (id) VALUES (1) RETURNING \"new\".full_name AS name) SELECT * FROM u",
		"UPDATE orders SET name = (SELECT max(users.name) FROM users) RETURNING old.name":      "UPDATE orders SET name = (SELECT max(users.full_name) FROM users) RETURNING old.name",
	} {
		set := settings(lens.Old)
		set.ServerMajor = 18
		if p := st.Plan(sql, set); p.SQL != want {
			t.Errorf("%q:\n got %s\nwant %s", sql, describe(p), want)
		}
		set.ServerMajor = 17
		if p := st.Plan(sql, set); p.Kind == Rewrite && p.SQL == want && strings.Contains(want, "old.full_name") && !strings.Contains(sql, "AS old") {
			t.Errorf("%q: 17 does not know old", sql)
		}
	}
}

func TestCacheIsBoundedByBytes(t *testing.T) {
	c := newCache[*Plan](100_000)
	for i := range 10_000 {
		c.get(fmt.Sprint("key", i), func() {}, func() (*Plan, int) { return &Plan{}, 100 })
	}
	if c.size > c.limit || len(c.values) != c.used.Len() || len(c.values) == 0 {
		t.Fatalf("%d bytes in %d plans of %d", c.size, len(c.values), c.used.Len())
	}
}

func TestOnePlanServesEveryConstant(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	for _, c := range []struct{ sql, want string }{
		{"UPDATE users SET name = 'x' WHERE id = 1", "UPDATE users SET name = 'x', full_name = 'x' WHERE id = 1"},
		{"UPDATE users SET name='it''s' /* c */ WHERE id =  12345", "UPDATE users SET name='it''s', full_name = 'it''s' /* c */ WHERE id =  12345"},
		{"UPDATE users SET name = E'\\'' WHERE id = 1.5e3;", "UPDATE users SET name = E'\\'', full_name = E'\\'' WHERE id = 1.5e3;"},
		{"UPDATE users SET name = $$x$$ WHERE id = 1", "UPDATE users SET name = $$x$$, full_name = $$x$$ WHERE id = 1"},
		{"UPDATE users SET name = $1 WHERE id = 1", "UPDATE users SET name = $1, full_name = $1 WHERE id = 1"},
	} {
		p := st.Plan(c.sql, settings(lens.Old))
		checkPlan(t, c.sql, p)
		if p.SQL != c.want {
			t.Errorf("%s: got %s", c.sql, p.SQL)
		}
	}
	if n := len(st.templates.values); n != 3 { // with a semicolon and with a parameter it is another statement
		t.Errorf("%d templates", n)
	}
}

// Whatever comes from a template is what planning the text itself gives.
func TestTemplatesGiveThePlansThatPlanningGives(t *testing.T) {
	for _, s := range stages {
		st := testState(t, s)
		for _, seed := range seeds(t) {
			for _, v := range []lens.Version{lens.Old, lens.New, lens.Auto} {
				want := st.plan(seed, settings(v))
				st.Plan(seed, settings(v))
				got := st.Plan(seed, settings(v))
				if describe(got) != describe(want) {
					t.Errorf("%s %s: %q gives %s from the cache and %s without", s, v, seed, describe(got), describe(want))
				}
				checkPlan(t, seed, got)
			}
		}
	}
}

func BenchmarkPlanFromTemplate(b *testing.B) {
	st := testState(b, lens.Stage{Phase: lens.DualWrite})
	set := settings(lens.Auto).Keyed()
	for i := range b.N {
		st.Plan("UPDATE users SET name = 'some name', email = 'x@y' WHERE id = "+strconv.Itoa(i), set)
	}
}

func BenchmarkPlanCold(b *testing.B) {
	st := testState(b, lens.Stage{Phase: lens.DualWrite})
	set := settings(lens.Auto)
	for i := range b.N {
		st.plan("UPDATE users SET name = 'some name', email = 'x@y' WHERE id = "+strconv.Itoa(i), set)
	}
}

func BenchmarkMentionsNot(b *testing.B) {
	st := testState(b, lens.Stage{Phase: lens.DualWrite})
	for range b.N {
		st.Mentions("SELECT abalance FROM pgbench_accounts WHERE aid = 12345")
	}
}

// Code of one migration's new side and of another's old side: a name that both new sides give is looked for on each, also where the attempt that fails last has not
// met both tables.
func TestSidesOfTwoTablesAreTriedTogether(t *testing.T) {
	users := usersTable(lens.Stage{Phase: lens.DualWrite})
	items := usersTable(lens.Stage{Phase: lens.DualWrite})
	items.OID, items.RowType, items.Name, items.Columns[1].Name = 2001, 2101, "items", "tag"
	rename := func(name, table, from string) Migration {
		return Migration{
			Definition: &lens.Definition{
				Name: name, Table: lens.TableName{Schema: "public", Name: table}, RenameColumn: &lens.RenameColumn{From: from, To: "full_name"},
			},
			OldNums: map[string]int16{from: 2}, Stage: lens.Stage{Phase: lens.DualWrite},
		}
	}
	cat := catalog.New([]*catalog.Relation{users, items}, nil, nil)
	st, err := NewState(7, cat, []Migration{rename("users_full_name", "users", "name"), rename("items_full_name", "items", "tag")})
	if err != nil {
		t.Fatal(err)
	}
	p := st.Plan("SELECT tag FROM items UNION SELECT s.c FROM users u CROSS JOIN LATERAL (SELECT CASE WHEN u.email = full_name THEN i.tag END AS c FROM items i) s",
		settings(lens.Auto))
	want := "SELECT tag FROM items UNION SELECT s.c FROM users u CROSS JOIN LATERAL (SELECT CASE WHEN u.email = u.name THEN i.tag END AS c FROM items i) s"
	if p.Kind != Rewrite || p.SQL != want {
		t.Errorf("got %v %s %v", p.Kind, p.SQL, p.Refusal)
	}
}

// COPY of a generated column by its name is an error, which a query in its place would not be.
func TestCopyOfAGeneratedColumn(t *testing.T) {
	s := lens.Stage{Phase: lens.SwitchReads}
	rel, m := tables["users"](s)
	m.Stage, m.Seq = s, 1
	rel.Columns = append(rel.Columns, catalog.Column{Name: "shout", Num: 9, Type: rel.Columns[1].Type, Generated: true})
	st, err := NewState(7, catalog.New([]*catalog.Relation{rel}, nil, nil), []Migration{m})
	if err != nil {
		t.Fatal(err)
	}
	if p := st.Plan("COPY users (id, name, shout) TO STDOUT", settings(lens.Old)); p.Kind != Refuse || p.Refusal.Code != "42P10" {
		t.Errorf("got %s", describe(p))
	}
	if p := st.Plan("COPY users (id, name) TO STDOUT", settings(lens.Old)); p.Kind != Rewrite {
		t.Errorf("got %s", describe(p))
	}
}

// What a plan from the cache costs is bounded in allocations: the plan, its text, and where that came from.
func TestPlansFromTemplatesAreCheap(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	set := settings(lens.Auto).Keyed()
	texts := make([]string, 101)
	for i := range texts {
		texts[i] = "UPDATE users SET name = 'some name', email = 'x@y' WHERE id = " + strconv.Itoa(i)
	}
	i := 0
	n := testing.AllocsPerRun(100, func() {
		if p := st.Plan(texts[i%len(texts)], set); p.Kind != Rewrite {
			t.Fatal("it is not rewritten")
		}
		i++
	})
	if n > 6 { // where the race detector is on, sync.Pool drops some of what it is given
		t.Errorf("a plan from the cache takes %v allocations", n)
	}
}

// Settings whose key has been worked out plan as they do without it.
func TestKeyedSettings(t *testing.T) {
	set := settings(lens.New)
	keyed := set.Keyed()
	if keyed.key() != set.key() {
		t.Errorf("the key is %q when worked out, and %q", keyed.key(), set.key())
	}
	if twice := keyed.Keyed(); twice.key() != set.key() {
		t.Errorf("the key is %q when worked out twice, and %q", twice.key(), set.key())
	}
	keyed.Version = lens.Old
	if anew := keyed.Keyed(); anew.key() == set.key() {
		t.Error("Keyed does not work the key out anew")
	}
}
