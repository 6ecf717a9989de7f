package oracle

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"segue/proxy"
	"segue/rewrite/lens"
)

// splitCorpus gives the cases of a split: its own, and those that every migration is tried with, for old code, for which the table is what it was.
func splitCorpus(t *testing.T, v *Variant) []Case {
	t.Helper()
	cases := corpusOf(t, v)
	for _, c := range corpus(t) {
		if c.Live || len(c.Variants) > 0 || strings.HasPrefix(c.File, "orm") || strings.HasPrefix(c.File, "catalogs") {
			continue
		}
		c.Only, c.Auto, c.Refused = OldSide.String(), "none", true
		cases = append(cases, c)
	}
	return cases
}

// splitLive is what a live split's tests look at besides.
type splitLive struct {
	*live
	stage lens.Phase
}

// learn learns the numbers of both tables' columns, and lays their rows in the order of their keys.
func (l *splitLive) learn() {
	l.t.Helper()
	l.has = [2]bool{}
	for _, row := range l.ask(`SELECT oid, typname FROM pg_type WHERE oid >= 16384`) {
		oid, err := strconv.ParseUint(*row[0], 10, 32)
		l.must(err)
		l.direct.types[uint32(oid)] = *row[1]
	}
	l.ask(`CLUSTER users USING users_pkey`)
	for _, row := range l.ask(`SELECT c.oid, a.attnum, c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.oid IN ('users'::regclass, to_regclass('addresses')) AND attnum > 0 AND NOT attisdropped`) {
		table, err := strconv.ParseUint(*row[0], 10, 32)
		l.must(err)
		num, err := strconv.ParseInt(*row[1], 10, 16)
		l.must(err)
		l.direct.names[origin{uint32(table), int16(num)}] = *row[2] + "." + *row[3]
		l.direct.names[origin{uint32(table), 0}] = *row[2] + ", whole row"
		l.has[OldSide] = l.has[OldSide] || *row[2] == "users" && *row[3] == "address"
		l.has[NewSide] = l.has[NewSide] || *row[2] == "addresses"
	}
	if l.has[NewSide] {
		l.ask(`CLUSTER addresses USING addresses_pkey`)
	}
}

// again brings the data back to the seed, and gives the keys of which the tables do not say the same.
func (l *splitLive) again() (apart string) {
	l.t.Helper()
	if l.has[OldSide] && l.has[NewSide] && l.stage > lens.Backfilling {
		for _, row := range l.ask(splitApart("id", "user_id")) {
			apart += " key " + *row[0]
		}
	}
	l.ask(l.v.splitSeed(!l.has[OldSide], l.has[NewSide])...)
	return apart
}

// early are refusals of new code that comes before its time.
func early(text string) bool {
	return slices.ContainsFunc([]string{"can be used from switch-reads on", "the new table may refer", "an INSERT of new code", "would belong to none"}, func(s string) bool { return strings.Contains(text, s) })
}

func (l *splitLive) one(c *Case, which int, stand string, p Protocol) {
	l.t.Helper()
	client := Clients[which]
	var made asked
	right, err := l.bench.right(c, client, p, &made)
	l.must(err)
	o, err := l.clients[which].Run(right[0].texts(), p, c.Commit, client.Side)
	where := Where{Case: c, Variant: l.v, Stand: stand, Client: client, Protocol: p}
	if err != nil {
		l.t.Fatalf("%s, %s, %s, %s: %v", c, stand, client, p, err)
	}
	if c.Commit {
		o.Apart = l.again()
	}
	l.bench.Report.Runs++
	for _, events := range o.Steps {
		e := failure(events)
		if e != nil && client.Side == NewSide && l.stage < lens.SwitchReads && early(e.Text) {
			return
		}
		if e != nil && e.Code == "0A000" && !right[0].refused {
			l.bench.Report.refused(where, e.Text)
			return
		}
	}
	l.bench.compare(where, right, o, func(s Side) *Origins { return l.direct.origins(s, true) })
}

// TestLiveSplits sends the corpus through two proxies while a real split goes to its end and, before that, back to its beginning. At each stop each case goes by one client and one protocol,
// another at each, and of those that every migration is tried with, a part; every third one that writes is committed, so that the other table shows what became of it.
func TestLiveSplits(t *testing.T) {
	for _, v := range []*Variant{&Cascading, &Referring, &Loose} {
		t.Run(v.Name, func(t *testing.T) { splitLively(t, v) })
	}
}

func splitLively(t *testing.T, v *Variant) {
	cases := splitCorpus(t, v)
	l := &splitLive{live: newLive(t, v)}
	ctx := context.Background()
	name := v.Definition().Name
	var quiet time.Duration
	to := func(p lens.Phase) proxy.AdvanceOptions {
		return proxy.AdvanceOptions{To: &p, Yes: true, QuietFor: &quiet}
	}
	forward := func(p lens.Phase) func() error { return func() error { return l.control.Advance(ctx, name, to(p)) } }
	back := func(p lens.Phase) func() error { return func() error { return l.control.Rollback(ctx, name, to(p)) } }
	stops := []struct {
		phase lens.Phase
		set   func() error
	}{
		{lens.DualWrite, func() error { return l.control.Start(ctx, v.Definition(), proxy.StartOptions{}) }},
		{lens.Backfilling, forward(lens.Backfilling)},
		{lens.SwitchReads, forward(lens.SwitchReads)},
		{lens.Contract, forward(lens.Contract)},
		{lens.Pending, back(lens.Pending)},
		{lens.SwitchReads, forward(lens.SwitchReads)},
		{lens.Complete, forward(lens.Complete)},
	}
	for n, stop := range stops {
		l.must(stop.set())
		l.reach(stop.phase)
		l.stage = stop.phase
		l.learn()
		for i := range cases {
			c := cases[i]
			generic := c.File != "old.sql" && c.File != "new.sql"
			if !strings.Contains(c.String()+" "+c.Steps[0].Text, *match) || generic && !*thorough && i%20 != n {
				continue
			}
			c.Commit = c.Commit || c.Writes() && !generic && (i+n)%3 == 0 && len(c.Steps) == 1
			ps := c.protocols()
			for which, client := range Clients {
				switch {
				case !c.meantFor(v, client), !*thorough && (i+n)%4 != which:
					continue
				case stop.phase == lens.Complete && client.Side == OldSide, stop.phase < lens.SwitchReads && client.Side == NewSide && c.Writes():
					continue // old code has had its time; what new code's contents are, cannot be asked yet
				}
				l.one(&c, which, fmt.Sprintf("%s (stop %d)", stop.phase, n+1), ps[(i+n)%len(ps)])
			}
		}
	}
	judge(t, &l.bench.Report)
}
