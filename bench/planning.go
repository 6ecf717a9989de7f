package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// planning measures what other sessions notice of statements that are planned.
func planning(ctx context.Context, w *world, res *result) error {
	p, err := w.peers(ctx)
	if err != nil {
		return err
	}
	if err := w.people(ctx, database, "folks", 100_000); err != nil {
		return err
	}
	var made int // so that no two statements are the same but for constants
	// usual is the size of what applications send; long has a hundred kilobytes that are the statement's own, not a list's.
	usual := func(table string) string {
		made++
		return fmt.Sprintf("SELECT u%[1]d.id, upper(u%[1]d.name) AS n%[1]d, (SELECT count(*) FROM %[2]s o WHERE o.id = u%[1]d.id) FROM %[2]s u%[1]d JOIN %[2]s v ON v.id = u%[1]d.id "+
			"WHERE u%[1]d.id = 17 AND v.name IS NOT NULL AND CASE WHEN u%[1]d.logins > 3 THEN u%[1]d.name LIKE 'User%%' ELSE true END ORDER BY n%[1]d LIMIT 1", made, table)
	}
	long := func(table string) string {
		made++
		var b strings.Builder
		fmt.Fprintf(&b, "SELECT u%d.name FROM %s u%d WHERE u%d.id = 17", made, table, made, made)
		for i := range 1000 {
			fmt.Fprintf(&b, " AND (u%d.name <> 'x%d' OR u%d.id > %d)", made, i, made, i)
		}
		return b.String()
	}
	t := table{Header: []string{"planned beside", "", "median, ms", "99 of 100, ms", "longest, ms"}}
	for _, kind := range []struct {
		what  string
		every time.Duration // of each of the planners
		text  func(table string) string
	}{{"100 statements a second, four tables and a sub-select each", 40 * time.Millisecond, usual}, {"4 statements a second of 50 KB, a thousand conditions each", time.Second, long}} {
		var mu sync.Mutex
		of := func(name, table string) lane {
			return lane{name, func(ctx context.Context) (measures, error) {
				return w.beside(ctx, p.segue, kind.every, table, kind.text, &mu)
			}}
		}
		r, err := alternate(ctx, w.opt.rounds, w.out, of("planned", "users"), of("passed through", "folks"))
		if err != nil {
			return err
		}
		res.Figures = append(res.Figures, atMost("other sessions' p99 while statements are planned ("+kind.what+")", "the same statements passed through", r.ratio("planned", "passed through", "p99"), 1.1,
			fmt.Sprintf("%.2f ms against %.2f ms", r.median("planned", "p99"), r.median("passed through", "p99"))))
		for _, name := range []string{"passed through", "planned"} {
			t.Rows = append(t.Rows, []string{kind.what, name, r.cell(name, "median", "%.2f"), r.cell(name, "p99", "%.2f"), r.cell(name, "longest", "%.1f")})
		}
	}
	res.Tables = append(res.Tables, t)
	var bars []bar
	for _, row := range t.Rows {
		v, err := strconv.ParseFloat(strings.Fields(row[3])[0], 64)
		if err != nil {
			return err
		}
		kind, _, _ := strings.Cut(row[0], ",")
		bars = append(bars, bar{kind + ", " + row[1], v})
	}
	return res.plot("", barChart("99 of 100 statements of other sessions", "ms", bars))
}

// beside runs sixteen sessions, and beside them four that send new statements, and gives what the sixteen saw.
func (w *world) beside(ctx context.Context, p *process, every time.Duration, table string, text func(string) string, mu *sync.Mutex) (measures, error) {
	l := &paced{every: 16 * time.Millisecond}
	defer l.close()
	for range 16 {
		err := l.open(ctx, p.addr, database, func(c *wire) error { return c.prepare("read", "SELECT abalance FROM pgbench_accounts WHERE aid = $1") },
			func(c *wire, rng *rand.Rand) error { return c.execute("read", strconv.Itoa(1+rng.IntN(200_000))) })
		if err != nil {
			return nil, err
		}
	}
	planners := &paced{every: every}
	defer planners.close()
	for range 4 {
		err := planners.open(ctx, p.addr, database, func(c *wire) error { return c.simple("SELECT 1") }, func(c *wire, _ *rand.Rand) error {
			mu.Lock()
			sql := text(table)
			mu.Unlock()
			return c.simple(sql)
		})
		if err != nil {
			return nil, err
		}
	}
	times, err := l.during(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, w.opt.time)
		defer cancel()
		return planners.run(ctx)
	})
	if err != nil {
		return nil, err
	}
	v := millis(times)
	return measures{"median": quantile(v, 0.5), "p99": quantile(v, 0.99), "longest": quantile(v, 1)}, nil
}
