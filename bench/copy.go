package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// copyRows makes that many bytes of a COPY's data, or a line less.
func copyRows(size int64) []byte {
	b := make([]byte, 0, size)
	for i := int64(1); ; i++ {
		n := len(b)
		b = strconv.AppendInt(b, i, 10)
		b = append(b, "\tCustomer number "...)
		b = strconv.AppendInt(b, i*7919%1_000_003, 10)
		b = append(b, "\tcustomer"...)
		b = strconv.AppendInt(b, i, 10)
		b = append(b, "@mail.example.org\tlives in some street or other, "...)
		b = strconv.AppendInt(b, i%997, 10)
		b = append(b, '\n')
		if int64(len(b)) > size {
			return b[:n]
		}
	}
}

// copyIn measures COPY FROM STDIN.
func copyIn(ctx context.Context, w *world, res *result) error {
	shape := func(table, column string) string {
		return "CREATE TABLE " + table + " (id bigint PRIMARY KEY, " + column + " text, email text, note text)"
	}
	if err := w.as(ctx, controlRole, database, shape("bare", "name"), shape("moving", "name"), "GRANT ALL ON bare, moving TO PUBLIC"); err != nil {
		return err
	}
	segue, err := w.segue(ctx, database)
	if err != nil {
		return err
	}
	bouncer, err := w.bouncer(ctx, false)
	if err != nil {
		return err
	}
	if err := w.begin(ctx, segue, database, rename("moving_full_name", "moving")); err != nil {
		return err
	}
	data := copyRows(w.opt.copyBytes)
	doubled := doubleName(data)
	of := func(name, addr, sql string, data []byte, through *process) lane {
		return lane{name, func(ctx context.Context) (measures, error) {
			if err := w.as(ctx, loadRole, database, "TRUNCATE bare, moving", "CHECKPOINT"); err != nil {
				return nil, err
			}
			c, err := dial(ctx, addr, database, 4096)
			if err != nil {
				return nil, err
			}
			used := time.Duration(0)
			if through != nil {
				if used, err = cpuTime(through.pid()); err != nil {
					return nil, closing(c.conn, err)
				}
			}
			begun := time.Now()
			if err := c.copyFrom(sql, data, w.opt.copyFrame); err != nil {
				return nil, closing(c.conn, err)
			}
			m := measures{"mbs": float64(w.opt.copyBytes) / 1e6 / time.Since(begun).Seconds()} // of the client's data, whatever the lane adds to it
			if through != nil {
				after, err := cpuTime(through.pid())
				if err != nil {
					return nil, closing(c.conn, err)
				}
				m["cpu"] = float64((after - used).Microseconds()) / 1e3 / (float64(w.opt.copyBytes) / 1e9)
			}
			return m, c.bye()
		}}
	}
	const bare, moving = "COPY bare (id, name, email, note) FROM STDIN", "COPY moving (id, name, email, note) FROM STDIN"
	lanes := []lane{
		of(direct, w.server.Addr(), bare, data, nil), of("PgBouncer", bouncer.addr, bare, data, bouncer), of("Segue, passed through", segue.addr, bare, data, segue),
		of("Segue, renamed in the stream", segue.addr, moving, data, segue),
		of("direct, both columns in the data and the guard", w.server.Addr(), "COPY moving (id, name, email, note, full_name) FROM STDIN", doubled, nil),
	}
	r, err := alternate(ctx, w.opt.rounds, w.out, lanes...)
	if err != nil {
		return err
	}
	size := fmt.Sprintf("COPY in, %.2f GB, ", float64(w.opt.copyBytes)/1e9)
	absolute := func(name string) string {
		return fmt.Sprintf("%.0f MB/s against %.0f MB/s", r.median(name, "mbs"), r.median(direct, "mbs"))
	}
	server := "direct, both columns in the data and the guard"
	res.Figures = append(res.Figures,
		atLeast(size+"passed through", direct, r.ratio("Segue, passed through", direct, "mbs"), 0.95, absolute("Segue, passed through")),
		figure{size + "passed through by PgBouncer", direct, "", fmt.Sprintf("%.2f", r.ratio("PgBouncer", direct, "mbs")), true, absolute("PgBouncer")},
		atLeast(size+"renamed in the stream", direct, r.ratio("Segue, renamed in the stream", direct, "mbs"), 0.75, absolute("Segue, renamed in the stream")),
		figure{"the same without the proxy: what PostgreSQL takes for both columns and the guard", direct, "", fmt.Sprintf("%.2f", r.ratio(server, direct, "mbs")), true, absolute(server)})
	t := table{Header: []string{"", "MB/s", "the proxy's CPU, ms a GB"}}
	var bars []bar
	for _, l := range lanes {
		cpu := "-"
		if _, ok := r[l.name][0]["cpu"]; ok {
			cpu = r.cell(l.name, "cpu", "%.0f")
		}
		t.Rows = append(t.Rows, []string{l.name, r.cell(l.name, "mbs", "%.0f"), cpu})
		bars = append(bars, bar{l.name, r.median(l.name, "mbs")})
	}
	res.Tables = append(res.Tables, t)
	return res.plot("", barChart("COPY FROM STDIN", "MB/s of the client's data", bars))
}

