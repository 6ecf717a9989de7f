package session

import (
	"bytes"
	"strings"

	"segue/rewrite"
)

// A COPY whose values must be converted goes as four statements: CREATE TEMP TABLE, COPY into that, INSERT ... SELECT, DROP TABLE. The client sees one.

// stages gives the COPY for which the statements that are being answered stand in; nil where it is none.
func (e *entry) stages() *rewrite.Staged {
	if e.plan == nil || e.kind != 'Q' {
		return nil
	}
	for i := range e.plan.Staged {
		if e.plan.Staged[i].Statement == e.statement {
			return &e.plan.Staged[i]
		}
	}
	return nil
}

// completeStaged deals with the command tag of one of the four.
func (s *Session) completeStaged(e *entry, m []byte) {
	e.hidden++
	switch e.hidden {
	case 2:
		if e.copyIn {
			s.copied(e)
		}
	case 3: // INSERT 0 n
		tag, _, _ := cut(m[headerLen:])
		e.tag = "COPY " + string(tag[bytes.LastIndexByte(tag, ' ')+1:])
	case 4:
		at := s.toClient.begin('C')
		s.toClient.text(e.tag)
		s.toClient.end(at)
		e.hidden, e.tag = 0, ""
		e.statement++
	}
}

// clientContext gives an error's context as the client knows it.
func clientContext(e *entry, context string) string {
	if x := e.stages(); x != nil {
		return strings.Replace(context, "COPY "+rewrite.StageTable+",", "COPY "+x.Table+",", 1)
	}
	return context
}

func refuseStaged() *refusal {
	return &refusal{
		Code: "0A000", Message: "segue: COPY into a column whose values must be converted cannot go by the extended protocol",
		Hint: "Send the COPY as a simple query, as libpq's PQexec and most drivers' bulk interfaces do.",
	}
}
