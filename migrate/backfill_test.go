package migrate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

func TestPace(t *testing.T) {
	p := pace{target: 100 * time.Millisecond, rows: 500}
	for _, c := range []struct {
		took time.Duration
		want int64
	}{
		{10 * time.Millisecond, 1000}, {10 * time.Millisecond, 2000}, {200 * time.Millisecond, 1000}, {10 * time.Second, 250}, {0, 500},
	} {
		if p.took(c.took); p.rows != c.want {
			t.Errorf("after %v: %d rows, not %d", c.took, p.rows, c.want)
		}
	}
	for range 20 {
		p.took(0)
	}
	if p.rows != largestBatch {
		t.Errorf("%d rows", p.rows)
	}
	for range 20 {
		p.took(time.Hour)
	}
	if p.rows != smallestStep {
		t.Errorf("%d rows", p.rows)
	}
}

// TestBackfillResumes ends the backfill after each batch, and lets the proxies take turns with it.
func TestBackfillResumes(t *testing.T) {
	for _, key := range []struct{ name, columns, key, value string }{
		{"bigint", "id bigint", "id", "i"},
		{"descending text", "id text COLLATE \"en-x-icu\"", "id", "'k' || -i"},
		{"composite", "a date, b numeric, c uuid", "c, a, b", "date '2020-01-01' + i % 7, i % 13 + 0.50, md5(i::text)::uuid"},
		{"citext", "id citext", "id", "'K' || i"},
		{"included", "id int, extra int", "id) INCLUDE (extra", "i, i"},
	} {
		t.Run(key.name, func(t *testing.T) {
			e := newEnv(t, fmt.Sprintf(`CREATE EXTENSION IF NOT EXISTS citext;
				CREATE TABLE users (%s, name text, PRIMARY KEY (%s));
				INSERT INTO users SELECT %s, CASE WHEN i %% 5 > 0 THEN 'user ' || i END FROM generate_series(1, 2600) i;`, key.columns, key.key, key.value))
			p, q := e.proxy(0), e.proxy(0)
			p.start()
			p.hooks.on("batch", die)
			q.hooks.on("batch", die)
			turns, last := 0, "0"
			for ; !p.migration().Backfill.Done; turns++ {
				one := []*testProxy{p, q}[turns%2]
				if err := one.goTo(lens.Backfilling); err != nil {
					t.Fatal(err)
				}
				if one.finished() == "" {
					t.Fatal("the batch was to end the work")
				}
				filled := e.value("SELECT count(*) FROM users WHERE full_name IS NOT NULL")
				if filled == last && !p.migration().Backfill.Done {
					t.Fatalf("turn %d filled nothing", turns)
				}
				last = filled
			}
			if turns != 6 { // each begins with 500 rows
				t.Errorf("%d turns", turns)
			}
			p.advance(lens.Backfilling)
			p.at(lens.Backfilling, lens.NoStep, true)
			e.want("SELECT count(*) FROM users WHERE full_name IS DISTINCT FROM name", "0")
			e.want("SELECT count(full_name) FROM users", "2080")
			if m := p.migration(); m.Backfill.RowsDone != 2600 || m.Verify.Rows != 2600 {
				t.Errorf("progress: %+v %+v", m.Backfill, m.Verify)
			}
		})
	}
}

func TestBackfillWaitsForRowLocks(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.start()
	e.exec("BEGIN", "SELECT name FROM users WHERE id = 9 FOR UPDATE")
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	until(t, "the lock to be told of", func() bool { return strings.Contains(p.migration().Backfill.Throttled, "locked") })
	e.exec("COMMIT")
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.Backfilling, lens.NoStep, true)
}

// A transaction that waits for a row of a batch, while the batch waits for one of the transaction's, must not be the one that PostgreSQL's
// deadlock detection ends: the batch gives way before.
func TestBackfillGivesWay(t *testing.T) {
	e := newEnv(t, smallTable+`
		CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NEW; END $$;
		CREATE TRIGGER slow BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION slow();`)
	p := e.proxy(0)
	p.start()
	app := pgtest.Connect(t, pgtest.Shared().DSN(e.db))
	pgtest.Exec(t, app, "BEGIN", "UPDATE users SET name = 'nine' WHERE id = 9")
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	until(t, "the batch to have written row 1 and to be at row 2", func() bool {
		return e.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'") == "1"
	})
	pgtest.Exec(t, app, "UPDATE users SET name = 'one' WHERE id = 1", "COMMIT")
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.Backfilling, lens.NoStep, true)
	e.want("SELECT string_agg(full_name, ' ' ORDER BY id) FROM users WHERE id IN (1, 9)", "one nine")
}

