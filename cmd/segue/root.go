package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"segue/config"
	"segue/proxy"
)

// stdio are a command's streams.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitGate   = 3
	exitBusy   = 4
)

// usageError is an error in how the command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is the program. When ctx ends, a command stops as it does at an interrupt.
func run(ctx context.Context, args []string, std stdio) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintf(std.err, "segue: %s\n", oneLine(err)) // where this cannot be written, the exit code is left
	var usage usageError
	var gate *proxy.GateError
	var busy *proxy.BusyError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &gate):
		return exitGate
	case errors.As(err, &busy):
		return exitBusy
	}
	return exitFailed
}

// oneLine writes an error as one line. errors.Join puts a line end between two errors, and pgx one before each address that it tried.
func oneLine(err error) string {
	var b strings.Builder
	seen := map[string]bool{"": true}
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		if seen[line] { // the same address with and without TLS
			continue
		}
		seen[line] = true
		switch {
		case b.Len() == 0:
		case strings.HasSuffix(b.String(), ":"):
			b.WriteByte(' ')
		default:
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "segue",
		Short:         "Carries running applications through a schema migration without downtime",
		Args:          usageArgs(cobra.NoArgs),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(serveCommand(), checkCommand(), startCommand(), runCommand(), advanceCommand(), rollbackCommand(), verifyCommand(), backfillCommand(), statusCommand(), explainCommand(),
		retireCommand(), dropCommand(), demoCommand(), versionCommand())
	return root
}

// usageArgs makes what is wrong with the arguments an error in usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if cmd.Parent() == nil && len(args) > 0 {
			problem := fmt.Errorf("there is no command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				problem = fmt.Errorf("%w; did you mean %s?", problem, strings.Join(near, " or "))
			}
			return usageError{fmt.Errorf("%w; see segue --help", problem)}
		}
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; usage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}

// interruptible gives a context that ends at an interrupt, too.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// adminFlag adds --admin to a command that talks to a proxy.
func adminFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("admin", config.Default(os.Getenv).Admin.Socket, "the proxy's admin socket (or SEGUE_ADMIN)")
}

func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "answer with JSON")
}
