package agree

// environment takes the steps of time, of the server and of its standby.
func (m *model) environment(w *world, emit func(action, *world, fault)) {
	do := func(a what, arg int8, f func(n *world)) {
		n := *w
		f(&n)
		emit(action{a, arg, 0}, &n, "")
	}
	if w.prepared != none {
		do(thePreparedOneEnds, 0, func(n *world) { n.prepared = none })
	}
	if m.timeless && w.db.moved && w.db.row().Rest(lease) > 0 {
		do(timePasses, -1, func(n *world) { n.db.ago++ }) // no lease runs out in it, which makes it no easier
	}
	if !m.timeless {
		do(timePasses, -1, func(n *world) { n.tick(-1) })
		if w.left.slow > 0 {
			for i := range w.members {
				if w.members[i].life == live && !w.members[i].steady {
					do(timePassesSlowly, int8(i), func(n *world) { n.left.slow--; n.tick(i) })
				}
			}
		}
	}
	if w.left.restarts > 0 {
		do(theServerRestarts, 0, func(n *world) { n.left.restarts--; n.restart() })
	}
	if m.follow > 0 {
		for _, s := range [...]shown{w.past[1], w.past[0], w.db.shows()} {
			if s.stand != none && s.mark.epoch > w.standby.mark.epoch {
				do(theStandbyReplays, s.mark.epoch, func(n *world) { n.standby = s })
			}
		}
	}
	if w.left.failovers > 0 {
		if w.left.replications > 0 && w.replica != w.db {
			do(theStandbyCatchesUp, 0, func(n *world) { n.left.replications--; n.replicate() })
		}
		do(theStandbyIsPromoted, 0, func(n *world) {
			n.left.failovers--
			timeline := n.db.mark.timeline + 1
			n.db = n.replica
			n.db.mark.timeline = timeline
			for i := range n.members {
				n.members[i].row = n.members[i].replica
			}
			n.restart()
		})
	}
}

// tick lets time pass, but for one proxy whose clock is slow.
func (w *world) tick(slow int) {
	for i := range w.members {
		p := &w.members[i]
		if p.steady && p.life == live && p.row.in && p.row.place == p.place && !p.mark.full().Forked(w.db.mark.full()) {
			p.age = 0
			for c := range p.seen {
				p.seen[c].same = false
			}
			continue
		}
		if i != slow && p.life == live {
			p.age = min(p.age+1, leaseTicks+1)
			if p.replying {
				p.replyAge = min(p.replyAge+1, leaseTicks+1)
			}
		}
		for c := range p.seen {
			if p.seen[c].known {
				p.seen[c].age = min(p.seen[c].age+1, deadTicks)
			}
		}
	}
	if w.db.moved {
		w.db.ago = min(w.db.ago+1, deadTicks)
	}
}

// restart ends all connections.
func (w *world) restart() {
	for i := range w.members {
		p := &w.members[i]
		p.endSession()
		if p.replying { // the answer is lost
			p.replying, p.replyAge = false, 0
			p.reply.found, p.reply.acked, p.reply.mark, p.reply.stand = false, 0, mark{}, pending
		}
		for c := range p.seen {
			p.seen[c].known, p.seen[c].same, p.seen[c].judged, p.seen[c].age = false, false, false, 0
		}
	}
	for c := range w.coords {
		w.end(int8(c))
	}
	w.lock = 0
}
