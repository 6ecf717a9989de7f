package agree

// rule is one of the protocol's rules, for the tests that break it.
type rule int

const (
	noRule rule = iota
	noMargin
	earlyAcknowledgement
	noComparison
	joinWithoutLock
	leaseFromReply
	idleSessionsAreLeft
	strikeBeforeEnding
	preparedAreForgotten
	epochsByNumber
	registerAnywhere
	settleOnSight
	giveUpAnything
	switchUnproved
	dropEarly
	freshPlacesAreLeased
	fenceWithoutLooking
	acknowledgeUnreplayed
	followWithoutFloor
)

// model is a scenario to explore: what there is at the beginning, and what may happen.
type model struct {
	name   string
	start  stand
	within []stand // the stands that the migration may be at
	plain  int     // of how many proxies no session is looked at
	steady int     // how many of these never fail to renew their lease
	absent int     // how many join later
	// foreign: the control role may not end the sessions of proxies that have some.
	foreign  bool
	locks    bool // it matters who holds a lock on the table: for changes of it, and for prepared transactions
	second   int  // how many coordinators there are beside the first one
	timeless bool // nothing depends on time: it does not pass
	epochs   int8 // how many there may be; 0: no end, since only their differences count
	follow   int  // of how many proxies, the last ones, the sessions are at a standby
	left     budget
	broken   rule
}

func (m *model) breaks(r rule) bool { return m.broken == r }

func (m *model) initial() *world {
	first := mark{epoch: firstEpoch}
	w := world{
		db:      database{mark: first, settled: firstEpoch, stand: m.start, prior: none, columns: columnsAt(m.start), proved: m.start == proved || m.start.reads()},
		replica: database{prior: none}, prepared: none, left: m.left,
	}
	for c := range w.coords {
		w.coords[c] = coordinator{from: none, to: none}
	}
	for i := range w.members {
		p := &w.members[i]
		p.plain, p.steady, p.foreign = i < m.plain, i < m.steady, m.foreign && i >= m.plain
		p.session, p.stand = none, none
		if p.follows = i >= proxies-m.follow; p.follows {
			p.floor, p.shown = first, first
		}
		if p.late = i >= proxies-m.absent; p.late {
			continue
		}
		p.life, p.place, p.mark, p.stand, p.acked, p.reached = live, 1, first, m.start, firstEpoch, firstEpoch
		p.row = row{in: true, place: 1, ack: firstEpoch}
	}
	if m.left.failovers > 0 {
		w.replicate()
	}
	w.standby, w.past = shown{stand: none}, [2]shown{{stand: none}, {stand: none}}
	if m.follow > 0 {
		w.standby = w.db.shows()
	}
	return &w
}

func columnsAt(s stand) int8 {
	switch s {
	case pending:
		return oldColumn
	case complete:
		return newColumn
	}
	return oldColumn | newColumn
}

func (w *world) replicate() {
	w.replica = w.db
	for i := range w.members {
		w.members[i].replica = w.members[i].row
	}
}

// what names a step that the world can take.
type what int8

const (
	theProxyJoins what = iota
	theProxyReadsTheEpoch
	theProxyRenews
	theRenewalIsAnswered
	theProxyLooksAtTheStandby
	theProxyAcknowledges
	theClientBegins
	theProxyAdmits
	theProxySends
	theServerExecutes
	theTransactionEnds
	theTransactionIsPrepared
	thePreparedOneEnds
	theProxyCrashes
	theServerMissesTheClient
	timePasses
	timePassesSlowly
	theCoordinatorLocks
	theCoordinatorTakes
	theCoordinatorLooks
	theCoordinatorJudges
	theCoordinatorFences
	theCoordinatorReadsPrepared
	theCoordinatorSettles
	theCoordinatorChooses
	theCoordinatorWrites
	theCoordinatorGivesUp
	theCoordinatorWritesBack
	theCoordinatorIsTakenBack
	theCoordinatorDies
	theLockIsLost
	theServerRestarts
	theStandbyReplays
	theStandbyCatchesUp
	theStandbyIsPromoted
)

// action is a step, and who takes it.
type action struct {
	what     what
	who, arg int8
}

// fault is what a step did that must never be done; "" where it did nothing of the kind.
type fault string

// step hands every state that may follow to emit.
func (m *model) step(w *world, emit func(action, *world, fault)) {
	for i := range w.members {
		m.member(w, int8(i), emit)
	}
	for c := range w.coords[:1+m.second] {
		m.coordinator(w, int8(c), emit)
	}
	m.environment(w, emit)
}

