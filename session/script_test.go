package session

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"segue/internal/wiretest"
	"segue/rewrite/lens"
)

// The conversations of testdata/ are scripted in frames (package wiretest). Commands:
//
//	new [version=V] [epoch=N] [none] [tls=off|optional|required]
//	                                   a new session before its startup; none: no migration is under way
//	secured [binds]                    the client's TLS handshake is done; binds: its certificate is the server's
//	start                              the startup that most conversations share
//	client, server                     what that side sends; Settings [path=a,b] [temp=a,b] [version=v] is the answer to the session's question
//	state epoch=N [none]               SetState
//	gate shut|open, resume [cancelled], expire
//
// Each gives what the session sends: -> to the server, <- to the client; and what it waits for. Every conversation is run again with its bytes
// one at a time, and cut in two at every place, and must come out the same.
func TestConversations(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var script []command
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			c := command{name: d.Cmd, pos: d.Pos}
			for _, a := range d.CmdArgs {
				c.args = append(c.args, a.String())
			}
			c.text = d.Input
			if c.name == "new" {
				script = nil
			}
			script = append(script, c)
			out := play(t, script, func([]byte, int) []int { return nil })
			splits(t, script, out)
			return out[len(out)-1].String()
		})
	})
}

type command struct {
	name, text, pos string
	args            []string
}

func (c *command) has(arg string) bool {
	for _, a := range c.args {
		if a == arg {
			return true
		}
	}
	return false
}

func (c *command) value(key string, or string) string {
	for _, a := range c.args {
		if k, v, ok := strings.Cut(a, "="); ok && k == key {
			return v
		}
	}
	return or
}

// splits plays the script with its last command's bytes cut at every place, and all of it a byte at a time.
func splits(t *testing.T, script []command, want []told) {
	last := len(script) - 1
	size := 0
	compare := func(how string, got []told) {
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s: with %s, %s gives\n%s\nand not\n%s", script[i].pos, how, script[i].name, got[i], want[i])
			}
		}
	}
	compare("a byte at a time", play(t, script, func(b []byte, i int) []int {
		if i == last {
			size = len(b)
		}
		cuts := make([]int, 0, len(b))
		for k := 1; k < len(b); k++ {
			cuts = append(cuts, k)
		}
		return cuts
	}))
	for k := 1; k < size; k++ {
		compare(fmt.Sprintf("a cut at %d", k), play(t, script, func(_ []byte, i int) []int {
			if i == last {
				return []int{k}
			}
			return nil
		}))
	}
}

// scripted are the frames of the texts that have been played.
var scripted = map[string][]byte{}

// play runs a script and gives each command's output. cuts says where the bytes of the command of that index are cut.
func play(t *testing.T, script []command, cuts func(b []byte, i int) []int) []told {
	w := &wire{}
	out := make([]told, 0, len(script))
	for i, c := range script {
		if w.err != nil && c.name != "new" {
			t.Fatalf("%s: the session has ended: %v", c.pos, w.err)
		}
		w.toS, w.toC = nil, nil
		text := c.text
		pieces := func(side wiretest.Side, f func([]byte)) {
			key := fmt.Sprint(side, text)
			b := scripted[key]
			if b == nil {
				var err error
				if b, err = wiretest.Frames(side, text); err != nil {
					t.Fatalf("%s: %v", c.pos, err)
				}
				scripted[key] = b
			}
			at := 0
			for _, k := range cuts(b, i) {
				f(b[at:k])
				at = k
			}
			f(b[at:])
		}
		epoch := int64(1)
		if _, err := fmt.Sscan(c.value("epoch", "1"), &epoch); err != nil {
			t.Fatal(err)
		}
		switch c.name {
		case "new":
			w = newWire(t, lens.Version(c.value("version", "auto")), epoch, c.has("none"))
			w.s.tls = map[string]TLSOffer{"off": NoTLS, "optional": OptionalTLS, "required": RequiredTLS}[c.value("tls", "off")]
		case "secured":
			w.s.Secured()
			w.s.ChannelBinding(c.has("binds"))
			w.goOn()
		case "start":
			w.started(t)
		case "client":
			pieces(wiretest.Client, w.client)
		case "server":
			var lines []string
			for _, l := range strings.Split(text, "\n") {
				if rest, ok := strings.CutPrefix(l, "Settings"); ok {
					l = settingsReply(rest)
				}
				lines = append(lines, l)
			}
			text = strings.Join(lines, "\n")
			pieces(wiretest.Server, w.server)
		case "state":
			w.s.SetState(usersState(t, epoch, c.has("none")))
			w.goOn()
		case "gate":
			w.gate.shut = c.has("shut")
		case "resume":
			w.s.Resume()
			if c.has("cancelled") { // before it has asked again
				w.s.Cancel()
			}
			w.goOn()
		case "expire":
			w.s.Expire()
			w.goOn()
		default:
			t.Fatalf("%s: no command is called %q", c.pos, c.name)
		}
		out = append(out, w.told())
	}
	return out
}

// told is what a command made the session send, and what it waits for.
type told struct {
	toServer, toClient  string
	begun, waits, ended string
	pending             bool
}

func (w *wire) told() told {
	r := told{toServer: string(w.toS), toClient: string(w.toC), waits: w.s.Blocked().String(), pending: w.s.pending != nil}
	if w.err != nil {
		r.ended = w.err.Error()
	}
	if st := w.s.Startup(); st != nil {
		r.begun = fmt.Sprintf("Startup user=%s database=%s application=%s version=%s", st.User, st.Database, st.Application, st.Version)
		if st.Cancel {
			r.begun = fmt.Sprintf("cancel %q", st.Raw)
		} else if r.toServer != string(st.Raw) {
			r.begun = "before"
		}
	}
	return r
}

func (r told) String() string {
	var b strings.Builder
	switch {
	case strings.HasPrefix(r.begun, "Startup"):
		fmt.Fprintf(&b, "-> %s\n", r.begun)
		r.toServer = ""
	case strings.HasPrefix(r.begun, "cancel"):
		fmt.Fprintf(&b, "%s\n", r.begun)
	case r.begun == "" && r.toClient != "" && r.ended == "":
		return fmt.Sprintf("<- %q\n", r.toClient)
	}
	for _, l := range wiretest.Lines(wiretest.Client, []byte(r.toServer)) {
		fmt.Fprintf(&b, "-> %s\n", settingsQuestion.ReplaceAllString(l, "..."))
	}
	for _, l := range wiretest.Lines(wiretest.Server, []byte(r.toClient)) {
		fmt.Fprintf(&b, "<- %s\n", l)
	}
	if r.ended != "" {
		fmt.Fprintf(&b, "ended: %v\n", r.ended)
	} else if r.waits != NotBlocked.String() {
		fmt.Fprintf(&b, "waits %s\n", r.waits)
	}
	if r.pending {
		b.WriteString("a state is pending\n")
	}
	return b.String()
}

// settingsQuestion is the text of the session's question, which is long, and the same in all conversations but for the tables' names.
var settingsQuestion = regexp.MustCompile(`"SELECT k, v FROM \(.*"`)
