package session

import (
	"bytes"

	"segue/rewrite"
)

// maxPortals is how many portals a session has at a time that need something of it; at it, Bind is refused.
const maxPortals = 10000

// bind deals with a Bind: its two names are read, and all that follows them is streamed. It says whether it got on.
func (s *Session) bind(size int) (bool, error) {
	var portal, name []byte
	for need := min(size, 128); ; need = min(size, 2*need) {
		m := s.client.peek(need)
		if m == nil {
			return false, nil
		}
		var rest []byte
		var ok bool
		if portal, rest, ok = cut(m[headerLen:]); ok {
			if name, _, ok = cut(rest); ok {
				break
			}
		}
		if need == size { // the server will say so
			s.queue.push('B')
			s.pipeline = true
			s.client.stream(size, false)
			return true, nil
		}
		if need > s.limit {
			return false, s.violation("08P01", "the names in a Bind are longer than %d bytes", s.limit)
		}
	}
	r, v, ok := s.statement(name, use{})
	if !ok {
		return false, nil
	}
	var st steps
	var done []executed
	if v.refusal == nil && r != nil && len(r.effect.acts) > 0 {
		st = s.follow(r.effect.acts, r)
		if done, v, ok = s.prepareExecuted(&st, use{ends: r.effect.ends || st.effect.ends}); !ok {
			return false, nil
		}
	}
	// What may be executed again is bound again before it.
	var whole []byte
	if v.refusal == nil && r != nil && againPlan(r.plan, done) != nil && size <= s.limit/maxHeld {
		if whole = s.client.peek(size); whole == nil {
			return false, nil
		}
		portal, _, _ = cut(whole[headerLen:])
		whole = bytes.Clone(whole)
	}
	key := clip(portal)
	if v.refusal == nil && r != nil && r.noteworthy() && len(s.portals) >= maxPortals {
		v.refusal = &refusal{
			Code: "54000", Message: "this session has too many open portals",
			Hint: "Close portals that are not used any more, or end the transaction.",
		}
	}
	if v.refusal != nil {
		s.sendRefusal(v.refusal, v.always) // the client's Bind is skipped
	}
	e := s.queue.push('B')
	s.pipeline = true
	s.bound++
	if v.refusal == nil && r != nil {
		e.plan = r.plan
		s.used(r.plan)
		e.executed = done
		for _, x := range done {
			s.used(x.plan)
		}
	}
	if r != nil && r.noteworthy() {
		p := spareRecords.Get().(*record)
		p.plan, p.effect, p.steps, p.executed, p.bind = r.plan, r.effect, st.list, done, whole
		p.effect.with(&st.effect)
		if whole != nil {
			s.holdBind(p)
		}
		s.set(e, true, string(key), p)
	} else if s.portals[string(key)] != nil {
		s.set(e, true, string(key), &record{gone: true})
	}
	s.client.stream(size, false)
	s.handled()
	return true, nil
}

// noteworthy says whether a portal of this statement needs something of the session: positions or results patched, or effects noted.
func (r *record) noteworthy() bool {
	return !r.effect.none() || r.plan != nil && (r.plan.Foreign() || len(r.plan.Copies) > 0 || len(r.plan.Results) > 0 || r.plan.Again())
}

// statement finds a prepared statement for a message that will use it, and prepares it anew where it was planned under another state or other
// settings. ok is false where the message has to wait. A name that the session does not know is nil: it is the server's business, which
// has the right error.
func (s *Session) statement(name []byte, u use) (r *record, v verdict, ok bool) {
	r = s.statements[string(clip(name))]
	if r == nil {
		return nil, verdict{}, true
	}
	if r.pending && r.older != nil && (r.segment != s.segment || r.byQuery) {
		// An earlier pipeline or a Query made this version. If it failed, the older one is what the message will meet.
		s.awaited = r
		s.await(forRecord)
		return nil, verdict{}, false
	}
	if r.gone {
		return nil, verdict{}, true
	}
	return s.refresh(string(name), r, u)
}

// refresh prepares a statement anew where that is needed, under the client's own name, so that SQL's DEALLOCATE and EXECUTE and
// pg_prepared_statements go on to know it. It gives the version that the message will meet.
func (s *Session) refresh(name string, r *record, u use) (*record, verdict, bool) {
	fresh := r.state == s.state && !r.absent
	if fresh && !r.mentions {
		return r, verdict{}, true
	}
	ends := u.ends || r.effect.ends
	if s.refuses() && !ends {
		return nil, verdict{}, true // the server will not run it
	}
	if fresh && r.settings == s.settings && !s.dirty && s.denied == nil {
		if !s.gate.Admit(s.pid) {
			s.block = OnGate
			return nil, verdict{}, false
		}
		return r, verdict{}, true
	}
	if s.probe.refusal != nil && s.probe.anew {
		if s.probe.refusal.Code == inFailedTransaction {
			return r, verdict{refusal: refuseEnding(), always: true}, true
		}
		return r, verdict{refusal: s.probe.refusal, always: true}, true
	}
	v, ok := s.judge(r.source.text, &effect{ends: ends}, nil)
	if !ok || v.refusal != nil {
		return r, v, ok
	}
	next := record{source: r.source, effect: r.effect, plan: v.plan, sql: r.source.text, state: s.state}
	if v.plan != nil {
		next.settings, next.mentions = s.settings, true
		next.sql, _ = v.plan.ExtendedText()
	}
	if !r.absent && next.sql == r.sql {
		r.plan, r.state, r.settings, r.mentions = next.plan, next.state, next.settings, next.mentions
		return r, verdict{}, true
	}
	if !u.query {
		s.prepareAnew(name, &next)
		return &next, verdict{}, true
	}
	s.askFor(func() { s.prepareAnew(name, &next) })
	return nil, verdict{}, false
}

