package session

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// simple runs a text as a Query and gives the rows' first columns, those of all its results.
func simple(t *testing.T, conn *pgx.Conn, sql string) ([]string, error) {
	t.Helper()
	results, err := conn.PgConn().Exec(background, sql).ReadAll()
	var out []string
	for _, r := range results {
		for _, row := range r.Rows {
			out = append(out, string(row[0]))
		}
	}
	return out, err
}

func TestExecuteFollowsTheState(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 1, true), wordPlanner{})
	conn := connect(t, d.dsn("postgres", db))
	gives := func(sql string, want ...string) {
		t.Helper()
		if got, err := simple(t, conn, sql); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s gives %q, %v, not %q", sql, got, err, want)
		}
	}
	fails := func(sql, want string) {
		t.Helper()
		if _, err := simple(t, conn, sql); code(err) != want {
			t.Fatalf("%s fails with %v, not %s", sql, err, want)
		}
	}
	gives("PREPARE p (int) AS SELECT name FROM users WHERE id = $1")
	gives("BEGIN; PREPARE q AS UPDATE users SET name = name || '!' WHERE id = 9 RETURNING name; ROLLBACK") // what is prepared stays
	gives(`PREPARE "P" AS SELECT id FROM plain`)
	if _, err := conn.Prepare(background, "protocol", "SELECT name FROM users WHERE id = $1"); err != nil {
		t.Fatal(err)
	}
	gives("EXECUTE p(7)", "name 7")
	gives("EXECUTE protocol(7)", "name 7")

	d.setState(usersState(t, 2, false))
	gives("EXECUTE p(7)", "two 7")
	gives("EXECUTE p(8); EXECUTE protocol(7); EXECUTE q", "two 8", "two 7", "two 9!")
	gives("SELECT name || ' ' || from_sql || ' ' || statement FROM pg_prepared_statements ORDER BY name",
		"P true PREPARE \"P\" AS SELECT id FROM plain", "p true PREPARE p (int) AS SELECT n2 FROM users WHERE id = $1",
		"protocol false SELECT n2 FROM users WHERE id = $1", "q true  PREPARE q AS UPDATE users SET n2 = n2 || '!' WHERE id = 9 RETURNING n2")

	// bound by the protocol, and EXECUTE by it
	d.setState(usersState(t, 3, false))
	r := conn.PgConn().ExecPrepared(background, "p", [][]byte{[]byte("5")}, nil, nil).Read()
	if r.Err != nil || string(r.Rows[0][0]) != "three 5" {
		t.Fatalf("%q, %v", r.Rows, r.Err)
	}
	r = conn.PgConn().ExecParams(background, "EXECUTE protocol(6)", nil, nil, nil, nil).Read()
	if r.Err != nil || string(r.Rows[0][0]) != "three 6" || r.FieldDescriptions[0].Name != "n3" {
		t.Fatalf("%q, %v", r.Rows, r.Err)
	}

	// in a transaction the state stays; in a failed one nothing is prepared
	gives("BEGIN")
	d.setState(usersState(t, 4, false))
	gives("EXECUTE q", "three 9!")
	fails("SELECT 1/0", "22012")
	fails("EXECUTE p(7)", "25P02")
	fails("EXECUTE p(", "42601")
	fails("SELECT FROM FROM users", "42601")
	gives("ROLLBACK")
	gives("BEGIN")
	fails("SELECT 1/0", "22012")
	fails("EXECUTE p(7)", "25P02")
	fails("SELECT 1; ROLLBACK; EXECUTE p(7)", "25P02")
	fails("ROLLBACK; EXECUTE p(", "42601")
	fails("ROLLBACK TO nothing; EXECUTE p(7)", "3B001")
	gives("ROLLBACK; EXECUTE p(7)", "four 7")
	gives("CREATE TEMP TABLE t AS EXECUTE p(7)")
	gives("SELECT n4 FROM t", "four 7")

	d.setState(usersState(t, 2, false))
	explained, err := simple(t, conn, "EXPLAIN (COSTS OFF, TIMING OFF, ANALYZE, SUMMARY OFF, BUFFERS OFF) EXECUTE q")
	if err != nil || len(explained) < 3 || !strings.HasPrefix(explained[0], "Update on users (actual rows=1") || explained[2] != "        Index Cond: (id = 9)" {
		t.Fatalf("%q, %v", explained, err)
	}
	if got, err := simple(t, conn, "EXECUTE q"); err != nil || got[0] != "two 9!!!" {
		t.Fatalf("EXPLAIN ANALYZE ran another plan than EXECUTE: %q, %v", got, err)
	}
	gives("DEALLOCATE p")
	fails("EXECUTE p(7)", "26000")
	gives("DISCARD PLANS")
	d.setState(usersState(t, 3, false))
	gives("EXECUTE protocol(7)", "three 7")
	gives("DEALLOCATE ALL")
	fails("EXECUTE protocol(7)", "26000")
}