// doubleName appends each line's second field to it: what Segue's edit of the stream comes to.
func doubleName(data []byte) []byte {
	out := make([]byte, 0, len(data)+len(data)/3)
	for len(data) > 0 {
		field, from, to := 0, 0, 0
		i := 0
		for ; data[i] != '\n'; i++ {
			if data[i] == '\t' {
				switch field++; field {
				case 1:
					from = i + 1
				case 2:
					to = i
				}
			}
		}
		out = append(out, data[:i]...)
		out = append(append(append(out, '\t'), data[from:to]...), '\n')
		data = data[i+1:]
	}
	return out
}

// bigResult measures a large result.
func bigResult(ctx context.Context, w *world, res *result) error {
	p, err := w.peers(ctx)
	if err != nil {
		return err
	}
	if err := w.as(ctx, controlRole, database,
		fmt.Sprintf("CREATE TABLE big AS SELECT i AS id, 'Customer number ' || i AS name, 'customer' || i || '@mail.example.org' AS email, i * 7 AS total, md5(i::text) AS tag FROM generate_series(1, %d) i", w.opt.resultRows),
		"VACUUM (FREEZE, ANALYZE) big", "GRANT ALL ON big TO PUBLIC"); err != nil {
		return err
	}
	of := func(name, addr string) lane {
		return lane{name, func(ctx context.Context) (measures, error) {
			c, err := dial(ctx, addr, database, 64<<10)
			if err != nil {
				return nil, err
			}
			begun := time.Now()
			if err := c.simple("SELECT id, name, email, total, tag FROM big"); err != nil {
				return nil, closing(c.conn, err)
			}
			m := measures{"rows": float64(c.rows) / time.Since(begun).Seconds() / 1000}
			if c.rows != w.opt.resultRows {
				return nil, closing(c.conn, fmt.Errorf("%d rows came, not %d", c.rows, w.opt.resultRows))
			}
			return m, c.bye()
		}}
	}
	lanes := []lane{of(direct, w.server.Addr()), of("PgBouncer", p.bouncer.addr), of("Segue", p.segue.addr)}
	for _, l := range lanes { // unmeasured: the table comes into the caches
		if _, err := l.run(ctx); err != nil {
			return err
		}
	}
	r, err := alternate(ctx, w.opt.rounds, w.out, lanes...)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("result of %d rows, passed through", w.opt.resultRows)
	res.Figures = append(res.Figures, atLeast(what, direct, r.ratio("Segue", direct, "rows"), 0.95,
		fmt.Sprintf("%.0f thousand rows a second against %.0f; PgBouncer %.0f", r.median("Segue", "rows"), r.median(direct, "rows"), r.median("PgBouncer", "rows"))))
	t := table{Header: []string{"", "thousand rows a second"}}
	var bars []bar
	for _, l := range lanes {
		t.Rows = append(t.Rows, []string{l.name, r.cell(l.name, "rows", "%.0f")})
		bars = append(bars, bar{l.name, r.median(l.name, "rows")})
	}
	res.Tables = append(res.Tables, t)
	return res.plot("", barChart(what, "thousand rows a second", bars))
}
