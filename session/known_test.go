package session

import (
	"bytes"
	"testing"

	"segue/internal/wiretest"
)

// What a rewritten statement costs in allocations: none where it was prepared before, a statement's record where it is parsed each time.
func TestRewritingAllocatesLittle(t *testing.T) {
	const text = "SELECT full_name, email FROM users WHERE id = $1"
	for _, c := range []struct {
		what, before string
		x            exchange
		most         float64
	}{
		{"a Query", "", exchange{frames(t, wiretest.Client, `Query "SELECT full_name FROM users"`), frames(t, wiretest.Server, oneRow)}, 0.5},
		{"Bind", `Parse s "` + text + `"` + "\nSync", exchange{frames(t, wiretest.Client, "Bind \"\" s 17\nExecute \"\" 0\nSync"), frames(t, wiretest.Server, boundRow)}, 0.5},
		{
			"Parse", "", exchange{
				frames(t, wiretest.Client, `Parse "" "`+text+`"`+"\nBind \"\" \"\" 17\nExecute \"\" 0\nSync"), frames(t, wiretest.Server, "ParseComplete\n"+boundRow),
			}, 1.5,
		},
	} {
		s := exchanging(t, c.before)
		for range 3 { // the third time, the plan is kept
			c.x.carry(t, s)
		}
		n := testing.AllocsPerRun(300, func() { c.x.carry(t, s) })
		if n > c.most {
			t.Errorf("%s of a rewritten statement takes %v allocations", c.what, n)
		}
	}
}

// A text that is known goes by its plan only as long as that is still the one: not while the gate is shut, nor after the search path has changed, nor in another state.
func TestKnownTexts(t *testing.T) {
	const text = "SELECT full_name, email FROM users"
	query := frames(t, wiretest.Client, `Query "`+text+`"`)
	w := newWire(t, "auto", 1, false)
	w.s.planner = rewriter{}
	w.started(t)
	w.client(query)
	w.server(frames(t, wiretest.Server, settingsReply("")+"\nReady I"))
	w.server(frames(t, wiretest.Server, oneRow))
	for range 3 {
		w.toS = nil
		w.client(query)
		w.server(frames(t, wiretest.Server, oneRow))
	}
	sent := bytes.Clone(w.toS)
	if w.s.known(text) == nil || bytes.Equal(sent, query) {
		t.Fatalf("the text is not known, or not rewritten: %q", sent)
	}
	used := len(w.gate.used)

	w.toS, w.gate.shut = nil, true
	w.client(query)
	if w.s.Blocked() != OnGate || w.toS != nil {
		t.Fatalf("a known text does not wait for the gate: %q", w.toS)
	}
	w.gate.shut = false
	w.s.Resume()
	w.goOn()
	if w.server(frames(t, wiretest.Server, oneRow)); !bytes.Equal(w.toS, sent) || len(w.gate.used) != used+1 {
		t.Errorf("behind the gate, %q was sent, and %d statements counted", w.toS, len(w.gate.used)-used)
	}

	w.client(frames(t, wiretest.Client, `Query "SET search_path = other"`))
	w.server(frames(t, wiretest.Server, "CommandComplete SET\nReady I"))
	w.toS = nil
	w.client(query)
	if w.s.known(text) != nil || bytes.Contains(w.toS, []byte("full_name")) {
		t.Errorf("a known text does not wait for the settings: %q", w.toS)
	}
	w.server(frames(t, wiretest.Server, settingsReply("path=pg_catalog,other")+"\nReady I"))
	w.server(frames(t, wiretest.Server, oneRow))
	if !bytes.HasSuffix(w.toS, query) {
		t.Errorf("under another search path, %q was sent", w.toS)
	}

	w.s.SetState(usersState(t, 3, false))
	if w.s.state.Kept(text, w.s.settings) != nil {
		t.Error("another state knows the text")
	}
	if w.err != nil {
		t.Error(w.err)
	}
}
