package main

import "github.com/spf13/cobra"

func startCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start FILE",
		Short: "Register a migration, add the new columns with their guard, and go to dual-write",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	a, allow := actionFlags(cmd), allowFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		def, err := readAllowing(args[0], *allow)
		if err != nil {
			return err
		}
		a.name, a.path, a.body, a.verb = def.Name, "/v1/migrations", def, "start"
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
