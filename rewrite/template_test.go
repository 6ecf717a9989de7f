package rewrite

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/lens"
)

// samePlan demands that a plan of a text, however it was made, is what planning the text itself gives.
func samePlan(t testing.TB, st *State, text string, set Settings) {
	t.Helper()
	want := st.plan(text, set)
	got := st.Plan(text, set)
	if _, err := pg.Parse(got.SQL); want.unparsed && err != nil {
		return // the server has the error, rewritten or not
	}
	if a, b := describe(got), describe(want); a != b {
		t.Fatalf("%s: %q\n  gives  %s\n  not    %s", set.Version, text, a, b)
	}
	if !slices.Equal(got.Migrations, want.Migrations) || !slices.Equal(got.OldNames, want.OldNames) || !reflect.DeepEqual(got.Results, want.Results) ||
		!reflect.DeepEqual(got.names, want.names) || got.Prepares != want.Prepares || got.text != want.text && want.Kind != Pass {
		t.Fatalf("%s: %q: all but the text differs: %+v, %+v", set.Version, text, got, want)
	}
	if want.Kind != Rewrite {
		return
	}
	step := 1 + len(want.SQL)/50
	for i := 1; i <= len(want.SQL)+1; i += step {
		if a, b := got.ClientPosition(i), want.ClientPosition(i); a != b {
			t.Fatalf("%s: %q: position %d maps to %d, not to %d", set.Version, text, i, a, b)
		}
	}
}

// texter writes random statements whose lists are long enough to be shortened.
type texter struct {
	*rand.Rand
	params int
}

func (r *texter) pick(from ...string) string { return from[r.IntN(len(from))] }

// constant gives constants of all kinds, among them those that do not parse, that are another type's, and that mean something where they stand.
func (r *texter) constant() string {
	return r.pick("'x'", "'it''s'", "1", "2", "-1", "- 5", "+3", "1.5", "1e3", "99999999999999", "0x1F", "''", "E'\\n'", "E'a\\'b'", "E'\\u0041'", "E'\\u00'", "B'01'",
		"X'ff'", "$$x$$", "$t$'$t$", "U&'d\\0061'", "U&'d!0061' UESCAPE '!'", "N'x'", "'größe'", "NULL", "true", "'x'::text", "'1'::int", "1::text", "'a' 'b'", "'a'\n'b'",
		"interval '1 day'", "interval '1' year", "date '2020-01-01'", "'{1,2}'", "current_date", "/* 'c' */ 7", "'-- x' -- 'y'\n")
}

func (r *texter) param() string {
	if r.IntN(6) == 0 {
		return "$1"
	}
	r.params++
	return fmt.Sprintf("$%d", r.params)
}

// cell gives a way of making a value: each call of it gives the same tokens but for constants and parameters.
func (r *texter) cell(columns ...string) func() string {
	switch r.IntN(12) {
	case 0, 1, 2:
		return r.param
	case 3:
		p := r.pick("$1", "$2", "NULL", "DEFAULT", "random()", "now()", "(SELECT 1)", "ARRAY[1,2,3,4]", "1 IN (1,2,3,4)")
		return func() string { return p }
	case 4:
		c := r.pick(columns...)
		return func() string { return c }
	case 5:
		c := r.pick(columns...)
		return func() string { return c + " || " + r.pick("'x'", "'yy'") }
	case 6:
		return func() string { return "upper(" + r.param() + ")" }
	case 7:
		return func() string { return "(" + r.param() + ")::text" }
	case 8:
		return func() string { return r.pick("1", "22", "3.5") + " + " + r.pick("1", "0") }
	case 9:
		return r.constant
	}
	return func() string { return r.pick("'x'", "'it''s'", "''") }
}

// list gives a list of up to 40 elements of a few shapes.
func (r *texter) list(shape func() func() string) string {
	shapes := make([]func() string, 1+r.IntN(3))
	for i := range shapes {
		shapes[i] = shape()
	}
	var all []string
	for range 1 + r.IntN(r.IntN(40)+1) {
		all = append(all, shapes[r.IntN(len(shapes))]())
	}
	return strings.Join(all, r.pick(",", ", ", " ,\n", ", /* , */ "))
}

func (r *texter) row(columns ...string) func() string {
	cells := make([]func() string, len(columns))
	for i := range cells {
		cells[i] = r.cell("1", "'x'")
		if r.IntN(20) == 0 {
			cells[i] = r.cell(columns...)
		}
	}
	return func() string {
		var all []string
		for _, c := range cells {
			all = append(all, c())
		}
		return "(" + strings.Join(all, ", ") + ")"
	}
}

