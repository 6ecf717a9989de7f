package session

// failed deals with an ErrorResponse.
func (s *Session) failed(m []byte) error {
	s.queue.settle(true)
	e := s.queue.head()
	if e == nil || endsSession(m[headerLen:]) { // the server's last word, whatever it was about
		s.toClient.add(m)
		return nil
	}
	switch e.kind {
	case 'Q', 'F', 'S': // ReadyForQuery follows
		if s.mayMeet(e, m) {
			return nil
		}
		if e.probe != notProbe {
			s.probe.refusal = s.serverRefusal(e, m[headerLen:])
			return nil
		}
		s.passError(e, m)
		if e.part {
			e.part, s.front.failed = false, true
		}
		if e.copyIn {
			e.copyIn = false
			s.queue.copyFailed()
		}
		return nil
	}
	s.failedPipeline(e, m)
	return s.murk()
}

// failedPipeline deals with an error in the extended protocol: the server skips all up to the next Sync.
func (s *Session) failedPipeline(e *entry, m []byte) {
	switch {
	case s.mayMeet(e, m):
	case e.probe != notProbe && s.probe.synced:
		s.probe.refusal = s.serverRefusal(e, m[headerLen:])
	case e.probe != notProbe: // in the client's pipeline, the error stands for its statement
		s.probe.failed = true
		s.passError(e, m)
	default:
		s.passError(e, m)
	}
	if e.copyIn {
		s.queue.copyFailed()
	}
	var u undo
	if e.kind == 'P' && !e.own {
		// A Parse that fails drops the unnamed statement all the same.
		for i := range e.changes {
			if c := &e.changes[i]; c.name == "" && c.next != nil {
				s.kill(c.prev)
				c.prev = nil
			}
		}
	}
	for e := e; e != nil && e.kind != 'S'; e = s.queue.head() {
		if e.probe == probeLast {
			s.probe.running = false
		}
		s.takeBack(&u, e)
		s.queue.pop()
	}
	s.restore(u)
	s.skip = s.queue.n == 0 && !s.again.met // else the session sends the Sync
	s.reopen()
}

// murk looks at what comes after a COPY that failed. Where its Sync may have been eaten, nothing but the next Sync can come before the server is
// known to go on; anything else could not be paired with its replies.
func (s *Session) murk() error {
	e := s.queue.head()
	if e == nil || !e.maybe {
		return nil
	}
	for i := range s.queue.n {
		e := s.queue.at(i)
		if e.kind == 'S' && !e.maybe {
			return nil
		}
		if e.kind != 'S' && e.kind != copyEnd {
			return s.violation("08P01", "a message of type %q came after a COPY had failed and before its Sync", e.kind)
		}
	}
	s.murky = true
	return nil
}
