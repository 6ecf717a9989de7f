package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// triggerSQL is a trigger in the manner of pgroll's: called for each row, it finds out by the search path which version of the schema the writer speaks, and writes the
// other one's column.
const triggerSQL = `CREATE FUNCTION %[1]s_both() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	search_path text;
BEGIN
	SELECT current_setting INTO search_path FROM current_setting('search_path');
	IF search_path = 'public_new' THEN
		NEW.name = NEW.full_name;
	ELSE
		NEW.full_name = NEW.name;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER both_columns BEFORE INSERT OR UPDATE ON %[1]s FOR EACH ROW EXECUTE FUNCTION %[1]s_both()`

// update measures old code's UPDATEs in dual-write.
func update(ctx context.Context, w *world, res *result) error {
	p, err := w.peers(ctx)
	if err != nil {
		return err
	}
	const single = 100_000
	for _, table := range []string{"plain", "paired"} {
		if err := w.people(ctx, database, table, single); err != nil {
			return err
		}
	}
	pair := func(table string) []string {
		return []string{"ALTER TABLE " + table + " ADD full_name varchar(60)", "UPDATE " + table + " SET full_name = name", "VACUUM FULL " + table, fmt.Sprintf(triggerSQL, table)}
	}
	if err := w.as(ctx, controlRole, database, pair("paired")...); err != nil {
		return err
	}
	addr := w.server.Addr()
	of := func(name, addr, table, set string) lane {
		l := load{addr: addr, clients: 4, protocol: "prepared", seconds: w.opt.seconds(), script: "\\set id random(1, 100000)\n" + "UPDATE " + table + " SET " + set + " WHERE id = :id;\n"}
		return lane{name, func(ctx context.Context) (measures, error) {
			if err := w.as(ctx, controlRole, database, "VACUUM "+table); err != nil {
				return nil, err
			}
			server, err := w.backends()
			if err != nil {
				return nil, err
			}
			d, err := w.pgbench(ctx, l)
			if err != nil {
				return nil, err
			}
			after, err := w.backends()
			return measures{"tps": d.tps, "us": 1e6 / d.tps, "server": float64((after - server).Microseconds()) / float64(d.count)}, err
		}}
	}
	const one = "name = 'User ' || :id"
	lanes := []lane{
		of("one column, direct", addr, "plain", one), of("one column, PgBouncer", p.bouncer.addr, "plain", one), of("dual-write, Segue", p.segue.addr, "users", one),
		of("both columns and Segue's guard, direct", addr, "users", one+", full_name = 'User ' || :id"), of("plpgsql trigger, direct", addr, "paired", one),
	}
	r, err := alternate(ctx, w.opt.rounds, w.out, lanes...)
	if err != nil {
		return err
	}
	absolute := fmt.Sprintf("%.0f a second; one column %.0f direct and %.0f through PgBouncer; both columns and the guard, direct: %.0f; the trigger, direct: %.0f", r.median("dual-write, Segue", "tps"), r.median("one column, direct", "tps"),
		r.median("one column, PgBouncer", "tps"), r.median("both columns and Segue's guard, direct", "tps"), r.median("plpgsql trigger, direct", "tps"))
	res.Figures = append(res.Figures,
		atMost("single-row UPDATE in dual-write, time", "one column, no proxy", r.ratio("dual-write, Segue", "one column, direct", "us"), 1.3, absolute),
		figure{"the same without the proxy: what PostgreSQL takes for both columns and the guard", "one column, no proxy", "", fmt.Sprintf("%.2f", r.ratio("both columns and Segue's guard, direct", "one column, direct", "us")), true, ""},
		figure{"the same through PgBouncer, one column: what a proxy takes", "one column, no proxy", "", fmt.Sprintf("%.2f", r.ratio("one column, PgBouncer", "one column, direct", "us")), true, ""},
		atLeast("single-row UPDATE in dual-write, throughput", "a plpgsql trigger, no proxy", r.ratio("dual-write, Segue", "plpgsql trigger, direct", "tps"), 1.3, ""),
		atLeast("single-row UPDATE, both written against the trigger, both without a proxy", "a plpgsql trigger", r.ratio("both columns and Segue's guard, direct", "plpgsql trigger, direct", "tps"), 1.3, ""),
	)
	t := table{Header: []string{"one row by key, 4 clients", "a second", "server's CPU, us a transaction"}}
	for _, l := range lanes {
		t.Rows = append(t.Rows, []string{l.name, r.cell(l.name, "tps", "%.0f"), r.cell(l.name, "server", "%.0f")})
	}
	res.Tables = append(res.Tables, t)
	return w.updateMany(ctx, res, p, pair)
}

