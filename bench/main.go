package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options say how much is measured.
type options struct {
	exe     string        // the segue binary
	dir     string        // where RESULTS.md is written, and results/ beside it
	quick   bool          // one short round of everything
	rounds  int           // by turns
	time    time.Duration // of a run that is measured by time
	profile bool          // perf's profile of the proxy, for the rows that measure its CPU time

	copyBytes   int64   // of COPY's data
	copyFrame   int     // bytes of each CopyData
	resultRows  int64   // of the large result
	idle        int     // idle connections
	updateRows  int64   // of the UPDATE of many rows
	fillRows    []int64 // sizes of the tables that are filled
	connections int     // busy while phases change
}

// sizes gives the options of a full run, or of a quick one.
func sizes(quick bool) options {
	if quick {
		return options{
			quick: true, rounds: 1, time: time.Second, copyBytes: 64 << 20, copyFrame: 64 << 10, resultRows: 300_000, idle: 500, updateRows: 50_000,
			fillRows: []int64{100_000, 500_000}, connections: 500,
		}
	}
	return options{
		rounds: 5, time: 4 * time.Second, copyBytes: 1 << 30, copyFrame: 64 << 10, resultRows: 1_000_000, idle: 5000, updateRows: 300_000,
		fillRows: []int64{1_000_000, 10_000_000}, connections: 500,
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "one short round of every row: to see that it works, and about where the figures are")
	only := flags.String("row", "", "measure these rows alone, by name, with commas between; the others stay as they were measured last")
	list := flags.Bool("list", false, "name the rows")
	exe := flags.String("segue", "bin/segue", "the proxy's binary")
	dir := flags.String("dir", "bench", "where RESULTS.md is written")
	profile := flags.Bool("profile", false, "take the proxy's profile with perf, in the rows about its CPU time")
	rounds := flags.Int("rounds", 0, "rounds of each row (0: five, or one with -quick)")
	copyBytes := flags.Int64("copy-bytes", 0, "bytes of COPY's data (0: 1 GiB, or 64 MiB with -quick)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *list {
		for _, r := range rows {
			say(out, "%-14s %s\n", r.id, r.what)
		}
		return nil
	}
	opt := sizes(*quick)
	opt.dir, opt.profile = *dir, *profile
	if *rounds > 0 {
		opt.rounds = *rounds
	}
	if *copyBytes > 0 {
		opt.copyBytes = *copyBytes
	}
	var err error
	if opt.exe, err = filepath.Abs(*exe); err != nil {
		return err
	}
	if _, err := os.Stat(opt.exe); err != nil {
		return fmt.Errorf("looking for the proxy's binary: %w: build it with `make build`, or name it with -segue", err)
	}
	wanted, err := choose(*only)
	if err != nil {
		return err
	}
	if err := raiseFiles(uint64(3*opt.idle + 1000)); err != nil {
		return err
	}
	debug.SetGCPercent(400) // the load's own collections take time from what is measured
	for _, r := range wanted {
		say(out, "%s: %s\n", r.id, r.what)
		if err := measure(ctx, r, opt, out); err != nil {
			return fmt.Errorf("row %s: %w", r.id, err)
		}
		// Written after each row: what was measured is not lost by what comes after it.
		if err := report(opt.dir); err != nil {
			return err
		}
	}
	say(out, "wrote %s\n", filepath.Join(opt.dir, "RESULTS.md"))
	return nil
}

// choose gives the rows of that names; all of them where it is empty.
func choose(names string) ([]row, error) {
	if names == "" {
		return rows, nil
	}
	var out []row
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(rows, func(r row) bool { return r.id == strings.TrimSpace(name) })
		if i < 0 {
			var all []string
			for _, r := range rows {
				all = append(all, r.id)
			}
			return nil, fmt.Errorf("there is no row %q: they are %s", name, strings.Join(all, ", "))
		}
		out = append(out, rows[i])
	}
	return out, nil
}

// measure runs one row and keeps what it gave.
func measure(ctx context.Context, r row, opt options, out io.Writer) (err error) {
	w, err := newWorld(ctx, opt, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	res := &result{ID: r.id, Started: time.Now().UTC().Truncate(time.Second), Quick: opt.quick, Rounds: opt.rounds, dir: filepath.Join(opt.dir, "results")}
	if err := os.MkdirAll(res.dir, 0o755); err != nil {
		return err
	}
	if res.Load, err = loadavg(); err != nil {
		return err
	}
	if res.Machine, err = machine(ctx, w); err != nil {
		return err
	}
	res.Commit = commit(ctx)
	if err := r.run(ctx, w, res); err != nil {
		return err
	}
	res.Seconds = int(time.Since(res.Started).Seconds())
	for _, f := range res.Figures {
		say(out, "  %-70s %9s  target %-9s %s\n", f.What, f.Measured, f.Target, f.verdict())
	}
	return res.save()
}