// member takes the steps of one proxy, of its session, and of the server with it.
func (m *model) member(w *world, i int8, emit func(action, *world, fault)) {
	p := &w.members[i]
	do := func(a what, f func(n *world, p *member) fault) {
		n := *w
		bad := f(&n, &n.members[i])
		m.apply(&n.members[i])
		emit(action{what: a, who: i}, &n, bad)
	}
	switch p.life {
	case absent, joining:
		if m.breaks(joinWithoutLock) && p.stand == none { // the state is read in one transaction, the lease inserted in another
			do(theProxyReadsTheEpoch, func(n *world, p *member) fault {
				p.mark, p.stand = n.db.mark, n.db.stand
				return ""
			})
			return
		}
		do(theProxyJoins, func(n *world, p *member) fault {
			m.join(n, p)
			return ""
		})
	case live:
		if !p.replying {
			do(theProxyRenews, func(n *world, p *member) fault {
				m.renew(n, p)
				m.answer(n, p, 0)
				return ""
			})
			if w.left.replies > 0 {
				do(theProxyRenews, func(n *world, p *member) fault {
					n.left.replies--
					m.renew(n, p)
					p.replying, p.replyAge = true, 0
					return ""
				})
			}
		} else {
			do(theRenewalIsAnswered, func(n *world, p *member) fault {
				age := p.replyAge
				if m.breaks(leaseFromReply) {
					age = 0
				}
				m.answer(n, p, age)
				return ""
			})
		}
		place := p.whole()
		if p.follows && p.shown != w.standby.mark {
			do(theProxyLooksAtTheStandby, func(n *world, p *member) fault {
				p.shown, p.stand = n.standby.mark, n.standby.stand
				return ""
			})
		}
		epoch, due := place.Due()
		if p.follows && m.breaks(acknowledgeUnreplayed) {
			epoch, due = place.Mark.Epoch, place.Acked != place.Mark.Epoch
		}
		if due && !p.replying {
			do(theProxyAcknowledges, func(n *world, p *member) fault {
				there := p.row.in && p.row.place == p.place
				if there {
					p.row.ack = int8(epoch)
				}
				if place.Acknowledged(epoch, there) == Rejoin {
					p.lose()
				}
				p.acked = int8(place.Acked)
				return ""
			})
		}
		if w.left.crashes > 0 {
			do(theProxyCrashes, func(n *world, p *member) fault {
				n.left.crashes--
				at := p.at
				*p = member{plain: p.plain, foreign: p.foreign, late: p.late, steady: p.steady, follows: p.follows, life: crashed, session: p.session, touched: p.touched, row: p.row, replica: p.replica, seen: p.seen, stand: none}
				if at == sent {
					p.at = sent
				}
				if p.at == nowhere && !p.touched {
					p.session = none
				}
				return ""
			})
		}
	case crashed:
	}
	if !p.plain {
		m.session(w, i, do)
	}
}

// session takes the steps of a proxy's session.
func (m *model) session(w *world, i int8, do func(what, func(*world, *member) fault)) {
	p := &w.members[i]
	if p.life == live || p.life == joining {
		switch {
		case p.session == none && p.life == joining: // what it would begin is as if it had been begun before
		case p.session == none:
			do(theClientBegins, func(_ *world, p *member) fault { p.session = p.stand; return "" })
		case p.at == nowhere:
			do(theTransactionEnds, func(_ *world, p *member) fault { p.session, p.touched = none, false; return "" })
			place := p.whole()
			if Admit(now, place.Until(), p.row.registered || m.mayRegister(w, p), false) {
				do(theProxyAdmits, func(_ *world, p *member) fault { p.at, p.row.registered = admitted, true; return "" })
			}
			if p.touched && w.left.prepares > 0 && w.prepared == none {
				do(theTransactionIsPrepared, func(n *world, p *member) fault {
					n.left.prepares--
					n.prepared = p.session
					p.session, p.touched = none, false
					return ""
				})
			}
		case p.at == admitted:
			do(theProxySends, func(_ *world, p *member) fault { p.at = sent; return "" })
		}
	}
	if p.at == sent {
		do(theServerExecutes, func(n *world, p *member) fault {
			p.at, p.touched = nowhere, m.locks && !p.follows // no lock at a standby keeps the primary
			at := n.serverOf(p)
			switch {
			case p.session.names()&^at.columns != 0:
				return fault("a statement of " + p.session.String() + " names a column that is not there: the table has " + columns(at.columns))
			case p.session.reads() && !at.proved:
				return "a statement reads the new column, and it is not proved that it is filled"
			}
			return ""
		})
	}
	if p.life == crashed && p.at == nowhere && (p.session != none || p.row.registered) {
		do(theServerMissesTheClient, func(_ *world, p *member) fault { p.endSession(); return "" })
	}
}

