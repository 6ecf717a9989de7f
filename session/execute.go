package session

import (
	"slices"
	"strings"

	"segue/rewrite"
)

// SQL's PREPARE, EXECUTE and DEALLOCATE work on the names that the protocol's Parse, Bind and Close work on. So what a PREPARE makes is kept with
// what Parse makes, from its command tag on, and a statement that EXECUTEs a name is dealt with as a Bind of that name is.

// step is one act of a message, with the prepared statement whose text it is in where the message only runs that one: EXECUTE can run a
// prepared utility statement, which is another EXECUTE, or a PREPARE or DEALLOCATE.
type step struct {
	act
	of *record // nil: in the message's own text
}

// maxExecutes is how deep prepared statements that EXECUTE others are followed.
const maxExecutes = 16

// steps are the acts of a text, with those of the prepared statements that it EXECUTEs in their places.
type steps struct {
	list   []step
	effect effect // of the statements that are EXECUTEd
	deep   bool   // more than maxExecutes within each other
}

// follow makes the steps of some acts.
func (s *Session) follow(acts []act, of *record) steps {
	if len(acts) == 0 {
		return steps{}
	}
	f := follower{s: s}
	f.add(acts, of, nil)
	return f.out
}

type follower struct {
	s   *Session
	out steps
	// What the message has made or dropped before it runs it, is none that is known now.
	changed map[string]bool
	all     bool
	path    []string // the names that are followed
}

func (f *follower) add(acts []act, of *record, outer *act) {
	for i := range acts {
		a := acts[i]
		if outer != nil {
			a.statement, a.rows, a.bare = outer.statement, a.rows && outer.rows, a.bare && outer.bare
		}
		if a.kind != runs {
			f.out.list = append(f.out.list, step{act: a, of: of})
			if f.changed == nil {
				f.changed = map[string]bool{}
			}
			f.changed[a.name] = true
			f.all = f.all || a.name == ""
			continue
		}
		r := f.s.statements[a.name]
		if r == nil || f.all || f.changed[a.name] {
			continue
		}
		f.out.list = append(f.out.list, step{act: a, of: of})
		f.out.effect.with(&r.effect)
		switch {
		case len(r.effect.acts) == 0, slices.Contains(f.path, a.name): // one that runs itself is the server's to fail
		case len(f.path) == maxExecutes:
			f.out.deep = true
		default:
			f.path = append(f.path, a.name)
			f.add(r.effect.acts, r, &a)
			f.path = f.path[:len(f.path)-1]
		}
	}
}

// executed is a prepared statement on a migrating table that a message EXECUTEs.
type executed struct {
	statement int // index in the message's text
	plan      *rewrite.Plan
	rows      bool // the statement's rows are its
	bare      bool // an error's position is one in its text
}

// prepareExecuted sees that the prepared statements which a message EXECUTEs are there as the state and the settings want them. Where one is to be prepared
// anew for a Query, that happens by itself, and the Query waits for it: nothing could hold it back otherwise if that fails. ok is false where the
// message has to wait.
func (s *Session) prepareExecuted(st *steps, u use) (done []executed, v verdict, ok bool) {
	if st.deep {
		return nil, verdict{refusal: refuseDeep()}, true
	}
	for _, a := range st.list {
		if a.kind != runs {
			continue
		}
		r, v, ok := s.statement([]byte(a.name), u)
		if !ok {
			return nil, v, false
		}
		if v.refusal != nil {
			return nil, v, true
		}
		if r != nil && r.plan != nil {
			done = append(done, executed{statement: a.statement, plan: r.plan, rows: a.rows, bare: a.bare})
		}
	}
	return done, verdict{}, true
}