func (r *texter) in(col string, columns ...string) string {
	switch r.IntN(6) {
	case 0:
		return "(id, " + col + ") " + r.pick("IN", "NOT IN") + " (" + r.list(func() func() string { return r.row("id", col) }) + ")"
	case 1:
		return col + " = ANY(ARRAY[" + r.list(func() func() string { return r.cell(columns...) }) + "])"
	case 2:
		return col + " IN (VALUES " + r.list(func() func() string { return r.row(col) }) + ")"
	case 3:
		return "(" + r.in(col, columns...) + r.pick(" AND ", " OR ") + col + " = " + r.constant() + ")"
	}
	return col + r.pick(" IN ", " NOT IN ", " in") + "(" + r.list(func() func() string { return r.cell(columns...) }) + ")"
}

// statement gives a statement on a table with these columns.
func (r *texter) statement(table string, columns []string) string {
	r.params = 1
	col := columns[r.IntN(len(columns))]
	tail := r.pick("", "", " RETURNING *", " RETURNING "+col, " RETURNING id AS values")
	where := " WHERE " + r.in(col, columns...)
	switch r.IntN(8) {
	case 0, 1, 2:
		some := slices.Clone(columns)
		r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		some = some[:1+r.IntN(len(some))]
		names := " (" + strings.Join(some, ", ") + ")"
		if r.IntN(5) == 0 {
			names = ""
		}
		conflict := r.pick("", "", "", " ON CONFLICT DO NOTHING", " ON CONFLICT (id) DO UPDATE SET "+col+" = EXCLUDED."+col+where)
		order := r.pick("", "", "", "", "", " ORDER BY 1", " ORDER BY 2", " LIMIT 3")
		return "INSERT INTO " + table + names + " VALUES " + r.list(func() func() string { return r.row(some...) }) + order + conflict + tail
	case 3:
		return "UPDATE " + table + " SET " + col + " = " + r.cell(columns...)() + where + tail
	case 4:
		return "DELETE FROM " + table + where + tail
	case 5:
		return "SELECT " + col + ", values.a FROM " + table + ", (VALUES " + r.list(func() func() string { return r.row("id", col) }) + ") values (a, b)" + where
	case 6:
		return "WITH w AS (SELECT * FROM " + table + where + ") SELECT *, " + r.constant() + " FROM w WHERE " + r.in(col, columns...) + " ORDER BY " + r.pick("1", "2", "3", col)
	}
	return "SELECT " + r.pick("*", col, "id, "+col, col+"::varchar(3)", col+"::varchar(5)") + " FROM " + table + where + r.pick("", " ORDER BY 1", " ORDER BY 2", " LIMIT 1", " LIMIT "+r.param())
}

var textColumns = map[string][]string{
	"users": {"id", "name", "email", "full_name"}, "products": {"id", "price", "label", "price_v2"}, "priced": {"id", "price", "label"},
	"persons": {"id", "first_name", "last_name", "full_name"}, "addresses": {"id", "address", "street", "town"},
}

// Whatever the cache gives, for texts of any length and with any constants, is what planning the text itself gives.
func TestSharedPlansAreTheTextsOwn(t *testing.T) {
	const n = 500
	r := &texter{Rand: rand.New(rand.NewPCG(3, 14))}
	shared, short := 0, 0
	for table, cols := range textColumns {
		var states []*State
		for _, s := range stages {
			states = append(states, stateOn(t, s, table))
		}
		for range n {
			st, v := states[r.IntN(len(states))], []lens.Version{lens.Old, lens.New, lens.Auto}[r.IntN(3)]
			isShort, isShared := sharesPlan(t, st, r.statement(table, cols), settings(v))
			if isShort {
				short++
			}
			if isShared {
				shared++
			}
		}
	}
	all := n * len(textColumns)
	t.Logf("%d texts, %d shortened, %d of them by a template", all, short, shared)
	if short < all/2 || shared < short/2 {
		t.Errorf("of %d texts %d are shortened, and %d of these have a template", all, short, shared)
	}
}

