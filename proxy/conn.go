package proxy

import (
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"segue/migrate/agree"
	"segue/rewrite"
	"segue/session"
)

// conn is one client with its server connection and the session between them. A goroutine sees to its start. Then one of two drivers carries it: a loop, where
// both sides are plain sockets (loop_linux.go), or two goroutines (pump.go); how it ends is always seen to by goroutines.
type conn struct {
	home   *hub          // what all of the proxy's connections share
	hub    *hub          // whose state and lease its session has: home, or a standby's. It is changed with mu held, before the client is told that the session has begun
	tls    *listenTLS    // nil: the listener has none
	idle   time.Duration // how long the client may be idle outside of a transaction; 0: for ever
	log    *zap.Logger
	left   func()   // called when the client is carried no more
	client net.Conn // changed with mu held, when it becomes a TLS connection, and where a loop gives it back; a loop has the socket without it

	counted, entered bool // what depart undoes: it is among hub.sessions, and among its user's

	mu        sync.Mutex // guards what follows, and every call of session
	session   *session.Session
	looped    *looped       // the loop's part of it, while one carries it
	server    net.Conn      // nil until it is dialled, and while a loop has the socket
	connected bool          // the server has been dialled
	at        endpoint      // the server's, as it was dialled
	overTLS   bool          // it was dialled with TLS
	keyed     bool          // hub knows the session by its key
	fatal     *fatal        // what the client is told at the end; nil: nothing
	ending    bool          // both loops stop at the next chance
	cut       bool          // fromClient stops: fromServer has nobody to write to, or nothing to read from
	gone      bool          // the session is over: no state reaches it any more
	waiting   bool          // the client's side waits for proceed
	behind    *change       // a change that the session has not reached
	hold      *hold         // set while the session waits for the gate
	wake      chan struct{} // tells fromClient, where it waits, to go on

	astray bool // it is at a standby, where it has no place: there was nobody to give it one when it began, and nothing migrated

	clocking bool          // session.Client is under way
	clocked  time.Duration // what clock has read for it; 0: nothing yet

	sent  time.Time // when the client's first message since the last reply went to the server; zero: nothing is outstanding
	looks bool      // the session has made a partition, and the transaction may not be over

	pid           atomic.Uint32 // of the server session; 0 before it is known
	registered    atomic.Bool   // the server session's PID is in the database
	registration  registration  // the three belong to the registrar
	registeredPID uint32
	forgotten     bool
}

// fatal is an error that ends a connection.
type fatal struct{ code, message, hint string }

var (
	idled    = &fatal{"57P05", "terminating connection due to the proxy's client_idle_timeout", "Connect again, or raise limits.client_idle_timeout in the proxy's settings."}
	shutdown = &fatal{"57P01", "terminating connection: the proxy is shutting down", "Connect again."}
	lost     = &fatal{"57P01", "terminating connection: the server has ended the session", "Connect again."}
	misled   = &fatal{"57P03", "terminating connection: the server is not what the proxy's target_session_attrs asks for any more", "Connect again."}
	promoted = &fatal{"57P01", "terminating connection: its server is no standby any more, or has not been reached for as long as the proxy's lease", "Connect again."}
	displace = &fatal{"57P01", "terminating connection: a migration has begun, and this session has no place at its standby", "Connect again."}
	broken   = &fatal{"XX000", "the proxy failed on this connection", "Connect again; the proxy's log has the details."}
)

// Admit says whether a statement on a migrating table may be sent. It is called by the session, with c.mu held.
func (c *conn) Admit(pid uint32) bool {
	if c.misplaced() {
		return false // it is held
	}
	if !c.registered.Load() && pid != 0 {
		c.hub.registrar.request(c, pid)
	}
	return c.open(pid)
}

// misplaced says that the session's lenses, and the numbers of sessions among which its own is, are another server's. c.mu is held.
func (c *conn) misplaced() bool {
	standby, known := c.session.HotStandby()
	return c.astray || known && standby != c.hub.standby
}

// Leased says whether the proxy's lease holds: then the lenses that it has are those in force. It is called by the session, with c.mu held.
func (c *conn) Leased() bool {
	const registered, keyless = true, false
	return agree.Admit(c.clock(), time.Duration(c.hub.lease.Load()), registered, keyless)
}

// Used counts a statement on a migrating table. It is called by the session, with c.mu held.
func (c *conn) Used(s *session.Session, p *rewrite.Plan) {
	c.hub.counters.statement(p.Kind)
	c.looks = c.looks || len(p.Made) > 0
	if len(p.OldNames) > 0 {
		c.hub.usage.add(s, p)
	}
}

