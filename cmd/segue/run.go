package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

// runCommand is for pipelines: the same call again goes on from where the last one was left, and does nothing where the migration has arrived.
func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Check a migration, start it, and take it to contract, as far as the gates let it",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	var req proxy.RunRequest
	a := actionFlags(cmd)
	flags := changeFlags(cmd, &req.Request)
	allow, strict := hazardFlags(cmd)
	cmd.Flags().BoolVar(&req.Yes, "yes", false, "with --to complete: let complete drop the old columns")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := flags.read(); err != nil {
			return err
		}
		def, err := readAllowing(args[0], *allow)
		if err != nil {
			return err
		}
		req.Definition = *def
		a.name, a.path, a.body, a.verb = def.Name, "/v1/run", &req, "run"
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		if err := a.prepare(ctx, cmd.OutOrStdout(), def, *strict); err != nil {
			return err
		}
		return a.run(cmd)
	}
	return cmd
}

// prepare waits for what somebody else is doing to the migration, and checks one that is not there yet.
func (a *action) prepare(ctx context.Context, out io.Writer, def *lens.Definition, strict bool) error {
	c := newClient(*a.admin)
	s, _, err := c.status(ctx)
	if err != nil {
		return err
	}
	m := s.migration(def.Name)
	if m != nil && m.Working != "" && proxy.OnBusy(*a.busy) != proxy.BusyFail {
		if m, err = a.follow(ctx, c, out); err != nil {
			return err
		}
	}
	if m != nil && m.Phase > lens.Pending {
		return nil // the table has its new columns already
	}
	var r migrate.CheckReport
	if err := c.call(ctx, "POST", "/v1/check", def, &r); err != nil {
		return err
	}
	if *a.json {
		// What is printed in the end is the migration's status; the report would be another document.
		return checkGate(&r, strict)
	}
	for _, h := range r.Hazards {
		if !h.Allowed {
			if _, err := fmt.Fprintf(out, "%s: hazard %s: %s\n", def.Name, h.Name, h.Text); err != nil {
				return err
			}
		}
	}
	return checkGate(&r, strict)
}
