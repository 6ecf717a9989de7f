package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/config"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what a migration would meet, without changing anything",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	admin, asJSON := adminFlag(cmd), jsonFlag(cmd)
	allow, strict := hazardFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		def, err := readAllowing(args[0], *allow)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		var r migrate.CheckReport
		if err := newClient(*admin).call(ctx, "POST", "/v1/check", def, &r); err != nil {
			return err
		}
		text := checkText(&r)
		if *asJSON {
			b, err := json.Marshal(&r)
			if err != nil {
				return err
			}
			text = string(b) + "\n"
		}
		if _, err := fmt.Fprint(cmd.OutOrStdout(), text); err != nil {
			return err
		}
		return checkGate(&r, *strict)
	}
	return cmd
}

// hazardFlags adds the flags by which hazards are taken knowingly, or not.
func hazardFlags(cmd *cobra.Command) (allow *[]string, strict *bool) {
	return allowFlag(cmd), cmd.Flags().Bool("strict", false, "refuse where there is a hazard that neither `allow` nor --allow names")
}

func allowFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringSlice("allow", nil, "hazards that are taken knowingly, by the names that segue check gives them, beside those of the definition")
}

// readAllowing reads a definition, with what is allowed beside.
func readAllowing(path string, allow []string) (*lens.Definition, error) {
	def, err := config.ReadDefinition(path)
	if err != nil {
		return nil, err
	}
	for _, word := range allow {
		if !slices.Contains(def.Allow, word) {
			def.Allow = append(def.Allow, word)
		}
	}
	if err := config.ValidateDefinition(def); err != nil {
		return nil, usageError{fmt.Errorf("--allow: %w", err)}
	}
	return def, nil
}

// checkGate is the refusal of a report; nil where there is none.
func checkGate(r *migrate.CheckReport, strict bool) error {
	refused := slices.Clone(r.Problems)
	for _, h := range r.Hazards {
		if strict && !h.Allowed {
			refused = append(refused, fmt.Sprintf("the hazard %s is not allowed: %s", h.Name, h.Text))
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return &proxy.GateError{Gate: "start", Missing: refused}
}

// checkText writes a report for people.
func checkText(r *migrate.CheckReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s of %s\n", r.Migration, r.Pattern, r.Table)
	line := func(what, format string, args ...any) { fmt.Fprintf(&b, "  "+what+": "+format+"\n", args...) }
	for _, p := range r.Problems {
		line("problem", "%s", p)
	}
	for _, h := range r.Hazards {
		allowed := ""
		if h.Allowed {
			allowed = " (allowed)"
		}
		line("hazard", "%s%s: %s", h.Name, allowed, h.Text)
	}
	for _, n := range r.Notes {
		if !slices.ContainsFunc(r.Hazards, func(h migrate.Hazard) bool { return h.Text == n }) {
			line("note", "%s", n)
		}
	}
	for _, w := range r.CompleteWaitsFor {
		line("complete waits for", "%s", w)
	}
	if x := r.Rows; x != nil {
		line("rows", "%d looked at: %d do not convert, %d do not come back as they are, %d would be null, %d are against `check`", x.Rows, x.NotConverted, x.NotBack, x.Null, x.NotChecked)
	}
	if len(r.Steps) > 0 {
		b.WriteString("  what would be run:\n")
	}
	var before lens.Phase = -1
	for _, s := range r.Steps {
		if s.Before != before {
			before = s.Before
			fmt.Fprintf(&b, "    before %s\n", before)
		}
		does := "no rewrite, no scan"
		switch {
		case s.Rewrites:
			does = "rewrites the table"
		case s.Scans:
			does = "reads every row"
		}
		fmt.Fprintf(&b, "      %s\n        %s on %s: %s; %s\n", s.SQL, s.Lock, s.On, does, s.Note)
	}
	if e := r.Backfill; e != nil {
		text := fmt.Sprintf("about %d rows, %d MiB", e.Rows, e.Bytes>>20)
		if e.Note != "" {
			text += "; " + e.Note
		} else {
			text += fmt.Sprintf("; some %s at %.0f rows/s, as %d rows of a copy took, without what it is throttled by", time.Duration(e.Seconds*float64(time.Second)).Round(time.Second), e.RowsPerSecond, e.SampleRows)
		}
		line("backfill", "%s", text)
	}
	if r.Ready {
		b.WriteString("It can be started.\n")
	}
	return b.String()
}
