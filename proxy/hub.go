package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"segue/migrate/agree"
	"segue/rewrite"
	"segue/session"
)

// hub is what all connections share: the state that they plan with, the lease that they may use it under, and what they count. It is the
// Host that Control calls.
//
// Locks are taken in this order: conn.mu, then any one of hub.mu, hub.holdMu, registrar.mu and usage.mu.
type hub struct {
	log         *zap.Logger
	holdTimeout func() time.Duration
	registrar   *registrar
	counters    *counters
	usage       usage
	latency     latencies
	attrs       SessionAttrs // of the servers that sessions may be on
	standby     bool         // the sessions are a standby's

	lease    atomic.Int64 // the Boottime until which statements on migrating tables may be sent
	draining atomic.Bool
	sessions atomic.Int64 // clients that have, or are about to have, a server connection
	away     atomic.Int64 // those of them that are at standbys

	applying sync.Mutex     // one Apply at a time; taken before conn.mu
	late     sync.WaitGroup // the goroutines that tell sessions what they were too busy to be told

	mu     sync.Mutex
	state  *rewrite.State
	conns  map[*conn]struct{}
	closed bool          // a standby's that takes no more sessions
	left   chan struct{} // a standby's: a session has left
	keys   map[string]*conn
	users  map[string]int // clients that have said who they are
	change *change        // the last Apply, until it is through

	holdMu sync.Mutex
	held   map[*conn]struct{} // connections with a statement that waits for the gate
}

func newHub(log *zap.Logger, state *rewrite.State, holdTimeout func() time.Duration, registrar *registrar, counters *counters) *hub {
	return &hub{
		log: log, holdTimeout: holdTimeout, registrar: registrar, counters: counters, state: state,
		conns: map[*conn]struct{}{}, keys: map[string]*conn{}, users: map[string]int{}, held: map[*conn]struct{}{},
		usage: usage{counts: map[usageKey]int64{}}, latency: latencies{since: time.Now()},
	}
}

// add gives a connection its session, with the state in force, and takes it among those that get the next one. It says false where
// there are limit connections already.
func (h *hub) add(c *conn, limit int, o session.Options) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.conns) >= limit {
		return false
	}
	o.State = h.state
	c.session = session.New(o)
	h.conns[c] = struct{}{}
	return true
}

func (h *hub) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
	if h.standby {
		select {
		case h.left <- struct{}{}:
		default: // it is known already that one has
		}
	}
}

// unkey forgets the key by which a session was cancelled.
func (h *hub) unkey(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if key := string(c.session.Key()); h.keys[key] == c {
		delete(h.keys, key)
	}
}

// enter counts a client of a user. It says false where there are limit of them already; 0: there is no limit.
func (h *hub) enter(user string, limit int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if limit > 0 && h.users[user] >= limit {
		return false
	}
	h.users[user]++
	return true
}

func (h *hub) leave(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users[user]--; h.users[user] == 0 {
		delete(h.users, user)
	}
}

// setKey notes the key by which a session is cancelled.
func (h *hub) setKey(c *conn, key []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[string(key)] = c
}

// keyed finds the session of that key; nil where none of this proxy's has it.
func (h *hub) keyed(key []byte) *conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keys[string(key)]
}

// all gives the connections of this moment.
func (h *hub) all() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.allLocked()
}

func (h *hub) allLocked() []*conn {
	conns := make([]*conn, 0, len(h.conns))
	for c := range h.conns {
		conns = append(conns, c)
	}
	return conns
}

// current gives the state that new sessions begin with.
func (h *hub) current() *rewrite.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

// change is one Apply, under way until no session runs under a state with other stages. A session under an earlier epoch with the same stages sends
// the same statements: a change that was given up need not wait for the transaction that it was given up for.
type change struct {
	hub     *hub
	state   *rewrite.State
	behind  atomic.Int64 // sessions that are not there yet, and one for Apply itself while it counts
	applied func(epoch int64)
}

