package main

import (
	"context"
	"fmt"
)

// rewritten measures what a statement costs the proxy that rewrites it, against the same statement on a table that does not migrate.
func rewritten(ctx context.Context, w *world, res *result) error {
	p, err := w.peers(ctx)
	if err != nil {
		return err
	}
	// The other table's column has the new name already: the statements are the same but for the table's name, which is as long.
	if err := w.people(ctx, database, "folks", 100_000); err != nil {
		return err
	}
	if err := w.as(ctx, controlRole, database, "ALTER TABLE folks RENAME name TO full_name"); err != nil {
		return err
	}
	const vars = "\\set id random(1, 100000)\n"
	t := table{Header: []string{"statement", "protocol", "", "CPU, us a transaction", "transactions a second"}}
	var bars []bar
	for _, s := range []struct{ what, text string }{
		{"SELECT", vars + "SELECT full_name, logins FROM %s WHERE id = :id;\n"},
		{"UPDATE", vars + "UPDATE %s SET full_name = 'User ' || :id, logins = logins + 1 WHERE id = :id;\n"},
	} {
		for _, protocol := range []string{"prepared", "extended", "simple"} {
			of := func(name, table string) lane {
				l := load{clients: 16, protocol: protocol, script: fmt.Sprintf(s.text, table), seconds: w.opt.seconds()}
				return lane{name, func(ctx context.Context) (measures, error) { return w.costs(ctx, p.segue, l) }}
			}
			if err := w.warm(ctx, load{clients: 16, protocol: protocol, script: fmt.Sprintf(s.text, "users")}, p.segue); err != nil {
				return err
			}
			r, err := alternate(ctx, w.opt.rounds, w.out, of("rewritten", "users"), of("passed through", "folks"))
			if err != nil {
				return err
			}
			res.Figures = append(res.Figures, atMost(fmt.Sprintf("proxy CPU, a rewritten %s, %s", s.what, protocol), "passed through", r.ratio("rewritten", "passed through", "cpu"), 1.1,
				fmt.Sprintf("%.1f us against %.1f us", r.median("rewritten", "cpu"), r.median("passed through", "cpu"))))
			for _, name := range []string{"passed through", "rewritten"} {
				t.Rows = append(t.Rows, []string{s.what, protocol, name, r.cell(name, "cpu", "%.1f"), r.cell(name, "tps", "%.0f")})
				bars = append(bars, bar{s.what + ", " + protocol + ", " + name, r.median(name, "cpu")})
			}
			if err := w.profile(ctx, res, p.segue, load{clients: 16, protocol: protocol, script: fmt.Sprintf(s.text, "users"), seconds: 5}); err != nil {
				return err
			}
		}
	}
	res.Tables = append(res.Tables, t)
	return res.plot("", barChart("CPU time of the proxy, 16 clients", "us a transaction", bars))
}
