package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// connect measures sessions that come, ask once and go.
func connect(ctx context.Context, w *world, res *result) error {
	segue, err := w.segue(ctx, database)
	if err != nil {
		return err
	}
	bouncer, err := w.bouncer(ctx, true)
	if err != nil {
		return err
	}
	of := func(name, addr string, through *process) lane {
		return lane{name, func(ctx context.Context) (measures, error) {
			used := time.Duration(0)
			if through != nil {
				if used, err = cpuTime(through.pid()); err != nil {
					return nil, err
				}
			}
			rate, count, err := comeAndGo(ctx, addr, w.opt.time)
			if err != nil {
				return nil, err
			}
			m := measures{"rate": rate}
			if through != nil {
				after, err := cpuTime(through.pid())
				if err != nil {
					return nil, err
				}
				m["cpu"] = float64((after - used).Microseconds()) / float64(count)
			}
			return m, nil
		}}
	}
	lanes := []lane{of("Segue", segue.addr, segue), of("PgBouncer", bouncer.addr, bouncer), of(direct, w.server.Addr(), nil)}
	r, err := alternate(ctx, w.opt.rounds, w.out, lanes...)
	if err != nil {
		return err
	}
	res.Figures = append(res.Figures, atLeast("connect, one query, disconnect, a second", "PgBouncer to a fresh server connection", r.ratio("Segue", "PgBouncer", "rate"), 0.9,
		fmt.Sprintf("%.0f against %.0f; %.0f direct", r.median("Segue", "rate"), r.median("PgBouncer", "rate"), r.median(direct, "rate"))))
	t := table{Header: []string{"", "sessions a second", "the proxy's CPU, us a session"}}
	var bars []bar
	for _, l := range lanes {
		cpu := "-"
		if l.name != direct {
			cpu = r.cell(l.name, "cpu", "%.0f")
		}
		t.Rows = append(t.Rows, []string{l.name, r.cell(l.name, "rate", "%.0f"), cpu})
		bars = append(bars, bar{l.name, r.median(l.name, "rate")})
	}
	res.Tables = append(res.Tables, t)
	return res.plot("", barChart("Connect, one query, disconnect", "a second", bars))
}

// comeAndGo counts how many sessions eight clients get through.
func comeAndGo(ctx context.Context, addr string, d time.Duration) (rate float64, count int, err error) {
	const clients = 8
	var mu sync.Mutex
	pids := map[int]bool{}
	until := time.Now().Add(d)
	begun := time.Now()
	fails := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for time.Now().Before(until) && fails[i] == nil {
				var pid int
				if pid, fails[i] = visit(ctx, addr); fails[i] != nil {
					return
				}
				mu.Lock()
				if pids[pid] {
					fails[i] = fmt.Errorf("server session %d answered twice: it was not a fresh one", pid)
				}
				pids[pid] = true
				count++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	took := time.Since(begun).Seconds()
	for _, err := range fails {
		if err != nil {
			return 0, 0, err
		}
	}
	return float64(count) / took, count, nil
}

// visit is one session; it gives the server session's PID.
func visit(ctx context.Context, addr string) (int, error) {
	c, err := dial(ctx, addr, database, 512)
	if err != nil {
		return 0, err
	}
	c.keep = true
	if err := c.simple("SELECT pg_backend_pid()"); err != nil {
		return 0, closing(c.conn, err)
	}
	if c.rows != 1 || len(c.row) < 7 {
		return 0, closing(c.conn, fmt.Errorf("%d rows came", c.rows))
	}
	pid, err := strconv.Atoi(string(c.row[6:])) // behind the number of columns and the length of the first
	if err != nil {
		return 0, closing(c.conn, err)
	}
	return pid, c.bye()
}
