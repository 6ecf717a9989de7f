package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	return pgtest.Connect(t, dsn)
}

func code(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return fmt.Sprint(err)
}

// detail is the DETAIL of a server's error.
func detail(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Detail
	}
	return ""
}

func TestAuthentication(t *testing.T) {
	db := pgtest.Database(t)
	admin := pgtest.Connect(t, pgtest.Shared().DSN(db))
	d := openDoor(t, usersState(t, 1, false), wordPlanner{})
	for user, method := range map[string]string{"scram": "scram-sha-256", "md5": "md5", "plain": "scram-sha-256"} {
		pgtest.Exec(t, admin, "SET password_encryption = '"+method+"'", "CREATE ROLE "+user+" LOGIN PASSWORD 'secret'")
		t.Cleanup(func() { pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN("postgres")), "DROP ROLE "+user) })
		conn := connect(t, d.dsn(user+":secret", db))
		var who string
		var pid uint32
		if err := conn.QueryRow(background, "SELECT current_user, pg_backend_pid()").Scan(&who, &pid); err != nil || who != user || pid != conn.PgConn().PID() {
			t.Errorf("%s: is %s, pid %d and %d, %v", user, who, pid, conn.PgConn().PID(), err)
		}
		if _, err := pgx.Connect(background, d.dsn(user+":wrong", db)); code(err) != "28P01" {
			t.Errorf("%s with a wrong password: %v", user, err)
		}
	}
}

func TestDriversModes(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 2, false), wordPlanner{})
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		conn := connect(t, d.dsn("postgres", db))
		for range 3 {
			var name string
			if err := conn.QueryRow(background, "SELECT name FROM users WHERE id = $1", mode, 7).Scan(&name); err != nil || name != "two 7" {
				t.Fatalf("%v: got %q, %v", mode, name, err)
			}
			if _, err := conn.Exec(background, "SELECT nope FROM users WHERE id = $1", mode, 7); code(err) != "0A000" {
				t.Fatalf("%v: %v", mode, err)
			}
			if _, err := conn.Exec(background, "SELECT nothing FROM plain WHERE id = $1", mode, 7); code(err) != "42703" {
				t.Fatalf("%v: %v", mode, err)
			}
		}
	}
}

func TestPreparedStatementsFollowTheState(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 1, true), wordPlanner{})
	conn := connect(t, d.dsn("postgres", db))
	if _, err := conn.Prepare(background, "s", "SELECT name FROM users WHERE id = $1"); err != nil {
		t.Fatal(err)
	}
	ask := func(want string) {
		t.Helper()
		var name string
		if err := conn.QueryRow(background, "s", 7).Scan(&name); err != nil || name != want {
			t.Fatalf("got %q, %v, not %q", name, err, want)
		}
	}
	ask("name 7")
	d.setState(usersState(t, 2, false))
	ask("two 7")

	// in a transaction the state stays; in a failed one nothing works, and after it all does
	tx, err := conn.Begin(background)
	if err != nil {
		t.Fatal(err)
	}
	ask("two 7")
	d.setState(usersState(t, 3, false))
	ask("two 7")
	if _, err := conn.Exec(background, "SELECT 1/0"); code(err) != "22012" {
		t.Fatal(err)
	}
	if _, err := conn.Exec(background, "s", 7); code(err) != "25P02" {
		t.Fatal(err)
	}
	if err := tx.Rollback(background); err != nil {
		t.Fatal(err)
	}
	ask("three 7")

	d.setState(usersState(t, 4, false))
	if tx, err = conn.Begin(background); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(background, "SELECT 1/0", pgx.QueryExecModeExec); code(err) != "22012" {
		t.Fatal(err)
	}
	if _, err := conn.Exec(background, "s", 7); code(err) != "25P02" {
		t.Fatal(err)
	}
	if err := tx.Rollback(background); err != nil {
		t.Fatal(err)
	}
	ask("four 7")
	if err := conn.DeallocateAll(background); err != nil {
		t.Fatal(err)
	}
	d.setState(usersState(t, 2, false))
	if _, err := conn.PgConn().ExecPrepared(background, "s", [][]byte{[]byte("7")}, nil, nil).Close(); code(err) != "26000" {
		t.Fatal(err)
	}
}

