package main

import "github.com/spf13/cobra"

func dropCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop NAME",
		Short: "Forget a migration that is pending or retired",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	a := actionFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.name, a.path, a.verb, a.gone = args[0], actionPath(args[0], "drop"), "drop", true
		return a.run(cmd)
	}
	return cmd
}
