package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"segue/proxy"
)

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify NAME",
		Short: "Compare the old and new columns of every row",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	var req proxy.Request
	a := actionFlags(cmd)
	cmd.Flags().BoolVar(&req.Repair, "repair", false, "make rows that are apart agree, by the side that the phase reads from")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.name, a.path, a.body, a.verb = args[0], actionPath(args[0], "verify"), &req, "verify"
		a.result = (*migration).verifyText
		a.check = func(m *migration) error {
			if m.Verify.Apart > 0 && !req.Repair {
				return fmt.Errorf("verify %s: %s; make them agree with --repair", a.name, m.verifyText())
			}
			return nil
		}
		return a.run(cmd)
	}
	return cmd
}
