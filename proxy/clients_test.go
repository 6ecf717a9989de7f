package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/zap"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// program runs one of PostgreSQL's client programs against the proxy.
func (r *running) program(t *testing.T, database, name string, args ...string) string {
	t.Helper()
	path, err := pgtest.FindProgram(name)
	if err != nil {
		t.Fatal(err)
	}
	host, port, ok := strings.Cut(r.Addr().String(), ":")
	if !ok {
		t.Fatal(r.Addr())
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER=postgres", "PGDATABASE="+database, "PGSSLMODE=prefer", "PGGSSENCMODE=disable")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestPsql(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	db := pgtest.Database(t)
	out := r.program(t, db, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", "CREATE TABLE a (b int)", "-c", "\\d a",
		"-c", "INSERT INTO a SELECT generate_series(1, 3)", "-c", "SELECT sum(b) AS total FROM a", "-c", "\\copy a TO STDOUT")
	for _, want := range []string{"CREATE TABLE", "integer", "INSERT 0 3", "total", "6", "1\n2\n3"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestPgbench(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	db := pgtest.Database(t)
	r.program(t, db, "pgbench", "-i", "-q", "-s", "1")
	for _, mode := range []string{"simple", "extended", "prepared"} {
		out := r.program(t, db, "pgbench", "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "100")
		if !strings.Contains(out, "number of transactions actually processed: 400/400") {
			t.Errorf("%s: %s", mode, out)
		}
	}
}

func TestAuthentication(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	direct := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
	pgtest.Exec(t, direct, "SET password_encryption = 'md5'", "CREATE ROLE md5user LOGIN PASSWORD 'right'",
		"SET password_encryption = 'scram-sha-256'", "CREATE ROLE scramuser LOGIN PASSWORD 'right'")
	t.Cleanup(func() { pgtest.Exec(t, direct, "DROP ROLE md5user", "DROP ROLE scramuser") })
	for _, user := range []string{"postgres", "md5user:right", "scramuser:right"} {
		conn := pgtest.Connect(t, r.dsn(user, "postgres"))
		name, _, _ := strings.Cut(user, ":")
		if got := query(t, conn, "SELECT current_user::text"); got != name {
			t.Errorf("%s: is %s", user, got)
		}
	}
	for _, user := range []string{"md5user:wrong", "scramuser:wrong"} {
		_, err := pgx.Connect(context.Background(), r.dsn(user, "postgres"))
		wantCode(t, err, "28P01")
	}
	_, err := pgx.Connect(context.Background(), r.dsn("postgres", "no_such_database"))
	wantCode(t, err, "3D000")
}

// told is what a client is told of an error beside its SQLSTATE.
type told struct{ Message, Hint string }

func wantCode(t *testing.T, err error, code string) told {
	t.Helper()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		t.Fatalf("%v; want SQLSTATE %s", err, code)
	}
	if pg.Code != code {
		t.Fatalf("SQLSTATE %s (%s); want %s", pg.Code, pg.Message, code)
	}
	return told{pg.Message, pg.Hint}
}

func TestCancel(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	direct := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
	// In 3.2, which servers from 18 on speak, a key is longer; older ones come down to 3.0.
	for i, version := range []string{"3.0", "3.2"} {
		conn := pgtest.Connect(t, r.dsn("postgres", "postgres")+"&min_protocol_version=3.0&max_protocol_version="+version)
		failed := make(chan error, 1)
		go func() {
			_, err := conn.Exec(context.Background(), "SELECT pg_sleep(100)")
			failed <- err
		}()
		eventually(t, "the statement runs", func() bool {
			return query(t, direct, "SELECT count(*)::text FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(100)' AND state = 'active'") == "1"
		})
		if err := conn.PgConn().CancelRequest(context.Background()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, <-failed, "57014")
		if got := r.counters.cancels.Load(); got != int64(i+1) {
			t.Errorf("%s: %d cancel requests counted", version, got)
		}
	}
}

func TestListenNotify(t *testing.T) { onDrivers(t, testListenNotify) }

func testListenNotify(t *testing.T, driver func(*Options)) {
	r := start(t, newControl(noMigrations(t)), driver)
	listener, notifier := pgtest.Connect(t, r.dsn("postgres", "postgres")), pgtest.Connect(t, r.dsn("postgres", "postgres"))
	pgtest.Exec(t, listener, "LISTEN news")
	pgtest.Exec(t, notifier, "NOTIFY news, 'hello'")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n, err := listener.WaitForNotification(ctx)
	if err != nil || n.Payload != "hello" {
		t.Fatalf("%v, %v", n, err)
	}
}

func TestCopy(t *testing.T) { onDrivers(t, testCopy) }

func testCopy(t *testing.T, driver func(*Options)) {
	r := start(t, newControl(noMigrations(t)), driver)
	dsn, _ := r.database(t, "CREATE TABLE a (b int, c text)")
	conn := pgtest.Connect(t, dsn)
	ctx := context.Background()
	const rows = 100_000
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"a"}, []string{"b", "c"}, pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
		return []any{i, "row " + strconv.Itoa(i)}, nil
	}))
	if err != nil || n != rows {
		t.Fatalf("%d, %v", n, err)
	}
	var out countWriter
	tag, err := conn.PgConn().CopyTo(ctx, &out, "COPY a TO STDOUT")
	if err != nil || tag.RowsAffected() != rows || out < rows*10 {
		t.Fatalf("%v, %d bytes, %v", tag, out, err)
	}
	_, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("1\tx\nnot a number\ty\n"), "COPY a FROM STDIN")
	wantCode(t, err, "22P02")
	if got := query(t, conn, "SELECT count(*)::text FROM a"); got != strconv.Itoa(rows) {
		t.Errorf("%s rows", got)
	}
}

