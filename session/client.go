package session

import (
	"encoding/binary"
	"fmt"
)

// Client takes bytes that the client sent and says how many it consumed: all, unless the session is Blocked when it returns. After a wait it
// is called again with the rest, or with nil where there is none. An error ends the session: the owner writes what ToClient gives
// and closes both sides.
func (s *Session) Client(in []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	f := &s.client
	f.in, f.n = in, 0
	s.resumed = false
	for s.block == NotBlocked {
		on, err := s.clientStep()
		if err != nil {
			s.err = err
			break
		}
		if !on {
			break
		}
	}
	n := f.n
	f.in, f.n = nil, 0
	return n, s.err
}

// clientStep deals with the next piece of a frame. It says whether it got on; if not, it needs more bytes or is blocked.
func (s *Session) clientStep() (bool, error) {
	f := &s.client
	if f.left > 0 {
		return f.step(&s.toServer), nil
	}
	if s.staged != nil {
		s.sendStaged()
	}
	switch s.phase {
	case starting:
		return s.startupPacket()
	case over:
		f.n, f.held = len(f.in), nil
		return false, nil
	case authenticating, serving:
	}
	h := f.peek(headerLen)
	if h == nil {
		return false, nil
	}
	typ, length := h[0], binary.BigEndian.Uint32(h[1:])
	if length < 4 || length > largeFrame {
		return false, s.violation("08P01", "invalid message length %d in a message of type %q", length, typ)
	}
	if int(length) > s.largest {
		return false, s.fail("54000", fmt.Sprintf("a message of %d bytes is more than the proxy takes (%d bytes)", length, s.largest),
			"Raise limits.max_packet_size in the proxy's settings, or send less in one message.")
	}
	size := 1 + int(length)
	if s.phase == authenticating && typ != 'p' && typ != 'X' {
		s.await(forReady)
		return false, nil
	}
	if s.phase == authenticating && typ == 'p' {
		return s.authenticate(size)
	}
	return s.message(typ, size)
}

// message deals with a frame of the client, of which the header is there.
func (s *Session) message(typ byte, size int) (bool, error) {
	switch typ {
	case 'Q', 'P', 'B', 'D', 'E', 'C', 'S', 'F':
	case 'd', 'c', 'f': // CopyData, CopyDone, CopyFail
		return s.copyMessage(typ, size), nil
	default: // Flush, Terminate, passwords; what else there may be, the server judges
		s.client.stream(size, false)
		return true, nil
	}
	switch {
	case s.switching():
		s.await(forSwitch)
		return false, nil
	case s.queue.n >= maxQueue && !s.skip:
		s.await(forQueue)
		return false, nil
	case s.murky && typ != 'S':
		return false, s.violation("08P01", "a message of type %q came after a COPY had failed and before its Sync", typ)
	case s.skip && typ == 'Q' && s.probe.failed:
		// The question failed in the Query's place, and has been answered for it. What ends a failed Query is a ReadyForQuery.
		s.toServer.end(s.toServer.begin('S'))
		s.sync()
		s.client.stream(size, true)
		s.handled()
		return true, nil
	case s.skip && typ != 'S': // even a Query: PostgreSQL skips all there is
		s.client.stream(size, false)
		s.handled()
		return true, nil
	}
	switch typ {
	case 'S':
		s.sync()
		s.client.stream(size, false)
		return true, nil
	case 'F': // it may call set_config
		s.unsettle(effect{unsettles: unsettle})
		s.cycle('F')
		s.client.stream(size, false)
		return true, nil
	case 'B':
		return s.bind(size)
	}
	if size > s.limit {
		return s.tooLarge(typ, size)
	}
	m := s.client.peek(size)
	if m == nil {
		return false, nil
	}
	if size > longStatement {
		s.long()
	}
	on := true
	switch typ {
	case 'Q':
		on = s.query(m)
	case 'P':
		on = s.parse(m)
	case 'D':
		on = s.describe(m)
	case 'E':
		on = s.execute(m)
	case 'C':
		s.closeName(m)
	}
	if on {
		s.client.take(size)
		s.handled()
	}
	return on, nil
}

// longStatement is the size of a statement, in bytes, from which on it takes long just to read it.
const longStatement = 128 << 10

