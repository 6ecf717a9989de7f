package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"segue/rewrite/lens"
)

// status is what the commands read of GET /v1/status.
type status struct {
	Epoch      int64       `json:"epoch"`
	Settled    bool        `json:"settled"`
	Migrations []migration `json:"migrations"`
	Proxies    []struct {
		ID       string  `json:"id"`
		Host     string  `json:"host"`
		Build    string  `json:"build"`
		Epoch    int64   `json:"epoch"`
		Lease    float64 `json:"lease_seconds"`
		Sessions int     `json:"sessions"`
		Self     bool    `json:"self"`
		Standby  string  `json:"standby"`
	} `json:"proxies"`
	Bypass []struct {
		PID         uint32 `json:"pid"`
		Application string `json:"application"`
		User        string `json:"user"`
	} `json:"bypass"`
	Notes []string `json:"notes"`
}

type migration struct {
	Name    string     `json:"name"`
	Table   string     `json:"table"`
	Phase   lens.Phase `json:"phase"`
	Step    string     `json:"step"`
	Proved  bool       `json:"proved"`
	Settled bool       `json:"settled"`
	Working string     `json:"working"`
	Error   string     `json:"error"`
	Lossy   bool       `json:"lossy"`
	OneWay  bool       `json:"one_way"`
	Notes   []string   `json:"notes"`
	Gate    struct {
		Ready   bool     `json:"ready"`
		Missing []string `json:"missing"`
	} `json:"gate"`
	Backfill struct {
		Done      int64   `json:"rows_done"`
		Total     int64   `json:"rows_total"`
		Rate      float64 `json:"rate"`
		ETA       float64 `json:"eta_seconds"`
		Throttled string  `json:"throttled"`
		Paused    bool    `json:"paused"`
		MaxRows   int64   `json:"max_rows"`
	} `json:"backfill"`
	Verify struct {
		Rows      int64    `json:"rows"`
		Apart     int64    `json:"apart"`
		FirstKeys []string `json:"first_keys"`
		Lost      int64    `json:"lost"`
		LostKeys  []string `json:"lost_keys"`
		Repaired  int64    `json:"repaired"`
	} `json:"verify"`
	Blocked []struct {
		Why         string  `json:"why"`
		Proxy       string  `json:"proxy"`
		Host        string  `json:"host"`
		PID         uint32  `json:"pid"`
		Application string  `json:"application"`
		User        string  `json:"user"`
		Age         float64 `json:"age_seconds"`
		State       string  `json:"state"`
		Statement   string  `json:"statement"`
		Prepared    string  `json:"prepared"`
		Standby     string  `json:"standby"`
	} `json:"blocked_by"`
	OldNames []struct {
		Application string `json:"application"`
		User        string `json:"user"`
		Version     string `json:"version"`
		Count       int64  `json:"count"`
		LastSeen    string `json:"last_seen"`
	} `json:"old_names"`

	History []event `json:"history"`

	raw json.RawMessage // as the proxy sent it, with the fields that are not known here
}

// stage is where the migration stands, for people.
func (m *migration) stage() string {
	s := m.Phase.String()
	if m.Step != "" {
		s += "/" + m.Step
	}
	if m.Proved {
		s += ", proved"
	}
	return s
}

// status asks for the status; raw is the answer as it came.
func (c *client) status(ctx context.Context) (s *status, raw json.RawMessage, err error) {
	if err := c.call(ctx, "GET", "/v1/status", nil, &raw); err != nil {
		return nil, nil, err
	}
	var migrations struct {
		Migrations []json.RawMessage `json:"migrations"`
	}
	s = &status{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, nil, fmt.Errorf("the status of the proxy at %s is not understood; is it of another build? %w", c.socket, err)
	}
	if err := json.Unmarshal(raw, &migrations); err != nil {
		return nil, nil, err
	}
	for i := range s.Migrations {
		s.Migrations[i].raw = migrations.Migrations[i]
	}
	return s, raw, nil
}

// migration gives the migration of that name, or nil.
func (s *status) migration(name string) *migration {
	for i := range s.Migrations {
		if s.Migrations[i].Name == name {
			return &s.Migrations[i]
		}
	}
	return nil
}

