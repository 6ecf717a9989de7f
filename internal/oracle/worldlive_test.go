package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/internal/pgtest"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

// liveWorld is a world whose migrations are carried out, with two proxies in front of it.
type liveWorld struct {
	t       *testing.T
	lab     *WorldLab // has the references
	direct  *worldDB  // the database itself, past the proxies
	control *migrate.Controller
	clients map[string]*Conn // by proxy and version
	addrs   []string
	name    string // of the database
}

func newLiveWorld(t *testing.T, w *World) *liveWorld {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
	ctx := context.Background()
	l := &liveWorld{t: t, lab: NewWorldLab(func() string { return pgtest.Shared().DSN(pgtest.Database(t)) }), clients: map[string]*Conn{}}
	closes(t, l.lab.Close)
	l.must(l.lab.Enter(ctx, w, "none of the stands"))
	l.lab.Report.Worlds++
	l.name = pgtest.Database(t)
	slot, err := l.lab.slotAt(ctx, pgtest.Shared().DSN(l.name))
	l.must(err)
	l.direct = &worldDB{slot: slot, shape: make(shape, len(w.Changes)), world: w} // old only
	l.must(l.lab.make(ctx, l.direct))
	_, err = slot.setup.Exec(ctx, "DROP SCHEMA segue CASCADE")
	l.must(err)
	for range 2 {
		addr, control := startProxy(t, pgtest.Shared().DSN(l.name))
		l.addrs = append(l.addrs, addr)
		l.control = control
	}
	return l
}

func (l *liveWorld) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// client gives the session of a version at one of the proxies.
func (l *liveWorld) client(v lens.Version, which int) *Conn {
	l.t.Helper()
	key := fmt.Sprint(v, which)
	if l.clients[key] == nil {
		c, err := Dial(context.Background(), fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&options=-csegue.version%%3D%s", l.addrs[which], l.name, v))
		l.must(err)
		closes(l.t, c.Close)
		l.clients[key] = c
	}
	return l.clients[key]
}

// settle waits until every migration is settled, with nothing more to be done, and stands as it should.
func (l *liveWorld) settle(stands func([]migrate.MigrationStatus) bool) {
	l.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := l.control.Status(context.Background())
		l.must(err)
		var s migrate.Status
		l.must(json.Unmarshal(text, &s))
		done := true
		for i := range s.Migrations {
			m := &s.Migrations[i]
			if m.Error != "" && m.Working == "" {
				l.t.Fatalf("%s: %s", m.Name, m.Error)
			}
			done = done && m.Settled && m.Working == "" && m.Step == lens.NoStep
		}
		if done && stands(s.Migrations) {
			return
		}
		select {
		case <-deadline:
			l.t.Fatalf("waited %s for a phase, and it stands so:\n%s", patience, text)
		case <-tick.C:
		}
	}
}

// learn learns the columns of the table as they are now.
func (l *liveWorld) learn() {
	l.t.Helper()
	own, err := readCatalog(context.Background(), l.direct.setup, firstOwnOID)
	l.must(err)
	l.direct.names = map[origin]string{}
	for _, t := range l.lab.World.all() {
		for _, of := range t.relations() {
			rel := own.relation(of)
			if rel == nil { // the new table of a split, which is not there yet
				continue
			}
			for _, c := range rel.Columns {
				l.direct.names[origin{rel.OID, c.Num}] = t.Name + "." + c.Name
			}
			l.direct.names[origin{rel.OID, 0}] = t.Name + ".whole row"
		}
	}
}

// check sends scripts to the references and through the proxies, each by one of the versions that it can go by.
func (l *liveWorld) check(stop int, phases []lens.Phase, scripts []*Script) {
	l.t.Helper()
	w := l.lab.World
	refs := make([]*pending, len(scripts))
	for i, s := range scripts {
		texts := make([]sent, len(s.Steps))
		for j, st := range s.Steps {
			texts[j].Step = st.Step
		}
		refs[i] = l.lab.dbs[s.Code.reference().String()].add(s, texts)
	}
	l.must(l.lab.run())
	stand := &worldStand{name: fmt.Sprint(phases)}
	for _, p := range phases {
		for side := range stand.keeps {
			stand.keeps[side] = append(stand.keeps[side], false)
		}
		stand.stages = append(stand.stages, lens.Stage{Phase: p})
	}
	for i, s := range scripts {
		ref := refs[i].outcome
		versions := l.lab.clients(s)
		v := versions[(stop+i)%len(versions)]
		if v == lens.Auto && meaningless(ref) {
			v = versions[0]
		}
		conn := l.client(v, i%2)
		// What may have changed is asked for through the proxy, too, as the code's own.
		conn.queue(s, refs[i].texts, w.begin(), w.contents(s.Code.reference(), s.Code))
		replies, err := conn.Replies()
		if err != nil {
			l.t.Fatalf("%s, %s at %s: %v\n%s", w.Name, s.Name, stand.name, err, s)
		}
		got, _, err := s.collect(replies, func(events []Event) ([]Event, string) { return events, "" })
		l.must(err)
		l.lab.Report.counted(s, ref)
		a := &attempt{script: s, stand: stand, version: v}
		if refused := slices.IndexFunc(got.Steps, func(events []Event) bool {
			e := failure(events)
			return e != nil && e.Code == "0A000" && strings.HasPrefix(e.Text, "segue: ")
		}); refused >= 0 {
			if !failed(ref) {
				a.refusal = failure(got.Steps[refused]).Text
				l.lab.Report.refused(l.lab, a)
			}
			continue
		}
		l.lab.judge(a, ref, got, l.direct.names, l.direct.types)
	}
}