type countWriter int

func (c *countWriter) Write(p []byte) (int, error) {
	*c += countWriter(len(p))
	return len(p), nil
}

func TestLargeResultsAreStreamed(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	conn := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	rows, err := conn.Query(context.Background(), "SELECT i, repeat('x', 100) FROM generate_series(1, 1000000) i")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, peak := 0, uint64(0)
	for rows.Next() {
		if n++; n%100_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
	}
	if err := rows.Err(); err != nil || n != 1_000_000 {
		t.Fatalf("%d rows, %v", n, err)
	}
	if grown := int64(peak) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

func TestClientThatClosesItsSideGetsItsAnswer(t *testing.T) {
	onDrivers(t, testClientThatClosesItsSideGetsItsAnswer)
}

func testClientThatClosesItsSideGetsItsAnswer(t *testing.T, driver func(*Options)) {
	r := start(t, newControl(noMigrations(t)), driver)
	conn := r.raw(t)
	front := pgproto3.NewFrontend(conn, conn)
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "postgres", "database": "postgres"}})
	front.Send(&pgproto3.Query{String: "SELECT pg_sleep(0.2), 'answer'"})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := closeWrite(conn); err != nil {
		t.Fatal(err)
	}
	answered := false
	for {
		m, err := front.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
			break
		}
		if row, ok := m.(*pgproto3.DataRow); ok {
			answered = string(row.Values[1]) == "answer"
		}
	}
	if !answered {
		t.Error("there was no answer")
	}
}

func TestServerSessionEndsWithItsClient(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	dsn, direct := r.database(t)
	count := func(watch *pgx.Conn) string {
		return query(t, watch, "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'")
	}
	watch := pgtest.Connect(t, direct)
	conn := pgtest.Connect(t, dsn)
	pgtest.Exec(t, conn, "BEGIN")
	if got := count(watch); got != "1" {
		t.Fatalf("%s sessions", got)
	}
	// As a process that is killed: no Terminate.
	if err := conn.PgConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server's session ends", func() bool { return count(watch) == "0" })
	eventually(t, "the proxy forgets the client", func() bool { return r.hub.sessions.Load() == 0 && len(r.hub.all()) == 0 })
}

func TestClientHearsWhyTheServerEndedItsSession(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	conn := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	pid := query(t, conn, "SELECT pg_backend_pid()::text")
	pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN("postgres")), fmt.Sprintf("SELECT pg_terminate_backend(%s)", pid))
	_, err := conn.Exec(context.Background(), "SELECT 1")
	if pg := wantCode(t, err, "57P01"); !strings.Contains(pg.Message, "administrator") {
		t.Errorf("%s is not the server's message", pg.Message)
	}
}

