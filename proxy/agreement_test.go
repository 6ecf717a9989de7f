package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
	"segue/rewrite/lens"
)

// result is what a statement that runs beside the test came to.
type result struct {
	text string
	err  error
}

func (r *running) async(t *testing.T, dsn, sql string) <-chan result {
	t.Helper()
	conn := pgtest.Connect(t, dsn)
	out := make(chan result, 1)
	go func() {
		var res result
		res.err = conn.QueryRow(context.Background(), sql).Scan(&res.text)
		out <- res
	}()
	return out
}

func TestWithoutALeaseStatementsOnMigratingTablesWait(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	control.lease = 0
	r := start(t, control, func(o *Options) { o.HoldTimeout = time.Hour })
	dsn, _ := r.database(t, usersTable, "INSERT INTO users VALUES (1, 'Ann', 'Ann')")
	query(t, pgtest.Connect(t, dsn), "SELECT 'others pass'")
	held := r.async(t, dsn, "SELECT name FROM users")
	eventually(t, "the statement is held", func() bool { return r.counters.held.Load() == 1 && len(control.pids()) == 1 })
	select {
	case res := <-held:
		t.Fatalf("%+v without a lease", res)
	default:
	}
	control.host.Lease(Boottime() + time.Hour)
	if res := <-held; res.err != nil || res.text != "Ann" {
		t.Errorf("%+v", res)
	}
	// A lease that has run out holds again, and so does one that was taken away.
	for _, until := range []time.Duration{Boottime() - 1, 0} {
		before := r.counters.held.Load()
		control.host.Lease(until)
		held = r.async(t, dsn, "SELECT name FROM users")
		eventually(t, "the statement is held", func() bool { return r.counters.held.Load() == before+1 })
		control.host.Lease(Boottime() + time.Hour)
		if res := <-held; res.err != nil || res.text != "Ann" {
			t.Errorf("%+v", res)
		}
	}
}

func TestHeldStatementsAreGivenUpInTime(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	control.lease = 0
	r := start(t, control, func(o *Options) { o.HoldTimeout = 50 * time.Millisecond })
	dsn, _ := r.database(t, usersTable)
	conn := pgtest.Connect(t, dsn)
	ctx := context.Background()
	for range 2 { // each has its own time, and the connection goes on
		begun := time.Now()
		_, err := conn.Exec(ctx, "SELECT name FROM users")
		wantCode(t, err, "57P03")
		if waited := time.Since(begun); waited < 50*time.Millisecond {
			t.Errorf("given up after %v", waited)
		}
		query(t, conn, "SELECT 'others pass'")
	}
	if got := r.counters.expired.Load(); got != 2 {
		t.Errorf("%d statements expired", got)
	}
	// Inside a transaction it fails the transaction, as any error.
	pgtest.Exec(t, conn, "BEGIN")
	_, err := conn.Exec(ctx, "SELECT name FROM users")
	wantCode(t, err, "57P03")
	_, err = conn.Exec(ctx, "SELECT 1")
	wantCode(t, err, "25P02")
	pgtest.Exec(t, conn, "ROLLBACK")
	control.host.Lease(Boottime() + time.Hour)
	pgtest.Exec(t, conn, "SELECT name FROM users")
}

func TestSessionsAreRegisteredBeforeTheirFirstStatement(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	control.failing = 2
	r := start(t, control)
	dsn, _ := r.database(t, usersTable)
	conn := pgtest.Connect(t, dsn)
	query(t, conn, "SELECT 'no migrating table'")
	if got := control.pids(); len(got) != 0 {
		t.Errorf("%v are registered early", got)
	}
	pgtest.Exec(t, conn, "SELECT name FROM users") // after Register has failed twice
	if got := control.pids(); len(got) != 1 || got[0] != conn.PgConn().PID() {
		t.Errorf("%v are registered; want %d", got, conn.PgConn().PID())
	}
	if err := conn.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is forgotten", func() bool { return len(control.pids()) == 0 })
}

