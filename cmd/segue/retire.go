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
	var req proxy.Request
	a, flags := actionFlags(cmd), waitFlags(cmd, &req)
	quiet := cmd.Flags().Duration("quiet-for", 24*time.Hour, "how long no statement must have used the old names or shape")
	wait := cmd.Flags().Bool("wait", false, "wait until it is quiet, instead of being refused with exit code 3")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *quiet < 0 {
			return usageError{fmt.Errorf("--quiet-for: %v is negative", *quiet)}
		}
		if err := flags.read(); err != nil {
			return err
		}
		a.name, a.path, a.verb = args[0], actionPath(args[0], "retire"), "retire"
		req.QuietFor, req.Wait = lens.Duration(*quiet), *wait
		a.body = &req
		return a.run(cmd)
	}
	return cmd
}