func unknownMigration(name string, s *status) error {
	var names []string
	for _, m := range s.Migrations {
		names = append(names, m.Name)
	}
	if names == nil {
		return fmt.Errorf("there is no migration %q, nor any other: start one with segue start FILE", name)
	}
	return fmt.Errorf("there is no migration %q; there is %s", name, strings.Join(names, ", "))
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show where migrations stand, and the proxies",
		Args:  usageArgs(cobra.MaximumNArgs(1)),
	}
	admin, asJSON := adminFlag(cmd), jsonFlag(cmd)
	watch := cmd.Flags().BoolP("watch", "w", false, "show it anew as it changes, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		out := cmd.OutOrStdout()
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		var last []byte
		for {
			page, err := statusPage(ctx, newClient(*admin), name, *asJSON)
			if err != nil {
				if *watch && ctx.Err() != nil {
					return nil
				}
				return err
			}
			if !bytes.Equal(page, last) {
				if *watch && !*asJSON && terminalWidth(out) > 0 {
					page = append([]byte("\x1b[H\x1b[2J"), page...) // cursor home, clear the screen
				} else if *watch && !*asJSON && last != nil {
					page = append([]byte("\n"), page...)
				}
				if _, err := out.Write(page); err != nil {
					return err
				}
				last = bytes.TrimPrefix(bytes.TrimPrefix(page, []byte("\x1b[H\x1b[2J")), []byte("\n"))
			}
			if !*watch {
				return nil
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pollEvery):
			}
		}
	}
	return cmd
}

// statusPage gives the status for people, or as JSON.
func statusPage(ctx context.Context, c *client, name string, asJSON bool) ([]byte, error) {
	s, raw, err := c.status(ctx)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if name != "" {
		m := s.migration(name)
		if m == nil {
			return nil, unknownMigration(name, s)
		}
		if asJSON {
			return append(bytes.TrimSpace(m.raw), '\n'), nil
		}
		m.print(&b)
		printHistory(&b, m.History)
		return b.Bytes(), nil
	}
	if asJSON {
		return append(bytes.TrimSpace(raw), '\n'), nil
	}
	s.print(&b)
	return b.Bytes(), nil
}

