package main

import (
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"segue/proxy"
)

func startCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start FILE",
		Short: "Register a migration, add the new columns with their guard, and go to dual-write",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	var req proxy.Request
	a, allow, flags := actionFlags(cmd), allowFlag(cmd), waitFlags(cmd, &req)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := flags.read(); err != nil {
			return err
		}
		def, err := readAllowing(args[0], *allow)
		if err != nil {
			return err
		}
		a.name, a.path, a.body, a.verb = def.Name, "/v1/migrations", def, "start"
		a.query = url.Values{"max_wait": {time.Duration(req.MaxWait).String()}, "terminate": {strconv.FormatBool(req.Terminate)}}
		return a.run(cmd)
	}
	return cmd
}

// actionFlags adds the flags that all actions have.
func actionFlags(cmd *cobra.Command) *action {
	return &action{
		admin: adminFlag(cmd), json: jsonFlag(cmd), quiet: cmd.Flags().Bool("no-wait", false, "do not follow the work"),
		busy: cmd.Flags().String("if-busy", "", "where another request is at work, wait, or fail with exit code 4 (default: wait for another migration's change, fail where it is this migration's)"),
	}
}
