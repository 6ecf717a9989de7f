package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
	"segue/rewrite/lens"
)

// backfill measures how fast a table is filled.
func backfill(ctx context.Context, w *world, res *result) error {
	if err := w.as(ctx, loadRole, "postgres", "GRANT pg_checkpoint TO "+controlRole); err != nil {
		return err
	}
	t := table{Header: []string{"rows", "", "thousand rows a second", "seconds", "server's CPU, us a row"}}
	c := chart{title: "Backfill: rows a second over the table", x: "million rows done", y: "thousand rows a second"}
	var rates []float64
	var sizes []string
	for _, rows := range w.opt.fillRows {
		var curve line
		lanes := []lane{
			{"psql", func(ctx context.Context) (measures, error) { return w.fillByHand(ctx, rows) }},
			{"Segue", func(ctx context.Context) (m measures, err error) {
				m, curve, err = w.fillBySegue(ctx, rows)
				return m, err
			}},
		}
		r, err := alternate(ctx, w.opt.rounds, w.out, lanes...)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%.3g million", float64(rows)/1e6)
		res.Figures = append(res.Figures, atLeast("backfill of "+name+" rows", "UPDATE by ranges in psql", r.ratio("Segue", "psql", "rate"), 0.9,
			fmt.Sprintf("%.0f thousand rows a second against %.0f", r.median("Segue", "rate"), r.median("psql", "rate"))))
		rates, sizes = append(rates, r.median("Segue", "rate")), append(sizes, name)
		for _, l := range lanes {
			t.Rows = append(t.Rows, []string{name, l.name, r.cell(l.name, "rate", "%.0f"), r.cell(l.name, "s", "%.2f"), r.cell(l.name, "server", "%.2f")})
		}
		curve.name = name + " rows"
		c.lines = append(c.lines, curve)
	}
	res.Tables = append(res.Tables, t)
	last := len(rates) - 1
	res.Figures = append(res.Figures, atLeast("backfill's rate with "+sizes[last]+" rows", "with "+sizes[0], rates[last]/rates[0], 0.9, ""))
	return res.plot("", c.svg())
}

// table makes a database with a table of that many rows, and gives its name and what removes it.
func (w *world) fillable(ctx context.Context, rows int64) (name string, drop func() error, err error) {
	name = "filled"
	if err := w.createDatabase(ctx, name); err != nil {
		return "", nil, err
	}
	drop = func() error {
		return w.as(context.WithoutCancel(ctx), loadRole, "postgres", "DROP DATABASE "+name+" WITH (FORCE)")
	}
	err = w.people(ctx, name, "users", rows)
	return name, drop, err
}

// fillByHand is what someone would write without Segue: no guard, and rows that are known to be there.
func (w *world) fillByHand(ctx context.Context, rows int64) (_ measures, err error) {
	name, drop, err := w.fillable(ctx, rows)
	if drop != nil {
		defer func() { err = errors.Join(err, drop()) }()
	}
	if err != nil {
		return nil, err
	}
	if err := w.as(ctx, controlRole, name, "ALTER TABLE users ADD full_name varchar(60)", "CHECKPOINT"); err != nil {
		return nil, err
	}
	const batch = 10_000
	var script strings.Builder
	for from := int64(0); from < rows; from += batch {
		fmt.Fprintf(&script, "UPDATE users SET full_name = name WHERE id > %d AND id <= %d AND full_name IS NULL;\n", from, from+batch)
	}
	file := filepath.Join(w.dir, "fill.sql")
	if err := os.WriteFile(file, []byte(script.String()), 0o644); err != nil {
		return nil, err
	}
	used, err := w.backends()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if _, err := w.clientOf(ctx, w.server.Addr(), name, "psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-f", file); err != nil {
		return nil, err
	}
	took := time.Since(begun)
	after, err := w.backends()
	if err != nil {
		return nil, err
	}
	return filledIn(rows, took, after-used), w.allFilled(ctx, name)
}

func filledIn(rows int64, took, cpu time.Duration) measures {
	return measures{"rate": float64(rows) / took.Seconds() / 1000, "s": took.Seconds(), "server": float64(cpu.Microseconds()) / float64(rows)}
}

// allFilled holds a run to what it was to do.
func (w *world) allFilled(ctx context.Context, database string) error {
	return w.query(ctx, database, func(c *pgx.Conn) error {
		var left int64
		if err := c.QueryRow(ctx, "SELECT count(*) FROM users WHERE full_name IS DISTINCT FROM name").Scan(&left); err != nil {
			return err
		}
		if left > 0 {
			return fmt.Errorf("%d rows were not filled", left)
		}
		return nil
	})
}

// fillBySegue is a migration's backfill; the curve is its rate over the rows.
func (w *world) fillBySegue(ctx context.Context, rows int64) (_ measures, curve line, err error) {
	name, drop, err := w.fillable(ctx, rows)
	if drop != nil {
		defer func() { err = errors.Join(err, drop()) }()
	}
	if err != nil {
		return nil, curve, err
	}
	p, err := w.segue(ctx, name)
	if err != nil {
		return nil, curve, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	const migration = "users_full_name"
	if err := w.begin(ctx, p, name, rename(migration, "users")); err != nil {
		return nil, curve, err
	}
	if err := w.as(ctx, controlRole, name, "CHECKPOINT"); err != nil {
		return nil, curve, err
	}
	to := lens.Backfilling
	if err := p.post(ctx, "/v1/migrations/"+migration+"/advance", proxy.Request{To: &to}); err != nil {
		return nil, curve, err
	}
	var took, cpu time.Duration
	err = w.query(ctx, name, func(c *pgx.Conn) error {
		var used time.Duration
		var begun, last time.Time
		var before int64
		for {
			var phase, failed string
			var settled, filled bool
			var done int64
			if err := c.QueryRow(ctx, "SELECT m.phase, m.error, m.backfilled, m.rows_done, e.current = e.settled FROM segue.migration m, segue.epoch e WHERE m.name = $1", migration).Scan(&phase, &failed, &filled, &done, &settled); err != nil {
				return err
			}
			now := time.Now()
			if failed != "" {
				return errors.New(failed)
			}
			if begun.IsZero() && phase == to.String() && settled {
				begun, last = now, now
				if used, err = w.backends(); err != nil {
					return err
				}
			}
			if !begun.IsZero() && done > before && (filled || now.Sub(last) > time.Second/4) {
				curve.x, curve.y = append(curve.x, float64(done)/1e6), append(curve.y, float64(done-before)/now.Sub(last).Seconds()/1000)
				last, before = now, done
			}
			if filled && !begun.IsZero() {
				after, err := w.backends()
				took, cpu = now.Sub(begun), after-used
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	if err != nil {
		return nil, curve, err
	}
	return filledIn(rows, took, cpu), curve, w.allFilled(ctx, name)
}
