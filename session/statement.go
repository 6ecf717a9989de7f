package session

import (
	"bytes"
	"slices"
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
	asIs    bool // unplanned since the transaction has failed: the server will not run it, and knows why
}

// judge plans a text. ok is false where that has to wait; then nothing was sent but perhaps a look at the settings, and the message is
// to be dealt with from its beginning when the wait is over. e is what running the message does, and st are the steps of a Query: nil for
// a Parse, which runs nothing.
func (s *Session) judge(text string, e *effect, st *steps) (v verdict, ok bool) {
	if !s.mentions(text) || inert(text) || s.replication && replicates(text) {
		return verdict{}, true
	}
	if s.refuses() && !e.ends {
		return verdict{asIs: true}, true
	}
	catalogsOnly := !s.state.NamesTables(text) && !rewrite.MentionsAny(s.partitions, text)
	if s.denied != nil && !catalogsOnly {
		return verdict{refusal: s.denied}, true
	}
	if st != nil && (e.unsettles == unsettle || e.ends && s.unsettled) && s.mixes(text, st) {
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
	if catalogsOnly {
		if !s.gate.Leased() {
			return verdict{}, true
		}
	} else if !s.gate.Admit(s.pid) {
		s.block = OnGate
		return verdict{}, false
	}
	p := s.planner.plan(s.state, strings.Clone(text), *s.settings, s.long)
	if p.Kind == rewrite.Refuse {
		return verdict{plan: p, refusal: p.Refusal}, true
	}
	return verdict{plan: p}, true
}

// known gives the plan of a text that was planned before under the same state and settings, and that does nothing to what the session knows. Where anything else than the gate
// could have a say in what becomes of the text, it gives nil, and judge finds out.
func (s *Session) known(text string) *rewrite.Plan {
	if s.settings == nil || s.dirty || s.badVersion != "" || s.denied != nil || s.foreign || s.replication || len(s.partitions) > 0 || s.refuses() || s.probe.refusal != nil {
		return nil
	}
	return s.planner.kept(s.state, text, s.settings)
}

// keep keeps a text's plan for known.
func (s *Session) keep(text string, p *rewrite.Plan, e *effect) {
	if p != nil && e.none() {
		s.planner.keep(s.state, text, s.settings, p)
	}
}

// admit asks the gate for a plan. ok is as in judge.
func (s *Session) admit(p *rewrite.Plan) (v verdict, ok bool) {
	if !s.gate.Admit(s.pid) {
		s.block = OnGate
		return verdict{}, false
	}
	return verdict{plan: p}, true
}

// refuses says whether the server refuses to run anything but the end of a transaction, since the transaction under way has failed.
// Texts that are no end go to the server as they are then: it says what is wrong with them, which may also be their syntax.
func (s *Session) refuses() bool {
	return s.tx == 'E' && !s.ending || s.probe.refusal != nil && s.probe.refusal.Code == inFailedTransaction
}

// used counts the sending of a planned statement.
func (s *Session) used(p *rewrite.Plan) {
	if p != nil && p.Migrations != nil {
		s.gate.Used(s, p)
		s.note(p.Made)
	}
}

// maxMade bounds how many partitions a session remembers that the catalog has not heard of.
const maxMade = 64

// note notes the names of partitions that are made or attached. Until the catalog has heard of them, a text that names one is planned with what the
// server says of it.
func (s *Session) note(made []string) {
	for _, name := range made {
		if !slices.Contains(s.partitions, name) {
			s.partitions = append(s.partitions, name)
		}
	}
	s.partitions = s.partitions[max(0, len(s.partitions)-maxMade):]
}

// mentions says whether a text may name a migrating table, or a partition of one that this session has made.
func (s *Session) mentions(text string) bool {
	return !s.foreign && (s.state.Mentions(text) || rewrite.MentionsAny(s.partitions, text))
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
	if s.again.stage != notAgain {
		return s.queryAgain()
	}
	text := view(body[:i])
	switch {
	case s.front.failed:
		return true
	case s.front.sent > 0:
		text = behind(text, s.front.sent)
	}
	if p := s.known(text); p != nil {
		v, ok := s.admit(p)
		return ok && s.runQuery(m, text, v, &effect{}, &steps{})
	}
	eff := effectOf(text, s.scs == "off")
	if n := s.frontOf(text, &eff); n > 0 {
		s.sendFront(text, n)
		return false
	}
	st := s.follow(eff.acts, nil)
	eff.with(&st.effect)
	v, ok := s.judge(text, &eff, &st)
	if !ok {
		return false
	}
	if v.refusal == nil {
		s.keep(text, v.plan, &eff)
	}
	return s.runQuery(m, text, v, &eff, &st)
}

// runQuery sends a Query, of which judge has said what becomes of it, and what running its text does. It says whether the message is dealt with.
func (s *Session) runQuery(m []byte, text string, v verdict, eff *effect, st *steps) bool {
	done, v2, ok := s.judgeSteps(text, eff, st)
	if !ok {
		return false
	}
	if v.refusal == nil && v2.refusal != nil {
		v = v2
	}
	var e *entry
	if v.refusal == nil && againPlan(v.plan, done) != nil {
		may, ok := s.mayQueryAgain(text)
		if !ok {
			return false
		}
		if may {
			s.beginAgain(text, v.plan, done)
			s.unsettle(*eff)
			s.used(v.plan)
			for _, x := range done {
				s.used(x.plan)
			}
			return s.queryAgain()
		}
	}
	switch {
	case v.refusal != nil && v.plan != nil && v.plan.Before != nil:
		// What comes before the statement that is wrong is carried out, as far as it goes.
		refusal := v.refusal
		v.plan = v.plan.Before
		e = s.sendQuery(v.plan.SQL + poison)
		e.plan, e.refusal = v.plan, refusal
	case v.refusal != nil:
		e = s.sendQuery(poison)
		e.refusal, e.always = v.refusal, v.always
		return true
	case v.plan != nil && v.plan.Kind == rewrite.Rewrite:
		e = s.sendQuery(v.plan.SQL)
		e.plan = v.plan
	case s.front.sent > 0:
		e = s.sendQuery(text)
		e.plan = v.plan
	default:
		s.toServer.add(m)
		e = s.pushQuery()
		e.plan = v.plan
	}
	e.executed = done
	s.unsettle(*eff)
	s.apply(e, st.list, v.plan)
	s.used(v.plan)
	for _, x := range done {
		s.used(x.plan)
	}
	return true
}

// judgeSteps judges what a Query PREPAREs and EXECUTEs.
func (s *Session) judgeSteps(text string, e *effect, st *steps) (done []executed, v verdict, ok bool) {
	if s.tooMuch(st.list) {
		return nil, verdict{refusal: refuseTexts(s.limit)}, true
	}
	done, v, ok = s.prepareExecuted(st, use{query: true, ends: e.ends})
	if ok && v.refusal == nil && len(done) > 0 && (e.unsettles == unsettle || e.ends && s.unsettled) && s.mixes(text, st) {
		v.refusal = refuseTogether()
	}
	return done, v, ok
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
	var (
		eff effect
		v   verdict
		ok  bool
	)
	p := s.known(text)
	if p != nil {
		v, ok = s.admit(p)
	} else {
		eff = effectOf(text, s.scs == "off")
		v, ok = s.judge(text, &eff, nil)
	}
	if !ok {
		return false
	}
	if v.refusal == nil && s.texts+len(m) > s.limit {
		v = verdict{refusal: refuseTexts(s.limit)}
	}
	stored := string(name)
	if v.refusal != nil {
		e := s.sendParse(stored, poison, noTypes)
		e.refusal, e.always = v.refusal, v.always
		if len(name) == 0 {
			s.set(e, false, "", &record{gone: true}) // a Parse that fails drops the unnamed statement
		}
		return true
	}
	if p == nil {
		s.keep(text, v.plan, &eff)
	}
	both := &struct { // one piece of memory: most statements have one version
		record
		source
	}{}
	r, src := &both.record, &both.source
	src.text, src.oids = clientText(body, v.plan), noTypes
	if len(oids) > len(noTypes) {
		src.oids = bytes.Clone(oids)
	}
	if len(eff.acts) > 0 { // whose texts are the message's
		eff = effectOf(src.text, s.scs == "off")
	}
	r.source, r.effect, r.plan, r.sql, r.state = src, eff, v.plan, src.text, s.state
	if v.asIs {
		r.state = nil
	}
	if v.plan != nil {
		r.mentions, r.settings = true, s.settings
		r.sql, _ = v.plan.ExtendedText()
	}
	var e *entry
	if r.sql != src.text {
		e = s.sendParse(stored, r.sql, src.oids)
	} else {
		r.sql = src.text // one copy is enough
		s.toServer.add(m)
		s.pipeline = true
		e = s.queue.push('P')
	}
	e.plan = v.plan
	s.set(e, false, clip(stored), r)
	return true
}

// clientText gives the text of a Parse for a statement to keep: the copy that the plan has already, where it is one.
func clientText(body []byte, p *rewrite.Plan) string {
	if p != nil && p.ClientText() == view(body) {
		return p.ClientText()
	}
	return string(body)
}