// mixes says whether, in a text of several statements, one that uses a migrating table comes after one that changes the settings. What it
// means cannot be known before the first has run.
func (s *Session) mixes(text string, st *steps) bool {
	if strings.IndexByte(text, ';') < 0 {
		return false
	}
	for _, backslash := range []bool{false, true} {
		after := false
		for i, one := range split(text, backslash) {
			e := effectOf(one, backslash)
			if s.settings == nil || !s.settings.MentionsTemp(one) { // before they are asked for, this is asked again
				e.unsettles = s.state.Unsettles(one)
			}
			uses := s.mentions(one)
			for _, a := range st.list {
				if r := s.statements[a.name]; a.kind == runs && a.statement == i && r != nil {
					e.with(&r.effect)
					uses = uses || !r.gone && s.mentions(r.source.text)
				}
			}
			if after && uses {
				return true
			}
			after = after || e.unsettles == unsettle || e.ends && s.unsettled
		}
	}
	return false
}

// use is how a message uses a prepared statement.
type use struct {
	query bool // by EXECUTE in a Query
	ends  bool // the message may end a transaction
}

// apply notes what a message's PREPARE, DEALLOCATE and DISCARD ALL will make and drop. The unnamed statement stays. plan is that of the text.
func (s *Session) apply(e *entry, list []step, plan *rewrite.Plan) {
	tag := 0
	for _, a := range list {
		switch {
		case a.kind == runs:
			continue
		case a.kind == makes:
			tag++
			s.setTagged(e, false, a.name, s.made(&a, plan), tag)
		case a.name != "":
			tag++
			s.setTagged(e, false, a.name, &record{gone: true}, tag)
		default:
			tag++
			for name := range s.statements {
				if name != "" {
					s.setTagged(e, false, name, &record{gone: true}, tag)
				}
			}
		}
	}
}

// made is what a PREPARE makes.
func (s *Session) made(a *step, plan *rewrite.Plan) *record {
	text := a.text
	r := record{state: s.state, plan: plan}
	if a.of != nil {
		text = a.of.source.text
		r = record{sql: a.of.sql, plan: a.of.plan, state: a.of.state, settings: a.of.settings, mentions: a.of.mentions}
	} else {
		text = strings.Clone(text) // it is in the message's bytes
		r.sql = text
		if s.mentions(text) {
			r.settings, r.mentions = s.settings, true
		}
		if plan != nil && plan.Kind == rewrite.Rewrite {
			r.sql = plan.SQL
		}
	}
	r.source = &source{text: text, bySQL: true}
	r.effect.unsettles = rewrite.Unsettles(text)
	return &r
}

// tooMuch says whether the texts that some steps make are more than the session may remember.
func (s *Session) tooMuch(list []step) bool {
	n := s.texts
	for _, a := range list {
		if a.kind == makes {
			n += len(a.text)
		}
	}
	return n > s.limit && n > s.texts
}

// preparer is the name of the statement and of the portal by which a PREPARE of the session's own is run.
const preparer = "segue prepare"

// sendPrepare runs a PREPARE by messages of the session's own and gives the entry of its command tag. What an earlier one that failed may have
// left is closed before.
func (s *Session) sendPrepare(sql string, plan *rewrite.Plan, shift int) *entry {
	s.sendClose('P', preparer)
	s.sendClose('S', preparer)
	s.sendParse(preparer, sql, noTypes).own = true

	at := s.toServer.begin('B')
	s.toServer.text(preparer)
	s.toServer.text(preparer)
	s.toServer.buf = append(s.toServer.buf, 0, 0, 0, 0, 0, 0) // no parameters, no results
	s.toServer.end(at)
	s.queue.push('B').own = true

	at = s.toServer.begin('E')
	s.toServer.text(preparer)
	s.toServer.buf = append(s.toServer.buf, 0, 0, 0, 0) // all rows
	s.toServer.end(at)
	e := s.queue.push('E')
	e.own, e.plan, e.shift = true, plan, shift
	return e
}

// renamed gives a PREPARE another name. shift is how many characters later what follows the name is.
func renamed(sql, name string) (text string, shift int, ok bool) {
	i := blank(sql)
	i += wordLen(sql[i:])
	i += blank(sql[i:])
	_, rest, ok := identifier(sql[i:])
	if !ok {
		return "", 0, false
	}
	old := sql[i : len(sql)-len(rest)]
	name = `"` + name + `"`
	return sql[:i] + name + rest, len(name) - len([]rune(old)), true
}