// updateMany measures an UPDATE of all rows of a table, each time of one that has just been made.
func (w *world) updateMany(ctx context.Context, res *result, p peers, pair func(table string) []string) error {
	of := func(name, addr, table, set string) lane {
		return lane{name, func(ctx context.Context) (measures, error) {
			if err := w.as(ctx, controlRole, database, "VACUUM FULL "+table, "VACUUM ANALYZE "+table, "CHECKPOINT"); err != nil {
				return nil, err
			}
			c, err := dial(ctx, addr, database, 4096)
			if err != nil {
				return nil, err
			}
			begun := time.Now()
			if err := c.simple("UPDATE " + table + " SET " + set); err != nil {
				return nil, closing(c.conn, err)
			}
			took := time.Since(begun)
			return measures{"s": took.Seconds()}, c.bye()
		}}
	}
	if err := w.as(ctx, loadRole, database, "GRANT pg_checkpoint TO "+controlRole); err != nil {
		return err
	}
	for _, table := range []string{"many", "many_plain", "many_paired"} {
		if err := w.people(ctx, database, table, w.opt.updateRows); err != nil {
			return err
		}
	}
	if err := w.as(ctx, controlRole, database, pair("many_paired")...); err != nil {
		return err
	}
	if err := w.begin(ctx, p.segue, database, rename("many_full_name", "many")); err != nil {
		return err
	}
	const set = "name = 'User ' || (logins + id)"
	addr := w.server.Addr()
	lanes := []lane{
		of("one column, direct", addr, "many_plain", set), of("dual-write, Segue", p.segue.addr, "many", set),
		of("both columns and Segue's guard, direct", addr, "many", set+", full_name = 'User ' || (logins + id)"), of("plpgsql trigger, direct", addr, "many_paired", set),
	}
	r, err := alternate(ctx, w.opt.rounds, w.out, lanes...)
	if err != nil {
		return err
	}
	n := strconv.FormatInt(w.opt.updateRows, 10)
	res.Figures = append(res.Figures,
		atMost("UPDATE of "+n+" rows in dual-write, time", "one column, no proxy", r.ratio("dual-write, Segue", "one column, direct", "s"), 1.3,
			fmt.Sprintf("%.2f s against %.2f s; both columns and the guard, direct: %.2f s; the trigger: %.2f s", r.median("dual-write, Segue", "s"), r.median("one column, direct", "s"), r.median("both columns and Segue's guard, direct", "s"), r.median("plpgsql trigger, direct", "s"))),
		figure{"the same without the proxy: what PostgreSQL takes for both columns and the guard", "one column, no proxy", "", fmt.Sprintf("%.2f", r.ratio("both columns and Segue's guard, direct", "one column, direct", "s")), true, ""},
		atLeast("UPDATE of "+n+" rows in dual-write, speed", "a plpgsql trigger, no proxy", r.ratio("plpgsql trigger, direct", "dual-write, Segue", "s"), 1.3, ""))
	t := table{Header: []string{n + " rows in one statement", "seconds"}}
	var bars []bar
	for _, l := range lanes {
		t.Rows = append(t.Rows, []string{l.name, r.cell(l.name, "s", "%.2f")})
		bars = append(bars, bar{l.name, r.median(l.name, "s")})
	}
	res.Tables = append(res.Tables, t)
	return res.plot("", barChart("UPDATE of "+n+" rows", "seconds", bars))
}

// backends is the CPU time of the server, sessions that have ended included.
func (w *world) backends() (time.Duration, error) { return treeTime(w.server.PID()) }
