package agree

import (
	"os"
	"strings"
	"testing"
)

// most bounds a scenario: one that has more states than that is to be made smaller, since only what is explored in full says that nothing bad can be come to.
const most = 6_000_000

var (
	two   = []stand{proved, switchReads}
	three = []stand{proved, switchReads, writeNew}
	all   = []stand{pending, writeOld, expand, dualWrite, proved, switchReads, writeNew, complete}
)

// scenarios are explored by every run of the tests, and take seconds together.
func scenarios() []*model {
	return []*model{
		{name: "three proxies with sessions", start: proved, within: three, timeless: true},
		{name: "every stand", start: pending, within: all, plain: 2, timeless: true, locks: true, left: budget{givings: 1}},
		{name: "a coordinator dies anywhere", start: pending, within: all, plain: 2, timeless: true, locks: true, left: budget{deaths: 1}},
		{name: "prepared transactions", start: pending, within: all, plain: 2, timeless: true, locks: true, left: budget{prepares: 1}},
		{name: "the server restarts", start: proved, within: three, plain: 2, timeless: true, left: budget{restarts: 1}},
		{name: "a proxy joins during a change", start: proved, within: three, plain: 2, absent: 1, timeless: true, left: budget{givings: 1}},
		{name: "a coordinator wakes after it was replaced", start: proved, within: two, plain: 3, timeless: true, second: 1, left: budget{steals: 1, givings: 1}},
		{name: "a proxy is paused, and wakes late", start: proved, within: three, plain: 2, steady: 2},
		{name: "a session that may not be ended", start: proved, within: two, plain: 2, steady: 2, foreign: true},
		{name: "a slow clock", start: proved, within: two, plain: 3, steady: 2, left: budget{slow: 1, replies: 1}},
		{name: "a standby lags", start: pending, within: all, plain: 2, follow: 1, timeless: true, left: budget{givings: 1}},
		{name: "a proxy comes to a standby that lags, during a change", start: proved, within: three, plain: 2, follow: 1, absent: 1, timeless: true},
		{name: "a proxy with sessions at a standby is paused", start: proved, within: two, plain: 3, steady: 2, follow: 1},
		{name: "a failover loses the last writes", start: proved, within: two, plain: 3, epochs: 2, timeless: true, left: budget{failovers: 1, replications: 1}},
	}
}

// deep are explored where SEGUE_MODEL=deep asks for it, in some minutes.
func deep() []*model {
	return []*model{
		{name: "three paused proxies", start: proved, within: three, plain: 3, left: budget{deaths: 1}},
		{name: "two paused proxies with a session", start: proved, within: three, plain: 2, steady: 1, left: budget{crashes: 1}},
		{name: "crashes and deaths", start: proved, within: three, plain: 2, steady: 2, left: budget{crashes: 1, deaths: 1}},
		{name: "slow clocks and late answers", start: proved, within: three, plain: 2, steady: 2, left: budget{slow: 1, replies: 1}},
		{name: "two coordinators and a session", start: proved, within: three, plain: 2, timeless: true, second: 1, left: budget{steals: 1, deaths: 1, givings: 1}},
		{name: "two coordinators that judge leases", start: proved, within: two, plain: 3, steady: 2, second: 1, left: budget{steals: 1}},
		{name: "a late proxy and leases", start: proved, within: two, plain: 3, steady: 1, absent: 1, left: budget{crashes: 1, givings: 1}},
		{name: "every stand and mishap without time", start: pending, within: all, plain: 2, timeless: true, locks: true, absent: 1, left: budget{deaths: 1, givings: 1, restarts: 1, prepares: 1}},
		{name: "failover and a session", start: proved, within: two, plain: 2, epochs: 2, timeless: true, left: budget{failovers: 1, replications: 1}},
		{name: "a paused proxy at a standby", start: proved, within: three, plain: 2, steady: 2, follow: 1},
		{name: "two proxies at a standby", start: proved, within: three, plain: 1, follow: 2, timeless: true, left: budget{givings: 1}},
		{name: "failover and leases", start: proved, within: two, plain: 3, steady: 2, epochs: 1, left: budget{failovers: 1}},
		{name: "failover and a death", start: dualWrite, within: []stand{dualWrite, proved, switchReads}, plain: 3, epochs: 3, timeless: true, left: budget{failovers: 1, replications: 1, deaths: 1}},
	}
}

