package oracle

import "fmt"

// sent is one text as it goes to a server or a proxy.
type sent struct {
	Step
	types []uint32 // of the parameters, as the reference found them
	// abort says that the text was refused before it got here: nothing is sent but what makes the transaction fail, as the refusal does for the client.
	abort bool
}

// refused is sent in the place of a text that was refused: an error, or in a failed transaction the error that every text gets there.
const refused = "SELECT refused"

// Outcome is what came back: the events of each text, and the table's contents after each that may have written.
type Outcome struct {
	Steps    [][]Event
	Contents [][]Event // nil where nothing was looked at
	Apart    string    // where the two columns do not agree
}

// session is a connection on which cases are run, each from the same beginning. It is used by one goroutine at a time.
type session struct {
	conn     *Conn
	begin    string    // sets what a rollback does not undo
	contents [2]string // ask for everything that a statement may have changed, as code of each side sees it
	seed     string    // brings the data back to the beginning, after texts that were committed; "": the owner does it
	// logical takes what only a migrating table has out of contents' events, and says where it is not in agreement; nil: there is nothing to take out.
	logical func([]Event) ([]Event, string)
}

// Close ends the session.
func (s *session) Close() error {
	if s.conn == nil {
		return nil
	}
	return s.conn.Close()
}

// Run runs texts of one side's code one after the other: in a transaction that is rolled back, or each committed by itself.
func (s *session) Run(steps []sent, p Protocol, commit bool, side Side) (*Outcome, error) {
	c := s.conn
	c.Query(s.begin)
	if !commit {
		c.Query("BEGIN")
	}
	for _, st := range steps {
		if st.abort {
			c.Query(refused)
		} else {
			c.Send(st.Step, p, st.types)
		}
		if writing.MatchString(st.Text) {
			c.Query(s.contents[side])
		}
	}
	c.Query("ROLLBACK")
	if commit && s.seed != "" {
		c.Query(s.seed)
	}
	c.Query("DEALLOCATE ALL")
	replies, err := c.Replies()
	if err != nil {
		return nil, err
	}
	next := func() []Event {
		r := replies[0]
		replies = replies[1:]
		return r
	}
	if e := failure(next()); e != nil {
		return nil, fmt.Errorf("beginning a run: %s", e.Text)
	}
	if !commit {
		next()
	}
	var out Outcome
	for _, st := range steps {
		out.Steps = append(out.Steps, next())
		var contents []Event
		if writing.MatchString(st.Text) {
			contents = next()
			if s.logical != nil {
				var apart string
				contents, apart = s.logical(contents)
				out.Apart += apart
			}
		}
		out.Contents = append(out.Contents, contents)
	}
	next()
	if commit && s.seed != "" {
		if e := failure(next()); e != nil {
			return nil, fmt.Errorf("going back to the seed: %s", e.Text)
		}
	}
	return &out, nil
}

func errorOf(doing string, e *Event) error { return fmt.Errorf("%s: %s: %s", doing, e.Code, e.Text) }

func failure(events []Event) *Event {
	for i := range events {
		if events[i].Kind == ErrorResponse {
			return &events[i]
		}
	}
	return nil
}
