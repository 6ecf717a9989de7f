package session

import (
	"runtime"
	"strings"
	"testing"

	"segue/internal/wiretest"
)

// An idle session keeps no buffer, however large what went through it was.
func TestIdleSessionsAreSmall(t *testing.T) {
	const n = 1000
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	big := strings.Repeat("x", 150<<10)
	q := frames(t, wiretest.Client, `Query "SELECT '`+big+`'"`)
	r := frames(t, wiretest.Server, "RowDescription a:1:1\nDataRow "+big+"\nCommandComplete \"SELECT 1\"\nReady I")
	sessions := make([]*Session, n)
	before := heap()
	for i := range sessions {
		w := newWire(t, "auto", 1, true)
		w.started(t)
		sessions[i] = w.s
		for cut := 1; cut < 3; cut++ {
			for _, b := range [][]byte{q[:len(q)/cut], q[len(q)/cut:]} {
				if _, err := w.s.Client(b); err != nil {
					t.Fatal(err)
				}
				w.s.ToServer()
			}
			for _, b := range [][]byte{r[:len(r)/cut], r[len(r)/cut:]} {
				if err := w.s.Server(b); err != nil {
					t.Fatal(err)
				}
				w.s.ToClient()
			}
		}
	}
	each := (heap() - before) / n
	t.Logf("%d bytes each", each)
	if each > 8<<10 {
		t.Errorf("an idle session has %d bytes", each)
	}
	runtime.KeepAlive(sessions)
}