// sharesPlan holds a text to what is true of all, and says whether it was shortened, and then planned by a template.
func sharesPlan(t testing.TB, st *State, text string, set Settings) (short, shared bool) {
	t.Helper()
	samePlan(t, st, text, set)
	toks, ok, _ := lex(text)
	if !ok {
		return false, false
	}
	b := shorten(text, toks)
	again := shorten(b.text, b.toks)
	one, has := b.key(set.key())
	two, _ := again.key(set.key())
	if one != two || len(again.toks) != len(b.toks) {
		t.Fatalf("%q is shortened to %q, and that to %q", text, b.text, again.text)
	}
	for i, tok := range b.toks {
		if full := toks[b.full(i)]; text[full.start:full.end] != b.text[tok.start:tok.end] {
			t.Fatalf("%q: token %d of %q comes from %q", text, i, b.text, text[full.start:full.end])
		}
	}
	if len(b.toks) == len(toks) || !has {
		return false, false
	}
	e := st.templates.values[one]
	if e == nil {
		return true, false
	}
	tmpl := e.Value.(*cached[*template]).value
	return true, tmpl != nil && tmpl.within != nil
}

func FuzzSharedPlans(f *testing.F) {
	states := map[string][]*State{}
	for table := range textColumns {
		for _, s := range stages {
			states[table] = append(states[table], stateOn(f, s, table))
		}
	}
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := &texter{Rand: rand.New(rand.NewPCG(seed, 0))}
		for table, cols := range textColumns {
			text := r.statement(table, cols)
			for _, v := range []lens.Version{lens.Old, lens.New, lens.Auto} {
				sharesPlan(t, states[table][r.IntN(len(stages))], text, settings(v))
			}
		}
	})
}

func TestListsOfAnyLengthShareATemplate(t *testing.T) {
	set := settings(lens.Old)
	values := func(n int, row func(i int) string) string {
		rows := make([]string, n)
		for i := range rows {
			rows[i] = row(i)
		}
		return "INSERT INTO users (name, email) VALUES " + strings.Join(rows, ", ") + " RETURNING *"
	}
	for _, c := range []struct {
		name string
		text func(n int) string
	}{
		{"literals", func(n int) string {
			return values(n, func(i int) string { return fmt.Sprintf("('name %d', %d)", i, i) })
		}},
		{"parameters", func(n int) string {
			return values(n, func(i int) string { return fmt.Sprintf("($%d, $%d)", 2*i+1, 2*i+2) })
		}},
		{"a parameter in each row", func(n int) string {
			return values(n, func(i int) string { return fmt.Sprintf("($%d, $1)", i+2) })
		}},
		{"IN, and a parameter behind it", func(n int) string {
			all := make([]string, n)
			for i := range all {
				all[i] = fmt.Sprintf("$%d", i+1)
			}
			return fmt.Sprintf("UPDATE users SET name = $%d WHERE email IN (%s)", n+1, strings.Join(all, ","))
		}},
		{"ARRAY", func(n int) string {
			return "SELECT name FROM users WHERE id = ANY (ARRAY[1" + strings.Repeat(", 12", n-1) + "])"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := testState(t, lens.Stage{Phase: lens.DualWrite})
			for _, n := range []int{3, 4, 5, 100, 1000} {
				samePlan(t, st, c.text(n), set)
			}
			if got := len(st.templates.values); got != 1 {
				t.Errorf("%d templates", got)
			}
			for _, n := range []int{1, 2} {
				samePlan(t, st, c.text(n), set)
			}
			if got := len(st.templates.values); got != 3 { // one and two are texts of their own
				t.Errorf("%d templates", got)
			}
			if n := len(st.plans.values); n > 0 {
				t.Errorf("%d plans of whole texts", n)
			}
		})
	}
}

