package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// peers are what stands before the world's server in the rows that compare with PgBouncer: the database has pgbench's tables, and a migration of another
// one is in dual-write.
type peers struct{ segue, bouncer *process }

func (w *world) peers(ctx context.Context) (p peers, err error) {
	if _, err := w.client(ctx, w.server.Addr(), "pgbench", "-i", "-q", "-s", "2"); err != nil {
		return p, err
	}
	if err := w.people(ctx, database, "users", 100_000); err != nil {
		return p, err
	}
	if p.segue, err = w.segue(ctx, database); err != nil {
		return p, err
	}
	if err := w.begin(ctx, p.segue, database, rename("users_full_name", "users")); err != nil {
		return p, err
	}
	p.bouncer, err = w.bouncer(ctx, false)
	return p, err
}

// people makes a table of that many rows, whose column name migrates, or might.
func (w *world) people(ctx context.Context, database, table string, rows int64) error {
	return w.as(ctx, controlRole, database,
		"CREATE TABLE "+table+" (id bigint NOT NULL, name varchar(60) NOT NULL, email text, logins integer NOT NULL DEFAULT 0)",
		fmt.Sprintf("INSERT INTO %s SELECT i, 'User ' || lpad(i::text, 8, '0'), 'user' || i || '@example.org' FROM generate_series(1, %d) i", table, rows),
		"ALTER TABLE "+table+" ADD PRIMARY KEY (id)", "VACUUM (FREEZE, ANALYZE) "+table, "GRANT ALL ON "+table+" TO PUBLIC")
}

const direct = "direct"

// seconds is how long a run that is measured by time takes, as pgbench has it.
func (o options) seconds() int { return max(1, int(o.time.Seconds())) }

// relay measures what a transaction costs the proxy that it is passed on by.
func relay(ctx context.Context, w *world, res *result, protocol string) error {
	p, err := w.peers(ctx)
	if err != nil {
		return err
	}
	var xs []float64
	cpu := []line{{name: "Segue"}, {name: "PgBouncer"}}
	tps := []line{{name: "Segue"}, {name: "PgBouncer"}, {name: direct}}
	t := table{Header: []string{"clients", "through", "CPU, us a transaction", "transactions a second"}}
	for _, clients := range []int{1, 16, 256} {
		l := load{clients: clients, protocol: protocol, seconds: w.opt.seconds() + connecting(clients)}
		if w.opt.quick {
			l.seconds = w.opt.seconds() + min(1, connecting(clients))
		}
		if err := w.warm(ctx, l, p.segue, p.bouncer); err != nil {
			return err
		}
		of := func(name string, through *process) lane {
			return lane{name, func(ctx context.Context) (measures, error) { return w.costs(ctx, through, l) }}
		}
		r, err := alternate(ctx, w.opt.rounds, w.out, of("Segue", p.segue), of("PgBouncer", p.bouncer), of(direct, nil))
		if err != nil {
			return err
		}
		xs = append(xs, float64(clients))
		for i := range tps {
			tps[i].y = append(tps[i].y, r.median(tps[i].name, "tps"))
		}
		for i := range cpu {
			cpu[i].y = append(cpu[i].y, r.median(cpu[i].name, "cpu"))
		}
		what := fmt.Sprintf("proxy CPU a transaction, %s SELECT by key, %d client%s", protocol, clients, plural(clients))
		res.Figures = append(res.Figures, atMost(what, "PgBouncer", r.ratio("Segue", "PgBouncer", "cpu"), 1,
			fmt.Sprintf("%.1f us against %.1f us; %.0f and %.0f transactions a second, %.0f direct", r.median("Segue", "cpu"), r.median("PgBouncer", "cpu"), r.median("Segue", "tps"), r.median("PgBouncer", "tps"), r.median(direct, "tps"))))
		for _, name := range []string{"Segue", "PgBouncer", direct} {
			used := "-"
			if name != direct {
				used = r.cell(name, "cpu", "%.1f")
			}
			t.Rows = append(t.Rows, []string{strconv.Itoa(clients), name, used, r.cell(name, "tps", "%.0f")})
		}
	}
	res.Tables = append(res.Tables, t)
	if err := w.profile(ctx, res, p.segue, load{clients: 16, protocol: protocol, seconds: 5}); err != nil {
		return err
	}
	for i := range cpu {
		cpu[i].x = xs
	}
	for i := range tps {
		tps[i].x = xs
	}
	name := strings.ToUpper(protocol[:1]) + protocol[1:]
	if err := res.plot("-cpu", chart{title: name + " SELECT by key: CPU time of the proxy", x: "clients", y: "us a transaction", logX: true, lines: cpu}.svg()); err != nil {
		return err
	}
	return res.plot("-tps", chart{title: name + " SELECT by key: throughput", x: "clients", y: "transactions a second", logX: true, lines: tps}.svg())
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// latency measures what the way through a proxy adds to one client's transactions.
func latency(ctx context.Context, w *world, res *result) error {
	p, err := w.peers(ctx)
	if err != nil {
		return err
	}
	t := table{Header: []string{"protocol", "through", "median, us", "99 of 100, us"}}
	var bars []bar
	for _, protocol := range []string{"prepared", "simple"} {
		l := load{clients: 1, protocol: protocol, seconds: w.opt.seconds(), log: true}
		if err := w.warm(ctx, l, p.segue, p.bouncer, nil); err != nil {
			return err
		}
		of := func(name, addr string) lane {
			return lane{name, func(ctx context.Context) (measures, error) {
				l := l
				l.addr = addr
				d, err := w.pgbench(ctx, l)
				return measures{"median": quantile(d.micro, 0.5), "p99": quantile(d.micro, 0.99)}, err
			}}
		}
		r, err := alternate(ctx, w.opt.rounds, w.out, of("Segue", p.segue.addr), of("PgBouncer", p.bouncer.addr), of(direct, w.server.Addr()))
		if err != nil {
			return err
		}
		added := func(name string) (v []float64) {
			for i, m := range r[name] {
				v = append(v, m["median"]-r[direct][i]["median"])
			}
			return v
		}
		ours, theirs := added("Segue"), added("PgBouncer")
		var ratios []float64
		for i := range ours {
			ratios = append(ratios, ours[i]/theirs[i])
		}
		res.Figures = append(res.Figures, atMost("median latency added, 1 client, "+protocol, "PgBouncer", median(ratios), 1,
			fmt.Sprintf("%.0f us against %.0f us, over %.0f us direct", median(ours), median(theirs), r.median(direct, "median"))))
		for _, name := range []string{direct, "PgBouncer", "Segue"} {
			t.Rows = append(t.Rows, []string{protocol, name, r.cell(name, "median", "%.0f"), r.cell(name, "p99", "%.0f")})
			bars = append(bars, bar{protocol + ", " + name, r.median(name, "median")})
		}
	}
	res.Tables = append(res.Tables, t)
	return res.plot("", barChart("Median latency of one client's SELECT by key", "us", bars))
}