func TestBackfillKeepsItsRate(t *testing.T) {
	e := newEnv(t, smallTable+"INSERT INTO users SELECT i, 'user ' || i FROM generate_series(21, 300) i;")
	p := e.proxy(0)
	def := renameUsers()
	def.Backfill.MaxRowsPerSecond = 200
	p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
	began := time.Now()
	p.advance(lens.Backfilling)
	if took := time.Since(began); took < 1300*time.Millisecond {
		t.Fatalf("300 rows at 200 a second took %v", took)
	}
}

// TestBackfillFailsClosed has a standby that cannot be seen, then one that does not say how far it is.
func TestBackfillFailsClosed(t *testing.T) {
	e := newEnv(t, smallTable)
	end := silentStandby(t)
	until(t, "the standby to stream", func() bool {
		return e.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"
	})
	e.exec("REVOKE pg_read_all_stats FROM control")
	t.Cleanup(func() { e.exec("GRANT pg_read_all_stats TO control") })
	p := e.proxy(0)
	def := renameUsers()
	def.Backfill.MaxReplicationLag = lensDuration(10 * time.Second)
	p.ok(p.Start(context.Background(), def, proxy.StartOptions{}))
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	throttled := func(text string) func() bool {
		return func() bool { return strings.Contains(p.migration().Backfill.Throttled, text) }
	}
	until(t, "the backfill to say that it cannot see", throttled("grant the control role pg_read_all_stats"))
	e.exec("GRANT pg_read_all_stats TO control")
	until(t, "the backfill to say what it does not know", throttled("does not say how far it has replayed"))
	e.want("SELECT count(full_name) FROM users", "0")
	end()
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.Backfilling, lens.NoStep, true)
}

// silentStandby asks for the server's WAL, as a standby does, and never says how far it is. end ends it.
func silentStandby(t *testing.T) (end func()) {
	t.Helper()
	ctx := context.Background()
	cfg, err := pgconn.ParseConfig(pgtest.Shared().DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["replication"] = "true"
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	res, err := conn.Exec(ctx, "IDENTIFY_SYSTEM").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	conn.Frontend().Send(&pgproto3.Query{String: "START_REPLICATION PHYSICAL " + string(res[0].Rows[0][2])})
	if err := conn.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	var reads sync.WaitGroup
	reads.Go(func() {
		for {
			if _, err := conn.ReceiveMessage(ctx); err != nil {
				return // it has been ended
			}
		}
	})
	var once sync.Once
	end = func() {
		once.Do(func() {
			_ = conn.Conn().Close() // as one that is killed does
			reads.Wait()
		})
	}
	t.Cleanup(end)
	return end
}

func lensDuration(d time.Duration) lens.Duration { return lens.Duration(d) }

func TestVerify(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.bring(lens.DualWrite)
	ctx := context.Background()
	p.ok(p.Verify(ctx, "users_full_name", false))
	if v := p.migration().Verify; v.Rows != 20 || v.Apart != 20 || len(v.FirstKeys) != 10 || v.FirstKeys[0] != "1" {
		t.Fatalf("before the backfill: %+v", v)
	}
	p.at(lens.DualWrite, lens.NoStep, false)
	// Apart at the time of the proof: the guard was off for a time.
	p.hooks.on("scan", func() error {
		e.exec("SET session_replication_role = DEFAULT", "ALTER TABLE users DISABLE TRIGGER USER", "UPDATE users SET full_name = 'apart' WHERE id = 13",
			`ALTER TABLE users ENABLE ALWAYS TRIGGER "~segue_users_full_name"`)
		return nil
	})
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "1 of 20 rows are apart, first (13)") {
		t.Fatalf("error: %q", text)
	}
	p.at(lens.Backfilling, lens.NoStep, false)
	p.hooks.on("scan", nil)
	if err := p.goTo(lens.SwitchReads); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); text == "" {
		t.Fatal("switch-reads without a proof")
	}
	p.ok(p.Verify(ctx, "users_full_name", true))
	e.want("SELECT full_name FROM users WHERE id = 13", "user 13") // the phase reads the old side
	if v := p.migration().Verify; v.Apart != 0 || v.Repaired != 1 {
		t.Errorf("the scan that proves does not say what was mended: %+v", v)
	}
	p.at(lens.Backfilling, lens.NoStep, true)
	p.advance(lens.SwitchReads)
}