// A plan that one text left in the cache must not be taken for another's that only looks the same.
func TestTheCacheTellsTextsApart(t *testing.T) {
	for _, group := range [][]string{
		{"SELECT name, email FROM users ORDER BY 1", "SELECT name, email FROM users ORDER BY 2", "SELECT name, email FROM users ORDER BY '1'"},
		{"SELECT name FROM users GROUP BY 1", "SELECT name FROM users GROUP BY 2", "SELECT DISTINCT ON (1) name FROM users", "SELECT DISTINCT ON (2) name FROM users"},
		{"SELECT name FROM users LIMIT 1", "SELECT name FROM users LIMIT '1'", "SELECT name FROM users LIMIT $1", "SELECT name FROM users LIMIT ALL", "SELECT name FROM users LIMIT NULL"},
		{"SELECT name FROM users WHERE name = E'\\u00'", "SELECT name FROM users WHERE name = E'\\u0041'", "SELECT name FROM users WHERE name = '\\u00'"},
		{"UPDATE users SET name = 0x", "UPDATE users SET name = 0x1", "UPDATE users SET name = 1_", "UPDATE users SET name = 1_0", "UPDATE users SET name = 1a"},
		{"UPDATE users SET name = 'a' 'b'", "UPDATE users SET name = 'a'\n'b'", "UPDATE users SET name = 'a' -- c\n'b'", "UPDATE users SET name = 'a' /* c */ 'b'"},
		{"SELECT U&\"n!0061me\" UESCAPE '!' FROM users", "SELECT U&\"n!0061me\" UESCAPE '#' FROM users", "SELECT U&\"n!0061me\" FROM users", "SELECT U&\"n\\0061me\" FROM users"},
		{"SELECT name FROM users WHERE name = U&'d!0061' UESCAPE '!'", "SELECT name FROM users WHERE name = U&'d!0061' UESCAPE '#'", "SELECT name FROM users WHERE name = U&'d!0061'"},
		{"UPDATE users SET name = '1'", "UPDATE users SET name = B'1'", "UPDATE users SET name = X'1'", "UPDATE users SET name = N'1'", "UPDATE users SET name = $$1$$", "UPDATE users SET name = 1", "UPDATE users SET name = -1", "UPDATE users SET name = - 1", "UPDATE users SET name = +1", "UPDATE users SET name = '1'::text", "UPDATE users SET name = $1"},
		{"SELECT name::varchar(3) FROM users", "SELECT name::varchar(5) FROM users", "SELECT name::varchar FROM users", "SELECT name::char(3) FROM users"},
		{"SELECT name FROM users WHERE x > interval '1' year", "SELECT name FROM users WHERE x > interval '1' month", "SELECT name FROM users WHERE x > interval '1 year'", "SELECT name FROM users WHERE x > interval(1) '1'"},
		{"SELECT \"name\" FROM users", "SELECT 'name' FROM users", "SELECT name FROM users", "SELECT \"na\"\"me\" FROM users", "SELECT \"na'me\" FROM users", "SELECT \"NAME\" FROM users", "SELECT NAME FROM users"},
		{"SELECT name FROM users WHERE name = $1 AND email = $1", "SELECT name FROM users WHERE name = $1 AND email = $2", "SELECT name FROM users WHERE name = $2 AND email = $1"},
		{"INSERT INTO users (name, email) VALUES ($1, $1), ($2, $2), ($3, $3), ($4, $4)", "INSERT INTO users (name, email) VALUES ($1, $2), ($1, $2), ($1, $2), ($1, $2)", "INSERT INTO users (name, email) VALUES ($1, $2), ($3, $4), ($5, $6), ($1, $2)"},
		{"INSERT INTO users (name) VALUES ('x'), ('y'), ('z'), ('z')", "INSERT INTO users (name) VALUES ('x'), ('y'), (random()), ('z')", "INSERT INTO users (name) VALUES ('x'), ('y'), (DEFAULT), ('z')", "INSERT INTO users (name) VALUES ('x'), ('y'), ('z', 1), ('z')", "INSERT INTO users (name) VALUES ('x'), ('y'), (), ('z')", "INSERT INTO users (name) VALUES ('x'), ('y'), ((SELECT 'x')), ('z')", "INSERT INTO users (name) VALUES ('x'), ('y'), ('z'), ('z'), ", "INSERT INTO users (name) VALUES ('x'), ('y'), (1), ('z')"},
		{"SELECT name FROM users WHERE name IN ('a', 'b', 'c', 'd')", "SELECT name FROM users WHERE name IN ('a', 'b', email, 'd')", "SELECT name FROM users WHERE name IN ('a', 'b', 'c', name)", "SELECT name FROM users WHERE name IN ('a', 'b', 'c', SELECT)", "SELECT name FROM users WHERE name IN ('a', 'b', , 'd')", "SELECT name FROM users WHERE name IN ('a', 'b', 'c', 'd'", "SELECT name FROM users WHERE name IN ('a', 'b', 'c', 'd'))"},
		{"SELECT s.in(1, 2, 3) FROM users", "SELECT s.in(1, 2, 3, 4) FROM users", "SELECT s.in(1, 2, 3, 4, 5) FROM users"},
		{"SELECT * FROM users values (a, b, c)", "SELECT * FROM users values (a), users u (b), users v (c), users w (d)", "SELECT * FROM users values (a), (orders CROSS JOIN people), (SELECT 1), (SELECT 1), (SELECT 1)"},
		{"SELECT name FROM users; SELECT 1", "SELECT name FROM users; SELECT 2", "SELECT name FROM users;", "SELECT name FROM users"},
		{"SELECT name/**/FROM users", "SELECT name /* '1' */ FROM users", "SELECT name -- 1\n FROM users"},
	} {
		for _, stage := range []lens.Stage{{Phase: lens.Pending}, {Phase: lens.DualWrite}, {Phase: lens.SwitchReads}, {Phase: lens.Complete, Proved: true}} {
			for _, v := range []lens.Version{lens.Old, lens.New, lens.Auto} {
				for first := range group {
					st := testState(t, stage)
					st.Plan(group[first], settings(v))
					for _, text := range group {
						samePlan(t, st, text, settings(v))
						samePlan(t, st, text, settings(v))
					}
				}
			}
		}
	}
}

