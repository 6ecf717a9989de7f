package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"segue/proxy"
	"segue/rewrite/lens"
)

func retireCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retire NAME",
		Short: "End the service for old code of a migration that is complete, once it is quiet",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	a := actionFlags(cmd)
	quiet := cmd.Flags().Duration("quiet-for", 24*time.Hour, "how long no statement must have used the old names or shape")
	wait := cmd.Flags().Bool("wait", false, "wait until it is quiet, instead of being refused with exit code 3")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *quiet < 0 {
			return usageError{fmt.Errorf("--quiet-for: %v is negative", *quiet)}
		}
		a.name, a.path, a.verb = args[0], actionPath(args[0], "retire"), "retire"
		a.body = &proxy.Request{QuietFor: lens.Duration(*quiet), Wait: *wait}
		return a.run(cmd)
	}
	return cmd
}
