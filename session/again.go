package session

import (
	"slices"
	"strings"

	"segue/rewrite"
)

// While the unique indexes of both sides of a migration stand, an INSERT ... ON CONFLICT that passed the index which it infers can meet the other one's error: two
// of them that insert the same key at the same moment. Or it waits in the other index for who updates the row of that key, who waits in the first one for it: a
// deadlock. Nothing of the statement has been done then, and it is sent again, unseen by the client, until the error does not come, or for maxAgain times. So the message stays where it is, in front of the client's bytes, until its outcome is known.
//
// Inside a transaction block a savepoint of the session's own makes that possible. Outside of one, the statement must be the first of its implicit transaction
// that does anything; where it is not, the error stands.

// maxAgain is how often a statement is sent again.
const maxAgain = 20

// maxDeadlocks is how often a statement is sent again after a deadlock. Each takes the server's deadlock_timeout, and it may be one of the application's own making,
// which is there again as long as its transaction holds what the other one waits for.
const maxDeadlocks = 3

// maxHeld is how many Binds are kept at a time, for portals that were not executed yet; each may have that part of the limit of a message.
const maxHeld = 16

// againName is the name of the savepoint, and of the statement and portal by which its commands are run.
const againName = "segue again"

// Commands of the savepoint.
const (
	savepoint  = `SAVEPOINT "` + againName + `"`
	rollbackTo = `ROLLBACK TO SAVEPOINT "` + againName + `"`
	release    = `RELEASE SAVEPOINT "` + againName + `"`
)

type againStage int

const (
	notAgain  againStage = iota
	saving               // the savepoint is being made
	sent                 // the statement is
	syncing              // after the error of an Execute: up to a Sync of the session's own, which the server skips to
	undoing              // the savepoint is being gone back to
	releasing            // and given up
)

// again is a statement that may be sent again, while its outcome is not known.
type again struct {
	stage  againStage
	inside bool // of a transaction block
	met    bool // the error that it is sent again for has come
	tries  int
	locked int     // of the tries, those after a deadlock
	portal *record // of an Execute
	bind   []byte  // its Bind

	query string // of a Query: what is sent
	plan  *rewrite.Plan
	done  []executed
}

// againPlan gives the plan by which a message's error is judged: its own or that of what it EXECUTEs; nil where it is not to be sent again.
func againPlan(own *rewrite.Plan, done []executed) *rewrite.Plan {
	if own != nil && own.Again() && own.Prepares == "" {
		return own
	}
	for _, x := range done {
		if x.plan.Again() {
			return x.plan
		}
	}
	return nil
}

// mayMeet says whether an error is one that the statement of the entry at the front is sent again for, and notes it. Then the client does not see it.
func (s *Session) mayMeet(e *entry, m []byte) bool {
	if !e.again || s.again.tries >= maxAgain {
		return false
	}
	body := m[headerLen:]
	p, code := againPlan(e.plan, e.executed), string(errorField(body, 'C'))
	if p == nil || !p.TryAgain(code, string(errorField(body, 'D'))) {
		return false
	}
	if code == deadlock {
		if s.again.locked >= maxDeadlocks {
			return false
		}
		s.again.locked++
	}
	s.again.met = true
	s.again.tries++
	e.own = true // what else answers it is not for the client either
	return true
}

// mayQueryAgain says whether a Query can be sent again. ok is false where that cannot be told before the server has answered what was sent before.
func (s *Session) mayQueryAgain(text string) (may, ok bool) {
	if s.pipeline || s.unsure || s.queue.n > 0 && s.queue.head().copyIn || several(text) {
		return false, true
	}
	if s.queue.cycles() {
		s.await(forQuiet)
		return false, false
	}
	return s.queue.n == 0 && (s.tx == 'I' || s.tx == 'T'), true
}

// queryAgain goes on with a Query whose outcome was not known. It says whether the message is dealt with.
func (s *Session) queryAgain() bool {
	a := &s.again
	if r := s.probe.refusal; r != nil && a.stage != releasing {
		e := s.sendQuery(poison)
		e.refusal, e.always = r, true
		return true
	}
	switch a.stage {
	case notAgain:
		if a.inside {
			return s.command(saving, savepoint)
		}
	case sent:
		switch {
		case a.met && a.inside:
			a.met = false
			return s.command(undoing, rollbackTo)
		case a.met:
			a.met = false
		case a.inside && s.tx == 'T':
			return s.command(releasing, release)
		default:
			return true
		}
	case releasing:
		return s.released()
	case saving, undoing, syncing:
	}
	a.stage = sent
	e := s.sendQuery(a.query)
	e.plan, e.executed, e.again = a.plan, a.done, true
	s.await(forOutcome)
	return false
}

