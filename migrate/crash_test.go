package migrate

import (
	"context"
	"slices"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// smallTable has one of everything that steps work on.
const smallTable = `
CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'nobody', email text);
CREATE INDEX users_name_idx ON users (name);
ALTER TABLE users ALTER name SET STATISTICS 50;
INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 20) i;
`

// leg is one request of the way, and where it arrives.
type leg struct {
	name   string
	phase  lens.Phase // where it begins
	ask    func(p *testProxy) error
	arrive stand
}

func legs() []leg {
	to := func(phase lens.Phase) func(p *testProxy) error {
		return func(p *testProxy) error { return p.goTo(phase) }
	}
	at := func(phase lens.Phase, proved bool) stand {
		return stand{Live: true, Stage: lens.Stage{Phase: phase, Proved: proved}}
	}
	return []leg{
		{"start", -1, func(p *testProxy) error { return p.Start(context.Background(), renameUsers(), proxy.StartOptions{}) }, at(lens.DualWrite, false)},
		{"backfill", lens.DualWrite, to(lens.Backfilling), at(lens.Backfilling, true)},
		{"switch-reads", lens.Backfilling, to(lens.SwitchReads), at(lens.SwitchReads, true)},
		{"contract", lens.SwitchReads, to(lens.Contract), at(lens.Contract, true)},
		{"complete", lens.Contract, to(lens.Complete), at(lens.Complete, true)},
	}
}

func (p *testProxy) bring(to lens.Phase) {
	p.t.Helper()
	if to < 0 {
		return
	}
	p.start()
	if to > lens.DualWrite {
		p.advance(to)
	}
}

// record notes the points that a request passes.
func (p *testProxy) record(ask func() error) []string {
	p.t.Helper()
	var points []string
	p.hooks.all(func(point string) error {
		// What is before a change is what is after the last one, but for the first.
		if !slices.Contains(points, point) && (len(points) == 0 || !strings.HasPrefix(point, "before ")) {
			points = append(points, point)
		}
		return nil
	})
	p.ok(ask())
	p.hooks.all(nil)
	return points
}

// TestCrashAnywhere ends a coordinator at every point of every request, and lets another proxy go on from there: the way forward ends where it would have
// ended, and the way back leaves the schema as it was before the start.
func TestCrashAnywhere(t *testing.T) {
	for _, l := range legs() {
		t.Run(l.name, func(t *testing.T) {
			e := newEnv(t, smallTable)
			before := e.dump()
			p := e.proxy(0)
			p.bring(l.phase)
			points := p.record(func() error { return l.ask(p) })
			arrived := e.dump()
			p.end()
			if len(points) < 3 {
				t.Fatalf("points: %q", points)
			}
			for _, point := range points {
				t.Run(point, func(t *testing.T) {
					e := newEnv(t, smallTable)
					p, q := e.proxy(0), e.proxy(0)
					p.bring(l.phase)
					p.hooks.on(point, die)
					if err := l.ask(p); err != nil {
						t.Fatal(err)
					}
					if p.finished() == "" {
						t.Fatal("nobody was told that the work ended")
					}
					e.writeWhileItLasts()
					if point == "settled "+lastChange(l) {
						q.finished() // it had arrived
					} else {
						q.ok(q.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &l.arrive.Phase, Yes: true}))
					}
					q.at(l.arrive.Phase, l.arrive.Step, l.arrive.Proved)
					if got := e.dump(); got != arrived {
						t.Fatalf("the schema is not what it would have been:\n%s", got)
					}
					if l.arrive.Phase == lens.Complete {
						return
					}
					q.rollback(lens.Pending)
					q.drop()
					if got := e.dump(); got != before {
						t.Fatalf("the schema is not what it was:\n%s", got)
					}
				})
			}
		})
	}
}

// writeWhileItLasts writes by old names as a session does that bypasses the proxies, wherever the migration stands.
func (e *env) writeWhileItLasts() {
	e.t.Helper()
	if e.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'name' AND NOT attisdropped") == "1" {
		e.exec("INSERT INTO users (id, name) VALUES (100, 'late')", "UPDATE users SET name = 'changed' WHERE id = 7")
	}
}

// lastChange is the change that a leg arrives with.
func lastChange(l leg) string {
	switch l.arrive.Phase {
	case lens.DualWrite:
		return "dual-write"
	case lens.Backfilling:
		return "prove"
	default:
		return l.arrive.Phase.String()
	}
}

// TestCrashOnTheWayBack ends a rollback at every point.
func TestCrashOnTheWayBack(t *testing.T) {
	fromWriteNew := func(p *testProxy) {
		p.bring(lens.Contract)
		p.hooks.on("settled write-new", die)
		if err := p.goTo(lens.Complete); err != nil {
			p.t.Fatal(err)
		}
		p.finished()
		p.hooks.on("settled write-new", nil)
	}
	e := newEnv(t, smallTable)
	before := e.dump()
	p := e.proxy(0)
	fromWriteNew(p)
	back := func(p *testProxy) error {
		to := lens.Pending
		return p.Rollback(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &to})
	}
	points := p.record(func() error { return back(p) })
	p.end()
	if len(points) < 10 {
		t.Fatalf("points: %q", points)
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			e := newEnv(t, smallTable)
			p, q := e.proxy(0), e.proxy(0)
			fromWriteNew(p)
			p.hooks.on(point, die)
			if err := back(p); err != nil {
				t.Fatal(err)
			}
			p.finished()
			e.writeWhileItLasts()
			if point != "settled pending" {
				q.ok(back(q))
			}
			q.at(lens.Pending, lens.NoStep, false)
			q.drop()
			if got := e.dump(); got != before {
				t.Fatalf("the schema is not what it was:\n%s", got)
			}
		})
	}
}

// A state that cannot be read for a while leaves the proxy with what it knows.
func TestStateThatCannotBeRead(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.start()
	before := p.host.current()
	renewals := func() string { return e.value("SELECT renewals FROM segue.proxy") }
	e.exec("ALTER TABLE segue.migration RENAME TO away")
	for range 2 { // the first renewal does not find it, and the second one goes on from what was known
		last := renewals()
		until(t, "a renewal", func() bool { return renewals() != last })
	}
	if p.host.current() != before {
		t.Error("another state was applied")
	}
	e.exec("ALTER TABLE segue.away RENAME TO migration")
	until(t, "the state", func() bool { return p.host.current() != before })
	p.advance(lens.Backfilling)
}