// handled forgets what was said of the message that is now dealt with.
func (s *Session) handled() {
	s.denied, s.probe.failed, s.probe.refusal, s.front = nil, false, nil, front{}
	s.endAgain()
}

// tooLarge refuses a statement that is not held whole, and drops the message.
func (s *Session) tooLarge(typ byte, size int) (bool, error) {
	refusal := refuseLarge("a statement", size, s.limit)
	switch typ {
	case 'Q':
		s.sendQuery(poison).refusal = refusal
	case 'P':
		s.sendRefusal(refusal, false)
	default:
		return false, s.violation("08P01", "invalid message length %d in a message of type %q", size-1, typ)
	}
	s.client.stream(size, true)
	return true, nil
}

// sync notes the end of a pipeline.
func (s *Session) sync() {
	s.endImplicit()
	s.queue.push('S')
	s.pipeline, s.unsure, s.skip, s.murky = false, false, false, false
	s.ran, s.bound = false, 0
	s.segment++
}

// cycle notes a Query or a FunctionCall, which ends what was pipelined before it where the server does not skip it.
func (s *Session) cycle(kind byte) *entry {
	s.endImplicit()
	s.unsure = s.pipeline
	return s.queue.push(kind)
}

// endImplicit notes that what was set since the last ReadyForQuery may be undone by the end of an implicit transaction.
func (s *Session) endImplicit() {
	if s.unsettled && (s.tx != 'T' || s.ending) {
		s.dirty = true
	}
}

// reopen finds out anew whether a pipeline is open, from the messages that are outstanding.
func (s *Session) reopen() {
	s.pipeline, s.unsure = s.skip, false
	for i := range s.queue.n {
		switch e := s.queue.at(i); e.kind {
		case 'S':
			s.pipeline, s.unsure = false, false
		case 'Q', 'F':
			s.unsure = s.pipeline
		case copyEnd:
		default:
			s.pipeline = true
		}
	}
}

// copyEnd notes the end of the client's COPY data: it tells which Syncs the server takes for a part of them.
func (s *Session) copyEnd() {
	if s.queue.n == 0 {
		return
	}
	if last := s.queue.at(s.queue.n - 1); last.kind == copyEnd {
		last.count++
		return
	}
	s.queue.push(copyEnd).count = 1
}

// unsettle notes what a message that is being sent may do to the settings.
func (s *Session) unsettle(e effect) {
	if e.ends {
		s.ending = true
		s.dirty = s.dirty || s.unsettled
	}
	if e.unsettles == unsettle {
		s.dirty, s.unsettled = true, true
	}
}

// sendQuery sends a Query of the session's making.
func (s *Session) sendQuery(sql string) *entry {
	at := s.toServer.begin('Q')
	s.toServer.text(sql)
	s.toServer.end(at)
	return s.pushQuery()
}

// pushQuery notes a Query, which ends what was pipelined before it, and drops the unnamed statement whatever becomes of it.
func (s *Session) pushQuery() *entry {
	e := s.cycle('Q')
	if s.statements[""] != nil {
		s.set(e, false, "", &record{gone: true})
	}
	return e
}

// sendRefusal sends a Parse of the poison in the place of an extended-protocol message. The server will skip what comes until the next
// Sync, the message itself included where the client's is sent after it.
func (s *Session) sendRefusal(r *refusal, always bool) {
	e := s.sendParse(poisonName, poison, noTypes)
	e.own, e.refusal, e.always = true, r, always
}

// sendParse sends a Parse of the session's making.
func (s *Session) sendParse(name, sql string, oids []byte) *entry {
	at := s.toServer.begin('P')
	s.toServer.text(name)
	s.toServer.text(sql)
	s.toServer.buf = append(s.toServer.buf, oids...)
	s.toServer.end(at)
	s.pipeline = true
	return s.queue.push('P')
}

// sendClose sends a Close of the session's making: kind is 'S' for a statement, 'P' for a portal.
func (s *Session) sendClose(kind byte, name string) *entry {
	at := s.toServer.begin('C')
	s.toServer.buf = append(s.toServer.buf, kind)
	s.toServer.text(name)
	s.toServer.end(at)
	s.pipeline = true
	e := s.queue.push('C')
	e.own = true
	return e
}

// noTypes is the end of a Parse that leaves all parameters' types to the server.
var noTypes = []byte{0, 0}
