package session

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"segue/internal/wiretest"
	"segue/rewrite"
)

// exchange is a message of the client's and the server's answer to it.
type exchange struct{ ask, answer []byte }

// openGate lets everything through, and counts nothing.
type openGate struct{}

func (openGate) Admit(uint32) bool            { return true }
func (openGate) Leased() bool                 { return true }
func (openGate) Used(*Session, *rewrite.Plan) {}

// What the frames of the benchmarks' server say.
const (
	oneRow   = "RowDescription name:1:1\nDataRow Ann\nCommandComplete \"SELECT 1\"\nReady I"
	boundRow = "BindComplete\nDataRow Ann\nCommandComplete \"SELECT 1\"\nReady I"
)

// exchanging gives a session that has asked for its settings, and has prepared what before says.
func exchanging(t testing.TB, before string) *Session {
	t.Helper()
	w := newWire(t, "auto", 1, false)
	w.s.planner, w.s.gate = rewriter{}, openGate{}
	w.started(t)
	w.client(frames(t, wiretest.Client, `Query "SELECT email FROM users"`))
	w.server(frames(t, wiretest.Server, settingsReply("")+"\nReady I"))
	w.server(frames(t, wiretest.Server, oneRow))
	if before != "" {
		w.client(frames(t, wiretest.Client, before))
		w.server(frames(t, wiretest.Server, "ParseComplete\nReady I"))
	}
	if w.err != nil || w.s.Blocked() != NotBlocked || w.s.queue.n > 0 {
		t.Fatalf("it does not begin: %v, %s, %d outstanding", w.err, w.s.Blocked(), w.s.queue.n)
	}
	return w.s
}

// carry takes the message and its answer through a session, as a driver does.
func (x exchange) carry(t testing.TB, s *Session) {
	if n, err := s.Client(x.ask); n != len(x.ask) || err != nil {
		t.Fatal(n, err, s.Blocked())
	}
	Recycle(s.ToServer())
	if err := s.Server(x.answer); err != nil {
		t.Fatal(err)
	}
	Recycle(s.ToClient())
}

// BenchmarkExchange is what a session costs a transaction, and what it costs more where the statement is rewritten. In the simple protocol each text has another literal.
func BenchmarkExchange(b *testing.B) {
	texts := map[string]string{"passed": "SELECT full_name, logins FROM folks WHERE id = ", "rewritten": "SELECT full_name, email FROM users WHERE id = "}
	for _, how := range []string{"passed", "rewritten"} {
		run := func(name string, before string, exchanges ...exchange) {
			b.Run(name+"/"+how, func(b *testing.B) {
				s := exchanging(b, before)
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					exchanges[i%len(exchanges)].carry(b, s)
					i++
				}
			})
		}
		var simple []exchange
		for i := range 10_000 {
			simple = append(simple, exchange{frames(b, wiretest.Client, `Query "`+texts[how]+strconv.Itoa(1000+i)+`"`), frames(b, wiretest.Server, oneRow)})
		}
		run("simple", "", simple...)
		run("prepared", `Parse s "`+texts[how]+`$1"`+"\nSync", exchange{frames(b, wiretest.Client, "Bind \"\" s 17\nExecute \"\" 0\nSync"), frames(b, wiretest.Server, boundRow)})
		run("extended", "", exchange{frames(b, wiretest.Client, "Parse \"\" \""+texts[how]+"$1\"\nBind \"\" \"\" 17\nExecute \"\" 0\nSync"), frames(b, wiretest.Server, "ParseComplete\n"+boundRow)})
	}
}

// BenchmarkFrames takes a large result through a session, in pieces as they come from a socket: what recognising frames costs a byte.
func BenchmarkFrames(b *testing.B) {
	s := exchanging(b, "")
	if _, err := s.Client(frames(b, wiretest.Client, `Query "SELECT * FROM folks"`)); err != nil {
		b.Fatal(err)
	}
	row := frames(b, wiretest.Server, "DataRow "+strings.Repeat("x", 80))
	piece := bytes.Repeat(row, 32<<10/len(row))
	if err := s.Server(frames(b, wiretest.Server, "RowDescription name:1:1")); err != nil {
		b.Fatal(err)
	}
	Recycle(s.ToServer())
	Recycle(s.ToClient())
	b.SetBytes(int64(len(piece)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Server(piece); err != nil {
			b.Fatal(err)
		}
		Recycle(s.ToClient())
	}
}