// Apply hands a state to all sessions and to later ones. It is driven by events alone: a session that cannot switch at once is looked at again
// after each of its messages. One that is busy with a message, which may be a statement that takes seconds to plan, is not waited for: the others have
// the state meanwhile, and Apply returns.
func (h *hub) Apply(state *rewrite.State, applied func(epoch int64)) {
	ch := &change{hub: h, state: state, applied: applied}
	ch.behind.Store(1)
	h.applying.Lock()
	h.mu.Lock()
	h.state, h.change = state, ch
	conns := h.allLocked()
	h.mu.Unlock()
	var busy []*conn
	for _, c := range conns {
		if !c.trySetState(state, ch) {
			busy = append(busy, c)
		}
	}
	h.applying.Unlock()
	if len(busy) == 0 {
		h.passed(ch)
		return
	}
	h.late.Go(func() {
		for _, c := range busy {
			c.setState(state, ch)
		}
		h.passed(ch)
	})
}

// superseded says whether a later Apply has begun, which hands its own state to every session. h.mu must not be held.
func (h *hub) superseded(ch *change) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state != ch.state
}

// reached says whether a session under that state is no longer waited for.
func (ch *change) reached(s *rewrite.State) bool {
	return s.SameStages(ch.state) // not by the epoch's number: a database that went back may give it to another epoch
}

// passed counts a session that has reached a change, of whatever hub, or has ended. No lock may be held.
func (*hub) passed(ch *change) {
	if ch == nil || ch.behind.Add(-1) != 0 {
		return
	}
	h := ch.hub
	h.mu.Lock()
	current := h.change == ch
	if current {
		h.change = nil
	}
	h.mu.Unlock()
	if current { // or else a later Apply has taken its place
		ch.applied(ch.state.Epoch)
	}
}

// Lease says until when statements on migrating tables may be sent; those that are held are tried anew.
func (h *hub) Lease(until time.Duration) {
	h.lease.Store(int64(until))
	if h.leased() {
		h.holdMu.Lock()
		held := make([]*conn, 0, len(h.held))
		for c := range h.held {
			held = append(held, c)
		}
		h.holdMu.Unlock()
		h.resume(held)
	}
}

// resume lets held statements ask the gate again. Sessions that are busy are left to a goroutine, so that none holds up another.
func (h *hub) resume(held []*conn) {
	var busy []*conn
	for _, c := range held {
		if !c.mu.TryLock() {
			busy = append(busy, c)
			continue
		}
		h.passed(c.resumed())
	}
	if len(busy) > 0 {
		h.late.Go(func() {
			for _, c := range busy {
				c.mu.Lock()
				h.passed(c.resumed())
			}
		})
	}
}

// lapsed says that there was a lease, and that it has run out: the primary has not been reached for as long.
func (h *hub) lapsed() bool { return h.lease.Load() != 0 && !h.leased() }

func (h *hub) leased() bool {
	return agree.Leased(Boottime(), time.Duration(h.lease.Load()))
}

// Usage takes what has been counted since the last call.
func (h *hub) Usage() Usage {
	u := Usage{Sessions: int(h.sessions.Load() - h.away.Load()), Behind: h.behind(), OldNames: h.usage.take(), Latency: h.latency.take(time.Now())}
	for _, c := range h.all() {
		if pid := c.pid.Load(); pid != 0 {
			u.PIDs = append(u.PIDs, pid)
		}
	}
	return u
}

// behind gives the PIDs of the sessions that the change under way waits for. One that is busy at this moment is left for the next call.
func (h *hub) behind() []uint32 {
	h.mu.Lock()
	ch, conns := h.change, h.allLocked()
	h.mu.Unlock()
	if ch == nil {
		return nil
	}
	var pids []uint32
	for _, c := range conns {
		if !c.mu.TryLock() {
			continue
		}
		if c.behind == ch && !c.gone && c.session.PID() != 0 {
			pids = append(pids, c.session.PID())
		}
		c.mu.Unlock()
	}
	return pids
}

// Ended ends the connections of server sessions that are over, where a change waits for them.
func (h *hub) Ended(pids []uint32) {
	for _, c := range h.all() {
		c.locked(func() *change {
			if c.behind != nil && slices.Contains(pids, c.session.PID()) {
				c.end(lost)
			}
			return nil
		})
	}
}
