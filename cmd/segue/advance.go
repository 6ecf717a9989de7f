package main

import (
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"segue/proxy"
	"segue/rewrite/lens"
)

func advanceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "advance NAME",
		Short: "Take a migration one phase further, or phase by phase to --to",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	var req proxy.Request
	a := actionFlags(cmd)
	flags := changeFlags(cmd, &req)
	cmd.Flags().BoolVar(&req.Yes, "yes", false, "let complete drop the old columns: what only they hold is gone, and there is no way back")
	cmd.Flags().BoolVar(&req.Unproved, "unproved", false, "enter switch-reads before it is proved that all rows agree, with reads of both columns")
	quiet := cmd.Flags().Duration("quiet-for", 24*time.Hour, "for complete of a split: how long no statement must have used the old columns or shape")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := flags.read(); err != nil {
			return err
		}
		if *quiet < 0 {
			return usageError{fmt.Errorf("--quiet-for: %v is negative", *quiet)}
		}
		if cmd.Flags().Changed("quiet-for") {
			d := lens.Duration(*quiet)
			req.OldQuietFor = &d
		}
		a.name, a.path, a.body, a.verb = args[0], actionPath(args[0], "advance"), &req, "advance"
		return a.run(cmd)
	}
	return cmd
}

func rollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Take a migration one phase back, or phase by phase to --to",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	var req proxy.Request
	a := actionFlags(cmd)
	flags := changeFlags(cmd, &req)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := flags.read(); err != nil {
			return err
		}
		a.name, a.path, a.body, a.verb = args[0], actionPath(args[0], "rollback"), &req, "rollback"
		return a.run(cmd)
	}
	return cmd
}

// change are the flags of advance and rollback, and but for --to those of start and retire.
type change struct {
	req     *proxy.Request
	to      string
	maxWait time.Duration
}

func changeFlags(cmd *cobra.Command, req *proxy.Request) *change {
	c := waitFlags(cmd, req)
	cmd.Flags().StringVar(&c.to, "to", "", "the phase to go to")
	return c
}

// waitFlags are what becomes of a change that transactions keep waiting.
func waitFlags(cmd *cobra.Command, req *proxy.Request) *change {
	c := &change{req: req}
	f := cmd.Flags()
	f.DurationVar(&c.maxWait, "max-wait", 0, "give the change up where transactions keep it waiting for that long (0: wait)")
	f.BoolVar(&req.Terminate, "terminate", false, "end the transactions that keep the change waiting")
	return c
}

func (c *change) read() error {
	if c.to != "" {
		phase, err := lens.ParsePhase(c.to)
		if err != nil {
			return usageError{fmt.Errorf("--to: %w", err)}
		}
		c.req.To = &phase
	}
	if c.maxWait < 0 {
		return usageError{fmt.Errorf("--max-wait: %v is negative", c.maxWait)}
	}
	c.req.MaxWait = lens.Duration(c.maxWait)
	return nil
}

func actionPath(name, action string) string {
	return "/v1/migrations/" + url.PathEscape(name) + "/" + action
}