// liveWorlds gives the worlds of the seed whose migrations are carried out: where it is not said how many statements there are to be, some of seed 1 that
// have, between them, a rename, changes of a type and of columns, NOT NULL with a default, odd names, two migrations of one table and of two.
func liveWorlds(t *testing.T) []uint64 {
	worlds := []uint64{0, 1, 3}
	if n := statements(t, 0); n > 0 {
		const each = 2000 // statements of TestWorlds
		worlds = nil
		for k := range max(uint64(n)/each, 1) {
			worlds = append(worlds, k)
		}
	}
	return worlds
}

// scriptsAtStop is how many scripts are run at each stop of a migration.
const scriptsAtStop = 20

// TestLiveWorlds runs generated scripts through two proxies while the migrations of a generated world go forth, back to the beginning, and to their end.
func TestLiveWorlds(t *testing.T) {
	for _, k := range liveWorlds(t) {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			w := newWorld(newChoices(*seed, k<<20))
			w.Name = fmt.Sprintf("seed %d, world %d", *seed, k)
			l := newLiveWorld(t, w)
			ctx := context.Background()
			next := uint64(0)
			stop := 0
			at := func(phases ...lens.Phase) {
				t.Helper()
				l.settle(func(ms []migrate.MigrationStatus) bool {
					for _, m := range ms {
						if m.Phase != phases[slices.IndexFunc(w.Changes, func(c *change) bool { return c.Migration == m.Name })] {
							return false
						}
					}
					return len(ms) == len(phases)
				})
				l.learn()
				var scripts []*Script
				for range scriptsAtStop {
					s, _ := namedScript(*seed, k, next, w)
					next++
					scripts = append(scripts, s)
				}
				stop++
				l.check(stop, phases, scripts)
			}
			to := func(i int, p lens.Phase) {
				t.Helper()
				l.must(l.control.Advance(ctx, w.Changes[i].Migration, proxy.AdvanceOptions{To: &p, Yes: true}))
			}
			back := func(i int, p lens.Phase) {
				t.Helper()
				l.must(l.control.Rollback(ctx, w.Changes[i].Migration, proxy.AdvanceOptions{To: &p, Yes: true}))
			}
			t.Logf("%s", w)
			for _, c := range w.Changes {
				l.must(l.control.Start(ctx, c.Definition(), proxy.StartOptions{}))
				l.settle(func([]migrate.MigrationStatus) bool { return true })
			}
			if len(w.Changes) == 1 {
				at(lens.DualWrite)
				to(0, lens.SwitchReads)
				at(lens.SwitchReads)
				to(0, lens.Contract)
				at(lens.Contract)
				back(0, lens.Pending)
				at(lens.Pending)
				to(0, lens.Backfilling)
				at(lens.Backfilling)
				to(0, lens.Complete)
				at(lens.Complete)
			} else {
				at(lens.DualWrite, lens.DualWrite)
				to(0, lens.SwitchReads)
				at(lens.SwitchReads, lens.DualWrite)
				to(1, lens.Contract)
				at(lens.SwitchReads, lens.Contract)
				back(1, lens.Pending)
				at(lens.SwitchReads, lens.Pending)
				to(1, lens.SwitchReads)
				to(0, lens.Complete)
				at(lens.Complete, lens.SwitchReads)
				to(1, lens.Complete)
				at(lens.Complete, lens.Complete)
			}
			t.Log(l.lab.Report.Summary())
			if *examples {
				t.Log(l.lab.Report.Examples())
			}
			for _, d := range l.lab.Report.Differences {
				t.Error(d.Text)
			}
		})
	}
}

// TestLiveSplitWorlds does the same in worlds whose migration splits a table.
func TestLiveSplitWorlds(t *testing.T) {
	const each = 2000                                      // statements of TestSplitWorlds
	stops := []lens.Phase{lens.SwitchReads, lens.Complete} // TestLiveSplits has the others, with fixed cases
	n := statements(t, 1)
	if n > 1 {
		stops = []lens.Phase{lens.Backfilling, lens.SwitchReads, lens.Contract, lens.Pending, lens.SwitchReads, lens.Complete}
	}
	for k := range uint64(max(n/each, 1)) {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			w := newSplitWorld(newChoices(*seed, k<<20))
			w.Name = fmt.Sprintf("seed %d, world %d", *seed, k)
			l := newLiveWorld(t, w)
			ctx := context.Background()
			next := uint64(0)
			at := func(stop int, p lens.Phase) {
				t.Helper()
				l.settle(func(ms []migrate.MigrationStatus) bool { return len(ms) == 1 && ms[0].Phase == p })
				l.learn()
				var scripts []*Script
				for range scriptsAtStop {
					s, _ := namedScript(*seed, k, next, w)
					next++
					switch {
					case s.Code[0] == OldSide && p == lens.Complete, s.Code[0] == NewSide && p < lens.SwitchReads && (s.Early || s.Writes):
						continue // old code has had its time; what new code's contents are, cannot be asked yet
					}
					scripts = append(scripts, s)
				}
				l.check(stop, []lens.Phase{p}, scripts)
			}
			t.Logf("%s", w)
			l.must(l.control.Start(ctx, w.Changes[0].Definition(), proxy.StartOptions{}))
			at(1, lens.DualWrite)
			for i, p := range stops {
				if p == lens.Pending {
					l.must(l.control.Rollback(ctx, w.Changes[0].Migration, proxy.AdvanceOptions{To: &p, Yes: true}))
				} else {
					l.must(l.control.Advance(ctx, w.Changes[0].Migration, proxy.AdvanceOptions{To: &p, Yes: true, QuietFor: new(time.Duration)}))
				}
				at(i+2, p)
			}
			t.Log(l.lab.Report.Summary())
			for _, d := range l.lab.Report.Differences {
				t.Error(d.Text)
			}
		})
	}
}
