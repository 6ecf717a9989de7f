package migrate

import (
	"testing"

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
