package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"segue/proxy"
)

func backfillCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backfill NAME",
		Short: "Pause or resume the filling and scanning of rows, or bound its rate, while it runs",
		Args:  usageArgs(cobra.ExactArgs(1)),
	}
	admin, asJSON := adminFlag(cmd), jsonFlag(cmd)
	pause := cmd.Flags().Bool("pause", false, "fill and scan nothing before --resume; what is done stays done")
	resume := cmd.Flags().Bool("resume", false, "go on")
	rows := cmd.Flags().Int64("max-rows", 0, "rows a second at most, instead of what the definition says; 0: no limit")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var opt proxy.BackfillOptions
		if *pause && *resume {
			return usageError{errors.New("--pause and --resume: choose one of them")}
		}
		if *pause || *resume {
			opt.Paused = pause
		}
		if cmd.Flags().Changed("max-rows") {
			opt.MaxRows = rows
		}
		if opt.Paused == nil && opt.MaxRows == nil {
			return usageError{fmt.Errorf("say what is to change: --pause, --resume or --max-rows; segue status %s shows how far it is", args[0])}
		}
		if *rows < 0 {
			return usageError{fmt.Errorf("--max-rows: %d is negative", *rows)}
		}
		ctx, stop := interruptible(cmd.Context())
		defer stop()
		var answer struct {
			Migration string `json:"migration"`
			Paused    bool   `json:"paused"`
			MaxRows   *int64 `json:"max_rows"`
		}
		if err := newClient(*admin).call(ctx, "POST", actionPath(args[0], "backfill"), &opt, &answer); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			most := "null"
			if answer.MaxRows != nil {
				most = fmt.Sprint(*answer.MaxRows)
			}
			_, err := fmt.Fprintf(out, "{\"migration\":%q,\"paused\":%t,\"max_rows\":%s}\n", answer.Migration, answer.Paused, most)
			return err
		}
		state := "goes on"
		if answer.Paused {
			state = "is paused"
		}
		if n := answer.MaxRows; n != nil && *n > 0 {
			state += fmt.Sprintf(", at most %d rows a second", *n)
		} else if n != nil {
			state += ", without a limit of rows a second"
		}
		_, err := fmt.Fprintf(out, "%s: the backfill %s\n", answer.Migration, state)
		return err
	}
	return cmd
}