func TestSettingsAreTheServers(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 2, false), wordPlanner{})
	conn := connect(t, d.dsn("postgres", db))
	plan := func(want string) {
		t.Helper()
		if _, err := conn.Exec(background, "SELECT * FROM users"); err != nil {
			t.Fatal(err)
		}
		if got := d.gate.last(); got != "SELECT * FROM users"+want {
			t.Fatalf("planned as %q", got)
		}
	}
	plan("")
	pgtest.Exec(t, conn, "CREATE SCHEMA other", "CREATE TABLE other.users (id int)", "SET search_path = other, public")
	plan(" /* pg_catalog,other,public */")
	pgtest.Exec(t, conn, "BEGIN", "SET LOCAL search_path = public")
	plan("")
	pgtest.Exec(t, conn, "COMMIT")
	plan(" /* pg_catalog,other,public */")
	pgtest.Exec(t, conn, "BEGIN", "SAVEPOINT a", "SELECT set_config('search_path', 'public', false)")
	plan("")
	pgtest.Exec(t, conn, "ROLLBACK TO a")
	plan(" /* pg_catalog,other,public */")
	pgtest.Exec(t, conn, "ROLLBACK", "RESET search_path")
	plan("")
	pgtest.Exec(t, conn, `CREATE TEMP TABLE "Users" (id int)`)
	if _, err := conn.Exec(background, "SELECT * FROM users"); err != nil {
		t.Fatal(err)
	}
	if got := d.gate.last(); !strings.Contains(got, "pg_temp_") || !strings.Contains(got, "/* temp Users */") {
		t.Fatalf("planned as %q", got)
	}
	if _, err := conn.Exec(background, "SET search_path = public; SELECT * FROM users", pgx.QueryExecModeSimpleProtocol); code(err) != "0A000" {
		t.Fatal(err)
	}
}

// In a failed transaction the server does not answer what the session asks: what ends it goes first.
func TestEndOfAFailedTransactionInFrontOfAStatement(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 2, false), wordPlanner{})
	for _, end := range []string{"ROLLBACK", "COMMIT", "ABORT /* é; */ AND CHAIN", "ROLLBACK TO a", "END"} {
		conn := connect(t, d.dsn("postgres", db)) // whose settings are not known
		for range 2 {
			pgtest.Exec(t, conn, "BEGIN", "SAVEPOINT a")
			if _, err := conn.Exec(background, "SELECT 1/0"); code(err) != "22012" {
				t.Fatal(err)
			}
			got, err := simple(t, conn, end+"; SELECT name FROM users WHERE id = 7; SELECT 'more'")
			if err != nil || len(got) != 2 || got[0] != "two 7" {
				t.Fatalf("%s: %q, %v", end, got, err)
			}
			if _, err := conn.Exec(background, "SELECT 1/0"); code(err) != "22012" {
				t.Fatal(err)
			}
			text := end + "; SELECT nothing FROM plain /* users */"
			_, err = simple(t, conn, text)
			var pe *pgconn.PgError
			if !errors.As(err, &pe) {
				t.Fatal(err)
			}
			if pe.Code != "42703" || int(pe.Position) != len([]rune(text[:strings.Index(text, "nothing")]))+1 {
				t.Fatalf("%s: %s at %d", end, pe.Code, pe.Position)
			}
			pgtest.Exec(t, conn, "ROLLBACK")
		}
	}
}