// askFor sends messages of the session's own before a Query, and waits for their outcome.
func (s *Session) askFor(send func()) {
	if s.unsure {
		s.await(forPipeline)
		return
	}
	s.probe = probe{running: true, synced: !s.pipeline, anew: true}
	from := s.queue.n
	send()
	s.endQuestion(from)
}

// trialName is the name that a new text is prepared under first. Where that fails, in an aborted transaction or since the text does, the server
// skips the rest, and the statement stays as it was: with a Close in front it would be gone.
const trialName = "segue trial"

// prepareAnew puts a new version in a statement's place. The error of the trial, if there is one, stands for the message that the
// statement was wanted for.
func (s *Session) prepareAnew(name string, fresh *record) {
	send := func(sql, name string, shift int) *entry {
		if fresh.source.bySQL {
			return s.sendPrepare(sql, fresh.plan, shift)
		}
		e := s.sendParse(name, sql, fresh.source.oids)
		e.own, e.plan = true, fresh.plan
		return e
	}
	trial, shift := fresh.sql, 0
	if fresh.source.bySQL {
		if text, n, ok := renamed(fresh.sql, trialName); ok {
			trial, shift = text, n
		}
	}
	send(trial, trialName, shift)
	s.sendClose('S', trialName)
	e := s.sendClose('S', name)
	s.set(e, false, clip(name), &record{source: fresh.source, effect: fresh.effect, absent: true})
	e = send(fresh.sql, name, 0)
	s.set(e, false, clip(name), fresh)
	if fresh.source.bySQL {
		s.sendClose('P', preparer)
		s.sendClose('S', preparer)
	}
}

// describe deals with a Describe. It says whether the message is dealt with.
func (s *Session) describe(m []byte) bool {
	kind, name, ok := target(m)
	var plan *rewrite.Plan
	var done []executed
	switch {
	case ok && kind == 'S':
		r, v, ok := s.statement(name, use{})
		if !ok {
			return false
		}
		if v.refusal == nil && r != nil {
			plan = r.plan
			if len(r.effect.acts) > 0 {
				st := s.follow(r.effect.acts, r)
				if done, v, ok = s.prepareExecuted(&st, use{}); !ok {
					return false
				}
			}
		}
		if v.refusal != nil {
			s.sendRefusal(v.refusal, v.always)
		}
	case ok && kind == 'P':
		if r := s.portals[string(clip(name))]; r != nil {
			plan, done = r.plan, r.executed
		}
	}
	s.toServer.add(m)
	s.pipeline = true
	e := s.queue.push('D')
	e.plan, e.executed = plan, done
	return true
}

// execute deals with an Execute. It says whether the message is dealt with.
func (s *Session) execute(m []byte) bool {
	if s.again.stage != notAgain {
		return s.executeAgain(m)
	}
	var r *record
	if name, _, ok := cut(m[headerLen:]); ok {
		r = s.portals[string(clip(name))]
	}
	if r != nil && s.tooMuch(r.steps) {
		s.sendRefusal(refuseTexts(s.limit), false) // the client's Execute is skipped
		r = nil
	}
	if r != nil && againPlan(r.plan, r.executed) != nil {
		may, ok := s.mayExecuteAgain(r)
		if !ok {
			return false
		}
		if may {
			s.again = again{inside: s.tx == 'T', portal: r, bind: r.bind}
			s.unsettle(r.effect)
			s.ran = true
			r.bind = nil // the next Execute of it fetches more
			return s.executeAgain(m)
		}
	}
	if r != nil {
		s.sendBefore(r.plan)
	}
	s.toServer.add(m)
	s.pipeline, s.ran = true, true
	e := s.queue.push('E')
	if r != nil {
		e.plan, e.executed = r.plan, r.executed
		s.unsettle(r.effect)
		s.apply(e, r.steps, r.plan)
		if c := stagedCopy(r.plan); c != nil && c.Staged.File {
			s.sendAfter(r.plan)
		}
	}
	return true
}

// closeName deals with a Close.
func (s *Session) closeName(m []byte) {
	s.toServer.add(m)
	s.pipeline = true
	e := s.queue.push('C')
	if kind, name, ok := target(m); ok && (kind == 'S' || kind == 'P') {
		s.set(e, kind == 'P', clip(string(name)), &record{gone: true})
	}
}

// target reads what a Describe or a Close is about.
func target(m []byte) (kind byte, name []byte, ok bool) {
	if len(m) <= headerLen {
		return 0, nil, false
	}
	name, rest, ok := cut(m[headerLen+1:])
	return m[headerLen], name, ok && len(rest) == 0
}