// A prepared utility statement that EXECUTE runs has its effects.
func TestExecuteOfWhatExecutes(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 2, false), wordPlanner{})
	conn := connect(t, d.dsn("postgres", db))
	for name, text := range map[string]string{
		"outside": "EXECUTE p", "make": "PREPARE p AS SELECT name FROM users WHERE id = 1", "drop": "DEALLOCATE p", "path": "SET search_path = nowhere",
	} {
		r := conn.PgConn().ExecParams(background, "SELECT 1", nil, nil, nil, nil).Read()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if _, err := conn.PgConn().Prepare(background, name, text, nil); err != nil {
			t.Fatal(err)
		}
	}
	gives := func(sql string, want ...string) {
		t.Helper()
		if got, err := simple(t, conn, sql); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s gives %q, %v, not %q", sql, got, err, want)
		}
	}
	gives("EXECUTE make")
	gives("EXECUTE p", "two 1")
	d.setState(usersState(t, 3, false))
	gives("EXECUTE outside", "three 1")
	gives("EXECUTE drop")
	if _, err := simple(t, conn, "EXECUTE outside"); code(err) != "26000" {
		t.Fatal(err)
	}
	gives("EXECUTE make")
	d.setState(usersState(t, 4, false))
	if _, err := simple(t, conn, "EXECUTE path; EXECUTE p"); code(err) != "0A000" {
		t.Fatal(err)
	}
	gives("EXECUTE p", "four 1")
	gives("EXECUTE path")
	if _, err := simple(t, conn, "EXECUTE p"); code(err) != "42P01" {
		t.Fatal(err)
	}
}

func TestExecuteCounts(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 2, false), wordPlanner{})
	conn := connect(t, d.dsn("postgres", db))
	pgtest.Exec(t, conn, "PREPARE p AS SELECT name FROM users WHERE id = 1", "PREPARE o AS SELECT 1")
	before := d.gate.count()
	for _, sql := range []string{"EXECUTE p; EXECUTE o; EXECUTE p", "EXECUTE o"} {
		if _, err := simple(t, conn, sql); err != nil {
			t.Fatal(err)
		}
	}
	if r := conn.PgConn().ExecParams(background, "EXECUTE p", nil, nil, nil, nil).Read(); r.Err != nil {
		t.Fatal(r.Err)
	}
	if n := d.gate.count() - before; n != 3 || !strings.HasSuffix(d.gate.last(), "SELECT n2 FROM users WHERE id = 1") {
		t.Errorf("%d uses are counted, the last of %q", n, d.gate.last())
	}
}

func TestActs(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                                         "",
		"PREPARE p AS SELECT 1":                            "makes p",
		"prepare P(int, text) as select 1":                 "makes p",
		"/* a */ PREPARE -- b\n \"P q\"AS SELECT 1; ":      "makes P q",
		"PREPARE TRANSACTION 'x'":                          "",
		"PREPARE transaction AS SELECT 1":                  "makes transaction",
		"PREPARE transaction(int) AS SELECT $1":            "makes transaction",
		"DEALLOCATE p":                                     "drops p",
		"DEALLOCATE PREPARE p":                             "drops p",
		"DEALLOCATE prepare":                               "drops prepare",
		"DEALLOCATE all; DEALLOCATE PREPARE ALL":           "drops , drops ",
		`DEALLOCATE "all"`:                                 "drops all",
		"DISCARD ALL; DISCARD PLANS; DISCARD TEMP":         "drops ",
		"EXECUTE p":                                        "runs p",
		`EXECUTE "p""q"(1)`:                                `runs p"q`,
		`EXECUTE U&"d\0061t\+000061"`:                      "runs data",
		`EXECUTE u&"d!0061!!" UESCAPE '!' (1)`:             "runs da!",
		"EXPLAIN (ANALYZE, BUFFERS) EXECUTE p(1)":          "runs p in it",
		"EXPLAIN ANALYZE VERBOSE EXECUTE p":                "runs p in it",
		"EXPLAIN SELECT 'EXECUTE q', $$EXECUTE r$$":        "",
		"CREATE TEMP TABLE t AS EXECUTE p WITH NO DATA":    "runs p in it",
		"EXPLAIN CREATE TABLE t AS EXECUTE p('EXECUTE q')": "runs p in it",
		"CREATE TABLE executes (execute int)":              "",
		"SELECT 1; EXECUTE p; SELECT ';EXECUTE q'":         "runs p",
	} {
		var got []string
		for _, a := range effectOf(sql, false).acts {
			s := map[actKind]string{makes: "makes ", drops: "drops ", runs: "runs "}[a.kind] + a.name
			if a.kind == runs && !a.rows {
				s += " in it"
			}
			got = append(got, s)
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s: %q and not %q", sql, s, want)
		}
	}
	long := strings.Repeat("é", 40)
	if name, _, ok := identifier(long); !ok || name != strings.Repeat("é", 31) {
		t.Errorf("a long name is %q", name)
	}
	if e := effectOf("PREPARE TRANSACTION 'x'", false); !e.ends {
		t.Error("PREPARE TRANSACTION ends no transaction")
	}
}

