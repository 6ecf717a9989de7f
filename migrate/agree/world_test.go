package agree

import "time"

// The model's clock ticks in units of the margin: a lease is leaseTicks of them.
const (
	tick       = Margin
	leaseTicks = 1
	lease      = leaseTicks * tick
	now        = 1000 * time.Second // the moment at which every step is taken: the world knows ages only
	deadTicks  = leaseTicks + 2     // from here on a proxy is dead, whoever judges: ages are not counted further
)

const (
	proxies      = 3
	coordinators = 2
	firstEpoch   = 10
)

// mark is Mark, as small as the model needs it.
type mark struct{ epoch, branch, writer, timeline int8 }

func (m mark) full() Mark {
	return Mark{History{"system", int64(m.timeline) + 1}, int64(m.branch), int64(m.epoch), [...]string{"", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}[m.writer]}
}

// row is a proxy's row in the database, with its session's.
type row struct {
	in         bool
	place, ack int8
	registered bool
}

// database is the state that the coordinator and the proxies agree through, and the table that migrates.
type database struct {
	mark    mark
	settled int8
	holder  int8 // which coordinator; 0: none
	stand   stand
	prior   stand // what the last change can be given up for
	columns int8
	proved  bool
	moved   bool
	ago     int8 // ticks since that was noted
	noted   int8 // the timeline that the row tells
}

// life is how a proxy's process is.
type life int8

const (
	absent life = iota
	joining
	live
	crashed
)

// Where a session's statement is.
const (
	nowhere  int8 = iota
	admitted      // the proxy has decided to send it, and holds it still
	sent          // the server has not read it yet
)

// member is everything about one proxy, so that proxies can be exchanged for each other.
type member struct {
	plain   bool // its sessions are not looked at: it may send whatever one could that is registered
	foreign bool // the control role may not end its session
	late    bool // it was not there at the beginning
	steady  bool // it renews whenever time passes
	follows bool // its session is at the standby

	// Of one that follows: where the primary stood when it joined, and what the standby has shown it.
	floor, shown mark

	life life
	// The place, as the proxy knows it.
	place   int8
	mark    mark
	stand   stand // of the state that it was handed
	acked   int8
	reached int8
	age     int8 // ticks since the last renewal was sent, on its own clock

	replying bool // a renewal has been carried out, and its answer is on its way
	replyAge int8
	reply    struct {
		found bool
		acked int8
		mark  mark
		stand stand
	}

	// Its one session: the stand of the transaction, where its statement is, whether the table is locked by it, and what the server has prepared of it.
	session stand
	at      int8
	touched bool

	row, replica row

	seen [coordinators]struct {
		known, same, judged bool
		age                 int8
	}
}

// Where a coordinator is.
type step int8

const (
	idle     step = iota
	locked        // it has the advisory lock
	settling      // it waits for the epoch that it found
	waiting       // it waits for the epoch that it wrote
	cleared       // no proxy is behind
	nobody        // no prepared transaction is left, either
	chosen        // the next stand is chosen
	yielding      // the change is to be given up
)

type coordinator struct {
	step  step
	wrote bool // the epoch that is waited for is its own
	epoch int8 // that was seen as current
	from  stand
	to    stand
	// What it remembers of the prepared transaction: 0, it has not looked; 1, there was none; 2, it was there.
	prepared int8
}

// shown is what a standby shows: all of one moment of the primary.
type shown struct {
	mark    mark
	stand   stand
	columns int8
	proved  bool
}

func (d *database) shows() shown { return shown{d.mark, d.stand, d.columns, d.proved} }

// world is a state of the model.
type world struct {
	members [proxies]member
	db      database
	replica database // what a standby has of it
	coords  [coordinators]coordinator
	// What the standby that is read from has replayed, and the moments that the primary had before this one, the last one first. Used where somebody follows.
	standby  shown
	past     [2]shown
	lock     int8  // which coordinator has the advisory lock; 0: none
	prepared stand // a prepared transaction
	writers  int8  // how many writers there were, where they are to be told apart
	left     budget
}

// budget is how many mishaps are still to come.
type budget struct {
	crashes, deaths, steals, slow, replies, prepares, givings, restarts, failovers, replications int8
}

// place gives a proxy's place to the code under test.
func (p *member) whole() Place {
	place := Place{Lease: lease, Mark: p.mark.full(), Sent: now - time.Duration(p.age)*tick, Acked: int64(p.acked), Reached: int64(p.reached)}
	if p.follows {
		place.Follows, place.Floor, place.Shown = true, p.floor.full(), p.shown.full()
	}
	return place
}

// leased says whether its lease holds by its own clock.
func (p *member) leased() bool {
	place := Place{Lease: lease, Sent: now - dur(p.age), Reached: int64(p.reached)}
	return p.life == live && Leased(now, place.Until())
}

// whole gives the epoch's row to the code under test.
func (d *database) row() Row {
	return Row{Mark: d.mark.full(), Settled: int64(d.settled), Holder: name(d.holder), Moved: d.moved, Ago: time.Duration(d.ago) * tick}
}

func name(coordinator int8) string { return [...]string{"", "first", "second"}[coordinator] }

// alive calls f with every stand that a statement may be sent under, or is under way with.
func (m *model) alive(w *world, f func(stand, int)) {
	for i := range w.members {
		p := &w.members[i]
		if p.leased() && (p.row.registered || m.mayRegister(w, p)) {
			f(p.stand, i)
			if p.session != none {
				f(p.session, i)
			}
		}
		if p.at != nowhere || p.touched {
			f(p.session, i)
		}
	}
	if w.prepared != none {
		f(w.prepared, -1)
	}
}

// mayRegister says whether the database would take the PID of a new session.
func (m *model) mayRegister(w *world, p *member) bool {
	forked := p.mark.full().Forked(w.db.mark.full())
	switch {
	case m.breaks(epochsByNumber):
		forked = p.mark.epoch > w.db.mark.epoch
	case m.breaks(registerAnywhere):
		forked = false
	}
	return p.row.in && p.row.place == p.place && !forked
}

func (d *database) timelineNoted() int8 { return d.noted }

func dur(ticks int8) time.Duration { return time.Duration(ticks) * tick }