// TestScanResumes ends a scan after each chunk; each goes on where the last one was, and the figures are those of one scan. One that was begun under another guard
// begins anew.
func TestScanResumes(t *testing.T) {
	e := newEnv(t, `CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 12000) i;`)
	p, q := e.proxy(0), e.proxy(0)
	p.bring(lens.DualWrite)
	turn := func(one *testProxy, ask func(*testProxy) error) {
		t.Helper()
		first := true
		one.hooks.on("scan", func() error {
			if first {
				first = false
				return nil
			}
			return errTest
		})
		if err := ask(one); err != nil {
			t.Fatal(err)
		}
		if one.finished() == "" {
			t.Fatal("the work was to end in the scan")
		}
	}
	forward := func(one *testProxy) error { return one.goTo(lens.Backfilling) }
	turn(p, forward)
	e.want("SELECT scanned->'cursor'->>0 FROM segue.migration", "5000")
	turn(q, forward)
	e.want("SELECT scanned->'cursor'->>0 FROM segue.migration", "10000")
	// Somebody touches the guard: what was seen under it does not count.
	e.exec("BEGIN", `ALTER TABLE users DISABLE TRIGGER "~segue_users_full_name"`, "UPDATE users SET full_name = 'apart' WHERE id = 7",
		`ALTER TABLE users ENABLE ALWAYS TRIGGER "~segue_users_full_name"`, "COMMIT")
	repair := func(one *testProxy) error { return one.Verify(context.Background(), "users_full_name", true) }
	turn(p, repair)
	e.want("SELECT scanned->'cursor'->>0 FROM segue.migration", "5000")
	q.hooks.on("scan", nil)
	q.ok(repair(q))
	p.at(lens.Backfilling, lens.NoStep, true)
	if v := p.migration().Verify; v.Rows != 12000 || v.Apart != 0 || v.Repaired != 1 {
		t.Errorf("%+v", v)
	}
	e.want("SELECT scanned IS NULL FROM segue.migration", "true")
}

// TestVerifySaysWhatIsLost has values in a lossy migration that one side does not hold as they are.
func TestVerifySaysWhatIsLost(t *testing.T) {
	e := newEnv(t, "CREATE TABLE products (id int PRIMARY KEY, price text); INSERT INTO products VALUES (1, '1'), (2, '007'), (3, NULL), (4, '08');")
	p := e.proxy(0)
	ctx := context.Background()
	to := lens.Backfilling
	p.ok(p.Start(ctx, &lens.Definition{
		Name: "price", Table: lens.TableName{Schema: "public", Name: "products"}, Allow: []string{"lossy"},
		ChangeType: &lens.ChangeType{Column: "price", To: "price_v2", Type: "int", Up: "price::int", Down: "price_v2::text"},
	}, proxy.StartOptions{}))
	p.ok(p.Advance(ctx, "price", proxy.AdvanceOptions{To: &to}))
	if v := p.migration().Verify; v.Rows != 4 || v.Apart != 0 || v.Lost != 2 || strings.Join(v.LostKeys, " ") != "2 4" {
		t.Errorf("%+v", v)
	}
}

func TestUnprovedSwitch(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.bring(lens.DualWrite)
	to := lens.SwitchReads
	p.ok(p.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &to, Unproved: true}))
	p.at(lens.SwitchReads, lens.NoStep, false)
	if err := p.goTo(lens.Contract); err == nil || !strings.Contains(err.Error(), "not proved") {
		t.Fatalf("contract without a proof: %v", err)
	}
	p.ok(p.Verify(context.Background(), "users_full_name", false))
	p.at(lens.SwitchReads, lens.NoStep, true)
	p.advance(lens.Contract)
}

// The table's own triggers name things by the search path that they always had, and a row of nulls is no NULL.
func TestBackfillRunsTheTablesTriggers(t *testing.T) {
	e := newEnv(t, `
CREATE TYPE pair AS (a int, b text);
CREATE TABLE users (id int PRIMARY KEY, name pair);
INSERT INTO users VALUES (1, '(1,x)'), (2, '(2,)'), (3, '(,)'), (4, NULL);
CREATE TABLE audit (id int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NULL; END';
CREATE TRIGGER note AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note();
`)
	p := e.proxy(0)
	p.bring(lens.Backfilling)
	e.want("SELECT string_agg(id || full_name::text, ' ' ORDER BY id) FROM users", "1(1,x) 2(2,) 3(,)")
	e.want("SELECT string_agg(id::text, ' ' ORDER BY id) FROM audit", "1 2 3")
	e.exec("ALTER TABLE users DISABLE TRIGGER ALL", "UPDATE users SET full_name = '(7,7)' WHERE id = 3", "ALTER TABLE users ENABLE TRIGGER ALL",
		`ALTER TABLE users ENABLE ALWAYS TRIGGER "~segue_users_full_name"`)
	if err := p.Verify(context.Background(), "users_full_name", true); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	e.want("SELECT full_name::text FROM users WHERE id = 3", "(,)")
	e.want("SELECT string_agg(id::text, ' ' ORDER BY id) FROM audit", "1 2 3 3")
}
