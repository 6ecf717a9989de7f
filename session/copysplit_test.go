package session

import (
	"encoding/binary"
	"strings"
	"testing"

	"segue/internal/wiretest"
)

// payload joins the data of the CopyData among some frames.
func payload(t *testing.T, frames []byte) string {
	t.Helper()
	var b strings.Builder
	for len(frames) >= headerLen {
		n := 1 + int(binary.BigEndian.Uint32(frames[1:]))
		if frames[0] == 'd' {
			b.Write(frames[headerLen:n])
		}
		frames = frames[n:]
	}
	if len(frames) > 0 {
		t.Fatalf("%d bytes are no frame", len(frames))
	}
	return b.String()
}

// The data of COPYs is edited alike wherever the client's bytes are cut, and whether or not the client waits for the server's answers: those of another COPY, and
// what comes behind a COPY that failed, go on as they came.
func TestCopyCutAnywhere(t *testing.T) {
	const query = `Query "COPY users (id, name) FROM STDIN; COPY orders FROM STDIN; COPY users (name) FROM STDIN CSV"`
	const data = `CopyData "1\tAn"` + "\n" + `CopyData "n\n2\t"` + "\n" + `CopyData ""` + "\n" + `CopyData "B\\\tb"` + "\nCopyDone\n" +
		`CopyData "9\tx\n"` + "\nCopyDone\n" + `CopyData "\"a\nb\"\nc"` + "\nCopyDone"
	const want = "1\tAnn\tAnn\n2\tB\\\tb\tB\\\tb" + "9\tx\n" + "\"a\nb\",\nc,c"
	in := frames(t, wiretest.Client, query+"\n"+data)
	for cut := range in {
		w := newWire(t, "old", 1, false)
		w.s.planner = rewriter{}
		w.started(t)
		w.client(in[:cut])
		rest := in[cut:]
		if cut%2 == 0 || cut < len(frames(t, wiretest.Client, query)) { // the client waits for nothing
			w.client(rest)
			rest = nil
		}
		for _, reply := range []string{settingsReply("") + "\nReady I", "CopyIn x", "CommandComplete \"COPY 2\"\nCopyIn x", "CommandComplete \"COPY 1\"\nCopyIn x"} {
			w.server(frames(t, wiretest.Server, reply))
			if len(rest) > 0 && strings.HasPrefix(reply, "ParseComplete") {
				w.client(rest[:1])
				w.client(rest[1:])
				rest = nil
			}
		}
		w.server(frames(t, wiretest.Server, "CommandComplete \"COPY 2\"\nReady I"))
		if got := payload(t, w.toS); got != want || w.err != nil {
			t.Fatalf("cut at %d, the server gets %q and not %q (%v)", cut, got, want, w.err)
		}
		if w.s.queue.n > 0 || w.s.Blocked() != NotBlocked {
			t.Fatalf("cut at %d, %d replies are awaited, %s", cut, w.s.queue.n, w.s.Blocked())
		}
	}
}

// A COPY that failed takes no more data, and what comes of it all the same is not edited.
func TestCopyDataBehindAnError(t *testing.T) {
	w := newWire(t, "old", 1, false)
	w.s.planner = rewriter{}
	w.started(t)
	w.client(frames(t, wiretest.Client, `Query "COPY users (id, name) FROM STDIN"`+"\n"+`CopyData "1\tAnn\n"`))
	w.server(frames(t, wiretest.Server, settingsReply("")+"\nReady I"))
	w.server(frames(t, wiretest.Server, "Error ERROR 42501 no\nReady I"))
	w.client(frames(t, wiretest.Client, `CopyData "2\tBob\n"`+"\nCopyDone\n"+`Query "SELECT 1"`))
	w.server(frames(t, wiretest.Server, "CommandComplete \"SELECT 1\"\nReady I"))
	if got := payload(t, w.toS); got != "1\tAnn\n2\tBob\n" || w.err != nil || w.s.Blocked() != NotBlocked || w.s.queue.n > 0 {
		t.Fatalf("the server gets %q; %v, %s, %d replies are awaited", got, w.err, w.s.Blocked(), w.s.queue.n)
	}
}
