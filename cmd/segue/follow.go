package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"segue/proxy"
	"segue/rewrite/lens"
)

const (
	// pollEvery is how often the status is asked for.
	pollEvery = 200 * time.Millisecond
	// tellEvery is how often the progress of a backfill is a line of its own where the output is no terminal.
	tellEvery = 2 * time.Second
)

// action is a request to a proxy whose work is followed until it ends.
type action struct {
	admin *string
	json  *bool
	quiet *bool // do not follow
	busy  *string

	name   string
	path   string // of the request
	query  url.Values
	body   any
	verb   string                  // for people: "start", "advance"
	result func(*migration) string // what is told at the end beside the stage; may be nil
	check  func(*migration) error  // what else can be wrong when the work has ended; may be nil
	gone   bool                    // success is that the migration is no longer there
}

// run asks, follows and tells. An interrupt ends the following only.
func (a *action) run(cmd *cobra.Command) error {
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	c := newClient(*a.admin)
	var accepted json.RawMessage
	if _, err := proxy.ParseOnBusy(*a.busy); err != nil {
		return usageError{fmt.Errorf("--if-busy: %w", err)}
	}
	query := url.Values{"if_busy": {*a.busy}}
	maps.Copy(query, a.query)
	if err := c.call(ctx, "POST", a.path+"?"+query.Encode(), a.body, &accepted); err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped before the proxy answered: see segue status")
		}
		return err
	}
	out := cmd.OutOrStdout()
	if *a.quiet {
		if *a.json {
			_, err := fmt.Fprintf(out, "%s\n", accepted)
			return err
		}
		_, err := fmt.Fprintf(out, "%s: under way; follow it with segue status %s --watch\n", a.name, a.name)
		return err
	}
	m, err := a.follow(ctx, c, out)
	if ctx.Err() != nil {
		return fmt.Errorf("stopped following; the work goes on in the proxy: see segue status %s", a.name)
	}
	if errors.Is(err, errGone) {
		return fmt.Errorf("the proxy went away during the work, which stays where it was and can be taken up by any other: segue status %s: %w", a.name, err)
	}
	if err != nil {
		return err
	}
	return a.tell(out, m)
}

// follow polls the status until the work is over. m is nil where the migration is no longer there.
func (a *action) follow(ctx context.Context, c *client, out io.Writer) (m *migration, err error) {
	show := &progress{out: out, width: terminalWidth(out), silent: *a.json}
	defer func() { err = errors.Join(err, show.end()) }()
	for {
		s, _, err := c.status(ctx)
		if err != nil {
			return nil, err
		}
		m = s.migration(a.name)
		if m == nil {
			return nil, nil
		}
		if m.Working == "" {
			return m, nil
		}
		if err := show.update(m); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// tell says how the work has ended.
func (a *action) tell(out io.Writer, m *migration) error {
	switch {
	case m == nil && a.gone:
		if *a.json {
			_, err := fmt.Fprintf(out, "{\"name\":%q,\"dropped\":true}\n", a.name)
			return err
		}
		_, err := fmt.Fprintf(out, "%s: forgotten\n", a.name)
		return err
	case m == nil:
		return fmt.Errorf("%s is gone: it was dropped meanwhile; see segue status", a.name)
	}
	if m.Error != "" {
		if gate := proxy.ParseGate(m.Error); gate != nil {
			return fmt.Errorf("%s %s (it stands at %s): %w", a.verb, a.name, m.stage(), gate)
		}
		if busy := proxy.ParseBusy(m.Error); busy != nil {
			return fmt.Errorf("%s %s (it stands at %s): %w", a.verb, a.name, m.stage(), busy)
		}
		return fmt.Errorf("%s %s (it stands at %s): %s", a.verb, a.name, m.stage(), m.Error)
	}
	if a.gone {
		return fmt.Errorf("%s %s: it is still there, at %s; see segue status %s", a.verb, a.name, m.stage(), a.name)
	}
	if a.check != nil {
		if err := a.check(m); err != nil {
			return err
		}
	}
	if *a.json {
		_, err := fmt.Fprintf(out, "%s\n", strings.TrimSpace(string(m.raw)))
		return err
	}
	line := fmt.Sprintf("%s: %s", a.name, m.stage())
	if a.result != nil {
		line += "; " + a.result(m)
	}
	if _, err := fmt.Fprintln(out, line); err != nil {
		return err
	}
	if m.Phase == lens.Complete {
		m.printOldNames(out)
	}
	return nil
}

// progress shows how the work goes: on a terminal in one line that changes, else by a line for each change.
type progress struct {
	out    io.Writer
	width  int // of the terminal; 0: none
	silent bool
	last   string // what is shown but for the backfill's figures
	told   time.Time
	open   bool // the terminal's line is not ended
}

func (p *progress) update(m *migration) error {
	if p.silent {
		return nil
	}
	line := fmt.Sprintf("%s: %s: %s", m.Name, m.stage(), m.Working)
	if m.Backfill.Throttled != "" {
		line += " (held back by " + m.Backfill.Throttled + ")"
	}
	backfill := m.backfillText()
	if p.width > 0 {
		if backfill != "" {
			line += " " + bar(m.Backfill.Done, m.Backfill.Total) + " " + backfill
		}
		if runes := []rune(line); len(runes) > p.width-1 {
			line = string(runes[:p.width-1])
		}
		p.open = true
		_, err := fmt.Fprintf(p.out, "\r\x1b[K%s", line) // clear to the end of the line
		return err
	}
	if line == p.last && (backfill == "" || time.Since(p.told) < tellEvery) {
		return nil
	}
	p.last, p.told = line, time.Now()
	if backfill != "" {
		line += ": " + backfill
	}
	_, err := fmt.Fprintln(p.out, line)
	return err
}

// end leaves the terminal's line empty for what follows.
func (p *progress) end() error {
	if !p.open {
		return nil
	}
	_, err := fmt.Fprint(p.out, "\r\x1b[K")
	return err
}

func bar(done, total int64) string {
	const cells = 20
	filled := cells
	if total > done {
		filled = int(cells * done / total)
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", cells-filled) + "]"
}

// terminalWidth gives the width of the terminal that w is, or 0.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}