// serverOf gives what the server shows that a proxy's session is at.
func (w *world) serverOf(p *member) shown {
	if p.follows {
		return w.standby
	}
	return w.db.shows()
}

// endSession is what the end of a server session comes to; the client connects anew.
func (p *member) endSession() {
	p.session, p.at, p.touched, p.row.registered = none, nowhere, false, false
}

// apply lets the host switch where no session runs under other stages: it is told at once.
func (m *model) apply(p *member) {
	if p.life != live {
		return
	}
	place := p.whole()
	switch {
	case p.session == none || p.session == p.stand || m.breaks(earlyAcknowledgement):
		if p.follows {
			if m.breaks(followWithoutFloor) {
				place.Floor = place.Shown
			}
			place.Applied(place.Shown)
		} else {
			place.Applied(place.Mark)
		}
	case p.reached == 0 && m.breaks(freshPlacesAreLeased):
		place.Reached = 1
	}
	p.reached = int8(place.Reached)
}

// join is one transaction, which holds the epoch's row: the lease is inserted and the state read.
func (m *model) join(n *world, p *member) {
	var lost Mark
	if p.life == joining {
		lost = p.mark.full()
	}
	if !m.breaks(joinWithoutLock) {
		m.arrive(n, lost)
		p.mark, p.stand = n.db.mark, n.db.stand
	}
	if p.follows {
		p.floor, p.shown, p.stand = n.db.mark, n.standby.mark, n.standby.stand
	}
	p.life, p.place, p.acked, p.reached, p.age = live, 1+p.replica.place%3, 0, 0, 0
	p.row = row{in: true, place: p.place, registered: p.row.registered}
	if m.breaks(joinWithoutLock) {
		p.row.ack, p.acked = p.mark.epoch, p.mark.epoch
	}
	for c := range p.seen {
		p.seen[c].known, p.seen[c].same, p.seen[c].judged, p.seen[c].age = false, false, false, 0
	}
}

// arrive is Controller.arrive.
func (m *model) arrive(n *world, lost Mark) {
	if m.breaks(epochsByNumber) {
		return
	}
	here := n.db.mark.full().History // of the connection; the row says which one was noted
	r := n.db.row()
	r.Timeline = int64(n.db.timelineNoted()) + 1
	next, changed := r.Arrived("x", here, lost)
	if !changed || next.Epoch == r.Epoch {
		return
	}
	n.writers++
	n.db.mark = mark{epoch: int8(next.Epoch), branch: int8(next.Branch), writer: n.writers, timeline: n.db.mark.timeline}
	n.db.settled, n.db.moved, n.db.ago = int8(next.Settled), next.Moved, 0
	n.db.noted = n.db.mark.timeline
}

// renew is the transaction of a renewal.
func (m *model) renew(n *world, p *member) {
	p.reply.found = p.row.in && p.row.place == p.place
	p.reply.acked, p.reply.mark, p.reply.stand = p.row.ack, n.db.mark, n.db.stand
	if p.reply.found {
		for c := range p.seen {
			p.seen[c].same = false
		}
	}
}

// answer is what the proxy makes of it.
func (m *model) answer(n *world, p *member, age int8) {
	place := p.whole()
	at := p.reply.mark.full()
	if m.breaks(epochsByNumber) {
		at.History, at.Branch, at.Writer = place.Mark.History, place.Mark.Branch, place.Mark.Writer
	}
	next := place.Renewed(now-dur(age), p.reply.found, int64(p.reply.acked), at)
	p.replying, p.replyAge = false, 0
	p.age, p.acked = int8((now-place.Sent)/tick), int8(place.Acked)
	if p.follows && next == Stay {
		p.mark = p.reply.mark
	}
	switch next {
	case Load:
		p.mark, p.stand = p.reply.mark, p.reply.stand
	case Rejoin:
		p.lose()
	case Stay:
		if m.breaks(epochsByNumber) {
			p.mark.writer, p.mark.branch, p.mark.timeline = p.reply.mark.writer, p.reply.mark.branch, p.reply.mark.timeline
		}
	}
	p.reply.found, p.reply.acked, p.reply.mark, p.reply.stand = false, 0, mark{}, pending
	_ = n
}

// lose is the loss of the place: nothing is sent until the proxy has joined anew.
func (p *member) lose() {
	p.life, p.reached, p.replying, p.replyAge, p.age = joining, 0, false, 0, leaseTicks+1
}
