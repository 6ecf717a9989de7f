package agree

import "slices"

// coordinator takes the steps of one coordinator. Each is one transaction at most: between any two of them everything else may happen.
func (m *model) coordinator(w *world, c int8, emit func(action, *world, fault)) {
	co := &w.coords[c]
	me := c + 1
	do := func(a what, arg int8, f func(n *world, co *coordinator) fault) {
		n := *w
		bad := f(&n, &n.coords[c])
		emit(action{a, c, arg}, &n, bad)
	}
	if co.step == idle {
		if w.lock == 0 {
			do(theCoordinatorLocks, 0, func(n *world, co *coordinator) fault {
				n.lock, co.step = me, locked
				return ""
			})
		}
		return
	}
	if w.left.deaths > 0 {
		do(theCoordinatorDies, 0, func(n *world, _ *coordinator) fault { n.left.deaths--; n.end(c); return "" })
	}
	if w.left.steals > 0 && w.lock == me {
		do(theLockIsLost, 0, func(n *world, co *coordinator) fault { n.left.steals--; n.lock = 0; return "" })
	}
	switch co.step {
	case idle:
	case locked:
		do(theCoordinatorTakes, 0, func(n *world, co *coordinator) fault {
			m.arrive(n, Mark{})
			n.db.holder, co.step = me, settling
			return ""
		})
	case settling, waiting:
		m.settle(w, c, do)
	case cleared:
		do(theCoordinatorReadsPrepared, 0, func(n *world, co *coordinator) fault { m.readPrepared(n, co, me); return "" })
	case nobody:
		do(theCoordinatorSettles, 0, func(n *world, co *coordinator) fault {
			r := n.db.row()
			if err := r.MaySettle(name(me), int64(co.epoch)); err != nil && !m.breaks(noComparison) {
				n.end(c)
				return ""
			}
			n.db.settled, n.db.moved, n.db.ago = n.db.mark.epoch, false, 0
			co.step = settling
			if co.wrote {
				n.end(c)
			}
			return ""
		})
	case chosen:
		do(theCoordinatorIsTakenBack, 0, func(n *world, _ *coordinator) fault { n.end(c); return "" })
		if m.mayAlter(w, way{from: co.from, to: co.to}) {
			do(theCoordinatorWrites, 0, func(n *world, co *coordinator) fault { m.write(n, c); return "" })
		}
	case yielding:
		if w.db.row().Rest(lease) == 0 {
			do(theCoordinatorWritesBack, 0, func(n *world, co *coordinator) fault { m.writeBack(n, c); return "" })
		}
	}
}

// end is the end of a coordinator's work; the lock goes with its connection.
func (w *world) end(c int8) {
	w.coords[c] = coordinator{from: none, to: none}
	if w.lock == c+1 {
		w.lock = 0
	}
	w.forget(c)
}

// forget forgets what a coordinator has seen of the proxies. A process keeps that for its next work; here each begins to count anew, which is slower to take a proxy for dead.
func (w *world) forget(c int8) {
	for i := range w.members {
		s := &w.members[i].seen[c]
		s.known, s.same, s.judged, s.age = false, false, false, 0
	}
}

// settle takes one round of waiting for an epoch.
func (m *model) settle(w *world, c int8, do func(what, int8, func(*world, *coordinator) fault)) {
	co := &w.coords[c]
	me := c + 1
	r := w.db.row()
	s := Settling{Me: name(me)}
	settled, err := s.Look(r)
	if err != nil && m.breaks(noComparison) {
		settled, err = r.IsSettled(), nil
	}
	switch {
	case err != nil, settled && co.step == waiting:
		do(theCoordinatorLooks, 0, func(n *world, _ *coordinator) fault { n.end(c); return "" })
		return
	case settled:
		found := false
		for i, x := range ways {
			if x.from != w.db.stand || !slices.Contains(m.within, x.to) || x.needsProof && !w.db.proved && !m.breaks(switchUnproved) ||
				m.epochs > 0 && w.db.mark.epoch >= firstEpoch+m.epochs {
				continue
			}
			found = true
			do(theCoordinatorChooses, int8(i), func(_ *world, co *coordinator) fault {
				co.step, co.from, co.to = chosen, x.from, x.to
				return ""
			})
		}
		if !found {
			do(theCoordinatorLooks, 0, func(n *world, _ *coordinator) fault { n.end(c); return "" })
		}
		return
	}
	behind := false
	for i := range w.members {
		p := &w.members[i]
		if !p.row.in || p.row.ack >= w.db.mark.epoch {
			continue
		}
		behind = true
		if !m.timeless {
			m.judge(w, c, int8(i), do)
		}
	}
	if !behind || m.breaks(settleOnSight) {
		do(theCoordinatorLooks, 0, func(n *world, co *coordinator) fault {
			co.step, co.wrote, co.epoch = cleared, co.step == waiting, n.db.mark.epoch
			n.forget(c)
			return ""
		})
	}
	late := r.Late(int64(w.db.mark.epoch), w.db.prior != none)
	if w.left.givings > 0 && (late == GiveUp || m.breaks(giveUpAnything) && w.db.prior != none) {
		do(theCoordinatorGivesUp, 0, func(n *world, co *coordinator) fault {
			n.left.givings--
			co.step, co.from, co.to = yielding, n.db.stand, n.db.prior
			if m.breaks(giveUpAnything) {
				co.to = beforePrior(n.db.prior)
			}
			return ""
		})
	}
}

// beforePrior is a stand that is not the one that a change came from.
func beforePrior(s stand) stand {
	for _, x := range ways {
		if x.to == s && !x.back {
			return x.from
		}
	}
	return s
}