func TestApply(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	r := start(t, control)
	dsn, _ := r.database(t, usersTable, "INSERT INTO users VALUES (1, 'Ann', 'Ann')")
	idle, busy := pgtest.Connect(t, dsn), pgtest.Connect(t, dsn)
	pgtest.Exec(t, busy, "BEGIN", "UPDATE users SET name = 'Bob'")
	query(t, idle, "SELECT name FROM users")

	applied := make(chan int64, 10)
	tell := func(epoch int64) { applied <- epoch }
	control.host.Apply(renaming(t, 6, lens.SwitchReads), tell)
	query(t, idle, "SELECT name FROM users") // runs under 6
	select {
	case epoch := <-applied:
		t.Fatalf("epoch %d is applied while a transaction is under the one before", epoch)
	default:
	}
	// A later Apply takes its place.
	control.host.Apply(renaming(t, 7, lens.Contract), tell)
	pgtest.Exec(t, busy, "UPDATE users SET name = 'Cid'", "COMMIT")
	if epoch := <-applied; epoch != 7 {
		t.Errorf("epoch %d is applied", epoch)
	}
	// A transaction that never ends keeps it waiting until its client goes.
	pgtest.Exec(t, busy, "BEGIN", "SELECT name FROM users")
	control.host.Apply(renaming(t, 8, lens.SwitchReads), tell)
	select {
	case epoch := <-applied:
		t.Fatalf("epoch %d is applied", epoch)
	default:
	}
	if err := busy.PgConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	if epoch := <-applied; epoch != 8 {
		t.Errorf("epoch %d is applied", epoch)
	}
	// Nobody is in the way: at once. A new catalog under the same epoch, too.
	for _, state := range []int64{8, 9} {
		control.host.Apply(renaming(t, state, lens.SwitchReads), tell)
		select {
		case epoch := <-applied:
			if epoch != state {
				t.Errorf("epoch %d is applied", epoch)
			}
		default:
			t.Errorf("epoch %d is not applied", state)
		}
	}
	if got := query(t, pgtest.Connect(t, dsn), "SELECT name FROM users"); got != "Cid" {
		t.Errorf("read %q", got)
	}
}

// A session that keeps a change waiting is told of and registered, whether or not it has met a migrating table.
func TestBehind(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	r := start(t, control)
	dsn, _ := r.database(t, usersTable)
	idle, busy := pgtest.Connect(t, dsn), pgtest.Connect(t, dsn)
	pgtest.Exec(t, idle, "SELECT 1")
	pgtest.Exec(t, busy, "BEGIN", "SELECT 1")
	applied := make(chan int64, 1)
	if got := control.host.Usage().Behind; got != nil {
		t.Errorf("%v are behind before there is a change", got)
	}
	control.host.Apply(renaming(t, 6, lens.SwitchReads), func(epoch int64) { applied <- epoch })
	pid := busy.PgConn().PID()
	if got := control.host.Usage().Behind; len(got) != 1 || got[0] != pid {
		t.Errorf("%v are behind; want %d", got, pid)
	}
	eventually(t, "it is registered", func() bool { got := control.pids(); return len(got) == 1 && got[0] == pid })
	pgtest.Exec(t, busy, "COMMIT", "BEGIN")
	<-applied
	if got := control.host.Usage().Behind; got != nil {
		t.Errorf("%v are behind after the change", got)
	}
}

