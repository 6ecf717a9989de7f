package session

import (
	"bytes"
	"encoding/binary"

	"segue/rewrite"
	"segue/rewrite/copydata"
)

// Server takes bytes that the server sent; it consumes all of them. An error ends the session: the owner writes what ToClient gives and closes both
// sides.
func (s *Session) Server(in []byte) error {
	f := &s.server
	f.in, f.n = in, 0
	for s.err == nil {
		if s.phase == over {
			f.n, f.held = len(in), nil
			break
		}
		on, err := s.serverStep()
		if err != nil {
			s.err = err
		}
		if !on {
			break
		}
	}
	f.in, f.n = nil, 0
	s.wake()
	return s.err
}

// serverStep deals with the next piece of a frame. It says whether it got on; if not, it needs more bytes.
func (s *Session) serverStep() (bool, error) {
	f := &s.server
	if f.left > 0 {
		return f.step(&s.toClient), nil
	}
	h := f.peek(headerLen)
	if h == nil {
		return false, nil
	}
	typ, length := h[0], binary.BigEndian.Uint32(h[1:])
	if length < 4 || length > largeFrame || s.phase == starting {
		return false, s.violation("08P01", "the server sent what is no message of its protocol (type %q, length %d)", typ, length)
	}
	size := 1 + int(length)
	switch typ {
	case 'A', 'd', 'c', 'v': // notifications, COPY data: they answer nothing
		f.stream(size, false)
		return true, nil
	case 'N':
		if !s.noticed(size) {
			return true, nil
		}
		fallthrough
	case 'D', 'T':
		if typ != 'N' && !s.wanted(typ) {
			break
		}
		fallthrough
	case 'R', 'S', 'K', 'Z', 'E', 'C':
		if size > s.limit {
			return false, s.violation("54000", "the server sent a message of type %q of %d bytes, which is more than the proxy holds (%d bytes)", typ, size, s.limit)
		}
		m := f.peek(size)
		if m == nil {
			return false, nil
		}
		if err := s.reply(typ, m); err != nil {
			return false, err
		}
		f.take(size)
		return true, nil
	}
	drop, err := s.streamed(typ)
	if err != nil {
		return false, err
	}
	f.stream(size, drop)
	return true, nil
}

// noticed says whether a notice must be held whole, since its position is in a text of the session's own. Otherwise it is passed, or dropped
// where the client knows nothing of what it is about.
func (s *Session) noticed(size int) bool {
	s.queue.settle(false)
	e := s.queue.head()
	unseen := e != nil && e.own && e.piece != partAfter // there, the table's triggers speak
	if e != nil && !unseen && e.foreign() && size <= s.limit {
		return true
	}
	s.server.stream(size, unseen)
	return false
}

// wanted says whether a row or its description must be held whole.
func (s *Session) wanted(typ byte) bool {
	s.queue.settle(true)
	e := s.queue.head()
	if e == nil {
		return false
	}
	if typ == 'D' {
		return e.probe != notProbe || e.counts()
	}
	return s.result(e) != nil
}

// result is what the entry's next RowDescription must be patched with, or nil.
func (s *Session) result(e *entry) *rewrite.Result {
	if e.plan != nil {
		for i := range e.plan.Results {
			if r := &e.plan.Results[i]; r.Statement == e.statement && len(r.Origins) > 0 {
				return r
			}
		}
	}
	for _, x := range e.executed { // of a single statement each
		if x.rows && x.statement == e.statement && len(x.plan.Results) > 0 {
			return &x.plan.Results[0]
		}
	}
	return nil
}

// replies are the kinds of messages that a type of reply can answer, or be a part of the answer to. Types that are not here are unknown and pass.
var replies = [256]string{
	'1': "P", '2': "B", '3': "C", 'n': "D", 't': "D", 'T': "QDE", 'D': "QE", 'C': "QE", 's': "E", 'I': "QE",
	'G': "QE", 'H': "QE", 'W': "QE", 'V': "F", 'Z': "QSF",
}

// answering finds the entry that a reply of that type belongs to; nil where the type is unknown.
func (s *Session) answering(typ byte) (*entry, error) {
	kinds := replies[typ]
	if kinds == "" {
		return nil, nil
	}
	s.queue.settle(typ != 'Z')
	e := s.queue.head()
	if e == nil {
		return nil, s.violation("08P01", "the server sent a message of type %q that answers nothing", typ)
	}
	for i := range len(kinds) {
		if kinds[i] == e.kind {
			return e, nil
		}
	}
	return nil, s.violation("08P01", "the server answered a message of type %q by one of type %q", e.kind, typ)
}

// streamed deals with a reply of which the type says all. It says whether the client is not to see it.
func (s *Session) streamed(typ byte) (drop bool, err error) {
	e, err := s.answering(typ)
	if err != nil || e == nil {
		return false, err
	}
	drop = e.own || e.counts()
	switch typ {
	case '1', '2', '3', 'n', 's':
		s.confirm(e, 0)
		s.done(e)
	case 'T':
		if e.kind == 'D' {
			s.done(e)
		}
	case 'I':
		if e.kind == 'Q' {
			e.statement++
		} else {
			s.confirm(e, 0)
			s.done(e)
		}
	case 'G':
		e.copyIn, s.copying = true, nil
		if c := e.copyOf(); c != nil && c.Spec != nil {
			s.copying = copydata.NewStream(c.Spec)
		}
	}
	return drop, nil
}