// What is edited in one element, and not in the next like it, must not be carried over to the others.
func TestElementsThatAreEditedApartAreNotShared(t *testing.T) {
	text := "SELECT ARRAY[1, 2, 3] FROM users"
	toks, _, _ := lex(text)
	b := shorten(text, toks)
	if len(b.lists) != 1 || len(b.lists[0].kept) != 3 {
		t.Fatalf("%+v", b.lists)
	}
	const one, two, three, from = 3, 5, 7, 9
	for name, c := range map[string]struct {
		list   func(*edits)
		shared bool
	}{
		"each": {func(e *edits) {
			for _, tok := range []int{one, two, three} {
				e.add(replace, tok, tok, []piece{lit("f("), copyOf(tok, tok), lit(")")})
			}
		}, true},
		"one of them": {func(e *edits) { e.add(replace, two, two, sqlText("x")) }, false},
		"each differently": {func(e *edits) {
			e.add(replace, one, one, sqlText("x"))
			e.add(replace, two, two, sqlText("y"))
			e.add(replace, three, three, sqlText("x"))
		}, false},
		"each by the first": {func(e *edits) {
			for _, tok := range []int{one, two, three} {
				e.add(replace, tok, tok, []piece{copyOf(one, one)})
			}
		}, false},
		"two at once":             {func(e *edits) { e.add(replace, one, two, sqlText("x")) }, false},
		"a comma":                 {func(e *edits) { e.add(replace, one+1, one+1, sqlText("x")) }, false},
		"before the first":        {func(e *edits) { e.add(before, one, one, sqlText("0, ")) }, true},
		"behind the last":         {func(e *edits) { e.add(after, three, three, sqlText(", 4")) }, true},
		"behind the first":        {func(e *edits) { e.add(after, one, one, sqlText(", 4")) }, false},
		"the whole":               {func(e *edits) { e.add(replace, one-2, three+1, []piece{copyOf(one-1, three+1)}) }, true},
		"a part of it, elsewhere": {func(e *edits) { e.add(replace, from, from, []piece{copyOf(two, two)}) }, false},
		"beside it":               {func(e *edits) { e.add(replace, from, from, []piece{copyOf(from, from)}) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := &edits{text: text, toks: toks}
			c.list(e)
			p := &Plan{Kind: Rewrite, edits: e.sorted()}
			if shared := p.template(b).within != nil; shared != c.shared {
				t.Errorf("shared: %v", shared)
			}
		})
	}
}

// A refusal of a long text, which is made of its brief form, points where the text's own does.
func TestRefusalsOfLongTextsPointIntoThem(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	long := strings.Repeat(", ('"+strings.Repeat("größe", 200)+"', 'y')", 1000)
	for _, text := range []string{
		" /* ä */ INSERT INTO users (name, email) VALUES ('x', 'y')" + long + " RETURNING id, full_name",
		"INSERT INTO users (name, full_name) VALUES ('x', 'y')" + long,
		"WITH u AS (INSERT INTO users (name, email) VALUES ('x', 'y')" + long + ") SELECT NULL::users FROM users",
	} {
		if want := st.plan(text, settings(lens.Old)); want.Kind != Refuse || want.Refusal.Position < 2 {
			t.Fatalf("%.60s...: %s", text, describe(want))
		}
		samePlan(t, st, text, settings(lens.Old))
		if n := len(st.plans.values); n > 0 {
			t.Errorf("%d plans of whole texts", n)
		}
	}
}

func benchmarkRows(b *testing.B, n int) {
	st := testState(b, lens.Stage{Phase: lens.DualWrite})
	set := settings(lens.Auto)
	text := "INSERT INTO users (name, email) VALUES ('some name', 'x@y')" + strings.Repeat(", ('another name', 'x@y')", n-1)
	b.Run("cold", func(b *testing.B) {
		for range b.N {
			st.plan(text, set)
		}
	})
	b.Run("hit", func(b *testing.B) {
		for range b.N {
			st.Plan(text, set)
		}
	})
}

func BenchmarkPlanInsertOfOneRow(b *testing.B) { benchmarkRows(b, 1) }

func BenchmarkPlanInsertOf1000Rows(b *testing.B) { benchmarkRows(b, 1000) }