// A client that does not read what it was sent keeps its proxy from noticing that the server session is over; the change need not wait for it.
func TestBehindAndOver(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	r := start(t, control)
	dsn, direct := r.database(t, usersTable)
	deaf, other := pgtest.Connect(t, dsn), pgtest.Connect(t, dsn)
	rows, err := deaf.Query(context.Background(), "SELECT repeat('x', 1000), generate_series(1, 1000000000)")
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	pgtest.Exec(t, other, "BEGIN")
	pid := deaf.PgConn().PID()
	applied := make(chan int64, 1)
	control.host.Apply(renaming(t, 6, lens.SwitchReads), func(epoch int64) { applied <- epoch })
	watch := pgtest.Connect(t, direct)
	eventually(t, "the session waits for its client", func() bool {
		return query(t, watch, "SELECT count(*)::text FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'ClientWrite'", pid) == "1"
	})
	pgtest.Exec(t, watch, fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
	eventually(t, "it is over", func() bool {
		return query(t, watch, "SELECT count(*)::text FROM pg_stat_activity WHERE pid = $1", pid) == "0"
	})
	control.host.Ended([]uint32{pid})
	eventually(t, "only the other one is behind", func() bool {
		got := control.host.Usage().Behind
		return len(got) == 1 && got[0] == other.PgConn().PID()
	})
	pgtest.Exec(t, other, "COMMIT")
	<-applied
	rows.Close()
}

// A session that is busy, as one is whose statement takes seconds to plan, holds up neither the others nor whoever hands out states.
func TestApplyDoesNotWaitForABusySession(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	r := start(t, control)
	dsn, _ := r.database(t, usersTable)
	busy, other := pgtest.Connect(t, dsn), pgtest.Connect(t, dsn)
	pid := busy.PgConn().PID()
	conns := map[bool]*conn{}
	for _, c := range r.hub.all() {
		c.mu.Lock()
		conns[c.session.PID() == pid] = c
		c.mu.Unlock()
	}
	epoch := func(isBusy bool) int64 {
		c := conns[isBusy]
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.session.State().Epoch
	}
	applied := make(chan int64, 10)
	tell := func(epoch int64) { applied <- epoch }
	conns[true].mu.Lock()
	control.host.Apply(renaming(t, 6, lens.SwitchReads), tell)
	query(t, other, "SELECT count(*)::text FROM users")
	if got := epoch(false); got != 6 {
		t.Errorf("the other session is under epoch %d", got)
	}
	select {
	case epoch := <-applied:
		t.Errorf("epoch %d is applied while a session is under the one before", epoch)
	default:
	}
	control.host.Apply(renaming(t, 7, lens.Contract), tell) // what the busy session gets is this one, whoever comes first
	conns[true].mu.Unlock()
	if got := <-applied; got != 7 {
		t.Errorf("epoch %d is applied", got)
	}
	if a, b := epoch(true), epoch(false); a != 7 || b != 7 {
		t.Errorf("the sessions are under epochs %d and %d", a, b)
	}
}

// Applications at work notice nothing of epochs that come and go, nor of leases that are lost for a moment.
func TestSwitchesUnderLoad(t *testing.T) {
	control := newControl(renaming(t, 1, lens.DualWrite))
	r := start(t, control)
	dsn, direct := r.database(t, usersTable)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	work := func(conn *pgx.Conn, id int, column string) error {
		insert, update := "INSERT INTO users (id, "+column+") VALUES ($1, $2)", "UPDATE users SET "+column+" = $2 WHERE id = $1"
		read := "SELECT " + column + " FROM users WHERE id = $1"
		if _, err := conn.Exec(context.Background(), insert, id, "0"); err != nil {
			return err
		}
		for n := 1; ctx.Err() == nil; n++ {
			tx, err := conn.Begin(context.Background())
			if err != nil {
				return err
			}
			want, got := strconv.Itoa(n), ""
			if _, err := tx.Exec(context.Background(), update, id, want); err != nil {
				return err
			}
			if err := tx.QueryRow(context.Background(), read, id).Scan(&got); err != nil {
				return err
			}
			if err := tx.Commit(context.Background()); err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("wrote %s, read %s", want, got)
			}
		}
		return nil
	}
	ended := make(chan error, 6)
	for i := range 6 {
		version, column := "old", "name"
		if i%2 == 1 {
			version, column = "new", "full_name"
		}
		through := dsn + "&options=-csegue.version%3D" + version
		if i >= 4 {
			through += "&default_query_exec_mode=simple_protocol"
		}
		conn := pgtest.Connect(t, through)
		go func() { ended <- work(conn, i, column) }()
	}
	applied := make(chan int64, 1)
	for epoch := int64(2); epoch < 100; epoch++ {
		phase := lens.DualWrite
		if epoch%2 == 0 {
			phase = lens.SwitchReads
		}
		if epoch%5 == 0 {
			control.host.Lease(0)
		}
		control.host.Apply(renaming(t, epoch, phase), func(epoch int64) { applied <- epoch })
		if epoch%5 == 0 {
			control.host.Lease(Boottime() + time.Hour)
		}
		if got := <-applied; got != epoch {
			t.Fatalf("epoch %d is applied; want %d", got, epoch)
		}
	}
	cancel()
	for range 6 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if got := query(t, pgtest.Connect(t, direct), "SELECT count(*)::text FROM users WHERE name IS DISTINCT FROM full_name"); got != "0" {
		t.Errorf("%s rows differ", got)
	}
}

