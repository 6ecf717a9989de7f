package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// profile takes a profile of a proxy under a load, where that was asked for: the functions that its time is spent in, and beside it the call graph's file, for `perf report`.
func (w *world) profile(ctx context.Context, res *result, p *process, l load) error {
	if !w.opt.profile {
		return nil
	}
	name := res.ID + "-" + l.protocol
	data := filepath.Join(w.dir, name+".perf")
	record := exec.CommandContext(ctx, "perf", "record", "-q", "-F", "999", "-g", "-o", data, "-p", strconv.Itoa(p.pid()), "--", "sleep", strconv.Itoa(max(1, l.seconds-1)))
	if err := record.Start(); err != nil {
		return fmt.Errorf("taking a profile: %w: install the package linux-perf, or leave -profile out", err)
	}
	_, err := w.costs(ctx, p, l)
	if err = errors.Join(err, record.Wait()); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "perf", "report", "-i", data, "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.7", "-s", "symbol").Output()
	if err != nil {
		return fmt.Errorf("perf report: %w", err)
	}
	text := "Of the proxy's CPU time, in per cent; " + l.protocol + ", " + strconv.Itoa(l.clients) + " clients\n" + strings.TrimSpace(l.script) + "\n"
	for line := range strings.Lines(string(out)) {
		if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "#") {
			text += s + "\n"
		}
	}
	return os.WriteFile(filepath.Join(res.dir, name+".profile.txt"), []byte(text), 0o644)
}
