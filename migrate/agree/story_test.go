package agree

import (
	"fmt"
	"slices"
	"strings"
)

// story tells how a state was come to, for people: what each one does, and what has become of the whole where that has changed.
func (x *explored) story(id int32) string {
	var chain []int32
	for i := id; x.parent[i] >= 0; i = x.parent[i] {
		chain = append(chain, i)
	}
	slices.Reverse(chain)
	m := x.model
	w := m.initial()
	at := teller{}
	for i := range at.who {
		at.who[i] = int8(i)
	}
	at.follow(m.canonical(w))
	var b strings.Builder
	fmt.Fprintf(&b, "At the beginning: %s\n", strings.Join(at.tell(w), "; "))
	for n, i := range chain {
		a := x.by[i]
		var after *world
		m.step(w, func(did action, next *world, _ fault) {
			if after == nil && did == a && (n == len(chain)-1 || x.leads(next, chain[n+1:])) {
				after = next
			}
		})
		if after == nil {
			fmt.Fprintf(&b, "%3d. (this step cannot be told)\n", n+1)
			return b.String()
		}
		before, told := at.tell(w), at.does(a, w)
		at.follow(m.canonical(after))
		w = after
		fmt.Fprintf(&b, "%3d. %s\n", n+1, told)
		for k, text := range at.tell(w) {
			if text != before[k] {
				fmt.Fprintf(&b, "        %s\n", text)
			}
		}
	}
	return b.String()
}

// teller keeps the names of proxies and the numbers of epochs through a story.
type teller struct {
	who  [proxies]int8 // the proxy that stands at each place
	base int           // what epochs are to be counted from
}

func (t *teller) follow(was [proxies]int8, by int) {
	old := t.who
	for i := range was {
		t.who[i] = old[was[i]]
	}
	t.base += by
}

func (t *teller) proxy(i int8) string { return "proxy " + string(rune('A'+t.who[i])) }

func (t *teller) epoch(e int8) string { return fmt.Sprintf("epoch %d", int(e)+t.base) }

// leads says whether a state is the one that the rest of a story goes on from: two steps with the same name may lead to different ones.
func (x *explored) leads(w *world, rest []int32) bool {
	at := *w
	x.model.canonical(&at)
	found := false
	x.model.step(&at, func(did action, n *world, _ fault) {
		if !found && did == x.by[rest[0]] {
			found = len(rest) == 1 || x.leads(n, rest[1:])
		}
	})
	return found
}

// tell says how things stand: all together, and each proxy.
func (t *teller) tell(w *world) []string {
	settled := "settled"
	if !w.db.row().IsSettled() {
		settled = "not settled"
	}
	out := make([]string, 1+proxies)
	out[0] = fmt.Sprintf("%s, %s, %s", t.epoch(w.db.mark.epoch), w.db.stand, settled)
	if w.prepared != none {
		out[0] += "; a transaction of " + w.prepared.String() + " is prepared"
	}
	for i := range w.members {
		p := &w.members[i]
		text := t.proxy(int8(i)) + " "
		if p.follows {
			text = "(at the standby) " + text
		}
		switch p.life {
		case absent:
			text += "is not there"
		case crashed:
			text += "is dead"
		case joining:
			text += "has no place"
		case live:
			text += fmt.Sprintf("is at %s, %s", t.epoch(p.mark.epoch), p.stand)
			if !p.leased() {
				text += ", without a lease"
			}
		}
		if p.session != none {
			text += "; its session is in a transaction of " + p.session.String()
			text += [...]string{"", ", a statement in the proxy's hand", ", a statement on its way"}[p.at]
		}
		out[1+t.who[i]] = text
	}
	return out
}

// does says what is done.
func (t *teller) does(a action, w *world) string {
	p := ""
	if a.what <= theServerMissesTheClient && a.what != thePreparedOneEnds {
		p = t.proxy(a.who)
	}
	c := fmt.Sprintf("coordinator %d", a.who+1)
	switch a.what {
	case theProxyJoins:
		return p + " joins"
	case theProxyReadsTheEpoch:
		return p + " reads the epoch"
	case theProxyRenews:
		return p + " renews its lease"
	case theRenewalIsAnswered:
		return p + " gets the answer to its renewal"
	case theProxyLooksAtTheStandby:
		return p + " looks at the standby"
	case theProxyAcknowledges:
		return p + " acknowledges"
	case theClientBegins:
		return "a client of " + p + " begins a transaction"
	case theProxyAdmits:
		return p + " has its session registered, where it is not yet, and decides to send a statement"
	case theProxySends:
		return p + " sends it"
	case theServerExecutes:
		return "the server carries out the statement of " + p
	case theTransactionEnds:
		return "the transaction of " + p + " ends"
	case theTransactionIsPrepared:
		return "the transaction of " + p + " is prepared"
	case thePreparedOneEnds:
		return "the prepared transaction is committed"
	case theProxyCrashes:
		return p + " crashes"
	case theServerMissesTheClient:
		return "the server ends the session of " + p + ", whose client is gone"
	case timePasses:
		return "time passes"
	case timePassesSlowly:
		return "time passes, but not on the clock of " + t.proxy(a.who)
	case theCoordinatorLocks:
		return c + " takes the lock"
	case theCoordinatorTakes:
		return c + " becomes the holder of the epoch"
	case theCoordinatorLooks:
		return c + " looks at the epoch and at the proxies"
	case theCoordinatorJudges:
		return c + " looks at the renewals of " + t.proxy(a.arg)
	case theCoordinatorFences:
		return c + " fences " + t.proxy(a.arg)
	case theCoordinatorReadsPrepared:
		return c + " looks for prepared transactions"
	case theCoordinatorSettles:
		return c + " settles the epoch"
	case theCoordinatorChooses:
		return c + " prepares the change to " + ways[a.arg].to.String()
	case theCoordinatorWrites:
		return c + " writes the next epoch, " + w.coords[a.who].to.String()
	case theCoordinatorGivesUp:
		return c + " gives the change up"
	case theCoordinatorWritesBack:
		return c + " writes the epoch that gives it up, " + w.coords[a.who].to.String()
	case theCoordinatorIsTakenBack:
		return c + " is told to do something else"
	case theCoordinatorDies:
		return c + " dies"
	case theLockIsLost:
		return c + " loses the lock, and does not know it"
	case theServerRestarts:
		return "the server restarts"
	case theStandbyReplays:
		return "the standby replays, up to " + t.epoch(a.who)
	case theStandbyCatchesUp:
		return "the standby has everything so far"
	case theStandbyIsPromoted:
		return "the standby is promoted; what it did not have is lost"
	}
	return "?"
}