func TestServerDown(t *testing.T) {
	down := r0(t)
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.Server = []string{down} })
	_, err := pgx.Connect(context.Background(), r.dsn("postgres", "postgres"))
	pg := wantCode(t, err, "08006")
	if want := "the proxy cannot reach the server: " + down + ": connection refused"; pg.Message != want || pg.Hint == "" {
		t.Errorf("%q, hint %q; want %q", pg.Message, pg.Hint, want)
	}
}

func TestFirstServerThatAnswersIsUsed(t *testing.T) {
	down := r0(t)
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.Server = append([]string{down}, o.Server...) })
	if got := query(t, pgtest.Connect(t, r.dsn("postgres", "postgres")), "SELECT 'yes'"); got != "yes" {
		t.Error(got)
	}
}

func TestTooManyClients(t *testing.T) {
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.MaxConnections = 1 })
	first := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	_, err := pgx.Connect(context.Background(), r.dsn("postgres", "postgres"))
	if pg := wantCode(t, err, "53300"); !strings.Contains(pg.Message, "limit of 1 clients") {
		t.Error(pg.Message)
	}
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first client's place is free", func() bool { return r.hub.sessions.Load() == 0 })
	pgtest.Connect(t, r.dsn("postgres", "postgres"))
}

func TestGarbageEndsItsConnectionOnly(t *testing.T) {
	r := start(t, newControl(noMigrations(t)))
	conn := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	for _, garbage := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x00\x00\x00\x04", ""} {
		c := r.raw(t)
		if _, err := io.WriteString(c, garbage); err != nil {
			t.Fatal(err)
		}
		if err := closeWrite(c); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("%q: %v", garbage, err)
		}
	}
	query(t, conn, "SELECT 'still here'")
}

func TestBrokenFrameEndsItsConnectionOnly(t *testing.T) {
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.Log = zap.NewNop() })
	conn := r.raw(t)
	front := pgproto3.NewFrontend(conn, conn)
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "postgres", "database": "postgres"}})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := front.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			break
		}
	}
	if _, err := io.WriteString(conn, "Q\x00\x00\x00\x03"); err != nil {
		t.Fatal(err)
	}
	m, err := front.Receive()
	if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Severity != "FATAL" || e.Code != "08P01" {
		t.Errorf("%#v, %v", m, err)
	}
	if _, err := front.Receive(); err == nil {
		t.Error("the connection goes on")
	}
	eventually(t, "the connection is over", func() bool { return r.hub.sessions.Load() == 0 })
}

func TestServerStopsForAClientThatIsGone(t *testing.T) {
	onDrivers(t, testServerStopsForAClientThatIsGone)
}

func testServerStopsForAClientThatIsGone(t *testing.T, driver func(*Options)) {
	r := start(t, newControl(noMigrations(t)), driver)
	conn := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	watch := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
	// generate_series in the target list is streamed; in FROM it would be computed whole first.
	rows, err := conn.Query(context.Background(), "SELECT repeat('x', 1000), generate_series(1, 1000000000)")
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	if err := conn.PgConn().Conn().Close(); err != nil { // with bytes unread: the proxy's next write fails
		t.Fatal(err)
	}
	rows.Close()
	eventually(t, "the statement ends", func() bool {
		return query(t, watch, "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'SELECT repeat%' AND state = 'active'") == "0"
	})
	eventually(t, "the connection is over", func() bool { return r.hub.sessions.Load() == 0 })
}

func TestPanicEndsItsConnectionOnly(t *testing.T) {
	onDrivers(t, testPanicEndsItsConnectionOnly)
}

func testPanicEndsItsConnectionOnly(t *testing.T, driver func(*Options)) {
	r := start(t, newControl(renaming(t, 5, lens.DualWrite)), driver, func(o *Options) { o.Log = zap.NewNop() })
	dsn, _ := r.database(t, usersTable)
	conn, other := pgtest.Connect(t, dsn), pgtest.Connect(t, dsn)
	r.hub.usage.mu.Lock()
	r.hub.usage.counts = nil // the next count panics
	r.hub.usage.mu.Unlock()
	_, err := conn.Exec(context.Background(), "SELECT name FROM users")
	wantCode(t, err, "XX000")
	r.hub.Usage()
	pgtest.Exec(t, other, "SELECT name FROM users")
	eventually(t, "the connection is over", func() bool { return r.hub.sessions.Load() == 1 })
}
