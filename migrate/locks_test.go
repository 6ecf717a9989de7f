package migrate

import (
	"context"
	"fmt"
	"testing"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// TestAutovacuumGivesWay has an autovacuum at work on the table, for longer than the test waits: a change has it cancelled.
func TestAutovacuumGivesWay(t *testing.T) {
	e := newEnv(t, `CREATE TABLE users (id int PRIMARY KEY, name varchar(40), filler text) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
			autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_analyze_threshold = 1000000);
		INSERT INTO users SELECT i, 'user ' || i, repeat('x', 500) FROM generate_series(1, 2000) i;`)
	const worker = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.relation = 'users'::regclass AND a.backend_type = 'autovacuum worker'"
	e.exec("ALTER SYSTEM SET autovacuum_naptime = 1", "SELECT pg_reload_conf()")
	t.Cleanup(func() { e.exec("ALTER SYSTEM RESET autovacuum_naptime", "SELECT pg_reload_conf()") })
	e.exec("UPDATE users SET filler = filler || 'y'")
	until(t, "an autovacuum", func() bool { return e.value(worker) != "0" })
	p := e.proxy(0)
	p.start()
	p.at(lens.DualWrite, lens.NoStep, false)
}

// A lock that cannot be had soon is not asked for: whoever wants to write meanwhile would queue behind the request.
func TestNoQueueBehindALongTransaction(t *testing.T) {
	e := newEnv(t, smallTable+"GRANT ALL ON users TO web;")
	p := e.proxy(0)
	long := e.client(p, "report")
	pgtest.Exec(t, long, "BEGIN", "SELECT name FROM public.users")
	until(t, "the transaction to be long", func() bool {
		return e.value(fmt.Sprintf("SELECT clock_timestamp() - xact_start > '1.1 s' FROM pg_stat_activity WHERE pid = %d", long.PgConn().PID())) == "true"
	})
	if err := p.Start(context.Background(), renameUsers(), proxy.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	p.working("waiting for a lock on public.users", "report")
	e.exec("SET lock_timeout = '1ms'")
	for i := range 200 {
		e.exec(fmt.Sprintf("UPDATE users SET email = '%d' WHERE id = 1", i))
	}
	pgtest.Exec(t, long, "COMMIT")
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	// With leave, it is ended.
	pgtest.Exec(t, long, "BEGIN", "SELECT name FROM public.users")
	to := lens.Complete
	if err := p.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &to, Yes: true, Terminate: true}); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); text != "" {
		t.Fatal(text)
	}
	p.at(lens.Complete, lens.NoStep, true)
	if e.alive(long) {
		t.Error("the transaction was not ended")
	}
}
