package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/internal/demo"
)

func demoCommand() *cobra.Command {
	var opt demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Carry two live applications through a migration, on a throwaway server",
		Long: `Starts a throwaway PostgreSQL (from the server binaries that it finds; SEGUE_PG_BIN names another folder) with a table users, two
proxies, an application written for users.name through one of them and one written for users.full_name through the other, and takes the
rename through all its phases while both work and check every answer. With --pattern type, full_name is of another type as well; with --pattern split it is in a table of its own, and the new
application begins at switch-reads. It ends with a summary; the exit code is 1 where anything is
not as it should be. All that it started ends with it.`,
		Args: usageArgs(cobra.NoArgs),
	}
	f := cmd.Flags()
	f.BoolVar(&opt.Keep, "keep", false, "leave the server and the proxies running at the end, until ^C, and print the connection strings")
	f.StringVar(&opt.Pattern, "pattern", "rename", "what is carried out: "+strings.Join(demo.PatternNames(), ", "))
	f.Int64Var(&opt.Rows, "rows", 200_000, "rows of the table users")
	f.IntVar(&opt.Workers, "connections", 5, "connections of each application")
	f.Float64Var(&opt.Rate, "rate", 1200, "statements a second that each application aims at")
	f.DurationVar(&opt.Hold, "hold", 2*time.Second, "how long the applications work in each phase before the next step")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if opt.Workers < 1 || opt.Rate <= 0 || opt.Hold < 0 {
			return usageError{fmt.Errorf("--connections and --rate must be above 0, and --hold not below; see %s --help", cmd.CommandPath())}
		}
		if !slices.Contains(demo.PatternNames(), opt.Pattern) {
			return usageError{fmt.Errorf("--pattern %s: the patterns are %s", opt.Pattern, strings.Join(demo.PatternNames(), ", "))}
		}
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		opt.Out = cmd.OutOrStdout()
		return demo.Run(ctx, opt)
	}
	return cmd
}
