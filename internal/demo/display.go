package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"segue/rewrite/lens"
)

// display shows the demo as it goes. Its methods are called by one goroutine at a time.
type display interface {
	// event tells of something that happened, for good.
	event(text string)
	// said tells what a command printed on its way, and ended what it printed last. A display that shows the way by itself tells the end only,
	// others each line once.
	said(text string)
	ended(text string)
	// update shows how things stand now.
	update(v view)
	// close leaves what was shown last.
	close()
}

// view is how things stand.
type view struct {
	elapsed time.Duration
	rows    int64
	standing
	apps []appView
}

type appView struct {
	name, column string
	running      bool
	live
}

// newDisplay redraws in place on a terminal, and prints lines elsewhere.
func newDisplay(out io.Writer) display {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &terminal{out: f, width: func() int {
			w, _, err := term.GetSize(int(f.Fd()))
			if err != nil || w < 20 {
				return 80
			}
			return w
		}}
	}
	return &lines{out: out}
}

var allPhases = []lens.Phase{
	lens.Pending, lens.Expand, lens.DualWrite, lens.Backfilling, lens.SwitchReads, lens.Contract, lens.Complete, lens.Retired,
}

// terminal redraws a block of lines in place, below the events.
type terminal struct {
	out   io.Writer
	width func() int
	drawn int // lines of the block on the screen
	last  view
}

func (t *terminal) event(text string) {
	var b strings.Builder
	t.erase(&b)
	b.WriteString(text + "\n")
	t.block(&b, t.last)
	t.write(b.String())
}

func (t *terminal) said(string) {}

func (t *terminal) ended(text string) { t.event(text) }

func (t *terminal) update(v view) {
	t.last = v
	var b strings.Builder
	t.erase(&b)
	t.block(&b, v)
	t.write(b.String())
}

func (t *terminal) close() {}

// write draws; a terminal that is gone ends the demo by its own signal, so that an error here says nothing more.
func (t *terminal) write(s string) { _, _ = io.WriteString(t.out, s) }

func (t *terminal) erase(b *strings.Builder) {
	if t.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r\x1b[J", t.drawn)
	}
	t.drawn = 0
}

const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	plain = "\x1b[0m"
)

func (t *terminal) block(b *strings.Builder, v view) {
	width := t.width()
	line := func(text string) {
		b.WriteString(cut(text, width) + "\n")
		t.drawn++
	}
	line("")
	var phases []string
	for _, p := range allPhases {
		switch {
		case v.known && p == v.stage.Phase:
			phases = append(phases, bold+"["+p.String()+"]"+plain)
		case v.known && p < v.stage.Phase:
			phases = append(phases, p.String())
		default:
			phases = append(phases, dim+p.String()+plain)
		}
	}
	line(fmt.Sprintf("%s   %s", clock(v.elapsed), strings.Join(phases, " ")))
	line("")
	line(fmt.Sprintf("%s%-24s %12s %12s %7s %9s %9s%s", dim, "application", "statements/s", "statements", "errors", "p50", "p99", plain))
	for _, a := range v.apps {
		name := fmt.Sprintf("%s, for %s", a.name, a.column)
		if !a.running {
			line(fmt.Sprintf("%s%-24s %12s %12s %7s%s", dim, name, "-", count(a.statements), count(a.failures), plain))
			continue
		}
		line(fmt.Sprintf("%-24s %12s %12s %7s %9s %9s", name, count(int64(a.rate)), count(a.statements), count(a.failures), short(a.p50), short(a.p99)))
	}
	line("")
	line(fmt.Sprintf("rows in which the columns differ: %d (%d checks on the server)", v.apart, v.allChecks()))
	if v.known && v.stage.Phase == lens.Backfilling {
		line("backfill " + v.backfill.bar(max(10, width-70)))
	} else {
		line("")
	}
	if v.working != "" {
		line(dim + v.working + plain)
	} else {
		line("")
	}
}

func (s *standing) allChecks() (n int) {
	for _, c := range s.checks {
		n += c
	}
	return n
}

// bar draws the backfill's progress, with a bar of so many cells.
func (f *backfill) bar(cells int) string {
	share := 0.0
	if f.Total > 0 {
		share = min(1, float64(f.Done)/float64(f.Total))
	}
	full := int(share * float64(cells))
	s := fmt.Sprintf("[%s%s] %3.0f%%  %s of %s rows", strings.Repeat("#", full), strings.Repeat("-", cells-full), share*100, count(f.Done), count(f.Total))
	if share < 1 && f.Rate > 0 {
		s += fmt.Sprintf("  %s rows/s, %.0f s left", count(int64(f.Rate)), f.ETA)
	}
	return s
}

// cut shortens a line to the terminal's width, not counting escapes; a longer one would wrap and spoil the redrawing.
func cut(s string, width int) string {
	var b strings.Builder
	seen, escape := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case seen == width-1:
			return b.String() + plain
		default:
			seen++
		}
		b.WriteRune(r)
	}
	return b.String()
}

// lines prints events as they come and the figures now and then, for pipes and logs.
type lines struct {
	out     io.Writer
	last    view
	printed time.Duration
}

// linesEvery is how often the figures are printed in a pipe.
const linesEvery = 2 * time.Second

func (l *lines) event(text string) { l.print(text) }

func (l *lines) said(text string) { l.print(text) }

func (l *lines) ended(string) {}

func (l *lines) update(v view) {
	l.last = v
	if v.elapsed-l.printed < linesEvery {
		return
	}
	l.printed = v.elapsed
	s := "  no migration yet"
	if v.known {
		s = fmt.Sprintf("  %-12s", v.stage.Phase)
	}
	for _, a := range v.apps {
		if a.running {
			s += fmt.Sprintf(" | %s %s/s, %s errors, p50 %s, p99 %s", a.name, count(int64(a.rate)), count(a.failures), short(a.p50), short(a.p99))
		}
	}
	s += fmt.Sprintf(" | %d rows apart", v.apart)
	if v.known && v.stage.Phase == lens.Backfilling && v.backfill.Done < v.backfill.Total {
		s += " | backfill " + v.backfill.bar(0)[3:]
	}
	l.print(s)
}

func (l *lines) print(text string) {
	// A reader that is gone (a closed pipe) is no reason to leave the work undone; the summary's printing reports it.
	_, _ = fmt.Fprintf(l.out, "%s %s\n", clock(l.last.elapsed), text)
}

func (l *lines) close() {}

func clock(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// short writes a latency with two or three digits.
func short(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// count writes a number with commas.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
