package proxy

import (
	"time"

	"segue/migrate/agree"
	"segue/session"
)

// hold is the time that one statement waits for the gate.
type hold struct {
	timer *time.Timer
	over  bool // the time has run out
}

// open says whether the gate would let a statement through now.
func (c *conn) open(pid uint32) bool {
	// A server that gives no key (pid 0) has no session that could be found by it.
	return !c.misplaced() && agree.Admit(c.clock(), time.Duration(c.hub.lease.Load()), c.registered.Load(), pid == 0)
}

// clock gives Boottime, read once for all messages that one call of session.Client deals with.
func (c *conn) clock() time.Duration {
	if !c.clocking {
		return Boottime()
	}
	if c.clocked == 0 {
		c.clocked = Boottime()
	}
	return c.clocked
}

// holding is called while the session waits for the gate: it begins a hold, and ends one that is over. c.mu is held.
func (c *conn) holding() {
	if c.hold == nil {
		c.hub.counters.held.Add(1)
		h := &hold{}
		h.timer = time.AfterFunc(c.hub.holdTimeout(), func() { c.expire(h) })
		c.hold = h
		c.hub.holdMu.Lock()
		c.hub.held[c] = struct{}{}
		c.hub.holdMu.Unlock()
	}
	switch {
	case c.open(c.session.PID()):
		// It has opened between the session's question and the entry in held, where Lease looks.
		c.session.Resume()
	case c.hold.over:
		c.hub.counters.expired.Add(1)
		c.session.Expire()
		c.released() // the next statement has its own time
	}
}

// released ends the hold, if there is one. c.mu is held.
func (c *conn) released() {
	if c.hold == nil {
		return
	}
	c.hold.timer.Stop()
	c.hold = nil
	c.hub.holdMu.Lock()
	delete(c.hub.held, c)
	c.hub.holdMu.Unlock()
}

// resumed asks the gate again for a held statement. It is called with c.mu held, and unlocks it.
func (c *conn) resumed() *change {
	defer c.mu.Unlock()
	if c.gone || c.session.Blocked() != session.OnGate {
		return nil
	}
	c.session.Resume()
	return c.after(false)
}

// expire says that a hold's time has run out.
func (c *conn) expire(h *hold) {
	c.locked(func() *change {
		if c.hold != h {
			return nil // the statement went on at the last moment
		}
		h.over = true
		return c.after(false)
	})
}