func TestUsage(t *testing.T) {
	control := newControl(renaming(t, 5, lens.DualWrite))
	r := start(t, control)
	dsn, _ := r.database(t, usersTable)
	old := pgtest.Connect(t, dsn+"&application_name=billing")
	recent := pgtest.Connect(t, dsn+"&application_name=shop&options=-csegue.version%3Dnew")
	pgtest.Exec(t, old, "SELECT name FROM users", "SELECT id FROM users", "SELECT * FROM users", "SELECT 1")
	pgtest.Exec(t, recent, "SELECT * FROM users")
	u := control.host.Usage()
	if u.Sessions != 2 {
		t.Errorf("%d sessions", u.Sessions)
	}
	want := OldNames{Migration: "users_full_name", Application: "billing", User: "postgres", Version: "auto", Count: 2}
	if len(u.OldNames) != 1 || u.OldNames[0] != want {
		t.Errorf("%+v; want %+v", u.OldNames, want)
	}
	if again := control.host.Usage(); len(again.OldNames) != 0 {
		t.Errorf("counted twice: %+v", again)
	}
	// The name counts that the client has now.
	pgtest.Exec(t, old, "SET application_name = 'billing, nightly'", "SELECT name FROM users")
	if u := control.host.Usage().OldNames; len(u) != 1 || u[0].Application != "billing, nightly" {
		t.Errorf("%+v", u)
	}
	// Who cannot be told apart any more is still counted.
	r.hub.usage.mu.Lock()
	for i := range maxUsage {
		r.hub.usage.counts[usageKey{application: string(rune(i))}]++
	}
	r.hub.usage.mu.Unlock()
	pgtest.Exec(t, old, "SELECT name FROM users")
	found := false
	for _, o := range control.host.Usage().OldNames {
		found = found || o.Application == "(many)" && o.Count == 1
	}
	if !found {
		t.Error("a statement was not counted")
	}
}

func TestMetrics(t *testing.T) {
	r := start(t, newControl(renaming(t, 5, lens.DualWrite)), func(o *Options) { o.Metrics = "127.0.0.1:0" })
	dsn, _ := r.database(t, usersTable)
	conn := pgtest.Connect(t, dsn)
	pgtest.Exec(t, conn, "INSERT INTO users (id, name) VALUES (1, 'Ann')", "SELECT id FROM users")
	resp, err := http.Get("http://" + r.metrics.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"segue_sessions 1\n", "segue_epoch 5\n", "segue_connections_total 1\n", "segue_statements_total{outcome=\"rewrite\"} 1\n",
		"segue_statements_total{outcome=\"pass\"} 1\n", "# TYPE segue_received_bytes_total counter\n",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
}
