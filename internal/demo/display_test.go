package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"segue/rewrite/lens"
)

func backfilling(elapsed time.Duration) view {
	return view{
		elapsed: elapsed,
		standing: standing{
			known: true, stage: lens.Stage{Phase: lens.Backfilling}, working: "filling full_name",
			backfill: backfill{Done: 50_000, Total: 200_000, Rate: 30_000, ETA: 5},
			checks:   map[lens.Phase]int{lens.DualWrite: 3},
		},
		apps: []appView{
			{name: "old", column: "name", running: true, live: live{rate: 1234, statements: 5678, p50: 640 * time.Microsecond, p99: 12 * time.Millisecond}},
			{name: "new", column: "full_name", live: live{statements: 99}},
		},
	}
}

func TestLinesInAPipe(t *testing.T) {
	var b bytes.Buffer
	d := newDisplay(&b)
	d.update(backfilling(time.Second))
	d.event("$ segue advance")
	d.update(backfilling(65 * time.Second))
	d.close()
	want := `00:01 $ segue advance
01:05   backfill     | old 1,234/s, 0 errors, p50 0.64 ms, p99 12.0 ms | 0 rows apart | backfill  25%  50,000 of 200,000 rows  30,000 rows/s, 5 s left
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestTerminalRedrawsInPlace(t *testing.T) {
	var b bytes.Buffer
	d := &terminal{out: &b, width: func() int { return 100 }}
	d.update(backfilling(time.Second))
	first := b.String()
	for _, want := range []string{"[backfill]", "[#######-----------------------]  25%", "old, for name", "1,234", "filling full_name"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	drawn := strings.Count(first, "\n")
	b.Reset()
	d.event("something")
	if got := b.String(); !strings.HasPrefix(got, "\x1b["+count(int64(drawn))+"A\r\x1b[Jsomething\n") {
		t.Errorf("the block of %d lines is not redrawn below the event: %q", drawn, got)
	}
	for _, line := range strings.Split(first, "\n") {
		if n := len(stripped(line)); n >= 100 {
			t.Errorf("%d characters would wrap: %q", n, line)
		}
	}
}

func stripped(s string) string {
	for _, e := range []string{bold, dim, plain} {
		s = strings.ReplaceAll(s, e, "")
	}
	return s
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