func (s *status) print(w *bytes.Buffer) {
	settled := "settled"
	if !s.Settled {
		settled = "not settled"
	}
	fmt.Fprintf(w, "epoch %d, %s\n", s.Epoch, settled)
	if len(s.Migrations) == 0 {
		fmt.Fprintln(w, "no migrations; start one with segue start FILE")
	}
	for i := range s.Migrations {
		fmt.Fprintln(w)
		s.Migrations[i].print(w)
	}
	if len(s.Proxies) > 0 {
		fmt.Fprintln(w)
		var table strings.Builder
		table.WriteString("PROXY\tHOST\tBUILD\tEPOCH\tLEASE\tSESSIONS\n")
		for _, p := range s.Proxies {
			self := ""
			if p.Self {
				self = "  (asked)"
			}
			if p.Standby != "" {
				self = "  (at the standby " + p.Standby + ")"
			}
			fmt.Fprintf(&table, "%s\t%s\t%s\t%d\t%.1fs\t%d%s\n", p.ID, p.Host, p.Build, p.Epoch, p.Lease, p.Sessions, self)
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, _ = t.Write([]byte(table.String())) // it writes to a buffer
		_ = t.Flush()
	}
	for _, note := range s.Notes {
		fmt.Fprintf(w, "\nnote: %s\n", note)
	}
	if len(s.Bypass) > 0 {
		fmt.Fprintln(w, "\nsessions that bypass the proxies:")
		for _, b := range s.Bypass {
			fmt.Fprintf(w, "  pid %d, user %s, application %q\n", b.PID, b.User, b.Application)
		}
	}
}

func (m *migration) print(w *bytes.Buffer) {
	settled := ""
	if !m.Settled {
		settled = ", not settled"
	}
	fmt.Fprintf(w, "%s on %s: %s%s\n", m.Name, m.Table, m.stage(), settled)
	if m.Working != "" {
		fmt.Fprintf(w, "  now: %s\n", m.Working)
	}
	if m.Error != "" {
		fmt.Fprintf(w, "  failed: %s\n", m.Error)
	}
	if text := m.backfillText(); text != "" {
		fmt.Fprintf(w, "  backfill: %s\n", text)
	}
	switch b := &m.Backfill; {
	case b.Throttled != "":
		fmt.Fprintf(w, "  held back by %s\n", b.Throttled)
	case b.Paused:
		fmt.Fprintf(w, "  paused: nothing is filled or scanned before segue backfill %s --resume\n", m.Name)
	}
	if m.Backfill.MaxRows > 0 {
		fmt.Fprintf(w, "  at most %d rows a second\n", m.Backfill.MaxRows)
	}
	if m.Verify.Rows > 0 {
		fmt.Fprintf(w, "  %s\n", m.verifyText())
	}
	if !m.Gate.Ready {
		for _, missing := range m.Gate.Missing {
			fmt.Fprintf(w, "  the next phase waits for: %s\n", missing)
		}
	}
	m.printBlocked(w)
	if m.Lossy {
		fmt.Fprintln(w, "  lossy: new code can write from switch-reads on; what its columns cannot hold is gone for old code from contract on")
	}
	if m.OneWay {
		fmt.Fprintln(w, "  one way: what has no `down` can be read by old code until complete, and written by new code from there on")
	}
	for _, note := range m.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
	m.printOldNames(w)
}

// printOldNames names who has used the old names, which are served until the migration is retired.
func (m *migration) printOldNames(w io.Writer) {
	for _, o := range m.OldNames {
		_, _ = fmt.Fprintf(w, "  old names: %d statements of application %q, user %s, version %s, last %s\n", o.Count, o.Application, o.User, o.Version, o.LastSeen) // what cannot be written is told by the line before
	}
}

// printBlocked names what keeps the change under way waiting.
func (m *migration) printBlocked(w *bytes.Buffer) {
	for _, b := range m.Blocked {
		proxy := fmt.Sprintf("proxy %.8s on %s", b.Proxy, b.Host)
		switch b.Why {
		case "prepared":
			fmt.Fprintf(w, "  blocked by: the prepared transaction '%s' of %s\n", b.Prepared, b.User)
			continue
		case "proxy":
			fmt.Fprintf(w, "  blocked by: %s, which has not acknowledged yet\n", proxy)
			continue
		case "standby":
			fmt.Fprintf(w, "  blocked by: %s, whose sessions at the standby %s wait for it to replay the change (%s)\n", proxy, b.Standby, b.State)
			continue
		case "lease":
			fmt.Fprintf(w, "  blocked by: %s, whose lease has run out; its server sessions are ended\n", proxy)
			continue
		}
		fmt.Fprintf(w, "  blocked by: pid %d, application %q, user %s", b.PID, b.Application, b.User)
		if b.Age >= 0 {
			fmt.Fprintf(w, ", %.1fs in transaction", b.Age)
		}
		if b.State != "" {
			fmt.Fprintf(w, ", %s, last %s", b.State, b.Statement)
		}
		if b.Why == "lock" {
			fmt.Fprintf(w, ", with a lock on %s\n", m.Table)
		} else {
			if b.Standby != "" {
				fmt.Fprintf(w, ", on the standby %s", b.Standby)
			}
			fmt.Fprintf(w, ", at %s\n", proxy)
		}
	}
}

// backfillText is the progress of the backfill; "" before and after it.
func (m *migration) backfillText() string {
	b := &m.Backfill
	if m.Phase != lens.Backfilling || b.Done == 0 && b.Total == 0 {
		return ""
	}
	s := fmt.Sprintf("%d of about %d rows", b.Done, max(b.Total, b.Done))
	if b.Rate > 0 {
		s += fmt.Sprintf(", %.0f rows/s", b.Rate)
		if b.ETA > 0 {
			s += ", " + (time.Duration(b.ETA) * time.Second).String() + " left"
		}
	}
	return s
}

func (m *migration) verifyText() string {
	s := fmt.Sprintf("verified: %d rows, %d apart", m.Verify.Rows, m.Verify.Apart)
	if len(m.Verify.FirstKeys) > 0 {
		s += ", the first: " + strings.Join(m.Verify.FirstKeys, "; ")
	}
	if m.Verify.Repaired > 0 {
		s += fmt.Sprintf("; %d mended", m.Verify.Repaired)
	}
	if m.Verify.Lost > 0 {
		s += fmt.Sprintf("; %d that one side does not hold as they are, the first: %s", m.Verify.Lost, strings.Join(m.Verify.LostKeys, "; "))
	}
	return s
}