// after does what a call of the session may have made due; client says that it was a call of Client. c.mu is held; the change that is
// returned is to be handed to hub.passed once it is not.
func (c *conn) after(client bool) (done *change) {
	c.measure(client)
	began := !c.keyed && c.session.Key() != nil // the client has not been told so yet, and has asked for nothing
	if began {
		c.keyed = true
		c.home.setKey(c, c.session.Key())
		if standby, known := c.session.HotStandby(); known && c.home.attrs.belies(standby) {
			c.end(misled)
		}
	}
	if standby, known := c.session.HotStandby(); c.hub.standby && known && !standby {
		if began {
			done = c.moveHome() // promoted since it was looked at
		} else {
			c.end(promoted)
		}
	}
	if c.astray && c.session.AtBoundary() && migrates(c.session.State()) {
		c.end(displace)
	}
	if c.behind != nil && c.behind.reached(c.session.State()) {
		done, c.behind = c.behind, nil
	}
	if c.session.Blocked() == session.OnGate {
		c.holding()
	} else if client {
		c.released()
	}
	if c.waiting && c.session.Blocked() == session.NotBlocked {
		c.proceed()
	}
	if c.looks && c.session.AtBoundary() {
		c.looks = false
		c.hub.registrar.keeper.Look()
	}
	if c.home.draining.Load() && c.session.AtBoundary() {
		c.end(shutdown)
	}
	return done
}

// measure takes the time that the client waits for the server's replies. c.mu is held.
func (c *conn) measure(client bool) {
	switch outstanding := c.session.Outstanding(); {
	case client && outstanding && c.sent.IsZero():
		c.sent = time.Now()
	case !outstanding && !c.sent.IsZero():
		c.hub.latency.add(time.Since(c.sent))
		c.sent = time.Time{}
	}
	if c.pid.Load() == 0 {
		c.pid.Store(c.session.PID())
	}
}

// proceed lets the client's side go on. c.mu is held.
func (c *conn) proceed() {
	c.waiting = false
	if c.looped != nil {
		c.looped.post()
		return
	}
	select {
	case c.wake <- struct{}{}:
	default: // it has been told already
	}
}

// end makes both sides stop soon: what they read fails, and what they write has a few seconds left. c.mu is held.
func (c *conn) end(f *fatal) {
	if c.ending {
		return
	}
	c.ending, c.fatal = true, f
	c.kick()
}

// farewellTime is how long a client has to take what is left for it when its connection is ended.
const farewellTime = 5 * time.Second

// kick interrupts both sides. Errors of setting deadlines mean that the connection is closed already. c.mu is held.
func (c *conn) kick() {
	if c.looped != nil {
		c.released()
		c.proceed() // the loop gives the connection back, to carry, which comes here again
		return
	}
	now := time.Now()
	_ = c.client.SetReadDeadline(now)
	_ = c.client.SetWriteDeadline(now.Add(farewellTime))
	if c.server != nil {
		_ = c.server.SetDeadline(now)
	}
	c.released()
	c.proceed()
}

// locked runs f with c.mu held, and finishes what f has made due.
func (c *conn) locked(f func() *change) {
	c.home.passed(func() *change {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.gone {
			return nil
		}
		return f()
	}())
}

// setState hands a state to the session; it counts the session among those that the change waits for, where it cannot switch at once.
func (c *conn) setState(state *rewrite.State, ch *change) {
	c.mu.Lock()
	c.home.passed(c.takeState(state, ch))
}

// trySetState is setState where nothing else is being done with the session; it says false where it is.
func (c *conn) trySetState(state *rewrite.State, ch *change) bool {
	if !c.mu.TryLock() {
		return false
	}
	c.home.passed(c.takeState(state, ch))
	return true
}

// takeState is called with c.mu held, and unlocks it.
func (c *conn) takeState(state *rewrite.State, ch *change) *change {
	defer c.mu.Unlock()
	if c.gone || c.hub.superseded(ch) {
		return nil
	}
	c.session.SetState(state)
	c.behind = nil // an earlier change has been replaced
	if !ch.reached(c.session.State()) {
		ch.behind.Add(1)
		c.behind = ch
		// Whoever waits for the change is to see the session, and may end it.
		if pid := c.session.PID(); pid != 0 && !c.registered.Load() && !c.misplaced() {
			c.hub.registrar.request(c, pid)
		}
	}
	return c.after(false)
}

// drain ends the connection where it is at a transaction boundary; where not, after sees to it when it gets there.
func (c *conn) drain() {
	c.locked(func() *change { return c.after(false) })
}

// kill ends the connection wherever it is.
func (c *conn) kill() {
	c.locked(func() *change {
		c.end(shutdown)
		return nil
	})
}

// isEnding says whether the connection is to be ended.
func (c *conn) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// endIdle ends the connection of a client that has been idle for too long, unless it is in a transaction. It says whether the connection is over.
func (c *conn) endIdle() (over bool) {
	c.locked(func() *change {
		if !c.ending && !c.cut && c.session.AtBoundary() {
			c.end(idled)
		}
		over = c.ending || c.cut
		return nil
	})
	return over
}

// over takes the session away from the changes that wait for it.
func (c *conn) over() {
	c.locked(func() *change {
		done := c.behind
		c.behind, c.gone = nil, true
		c.released()
		return done
	})
}

// survive keeps a bug that one client's bytes have met from ending all others: that connection is ended, and the panic, which is what recover
// gave, logged. It is nil where there was none.
func (c *conn) survive(panicked any) {
	if panicked == nil {
		return
	}
	c.log.Error("a connection's goroutine panicked; the connection is ended", zap.Any("panic", panicked), zap.ByteString("stack", debug.Stack()))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(broken)
}
