package oracle

import (
	"slices"
	"strings"
)

// Script is what one session of generated code sends, inside a transaction that is rolled back.
type Script struct {
	Name  string
	Again string // the flags that make it again
	Code  Code
	Steps []scriptStep
	// Statements is the number of generated statements among the steps: what only begins or ends something, and what fetches, does not count.
	Statements int
	// Writes says that the contents are to be looked at afterwards.
	Writes bool
	// Risky says that a value which is written may have no form on the other side.
	Risky bool
	// Star says that the shape of a migrating table is used, of which version auto sees the old one.
	Star bool
	// Lossy says that a lossy column is written, which new code can do from switch-reads on only.
	Lossy bool
	// Early says the same of what new code does to the tables of a split.
	Early bool
}

// scriptStep is one text.
type scriptStep struct {
	Step
	Protocol Protocol
	Ordered  bool // the order of its rows is settled
	AnyFrom  bool // its columns' origins are not compared: they are those of another text
}

// String is the texts, for people.
func (s *Script) String() string {
	var out []string
	for _, st := range s.Steps {
		text := st.Text + params(st.Step)
		if st.Copy != nil {
			text += "   -- " + quoteText(string(st.Copy))
		}
		out = append(out, "  ["+st.Protocol.String()+"] "+text)
	}
	return strings.Join(out, "\n")
}

// queue queues a script on a connection. begin sets back what a rollback does not; contents asks for what a statement may have changed.
func (c *Conn) queue(s *Script, texts []sent, begin, contents string) {
	if s.Writes {
		c.Query(begin)
	}
	c.Query("BEGIN")
	for i, t := range texts {
		if t.abort {
			c.Query(refused)
		} else {
			c.Send(t.Step, s.Steps[i].Protocol, t.Types)
		}
	}
	if s.Writes {
		c.Query(contents)
	}
	c.Query("ROLLBACK")
	if s.prepares() {
		c.Query("DEALLOCATE ALL")
	}
}

func (s *Script) prepares() bool {
	return slices.ContainsFunc(s.Steps, func(st scriptStep) bool { return strings.HasPrefix(st.Text, "PREPARE") })
}

// collect takes the replies of a queued script, and gives the others.
func (s *Script) collect(replies [][]Event, logical func([]Event) ([]Event, string)) (*Outcome, [][]Event, error) {
	next := func() []Event {
		r := replies[0]
		replies = replies[1:]
		return r
	}
	if s.Writes {
		if e := failure(next()); e != nil {
			return nil, nil, errorOf("going back to the beginning", e)
		}
	}
	next()
	o := &Outcome{}
	for range s.Steps {
		o.Steps = append(o.Steps, next())
	}
	if s.Writes {
		contents, apart := logical(next())
		o.Contents, o.Apart = [][]Event{contents}, apart
	}
	next()
	if s.prepares() {
		next()
	}
	return o, replies, nil
}