// judge looks at a proxy that has not acknowledged; one that is dead is fenced on the way.
func (m *model) judge(w *world, c, i int8, do func(what, int8, func(*world, *coordinator) fault)) {
	p := &w.members[i]
	saw := &p.seen[c]
	// The counter's value matters only in that it is, or is not, the one that was seen last.
	const counter = 7
	sighting := Sighting{Known: saw.known, Renewals: counter - 1, Since: now - dur(saw.age)}
	if saw.same {
		sighting.Renewals = counter
	}
	next, silent := sighting.See(counter, now)
	margin := dur(0)
	if m.breaks(noMargin) {
		margin = Margin
	}
	dead := Judge(silent, lease-margin) == Dead
	age := int8((now - next.Since) / tick)
	if saw.known != true || !saw.same || saw.age != age || dead != saw.judged {
		do(theCoordinatorJudges, i, func(n *world, _ *coordinator) fault {
			x := &n.members[i].seen[c]
			x.known, x.same, x.age, x.judged = true, true, age, dead
			return ""
		})
	}
	if !saw.judged {
		return
	}
	sessions := 0
	if p.row.registered && !(m.breaks(idleSessionsAreLeft) && p.foreign && !p.touched) && !m.breaks(strikeBeforeEnding) {
		sessions = 1
	}
	judged := int64(counter)
	if !saw.same && !m.breaks(fenceWithoutLooking) {
		judged--
	}
	fate := Fence(judged, counter, sessions)
	if fate == Wait && p.foreign {
		return // until it ends by itself
	}
	do(theCoordinatorFences, i, func(n *world, _ *coordinator) fault {
		p := &n.members[i]
		p.seen[c].judged = false
		switch fate {
		case Spare:
			return ""
		case Wait:
			p.seen[c].judged = true
			p.endSession()
			return m.wronged(p, "ended a session")
		case Strike:
		}
		p.row = row{}
		for x := range p.seen {
			p.seen[x].known, p.seen[x].same, p.seen[x].judged, p.seen[x].age = false, false, false, 0
		}
		return m.wronged(p, "struck off a proxy")
	})
}

// wronged says whether a proxy was taken for dead that holds a lease by its own clock: its clients get errors for nothing.
func (m *model) wronged(p *member, what string) fault {
	if p.leased() && p.row.in != (p.row.place == 0) && p.life == live {
		return fault(what + " whose lease holds")
	}
	return ""
}

// readPrepared looks for prepared transactions, once no proxy is behind.
func (m *model) readPrepared(n *world, co *coordinator, me int8) {
	s := Settling{Me: name(me)}
	const there = "there"
	switch co.prepared {
	case 1:
		s.Prepared(nil)
	case 2:
		s.Prepared([]string{there})
	}
	var found []string
	if n.prepared != none && !m.breaks(preparedAreForgotten) {
		found = []string{there}
	}
	left := s.Prepared(found)
	if co.prepared == 0 {
		co.prepared = int8(1 + len(found))
	}
	switch {
	case len(left) == 0 && n.db.row().Rest(lease) == 0:
		co.step, co.prepared = nobody, 0
	case co.wrote:
		co.step = waiting
	default:
		co.step = settling
	}
}

// mayAlter says whether nobody holds a lock on the table that a change of it would wait for.
func (m *model) mayAlter(w *world, x way) bool {
	x = *find(x.from, x.to)
	if x.add == 0 && x.drop == 0 {
		return true
	}
	for i := range w.members {
		if w.members[i].touched {
			return false
		}
	}
	return w.prepared == none
}

func find(from, to stand) *way {
	for i := range ways {
		if ways[i].from == from && ways[i].to == to {
			return &ways[i]
		}
	}
	panic("no way from " + from.String() + " to " + to.String())
}

// write is the transaction of a change.
func (m *model) write(n *world, c int8) {
	co := &n.coords[c]
	err := n.db.row().MayWrite(name(c+1), false)
	if m.breaks(noComparison) {
		err = nil
	} else if n.db.stand != co.from {
		err = ErrReplaced
	}
	if err != nil {
		n.end(c)
		return
	}
	x, before := find(co.from, co.to), n.db.shows()
	prior := co.from
	if x.fixed {
		prior = none
	}
	n.db.columns = n.db.columns&^x.drop | x.add
	if m.breaks(dropEarly) && x.to == writeNew {
		n.db.columns &^= oldColumn
	}
	n.db.proved = n.db.proved && x.drop != newColumn || x.proves && !m.breaks(switchUnproved)
	m.next(n, co.to, prior, before)
	co.step, co.from, co.to = waiting, none, none
}

// writeBack is the transaction that gives a change up.
func (m *model) writeBack(n *world, c int8) {
	co := &n.coords[c]
	err := n.db.row().MayWrite(name(c+1), true)
	if m.breaks(noComparison) {
		err = nil
	} else if n.db.stand != co.from {
		err = ErrReplaced
	}
	if err != nil {
		n.end(c)
		return
	}
	m.next(n, co.to, none, n.db.shows())
	co.step, co.from, co.to = waiting, none, none
}

// next writes the next epoch.
func (m *model) next(n *world, to, prior stand, before shown) {
	if m.follow > 0 {
		n.past = [2]shown{before, n.past[0]}
	}
	n.db.stand, n.db.prior = to, prior
	n.db.mark.epoch++
	if m.left.failovers > 0 {
		n.writers++
		n.db.mark.writer = n.writers
	}
}
