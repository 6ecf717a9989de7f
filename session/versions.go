package session

import (
	"sync"

	"segue/rewrite"
)

// What a session knows of prepared statements and portals is kept in versions, since a client need not wait for replies: a message that
// makes, replaces or closes one makes a new version at once, which later messages meet, and the message's entry in the queue carries
// the change until the server has confirmed it. A change whose message failed or was skipped is undone.

// record is one version of a prepared statement or of a portal.
type record struct {
	// Of a portal: what running it makes, drops and EXECUTEs.
	steps    []step
	executed []executed
	bind     []byte // its Bind, where what it runs may have to be run again and has not been run yet

	// source is what the client said to make the statement; nil for portals and for what is gone.
	source *source
	effect effect

	plan     *rewrite.Plan     // nil: passed unplanned
	sql      string            // the text that the server has
	state    *rewrite.State    // what it was planned under
	settings *rewrite.Settings // the same; nil where the text mentions no migrating table
	mentions bool              // the text mentions a table that migrates under state

	gone   bool // there is none of that name
	absent bool // the server has none, but the client has: it could not be prepared anew

	pending bool    // not confirmed
	byQuery bool    // a Query made it, which can fail without a Sync before what comes next
	segment int     // the client's Syncs before the message that made it
	older   *record // while pending: what is there if the message fails
}

// source is a client's Parse or PREPARE. All versions of the statement share it.
type source struct {
	text  string
	bySQL bool   // text is a PREPARE
	oids  []byte // of a Parse: the number of parameter types and the types, as in the message
	refs  int    // records that are alive
}

func (s *source) size() int { return len(s.text) + len(s.oids) + 256 }

// change is what one message makes of one name.
type change struct {
	portal     bool
	name       string
	prev, next *record // prev is nil where there was none
	tag        int     // of a PREPARE, DEALLOCATE or DISCARD: the how manieth command tag of the message confirms it, from 1; 0: the message's own reply
}

// maxName is how many bytes of a name PostgreSQL tells apart, NAMEDATALEN - 1.
const maxName = 63

func clip[T string | []byte](name T) T { return name[:min(len(name), maxName)] }

func (s *Session) names(portal bool) map[string]*record {
	if portal {
		return s.portals
	}
	return s.statements
}

// set makes a new version of a name, by the message of entry e.
func (s *Session) set(e *entry, portal bool, name string, next *record) {
	s.setTagged(e, portal, name, next, 0)
}

func (s *Session) setTagged(e *entry, portal bool, name string, next *record, tag int) {
	m := s.names(portal)
	prev := m[name]
	if next.gone && prev == nil {
		return
	}
	next.pending, next.byQuery, next.segment, next.older = true, e.kind == 'Q', s.segment, prev
	if next.source != nil {
		if next.source.refs == 0 {
			s.texts += next.source.size()
		}
		next.source.refs++
	}
	m[name] = next
	e.changes = append(e.changes, change{portal: portal, name: name, prev: prev, next: next, tag: tag})
}

// confirm makes the changes of an entry last that its reply, or the command tag of that number, confirms.
func (s *Session) confirm(e *entry, tag int) {
	for i := range e.changes {
		c := &e.changes[i]
		if c.tag != tag || c.next == nil {
			continue
		}
		s.kill(c.prev)
		c.next.pending, c.next.older = false, nil
		if m := s.names(c.portal); c.next.gone && m[c.name] == c.next {
			delete(m, c.name)
		}
		*c = change{}
	}
}

// kill lets go of a version that nothing can come back to.
func (s *Session) kill(r *record) {
	if r == nil || r.source == nil {
		return
	}
	if r.source.refs--; r.source.refs == 0 {
		s.texts -= r.source.size()
	}
}

// undo collects the changes of messages that did not succeed, in the messages' order.
type undo map[changed]*record

type changed struct {
	portal bool
	name   string
}

// takeBack takes back all changes of an entry that are not confirmed.
func (s *Session) takeBack(u *undo, e *entry) {
	for i := range e.changes {
		c := &e.changes[i]
		if c.next == nil {
			continue
		}
		if *u == nil {
			*u = undo{}
		}
		k := changed{c.portal, c.name}
		if _, there := (*u)[k]; !there { // the oldest is what remains
			(*u)[k] = c.prev
		}
		c.next.pending = false
		s.kill(c.next)
		*c = change{}
	}
}

// restore puts back what there was before the undone changes, below the versions of messages that are still outstanding.
func (s *Session) restore(u undo) {
	if len(u) == 0 {
		return
	}
	for i := range s.queue.n {
		e := s.queue.at(i)
		for j := range e.changes {
			c := &e.changes[j]
			k := changed{c.portal, c.name}
			if prev, there := u[k]; there && c.next != nil {
				c.prev, c.next.older = prev, prev
				delete(u, k)
			}
		}
	}
	for k, prev := range u {
		if m := s.names(k.portal); prev != nil && (prev.pending || !prev.gone) {
			m[k.name] = prev
		} else {
			delete(m, k.name)
		}
	}
}

// endPortals forgets the portals of a transaction that is over; those that later messages made are pending still.
func (s *Session) endPortals() {
	if len(s.portals) == 0 {
		return
	}
	var over *record // one of them, which nothing refers to once the changes below are seen to
	for name, r := range s.portals {
		if !r.pending {
			delete(s.portals, name)
			over = r
		}
	}
	for i := range s.queue.n {
		for j := range s.queue.at(i).changes {
			if c := &s.queue.at(i).changes[j]; c.portal && c.next != nil && c.prev != nil && !c.prev.pending {
				c.prev, c.next.older = nil, nil
			}
		}
	}
	if over != nil && againPlan(over.plan, over.executed) == nil { // else it is or was among those whose Binds are kept
		*over = record{}
		spareRecords.Put(over)
	}
}

// spareRecords are records of portals that are over, for any session's next portal: most have one in each transaction.
var spareRecords = sync.Pool{New: func() any { return new(record) }}
