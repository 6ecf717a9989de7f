package session

import (
	"encoding/binary"

	"segue/rewrite"
)

// A COPY whose rows cannot go into the table as they are goes as four statements (package rewrite, stage): the client sees one. In a Query they are one text. By the
// extended protocol the session sends the first before the client's Execute, and the last two when the COPY has succeeded.

// piece is which of the four statements a message or a reply belongs to.
type piece byte

const (
	notStaged  piece = iota
	partBefore       // makes the temporary table
	partCopy
	partAfter // puts the rows into the table
	partCount // says how many
)

// stager is the name of the statement and portal by which the session runs them.
const stager = "segue copy"

// stagedCopy gives the COPY of a text that went by the extended protocol where it is staged; nil where it is not.
func stagedCopy(p *rewrite.Plan) *rewrite.CopyIn {
	if p != nil && len(p.Copies) == 1 && p.Copies[0].Staged != nil {
		return &p.Copies[0]
	}
	return nil
}

// copyOf gives the COPY that the entry's statement is; nil where it is none, or none that needs anything.
func (e *entry) copyOf() *rewrite.CopyIn {
	if e.plan == nil || e.kind != 'Q' && e.kind != 'E' && e.kind != 'P' && e.kind != 'B' {
		return nil
	}
	for i := range e.plan.Copies {
		if c := &e.plan.Copies[i]; c.Statement == e.statement {
			return c
		}
	}
	return nil
}

// stagedPart says which statement of a staged COPY the server is answering.
func (e *entry) stagedPart() piece {
	if e.own {
		return e.piece
	}
	c := e.copyOf()
	switch {
	case c == nil || c.Staged == nil:
		return notStaged
	case e.kind == 'Q':
		return partBefore + piece(e.hidden)
	}
	return partCopy
}

// counts says whether the entry's row, if there is one, is the number of rows of a staged COPY.
func (e *entry) counts() bool {
	return (e.kind == 'Q' || e.kind == 'E') && e.stagedPart() == partCount
}

// completeStaged deals with the command tag of one of the four statements of a Query.
func (s *Session) completeStaged(e *entry) {
	e.hidden++
	switch partBefore + piece(e.hidden-1) {
	case partCopy:
		if e.copyIn {
			s.copied(e)
		}
	case partCount:
		s.tellCopied(e.tag)
		e.hidden, e.tag = 0, ""
		e.statement++
	case notStaged, partBefore, partAfter:
	}
}

// tellCopied gives the client the command tag of its COPY.
func (s *Session) tellCopied(rows string) {
	at := s.toClient.begin('C')
	s.toClient.text("COPY " + rows)
	s.toClient.end(at)
}

// copiedRows reads the only value of a DataRow.
func copiedRows(m []byte) string {
	body := m[headerLen:]
	if len(body) < 6 {
		return ""
	}
	n := int(int32(binary.BigEndian.Uint32(body[2:])))
	if n < 0 || n > len(body)-6 {
		return ""
	}
	return string(body[6 : 6+n])
}

// sendBefore makes the temporary table before an Execute of a staged COPY.
func (s *Session) sendBefore(p *rewrite.Plan) {
	if c := stagedCopy(p); c != nil {
		s.sendPart(p, partBefore, c.Staged.Before)
	}
}

// sendStaged puts the rows of a COPY that has succeeded into the table.
func (s *Session) sendStaged() {
	p := s.staged
	s.staged = nil
	s.sendAfter(p)
}

func (s *Session) sendAfter(p *rewrite.Plan) {
	st := stagedCopy(p).Staged
	s.sendPart(p, partAfter, st.After)
	s.sendPart(p, partCount, st.Count)
}

// sendPart runs a statement of a staged COPY.
func (s *Session) sendPart(p *rewrite.Plan, of piece, sql string) {
	from := s.queue.n
	s.sendClose('P', stager) // which an error may have left
	s.sendClose('S', stager)
	s.sendParse(stager, sql, noTypes)

	at := s.toServer.begin('B')
	s.toServer.text(stager)
	s.toServer.text(stager)
	s.toServer.buf = append(s.toServer.buf, 0, 0, 0, 0, 0, 0) // no parameters, results as text
	s.toServer.end(at)
	s.queue.push('B')

	at = s.toServer.begin('E')
	s.toServer.text(stager)
	s.toServer.buf = append(s.toServer.buf, 0, 0, 0, 0) // all rows
	s.toServer.end(at)
	s.queue.push('E')

	s.sendClose('P', stager)
	s.sendClose('S', stager)
	for i := from; i < s.queue.n; i++ {
		e := s.queue.at(i)
		e.own = true
		if e.kind != 'C' {
			e.plan, e.piece = p, of
		}
	}
}
