package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"segue/config"
	"segue/migrate"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what a migration would meet, without changing anything",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	admin, asJSON := adminFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		def, err := config.ReadDefinition(args[0])
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
		if !r.Ready {
			return fmt.Errorf("check %s: it cannot be started: %d problems", r.Migration, len(r.Problems))
		}
		return nil
	}
	return cmd
}

// checkText writes a report for people.
func checkText(r *migrate.CheckReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s of %s\n", r.Migration, r.Pattern, r.Table)
	for _, part := range []struct {
		what string
		list []string
	}{{"problem", r.Problems}, {"hazard", r.Hazards}, {"note", r.Notes}, {"complete waits for", r.CompleteWaitsFor}} {
		for _, line := range part.list {
			fmt.Fprintf(&b, "  %s: %s\n", part.what, line)
		}
	}
	if r.Ready {
		b.WriteString("It can be started.\n")
	}
	return b.String()
}