// A proxy carries sessions to any database of its server. Only one of them migrates, and a copy of it, made with it as the template, has the same tables with the same OIDs.
func TestOtherDatabasesAreLeftAlone(t *testing.T) {
	db := database(t)
	elsewhere := *usersCatalog
	elsewhere.Database = "elsewhere"
	here := *usersCatalog
	here.Database = db
	for _, c := range []struct {
		of   *catalog.Catalog
		want string
	}{{&elsewhere, "name 7"}, {&here, "two 7"}} {
		st, err := rewrite.NewState(2, c.of, []rewrite.Migration{{
			Definition: &lens.Definition{
				Name: "users_full_name", Table: lens.TableName{Schema: "public", Name: "users"}, RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"},
			},
			Stage: lens.Stage{Phase: lens.DualWrite}, OldNums: map[string]int16{"name": 2}, Seq: 1,
		}})
		if err != nil {
			t.Fatal(err)
		}
		d := openDoor(t, st, wordPlanner{})
		conn := connect(t, d.dsn("postgres", db))
		for range 2 {
			var name string
			if err := conn.QueryRow(background, "SELECT name FROM users WHERE id = $1", 7).Scan(&name); err != nil || name != c.want {
				t.Errorf("with a migration in %q: %q, %v; want %q", c.of.Database, name, err, c.want)
			}
		}
	}
}

// The session's look at the settings must not take a transaction's snapshot before a LOCK.
func TestLockComesBeforeTheSnapshot(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 1, false), wordPlanner{})
	a, b := connect(t, d.dsn("postgres", db)), connect(t, d.dsn("postgres", db))
	pgtest.Exec(t, a, "BEGIN ISOLATION LEVEL REPEATABLE READ", "LOCK TABLE plain IN ROW SHARE MODE /* users */")
	pgtest.Exec(t, b, "INSERT INTO plain VALUES (1, 'seen')")
	var n int
	if err := a.QueryRow(background, "SELECT count(*) FROM plain").Scan(&n); err != nil || n != 1 {
		t.Fatalf("sees %d rows, %v", n, err)
	}
}

func TestCopyNotifyCancelAndBatches(t *testing.T) {
	db := database(t)
	d := openDoor(t, usersState(t, 2, false), wordPlanner{})
	conn := connect(t, d.dsn("postgres", db))
	rows := make([][]any, 20000)
	for i := range rows {
		rows[i] = []any{i, strings.Repeat("x", i%100)}
	}
	if n, err := conn.CopyFrom(background, pgx.Identifier{"plain"}, []string{"id", "v"}, pgx.CopyFromRows(rows)); err != nil || n != 20000 {
		t.Fatalf("%d, %v", n, err)
	}
	var out bytes.Buffer
	if tag, err := conn.PgConn().CopyTo(background, &out, "COPY plain TO STDOUT"); err != nil || tag.RowsAffected() != 20000 {
		t.Fatalf("%v, %v", tag, err)
	}
	if _, err := conn.PgConn().CopyFrom(background, strings.NewReader("1\tdouble\n"), "COPY plain FROM STDIN"); code(err) != "23505" {
		t.Fatal(err)
	}

	pgtest.Exec(t, conn, "LISTEN c")
	pgtest.Exec(t, connect(t, d.dsn("postgres", db)), "NOTIFY c, 'hello'")
	if n, err := conn.WaitForNotification(background); err != nil || n.Payload != "hello" {
		t.Fatalf("%v, %v", n, err)
	}

	started, cancelled := make(chan struct{}), make(chan error, 1)
	go func() {
		close(started)
		cancelled <- errors.Join(waitFor(db), conn.PgConn().CancelRequest(background))
	}()
	<-started
	if _, err := conn.Exec(background, "SELECT pg_sleep(60) /* sleeps */"); code(err) != "57014" {
		t.Fatal(err)
	}
	if err := <-cancelled; err != nil {
		t.Fatal(err)
	}

	var b pgx.Batch
	for i := range 50 {
		b.Queue("SELECT name FROM users WHERE id = $1", i+1)
	}
	b.Queue("SELECT nope FROM users")
	res := conn.SendBatch(background, &b)
	err := res.Close()
	if code(err) != "0A000" {
		t.Fatal(err)
	}
	var n int
	if err := conn.QueryRow(background, "SELECT count(*) FROM generate_series(1, 1000000)").Scan(&n); err != nil || n != 1000000 {
		t.Fatalf("%d, %v", n, err)
	}
}

// waitFor waits until a statement of the database is asleep.
func waitFor(db string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Shared().DSN(db))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for n := 0; n == 0; {
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'", db).Scan(&n); err != nil {
			return err
		}
	}
	return nil
}