// With the planner itself, through the phases of a rename.
func TestExecuteThroughAMigration(t *testing.T) {
	db := pgtest.Database(t)
	admin := pgtest.Connect(t, pgtest.Shared().DSN(db))
	pgtest.Exec(t, admin, "CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, full_name text)", "INSERT INTO users VALUES (1, 'Ann')",
		"CREATE TABLE names (name text PRIMARY KEY)", "INSERT INTO names SELECT 'name ' || i FROM generate_series(1, 9) i", "ALTER TABLE users ADD FOREIGN KEY (full_name) REFERENCES names")
	var oid uint32
	if err := admin.QueryRow(background, "SELECT 'users'::regclass::oid").Scan(&oid); err != nil {
		t.Fatal(err)
	}
	text := catalog.Type{OID: 25, Mod: -1, SQL: "text"}
	users := &catalog.Relation{OID: oid, Schema: "public", Name: "users", Kind: catalog.Table, PrimaryKey: []string{"id"}, Columns: []catalog.Column{
		{Name: "id", Num: 1, Type: catalog.Type{OID: 23, Mod: -1, SQL: "integer"}, NotNull: true},
		{Name: "name", Num: 2, Type: text, NotNull: true},
		{Name: "full_name", Num: 3, Type: text},
	}}
	tables := catalog.New([]*catalog.Relation{users}, nil, nil)
	epoch := int64(0)
	state := func(stages ...lens.Stage) *rewrite.State {
		t.Helper()
		var ms []rewrite.Migration
		for _, stage := range stages {
			ms = append(ms, rewrite.Migration{
				Definition: &lens.Definition{
					Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"},
					RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
				},
				Stage: stage, OldNums: map[string]int16{"name": 2}, Seq: 1,
			})
		}
		epoch++
		st, err := rewrite.NewState(epoch, tables, ms)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	d := openDoor(t, state(), nil)
	conn := connect(t, d.dsn("postgres", db))
	pgtest.Exec(t, conn, "PREPARE get (int) AS SELECT * FROM users WHERE id = $1 -- all", "PREPARE put (int, text) AS INSERT INTO users (id, name) VALUES ($1, $2)")
	id := 1
	for _, st := range []*rewrite.State{
		state(), state(lens.Stage{Phase: lens.Pending}), state(lens.Stage{Phase: lens.DualWrite}), state(lens.Stage{Phase: lens.SwitchReads, Proved: true}),
		state(lens.Stage{Phase: lens.DualWrite}),
	} {
		d.setState(st)
		id++
		name := "name " + strconv.Itoa(id)
		if _, err := simple(t, conn, "EXECUTE put("+strconv.Itoa(id)+", '"+name+"')"); err != nil {
			t.Fatal(err)
		}
		if _, err := simple(t, conn, "EXECUTE put("+strconv.Itoa(id+1)+", NULL)"); code(err) != "23502" || !strings.Contains(err.Error(), `"name"`) {
			t.Fatal(err)
		} else if got, want := detail(err), "Failing row contains ("+strconv.Itoa(id+1)+", null)."; st.HasMigration("users_full_name") && got != want {
			t.Fatalf("epoch %d: %q, not %q", st.Epoch, got, want)
		}
		if id > 3 { // both columns are written, and the foreign key is on the hidden one
			if _, err := simple(t, conn, "UPDATE users SET name = 'nobody' WHERE id = "+strconv.Itoa(id)); detail(err) != `Key (name)=(nobody) is not present in table "names".` {
				t.Fatalf("epoch %d: %v (%s)", st.Epoch, err, detail(err))
			}
		}
		if _, err := simple(t, conn, "UPDATE users SET id = NULL WHERE id = "+strconv.Itoa(id)); code(err) != "23502" {
			t.Fatal(err)
		} else if got, want := detail(err), "Failing row contains (null, "+name+")."; st.HasMigration("users_full_name") && got != want {
			t.Fatalf("epoch %d: %q, not %q", st.Epoch, got, want)
		}
		var unknown *pgconn.PgError
		if _, err := simple(t, conn, "SELECT full_nam FROM users"); !errors.As(err, &unknown) || unknown.Code != "42703" {
			t.Fatal(err)
		} else if st.HasMigration("users_full_name") && unknown.Hint != "" {
			t.Fatalf("epoch %d: %q", st.Epoch, unknown.Hint)
		}
		r := conn.PgConn().ExecParams(background, "EXECUTE get("+strconv.Itoa(id)+")", nil, nil, nil, nil).Read()
		if r.Err != nil || len(r.Rows) != 1 || string(r.Rows[0][1]) != name {
			t.Fatalf("epoch %d: %q, %v", st.Epoch, r.Rows, r.Err)
		}
		if f := r.FieldDescriptions[1]; f.Name != "name" || f.TableOID != oid || f.TableAttributeNumber != 2 {
			t.Fatalf("epoch %d: %+v", st.Epoch, f)
		}
	}
	var both int
	if err := admin.QueryRow(background, "SELECT count(*) FROM users WHERE name = full_name").Scan(&both); err != nil || both != 3 {
		t.Fatalf("%d rows are whole, %v", both, err)
	}
}