// TestModel explores what the protocol can come to. No state may have statements of stands that are not adjacent under way at once, a column dropped that a proxy may still
// name, reads before the proof, or a proxy struck off whose lease holds; and from every state the migration can come to its end, and back to its beginning.
func TestModel(t *testing.T) {
	list := scenarios()
	if os.Getenv("SEGUE_MODEL") == "deep" {
		list = append(list, deep()...)
	}
	for _, m := range list {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			x := m.explore(most)
			t.Logf("%d states, %d steps", len(x.parent), len(x.next))
			switch {
			case x.bad != "":
				t.Fatalf("%s\n%s", x.bad, x.story(int32(len(x.parent)-1)))
			case !x.full:
				t.Fatal("there are more states than are looked at")
			}
			if i := x.stuck(x.on, everywhere); i >= 0 {
				t.Fatalf("there is no way on\n%s", x.story(i))
			}
			if i := x.stuck(x.back, func(i int) bool { return !x.final[i] }); i >= 0 {
				t.Fatalf("there is no way back\n%s", x.story(i))
			}
		})
	}
}

func everywhere(int) bool { return true }

// TestBrokenRules breaks one rule of the protocol each, and demands that the model finds out: what it does not find, it could not have found in the code either.
func TestBrokenRules(t *testing.T) {
	for _, test := range []struct {
		rule  rule
		name  string
		model model
		want  string
	}{
		{noMargin, "no margin", model{start: proved, within: two, plain: 3, steady: 2, left: budget{slow: 1}}, "whose lease holds"},
		{leaseFromReply, "the lease counts from the answer", model{start: proved, within: two, plain: 3, steady: 2, left: budget{replies: 1}}, "whose lease holds"},
		{fenceWithoutLooking, "the counter is not looked at again", model{start: proved, within: two, plain: 3, steady: 2}, "whose lease holds"},
		{earlyAcknowledgement, "acknowledged before every session is there", model{start: proved, within: three, plain: 2, timeless: true}, "under way at once"},
		{noComparison, "no compare-and-swap", model{start: proved, within: three, plain: 3, timeless: true, second: 1, left: budget{steals: 1, givings: 1}}, "under way at once"},
		{joinWithoutLock, "the state is read before the lease is inserted", model{start: proved, within: three, plain: 2, absent: 1, timeless: true}, "under way at once"},
		{idleSessionsAreLeft, "idle sessions are left alone", model{start: proved, within: three, plain: 2, steady: 2, foreign: true}, "under way at once"},
		{strikeBeforeEnding, "struck off before its sessions have ended", model{start: proved, within: three, plain: 2, steady: 2}, "under way at once"},
		{preparedAreForgotten, "prepared transactions are not waited for", model{start: proved, within: three, plain: 2, timeless: true, locks: true, left: budget{prepares: 1}}, "under way at once"},
		{epochsByNumber, "after a failover, epochs are compared by their numbers", model{start: switchReads, within: three, plain: 3, epochs: 2, timeless: true, left: budget{failovers: 1, replications: 1}}, "under way at once"},
		{registerAnywhere, "sessions are registered on any server", model{start: dualWrite, within: []stand{dualWrite, proved, switchReads}, plain: 3, epochs: 2, timeless: true, left: budget{failovers: 1, replications: 1}}, "before the proof"},
		{settleOnSight, "settled without waiting", model{start: proved, within: three, plain: 2, timeless: true}, "under way at once"},
		{giveUpAnything, "given up to another stand than the one before", model{start: proved, within: three, plain: 2, timeless: true, left: budget{givings: 1}}, "under way at once"},
		{switchUnproved, "reads switch without a proof", model{start: dualWrite, within: []stand{dualWrite, proved, switchReads}, plain: 2, timeless: true}, "before the proof"},
		{dropEarly, "the column is dropped with the epoch that no longer writes it", model{start: switchReads, within: []stand{switchReads, writeNew}, plain: 2, timeless: true}, "column that is not there"},
		{acknowledgeUnreplayed, "acknowledged before the standby has replayed it", model{start: proved, within: three, plain: 2, follow: 1, timeless: true}, "under way at once"},
		{followWithoutFloor, "a place at a standby serves what it shows at once", model{start: proved, within: three, plain: 2, follow: 1, absent: 1, timeless: true}, "under way at once"},
		{freshPlacesAreLeased, "a lease before the host has applied the state", model{start: proved, within: three, plain: 2, steady: 2}, "under way at once"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := test.model
			m.broken = test.rule
			x := m.explore(most)
			if x.bad == "" {
				t.Fatalf("nothing was found in %d states", len(x.parent))
			}
			story := x.story(int32(len(x.parent) - 1))
			t.Logf("%s, found in %d states:\n%s", x.bad, len(x.parent), story)
			if !strings.Contains(string(x.bad), test.want) {
				t.Errorf("found %q, not %q", x.bad, test.want)
			}
			if strings.Contains(story, "cannot be told") {
				t.Error("the story has a gap")
			}
		})
	}
}
