package session

import (
	"bytes"
	"strings"

	"segue/rewrite"
)

type refusal = rewrite.Refusal

const (
	settled  = rewrite.Settled
	unsettle = rewrite.Unsettle
)

// verdict is what becomes of a text: with neither field set it goes to the server as it came, unplanned.
type verdict struct {
	plan    *rewrite.Plan
	refusal *refusal
	always  bool // the refusal is given in the place of any error of the server
}

// judge plans a text. ok is false where that has to wait; then nothing was sent but perhaps a look at the settings, and the message is
// to be dealt with from its beginning when the wait is over. effect is the text's where it is a Query: nil for a Parse, which runs nothing.
func (s *Session) judge(text string, e *effect) (v verdict, ok bool) {
	if !s.state.Mentions(text) || inert(text) {
		return verdict{}, true
	}
	if s.expired {
		return verdict{refusal: refuseExpired()}, true
	}
	if e != nil && (e.unsettles == unsettle || e.ends && s.unsettled) && s.mixes(text) {
		return verdict{refusal: refuseTogether()}, true
	}
	if s.dirty {
		if r := s.probe.refusal; r != nil {
			return verdict{refusal: r, always: r.Code != inFailedTransaction}, true
		}
		s.ask()
		return verdict{}, false
	}
	if s.badVersion != "" {
		return verdict{refusal: &refusal{Code: "22023", Message: badVersion(s.badVersion), Hint: versionHint}}, true
	}
	if !s.gate.Admit(s.pid) {
		s.block = OnGate
		return verdict{}, false
	}
	p := s.planner.plan(s.state, strings.Clone(text), *s.settings)
	if p.Kind == rewrite.Refuse {
		return verdict{plan: p, refusal: p.Refusal}, true
	}
	return verdict{plan: p}, true
}

// mixes says whether, in a text of several statements, one that mentions a migrating table comes after one that changes the settings. What it
// means cannot be known before the first has run.
func (s *Session) mixes(text string) bool {
	if strings.IndexByte(text, ';') < 0 {
		return false
	}
	for _, backslash := range []bool{false, true} {
		after := false
		for _, st := range split(text, backslash) {
			if after && s.state.Mentions(st) {
				return true
			}
			e := effectOf(st)
			after = after || e.unsettles == unsettle || e.ends && s.unsettled
		}
	}
	return false
}

// used counts the sending of a planned statement.
func (s *Session) used(p *rewrite.Plan) {
	if p != nil && p.Migrations != nil {
		s.gate.Used(s, p)
	}
}

// query deals with a Query. It says whether the message is dealt with.
func (s *Session) query(m []byte) bool {
	body := m[headerLen:]
	i := bytes.IndexByte(body, 0)
	if i < 0 || i != len(body)-1 { // the server will say so
		s.toServer.add(m)
		s.pushQuery()
		return true
	}
	text := view(body[:i])
	eff := effectOf(text)
	v, ok := s.judge(text, &eff)
	if !ok {
		return false
	}
	var e *entry
	switch {
	case v.refusal != nil:
		e = s.sendQuery(poison)
		e.refusal, e.always = v.refusal, v.always
	case v.plan != nil && v.plan.Kind == rewrite.Rewrite:
		e = s.sendQuery(v.plan.SQL)
		e.plan = v.plan
	default:
		s.toServer.add(m)
		e = s.pushQuery()
		e.plan = v.plan
	}
	if v.refusal == nil {
		s.unsettle(eff)
		s.dropStatements(e, eff.drops)
		s.used(v.plan)
	}
	return true
}

// dropStatements notes what a message's DEALLOCATE and DISCARD ALL will drop. The unnamed statement stays.
func (s *Session) dropStatements(e *entry, drops []drop) {
	for i, d := range drops {
		if d.name != "" {
			s.setTagged(e, false, clip(d.name), &record{gone: true}, i+1)
			continue
		}
		for name := range s.statements {
			if name != "" {
				s.setTagged(e, false, name, &record{gone: true}, i+1)
			}
		}
	}
}

// parse deals with a Parse. It says whether the message is dealt with.
func (s *Session) parse(m []byte) bool {
	name, rest, ok1 := cut(m[headerLen:])
	body, oids, ok2 := cut(rest)
	if !ok1 || !ok2 || len(oids) < 2 || len(oids) != 2+4*(int(oids[0])<<8|int(oids[1])) { // the server will say so
		s.toServer.add(m)
		s.queue.push('P')
		s.pipeline = true
		return true
	}
	text := view(body)
	v, ok := s.judge(text, nil)
	if !ok {
		return false
	}
	if v.refusal == nil && s.texts+len(m) > s.limit {
		v = verdict{refusal: refuseTexts(s.limit)}
	}
	if v.refusal != nil {
		e := s.sendParse(string(name), poison, noTypes)
		e.refusal, e.always = v.refusal, v.always
		if len(name) == 0 {
			s.set(e, false, "", &record{gone: true}) // a Parse that fails drops the unnamed statement
		}
		return true
	}
	src := &source{text: string(body), oids: append([]byte(nil), oids...)}
	r := &record{source: src, effect: effectOf(src.text), plan: v.plan, sql: src.text, state: s.state}
	if v.plan != nil {
		r.mentions, r.settings, r.sql = true, s.settings, v.plan.SQL
	}
	var e *entry
	if r.sql != src.text {
		e = s.sendParse(string(name), r.sql, src.oids)
	} else {
		r.sql = src.text // one copy is enough
		s.toServer.add(m)
		s.pipeline = true
		e = s.queue.push('P')
	}
	e.plan = v.plan
	s.set(e, false, clip(string(name)), r)
	return true
}
