package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// memory measures what an idle connection costs a proxy.
func memory(ctx context.Context, w *world, res *result) error {
	if err := w.people(ctx, database, "users", 1000); err != nil {
		return err
	}
	of := func(name string, start func() (*process, error)) lane {
		return lane{name, func(ctx context.Context) (_ measures, err error) {
			p, err := start()
			if err != nil {
				return nil, err
			}
			var open []*wire
			defer func() {
				for _, c := range open {
					err = errors.Join(err, c.conn.Close())
				}
				err = errors.Join(err, p.stop())
			}()
			before, err := resident(p.pid())
			if err != nil {
				return nil, err
			}
			for range w.opt.idle {
				c, err := dial(ctx, p.addr, database, 16)
				if err != nil {
					return nil, err
				}
				open = append(open, c)
				if err := c.simple("SELECT 1"); err != nil {
					return nil, err
				}
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(3 * time.Second):
			}
			after, err := resident(p.pid())
			return measures{"kib": float64(after-before) / 1024 / float64(w.opt.idle), "mib": float64(after) / (1 << 20)}, err
		}}
	}
	r, err := alternate(ctx, w.opt.rounds, w.out,
		of("Segue", func() (*process, error) {
			p, err := w.segue(ctx, database)
			if err != nil {
				return nil, err
			}
			if len(res.Remarks) == 0 { // in the first round: from then on the migration is there
				res.Remarks = append(res.Remarks, "A migration of one table was in dual-write.")
				err = w.begin(ctx, p, database, rename("users_full_name", "users"))
			}
			return p, err
		}),
		of("PgBouncer", func() (*process, error) { return w.bouncer(ctx, false) }))
	if err != nil {
		return err
	}
	kib := r.median("Segue", "kib")
	what := fmt.Sprintf("resident memory for each of %d idle connections", w.opt.idle)
	absolute := fmt.Sprintf("%.1f KiB against %.1f KiB; %.0f MiB and %.0f MiB in all", kib, r.median("PgBouncer", "kib"), r.median("Segue", "mib"), r.median("PgBouncer", "mib"))
	res.Figures = append(res.Figures,
		atMost(what, "PgBouncer", r.ratio("Segue", "PgBouncer", "kib"), 2, absolute),
		figure{what, "-", "< 16 KiB", fmt.Sprintf("%.1f KiB", kib), kib < 16, ""})
	t := table{Header: []string{"", "KiB a connection", "MiB in all"}}
	for _, name := range []string{"Segue", "PgBouncer"} {
		t.Rows = append(t.Rows, []string{name, r.cell(name, "kib", "%.1f"), r.cell(name, "mib", "%.0f")})
	}
	res.Tables = append(res.Tables, t)
	return res.plot("", barChart(what, "KiB", []bar{{"Segue", kib}, {"PgBouncer", r.median("PgBouncer", "kib")}}))
}
