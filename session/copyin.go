package session

// What the client sends of a COPY's data is edited where the plan of its COPY says so. Which COPY the data belongs to is known when the server has answered it;
// until then it waits. Data of other COPYs, and what the server will ignore, is streamed as it comes.

// copyMessage deals with CopyData, CopyDone or CopyFail. It says whether it got on.
func (s *Session) copyMessage(typ byte, size int) bool {
	if s.copyUnknown() {
		s.await(forCopy)
		return false
	}
	current := s.copyCurrent()
	switch {
	case typ == 'd' && current && s.copying != nil:
		s.client.take(headerLen)
		s.client.stream(size-headerLen, false)
		s.client.edit = s.copying
		return true
	case typ == 'd':
		s.client.stream(size, false)
		return true
	case typ == 'c' && current && s.copying != nil:
		s.toServer.copyData(s.copying.Finish)
	}
	s.copyEnd()
	s.client.stream(size, false)
	if e := s.queue.head(); typ == 'c' && size == headerLen && current && e.kind == 'E' && e.stagedPart() == partCopy {
		// Only when the COPY has succeeded is it known that the server awaits what comes next, and not a Sync.
		s.client.step(&s.toServer)
		s.toServer.end(s.toServer.begin('H'))
		s.await(forCopied)
	}
	return true
}

// copyCurrent says whether what the client sends of a COPY's data belongs to the one that the server is reading.
func (s *Session) copyCurrent() bool {
	e := s.queue.head()
	if e == nil || !e.copyIn {
		return false
	}
	for i := 1; i < s.queue.n; i++ {
		if k := s.queue.at(i).kind; k != 'S' {
			return k != copyEnd
		}
	}
	return true
}

// copyUnknown says whether what the client sends of a COPY's data may belong to one that needs something and that the server has not answered yet.
func (s *Session) copyUnknown() bool {
	if s.copyCurrent() {
		return false
	}
	for i := range s.queue.n {
		e := s.queue.at(i)
		if e.own || e.plan == nil || e.kind != 'Q' && e.kind != 'E' {
			continue
		}
		for k := range e.plan.Copies {
			c := &e.plan.Copies[k]
			ended := c.Statement < e.statement || c.Statement == e.statement && i == 0 && e.copyIn
			if (c.Spec != nil || c.Staged != nil) && !ended {
				return true
			}
		}
	}
	return false
}

// copyData adds a CopyData of what f appends; none where that is nothing.
func (o *output) copyData(f func([]byte) []byte) {
	at := o.begin('d')
	before := len(o.buf)
	if o.buf = f(o.buf); len(o.buf) == before {
		o.buf = o.buf[:before-headerLen]
		return
	}
	o.end(at)
}
