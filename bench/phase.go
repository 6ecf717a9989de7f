package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
	"segue/rewrite/lens"
)

const busyEvery = 250 * time.Millisecond

// busy opens the sessions that work while phases change.
func (w *world) busy(ctx context.Context, proxies []*process) (_ *paced, err error) {
	l := &paced{every: busyEvery}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	for i := range w.opt.connections {
		column := "name"
		if i/len(proxies)%2 == 1 {
			column = "full_name"
		}
		err := l.open(ctx, proxies[i%len(proxies)].addr, database, func(c *wire) error {
			return errors.Join(c.prepare("read", "SELECT "+column+", logins FROM users WHERE id = $1"),
				c.prepare("write", "UPDATE users SET "+column+" = $1, logins = logins + 1 WHERE id = $2"))
		}, func(c *wire, rng *rand.Rand) error {
			id := strconv.Itoa(1 + rng.IntN(50_000))
			switch rng.IntN(3) {
			case 0:
				return c.execute("write", "User "+id, id)
			case 1:
				err := c.execute("read", id)
				if err == nil && c.rows != 1 {
					err = fmt.Errorf("%d rows came for id %s", c.rows, id)
				}
				return err
			}
			return c.simple("SELECT " + column + " FROM users WHERE id = " + id)
		})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// settling is one change of the epoch, as the database has it.
type settling struct {
	at   time.Time
	took time.Duration
}

// watchEpochs notes each change of the epoch until ctx ends.
func (w *world) watchEpochs(ctx context.Context, c *pgx.Conn) (out []settling, err error) {
	var last int64
	var begun time.Time
	for {
		var current, settled int64
		if err := c.QueryRow(context.WithoutCancel(ctx), "SELECT current, settled FROM segue.epoch").Scan(&current, &settled); err != nil {
			return nil, err
		}
		now := time.Now()
		if last == 0 {
			last = current
		}
		if current > last {
			last, begun = current, now
		}
		if !begun.IsZero() && settled == current {
			out, begun = append(out, settling{begun, now.Sub(begun)}), time.Time{}
		}
		select {
		case <-ctx.Done():
			return out, nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// phases measures what statements take while phases change.
func phases(ctx context.Context, w *world, res *result) error {
	if err := w.people(ctx, database, "users", 50_000); err != nil {
		return err
	}
	var proxies []*process
	for range 4 {
		p, err := w.segue(ctx, database)
		if err != nil {
			return err
		}
		proxies = append(proxies, p)
	}
	const name = "users_full_name"
	if err := w.begin(ctx, proxies[0], database, rename(name, "users")); err != nil {
		return err
	}
	l, err := w.busy(ctx, proxies)
	if err != nil {
		return err
	}
	defer l.close()
	return w.query(ctx, database, func(c *pgx.Conn) error {
		change := func(ctx context.Context, action string, to lens.Phase) error {
			if err := proxies[0].post(ctx, "/v1/migrations/"+name+"/"+action, proxy.Request{To: &to}); err != nil {
				return err
			}
			return w.reached(ctx, c, name, to.String())
		}
		// The filling and the proof are no change of a phase: they are over before.
		if err := change(ctx, "advance", lens.Backfilling); err != nil {
			return err
		}
		if err := w.proved(ctx, c, name, func() error { return change(ctx, "advance", lens.SwitchReads) }); err != nil {
			return err
		}
		if err := change(ctx, "rollback", lens.Backfilling); err != nil {
			return err
		}
		var epochs []settling
		var base, changed []float64
		var plotted []timed
		var plottedEpochs []settling
		cycle := func(ctx context.Context) (err error) {
			watching, stop := context.WithCancel(ctx)
			seen := make(chan error, 1)
			var found []settling
			go func() {
				seen <- w.query(ctx, database, func(c *pgx.Conn) (err error) {
					found, err = w.watchEpochs(watching, c)
					return err
				})
			}()
			pause := func() {
				select {
				case <-ctx.Done():
				case <-time.After(500 * time.Millisecond):
				}
			}
			for _, s := range []struct {
				action string
				to     lens.Phase
			}{{"advance", lens.SwitchReads}, {"advance", lens.Contract}, {"rollback", lens.SwitchReads}, {"rollback", lens.Backfilling}} {
				pause()
				if err = change(ctx, s.action, s.to); err != nil {
					break
				}
			}
			pause()
			stop()
			err = errors.Join(err, <-seen)
			epochs, plottedEpochs = append(epochs, found...), found
			return err
		}
		quiet := func(d time.Duration) func(context.Context) error {
			return func(ctx context.Context) error {
				select {
				case <-ctx.Done():
				case <-time.After(d):
				}
				return nil
			}
		}
		if _, err := l.during(ctx, quiet(time.Second)); err != nil { // unmeasured: all have planned once
			return err
		}
		t := table{Header: []string{"round", "", "statements", "median, ms", "99 of 100, ms", "longest, ms"}}
		add := func(round int, what string, times []timed) float64 {
			v := millis(times)
			slices.Sort(v)
			longest := v[len(v)-1]
			t.Rows = append(t.Rows, []string{strconv.Itoa(round + 1), what, strconv.Itoa(len(v)), fmt.Sprintf("%.2f", quantile(v, 0.5)), fmt.Sprintf("%.2f", quantile(v, 0.99)), fmt.Sprintf("%.1f", longest)})
			return longest
		}
		for round := range w.opt.rounds {
			begun := time.Now()
			times, err := l.during(ctx, cycle)
			if err != nil {
				return err
			}
			took := time.Since(begun)
			changed = append(changed, add(round, "changes", times))
			plotted = times
			if times, err = l.during(ctx, quiet(took)); err != nil {
				return err
			}
			base = append(base, add(round, "none", times))
			say(w.out, "  round %d of %d\n", round+1, w.opt.rounds)
		}
		var settle []float64
		for _, e := range epochs {
			settle = append(settle, float64(e.took.Microseconds())/1000)
		}
		var more []float64
		for i := range base {
			more = append(more, changed[i]-base[i])
		}
		what := fmt.Sprintf("phase change, %d busy connections over 4 proxies: ", w.opt.connections)
		against := "the same load with no change"
		res.Figures = append(res.Figures,
			figure{what + "errors", against, "none", "none", true, fmt.Sprintf("%d changes of the epoch", len(epochs))}, // one would have ended the run
			figure{what + "longest statement, more than without", against, "< 50 ms", fmt.Sprintf("%.1f ms", median(more)), median(more) < 50, fmt.Sprintf("%.1f ms against %.1f ms", median(changed), median(base))},
			figure{what + "time to settle, longest", against, "< 500 ms", fmt.Sprintf("%.0f ms", slices.Max(settle)), slices.Max(settle) < 500, fmt.Sprintf("median %.0f ms", median(settle))})
		res.Tables = append(res.Tables, t)
		return res.plot("", phaseChart(plotted, plottedEpochs))
	})
}

// proved runs f until the gate of what it does holds, which is soon.
func (w *world) proved(ctx context.Context, c *pgx.Conn, name string, f func() error) error {
	for tries := 0; ; tries++ {
		err := f()
		if err == nil || tries > 100 || !strings.Contains(err.Error(), "gate") {
			return err
		}
		if _, err := c.Exec(ctx, "UPDATE segue.migration SET error = '' WHERE name = $1", name); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// phaseChart is the latency over a round of changes: of each 20 ms, the longest and the median, with a mark where an epoch was settled.
func phaseChart(times []timed, epochs []settling) string {
	const width = 20 * time.Millisecond
	longest, middle := line{name: "longest of each 20 ms"}, line{name: "median of each 20 ms"}
	c := chart{title: "Statements' time over phase changes", x: "seconds", y: "ms"}
	if len(times) == 0 {
		return c.svg()
	}
	begun := times[0].due
	for len(times) > 0 {
		from := times[0].due
		n := 1
		for n < len(times) && times[n].due.Sub(from) < width {
			n++
		}
		v := millis(times[:n])
		x := from.Sub(begun).Seconds()
		longest.x, longest.y = append(longest.x, x), append(longest.y, slices.Max(v))
		middle.x, middle.y = append(middle.x, x), append(middle.y, median(v))
		times = times[n:]
	}
	c.lines = []line{longest, middle}
	for _, e := range epochs {
		c.marks = append(c.marks, e.at.Sub(begun).Seconds())
	}
	c.marked = "an epoch begins"
	return c.svg()
}