// done ends the entry at the front.
func (s *Session) done(e *entry) {
	if e.probe == probeLast {
		s.answered()
	}
	s.queue.pop()
	s.queue.settle(false)
}

// reply deals with a reply that is held whole.
func (s *Session) reply(typ byte, m []byte) error {
	switch typ {
	case 'R':
		s.authentication(m)
		return nil
	case 'S':
		s.parameter(m)
		s.toClient.add(m)
		return nil
	case 'K':
		if len(m) >= headerLen+4 {
			s.pid, s.key = binary.BigEndian.Uint32(m[headerLen:]), bytes.Clone(m[headerLen:])
		}
		s.toClient.add(m)
		return nil
	case 'E':
		return s.failed(m)
	case 'N':
		s.passFields('N', s.queue.head(), m)
		return nil
	case 'Z':
		return s.ready(m)
	}
	e, err := s.answering(typ)
	if err != nil {
		return err
	}
	switch typ {
	case 'D':
		if e.counts() {
			e.tag = copiedRows(m)
			return nil
		}
		s.answer(m)
	case 'T':
		s.patch(s.result(e), m)
		if e.kind == 'D' {
			s.done(e)
		}
	case 'C':
		if e.kind == 'Q' && e.stagedPart() != notStaged {
			s.completeStaged(e)
			return nil
		}
		switch {
		case e.counts():
			s.tellCopied(e.tag)
		case e.stagedPart() == partCopy:
			if e.copyIn {
				s.staged = e.plan
			}
		case !e.own:
			s.toClient.add(m)
		}
		s.complete(e, m)
	}
	return nil
}

// patch passes a RowDescription on, with the origins of columns that rewriting hid.
func (s *Session) patch(r *rewrite.Result, m []byte) {
	from := len(s.toClient.buf)
	s.toClient.add(m)
	if r == nil || len(m) < headerLen+2 {
		return
	}
	fields := s.toClient.buf[from+headerLen+2:]
	const fixed = 18 // table, number, type, its length, modifier, format
	for i := 0; ; i++ {
		_, rest, ok := cut(fields)
		if !ok || len(rest) < fixed {
			return
		}
		for _, o := range r.Origins {
			if o.Column != i {
				continue
			}
			binary.BigEndian.PutUint32(rest, o.Table)
			binary.BigEndian.PutUint16(rest[4:], uint16(o.Num))
			if o.Type != 0 {
				binary.BigEndian.PutUint32(rest[6:], o.Type)
			}
		}
		fields = rest[fixed:]
	}
}

// complete deals with a CommandComplete.
func (s *Session) complete(e *entry, m []byte) {
	if len(e.changes) > 0 {
		tag, _, _ := cut(m[headerLen:])
		switch view(tag) {
		case "PREPARE", "DEALLOCATE", "DEALLOCATE ALL", "DISCARD ALL":
			e.tags++
			s.confirm(e, e.tags)
		}
	}
	e.statement++
	if e.copyIn {
		e = s.copied(e)
	}
	if e.kind == 'E' {
		s.confirm(e, 0)
		s.end(e)
	}
}

// copied ends the data of a COPY that succeeded. The entry may move in memory.
func (s *Session) copied(e *entry) *entry {
	e.copyIn = false
	ate := s.queue.copyDone()
	if ate && !s.queue.cycles() {
		s.pipeline = true // the Sync that was to end it is gone
	}
	return s.queue.head()
}

// end ends the entry at the front, and undoes what nothing confirmed.
func (s *Session) end(e *entry) {
	var u undo
	s.takeBack(&u, e)
	s.done(e)
	s.restore(u)
}

// ready deals with a ReadyForQuery.
func (s *Session) ready(m []byte) error {
	if len(m) != headerLen+1 {
		return s.violation("08P01", "the server sent a ReadyForQuery of %d bytes", len(m))
	}
	status := m[headerLen]
	if s.phase == authenticating {
		s.phase, s.tx = serving, status
		s.toClient.add(m)
		s.boundary()
		return nil
	}
	e, err := s.answering('Z')
	if err != nil {
		return err
	}
	if !e.own && !e.part {
		s.toClient.add(m)
	}
	if e.kind == 'Q' {
		s.front.running = false
	}
	maybe, own, kind := e.maybe, e.own, e.kind
	s.confirm(e, 0)
	s.end(e)
	s.tx, s.murky = status, false
	if maybe {
		// This was the doubted Sync's, or the next one's; then that is the one that has none coming.
		s.queue.settle(false)
		if next := s.queue.head(); next != nil && next.kind == 'S' {
			s.queue.doubt(next)
		}
	}
	if s.unsure && kind != 'S' {
		s.reopen()
	}
	if status == 'I' {
		s.dirty = s.dirty || s.unsettled && !own // an own one ends no transaction of the client's
		s.endPortals()
	}
	if s.queue.firm == 0 && !s.pipeline {
		s.ending = false
		s.unsettled = s.unsettled && status != 'I'
	}
	s.boundary()
	return nil
}
