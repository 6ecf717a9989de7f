package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"segue/internal/pgtest"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

// patience bounds what must come; a healthy machine needs a small part of it.
const patience = 60 * time.Second

// live is a migration under way: a database, two proxies in front of it, and a client of every kind.
type live struct {
	t       *testing.T
	bench   *Bench
	v       *Variant
	direct  *Database // the database itself, past the proxies
	control *migrate.Controller
	major   int        // the server's version
	has     [2]bool    // whether the table has the column of that side
	clients []*session // by place in Clients: those of old code at one proxy, those of new code at the other
}

func newLive(t *testing.T, v *Variant) *live {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	ctx := context.Background()
	create := func() string { return pgtest.Shared().DSN(pgtest.Database(t)) }
	l := &live{t: t, v: v}
	var err error
	if l.bench, err = newBench(ctx, v, create); err != nil {
		t.Fatal(err)
	}
	closes(t, l.bench.Close)
	name := pgtest.Database(t)
	if l.direct, err = NewDatabase(ctx, pgtest.Shared().DSN(name), v, OldOnly); err != nil {
		t.Fatal(err)
	}
	closes(t, l.direct.Close)
	if v.Pattern.RenameColumn == nil && !v.splits() { // Segue makes that itself
		l.ask("DROP SCHEMA segue CASCADE")
	}
	if l.major, err = strconv.Atoi(*l.ask("SELECT current_setting('server_version_num')::int / 10000")[0][0]); err != nil {
		t.Fatal(err)
	}
	var addrs []string
	for range 2 {
		addr, control := startProxy(t, pgtest.Shared().DSN(name))
		addrs = append(addrs, addr)
		l.control = control
	}
	for _, c := range Clients {
		conn, err := Dial(ctx, fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&options=-csegue.version%%3D%s", addrs[c.Side], name, c.Version))
		if err != nil {
			t.Fatal(err)
		}
		closes(t, conn.Close)
		form := [...]Form{OldOnly, RefNew}[c.Side]
		l.clients = append(l.clients, &session{conn: conn, begin: v.begin(), contents: [2]string{v.contents(form, c.Side), v.contents(form, c.Side)}})
	}
	return l
}

func closes(t *testing.T, f func() error) {
	t.Cleanup(func() {
		if err := f(); err != nil {
			t.Error(err)
		}
	})
}

// startProxy runs a proxy in this process until the test ends, and gives its address and its controller.
func startProxy(t *testing.T, dsn string) (string, *migrate.Controller) {
	t.Helper()
	dir, err := os.MkdirTemp("", "segue") // a socket's path is bounded, and the test's own folder has a long one
	if err != nil {
		t.Fatal(err)
	}
	closes(t, func() error { return os.RemoveAll(dir) })
	ctx, stop := context.WithCancel(context.Background())
	p, err := proxy.Open(ctx, proxy.Options{
		Listen: "127.0.0.1:0", Version: lens.Auto, Server: []string{pgtest.Shared().Addr()}, Admin: filepath.Join(dir, "admin.sock"),
		MaxConnections: 20, HoldTimeout: patience, Driver: proxy.Driver(os.Getenv("SEGUE_DRIVER")), Log: zap.NewNop(),
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	control, err := migrate.Open(ctx, migrate.Options{DSN: dsn, Host: "test", Build: "test"})
	if err == nil {
		err = p.Join(ctx, control)
	}
	if err != nil {
		stop()
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		if err := p.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	closes(t, func() error {
		stop()
		served.Wait()
		return control.Close()
	})
	return p.Addr().String(), control
}

// reach waits until the migration stands settled at the phase, with nothing more to be done.
func (l *live) reach(phase lens.Phase) {
	l.t.Helper()
	l.until(func(m *migrate.MigrationStatus) bool { return m.Phase == phase && m.Step == lens.NoStep })
}

// until waits until the migration is settled, with nothing more to be done, and stands as it should.
func (l *live) until(stands func(*migrate.MigrationStatus) bool) {
	l.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := l.control.Status(context.Background())
		l.must(err)
		var s migrate.Status
		l.must(json.Unmarshal(text, &s))
		if len(s.Migrations) == 1 {
			m := &s.Migrations[0]
			if m.Error != "" && m.Working == "" {
				l.t.Fatal(m.Error)
			}
			if m.Settled && m.Working == "" && stands(m) {
				return
			}
		}
		select {
		case <-deadline:
			l.t.Fatalf("waited %s for a phase, and it stands so:\n%s", patience, text)
		case <-tick.C:
		}
	}
}

func (l *live) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// ask runs texts on the database itself, past the proxies, and gives the rows of all.
func (l *live) ask(texts ...string) (rows [][]*string) {
	l.t.Helper()
	for _, q := range texts {
		l.direct.conn.Query(q)
	}
	replies, err := l.direct.conn.Replies()
	l.must(err)
	for _, events := range replies {
		if e := failure(events); e != nil {
			l.t.Fatal(e.Text)
		}
		for _, e := range events {
			if e.Kind == DataRow {
				rows = append(rows, e.Values)
			}
		}
	}
	return rows
}

// tidy lays the rows in the order of their ids, as the references have them, which the backfill has changed; and it learns the columns' numbers,
// since a column that was dropped and added again has another.
func (l *live) tidy() {
	l.t.Helper()
	table := l.v.table()
	l.has = [2]bool{}
	for _, row := range l.ask(
		fmt.Sprintf(`CLUSTER %s USING "%s_pkey"`, table, l.v.Table),
		fmt.Sprintf(`SELECT attrelid, attnum, attname FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0 AND NOT attisdropped`, table),
	) {
		table, err := strconv.ParseUint(*row[0], 10, 32)
		l.must(err)
		num, err := strconv.ParseInt(*row[1], 10, 16)
		l.must(err)
		l.direct.names[origin{uint32(table), int16(num)}] = l.v.Table + "." + *row[2]
		for s := range l.v.Columns {
			l.has[s] = l.has[s] || *row[2] == l.v.Columns[s][0].Name
		}
	}
}

// reset brings the data back to the seed after texts that were committed, and gives the ids of the rows that they left apart.
func (l *live) reset() (apart string) {
	l.t.Helper()
	form := OldOnly
	if !l.has[OldSide] {
		form = NewOnly
	}
	if l.has[OldSide] && l.has[NewSide] {
		for _, row := range l.ask(fmt.Sprintf(`SELECT t.id FROM %s t WHERE NOT %s AND NOT %s ORDER BY t.id`, l.v.table(), unset(l.v.each(NewSide, "t")), l.v.agree("t"))) {
			apart += " row " + *row[0]
		}
	}
	l.ask(l.v.seed(form)...)
	return apart
}

// texts are the reference's own, with the types that it found for their parameters.
func (r *reference) texts() []sent {
	var texts []sent
	for i, s := range r.steps {
		texts = append(texts, sent{Step: s, types: r.types[i]})
	}
	return texts
}

// run sends a case to the proxy of one client.
func (l *live) run(c *Case, which int, stand string, p Protocol, made *asked) {
	l.t.Helper()
	client := Clients[which]
	right, err := l.bench.right(c, client, p, made)
	l.must(err)
	o, err := l.clients[which].Run(right[0].texts(), p, c.Commit, client.Side)
	where := Where{Case: c, Variant: l.v, Stand: stand, Client: client, Protocol: p}
	if err != nil {
		l.t.Fatalf("%s, %s, %s, %s: %v", c, stand, client, p, err)
	}
	if c.Commit {
		o.Apart = l.reset()
	}
	l.bench.Report.Runs++
	for _, events := range o.Steps {
		if e := failure(events); e != nil && e.Code == "0A000" && !right[0].refused {
			if l.unknownSyntax(e, right[0]) {
				l.bench.Report.otherwise(where)
			} else {
				l.bench.Report.refused(where, e.Text)
			}
			return
		}
	}
	l.bench.compare(where, right, o, func(s Side) *Origins { return l.direct.origins(s, true) })
}

// unknownSyntax says whether a refusal stands for a syntax error of the server's: where the server's grammar is not the parser's, the proxy
// cannot know that it is one.
func (l *live) unknownSyntax(e *Event, right *reference) bool {
	return (l.major < 14 || l.major > 16) && strings.Contains(e.Text, "cannot be parsed") && slices.ContainsFunc(right.outcome.Steps, func(events []Event) bool {
		e := failure(events)
		return e != nil && e.Code == "42601"
	})
}

// TestLive sends the corpus through two proxies, each with clients of its own, while a real migration goes to its end and, before that, back to its beginning.
// At each stop each case goes by one client and one protocol, another at each; of the variants but the plain one, unless it is to be thorough, a part of the
// cases, another at each.
func TestLive(t *testing.T) {
	for _, v := range []*Variant{&Plain, &Required, &Quoted, &Price, &Persons} {
		t.Run(v.Name, func(t *testing.T) { goLive(t, v) })
	}
}

// goLive carries a variant's migration out.
func goLive(t *testing.T, v *Variant) {
	cases := corpusOf(t, v)
	l := newLive(t, v)
	ctx := context.Background()
	to := func(p lens.Phase) proxy.AdvanceOptions { return proxy.AdvanceOptions{To: &p, Yes: true} }
	name := l.v.Definition().Name
	forward := func(p lens.Phase) func() error { return func() error { return l.control.Advance(ctx, name, to(p)) } }
	back := func(p lens.Phase) func() error { return func() error { return l.control.Rollback(ctx, name, to(p)) } }
	unproved := func() error {
		o := to(lens.SwitchReads)
		o.Unproved = true
		return l.control.Advance(ctx, name, o)
	}
	proof := func() error {
		if err := l.control.Verify(ctx, name, false); err != nil {
			return err
		}
		l.until(func(m *migrate.MigrationStatus) bool { return m.Proved })
		return nil
	}
	stops := []struct {
		phase lens.Phase
		set   func() error
	}{
		{lens.DualWrite, func() error { return l.control.Start(ctx, l.v.Definition(), proxy.StartOptions{}) }},
		{lens.Backfilling, forward(lens.Backfilling)},
		{lens.SwitchReads, forward(lens.SwitchReads)},
		{lens.Contract, forward(lens.Contract)},
		{lens.SwitchReads, back(lens.SwitchReads)},
		{lens.Pending, back(lens.Pending)},
		{lens.SwitchReads, unproved},
		{lens.SwitchReads, proof},
		{lens.Contract, forward(lens.Contract)},
		{lens.Complete, forward(lens.Complete)},
	}
	newer := map[*Case]bool{}
	for n, stop := range stops {
		l.must(stop.set())
		l.reach(stop.phase)
		l.tidy()
		for i := range cases {
			c := &cases[i]
			if !strings.Contains(c.String()+" "+c.Steps[0].Text, *match) || v != &Plain && !*thorough && i%8 != n%8 {
				continue
			}
			var made asked
			ps := c.protocols()
			p := ps[(i+n/len(Clients))%len(ps)]
			if c.From > l.major {
				newer[c] = true
				continue
			}
			if which := (i + n) % len(Clients); c.meantFor(l.v, Clients[which]) {
				l.run(c, which, fmt.Sprintf("%s (stop %d)", stop.phase, n+1), p, &made)
			}
		}
	}
	t.Logf("the server is PostgreSQL %d; %d cases are for newer ones", l.major, len(newer))
	judge(t, &l.bench.Report)
}