// released ends the way of a statement that has succeeded under the savepoint. That the savepoint is not released, which nothing but a cancellation at this very
// moment can bring about, has undone what the client was told of; so the session ends, rather than to let it COMMIT nothing.
func (s *Session) released() bool {
	if s.probe.refusal != nil || s.probe.failed {
		s.err = s.fail(s.lostCode(), "the transaction was ended just after a statement of it had succeeded", "Run the transaction again.")
	}
	return true
}

// lostCode is the SQLSTATE of a savepoint that could not be released.
func (s *Session) lostCode() string {
	if r := s.probe.refusal; r != nil && r.Code != "" {
		return r.Code
	}
	return "40001"
}

// command runs a command of the savepoint's and waits for it.
func (s *Session) command(stage againStage, sql string) bool {
	s.again.stage = stage
	s.askFor(func() { s.sendCommand(sql) })
	return false
}

// sendCommand runs a command without a result, by messages of the session's own.
func (s *Session) sendCommand(sql string) {
	s.sendParse(againName, sql, noTypes).own = true

	at := s.toServer.begin('B')
	s.toServer.text(againName)
	s.toServer.text(againName)
	s.toServer.buf = append(s.toServer.buf, 0, 0, 0, 0, 0, 0) // no parameters, no results
	s.toServer.end(at)
	s.queue.push('B').own = true

	at = s.toServer.begin('E')
	s.toServer.text(againName)
	s.toServer.buf = append(s.toServer.buf, 0, 0, 0, 0) // all rows
	s.toServer.end(at)
	s.queue.push('E').own = true

	s.sendClose('P', againName)
	s.sendClose('S', againName)
}

// mayExecuteAgain says whether an Execute of a portal can be sent again. ok is false where that cannot be told before the server has answered what was
// sent before its pipeline.
func (s *Session) mayExecuteAgain(r *record) (may, ok bool) {
	if r.bind == nil || s.unsure || s.ending || s.queue.n > 0 && s.queue.head().copyIn {
		return false, true
	}
	if s.queue.cycles() {
		s.await(forQuiet)
		return false, false
	}
	// In an implicit transaction an error ends whatever the pipeline has done, and its portals.
	return s.tx == 'T' || s.tx == 'I' && !s.ran && s.bound == 1, true
}

// executeAgain goes on with an Execute whose outcome was not known. It says whether the message is dealt with.
func (s *Session) executeAgain(m []byte) bool {
	a := &s.again
	if r := s.probe.refusal; r != nil && a.stage != releasing {
		s.sendRefusal(r, true)
		s.toServer.add(m) // it is skipped
		s.queue.push('E')
		return true
	}
	switch a.stage {
	case notAgain:
		if a.inside {
			return s.command(saving, savepoint)
		}
	case sent:
		switch {
		case a.met:
			// The server skips all up to a Sync.
			a.met, a.stage = false, syncing
			s.toServer.end(s.toServer.begin('S'))
			s.queue.push('S').own = true
			s.pipeline, s.skip = false, false
			s.await(forQuiet)
			return false
		case a.inside:
			return s.command(releasing, release)
		default:
			return true
		}
	case syncing:
		if a.inside {
			return s.command(undoing, rollbackTo)
		}
		s.bindAgain()
	case undoing:
		s.bindAgain()
	case releasing:
		return s.released()
	case saving:
	}
	a.stage = sent
	s.toServer.add(m)
	s.pipeline = true
	e := s.queue.push('E')
	e.plan, e.executed, e.again = a.portal.plan, a.portal.executed, true
	s.toServer.end(s.toServer.begin('H'))
	s.await(forOutcome)
	return false
}

// holdBind keeps a portal's Bind, and lets go of the oldest one where there are too many.
func (s *Session) holdBind(p *record) {
	s.held = slices.DeleteFunc(s.held, func(r *record) bool { return r.bind == nil })
	if len(s.held) == maxHeld {
		s.held[0].bind = nil
		s.held = slices.Delete(s.held, 0, 1)
	}
	s.held = append(s.held, p)
}

// bindAgain makes the portal anew, which has failed or is gone with its transaction.
func (s *Session) bindAgain() {
	r := *s.again.portal
	portal, _, _ := cut(s.again.bind[headerLen:])
	name := string(clip(portal))
	s.sendClose('P', string(portal))
	s.toServer.add(s.again.bind)
	s.pipeline = true
	e := s.queue.push('B')
	e.own = true
	s.set(e, true, name, &r)
	s.again.portal = &r
}

// endAgain forgets a statement whose outcome is known, and lets a state take effect that had to wait for it.
func (s *Session) endAgain() {
	if s.again.stage == notAgain {
		return
	}
	s.again = again{}
	s.boundary()
}

// beginAgain begins the way of a Query that may be sent again.
func (s *Session) beginAgain(text string, plan *rewrite.Plan, done []executed) {
	s.again = again{inside: s.tx == 'T', query: text, plan: plan, done: done}
	if plan != nil && plan.Kind == rewrite.Rewrite {
		s.again.query = plan.SQL
	} else {
		s.again.query = strings.Clone(text) // it is in the message's bytes
	}
}
