package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// report writes RESULTS.md from what the rows gave last. What is to be said of a row's figures is in notes/, by the row's name, and is taken over as it is.
func report(dir string) error {
	var b strings.Builder
	b.WriteString("# What the proxy costs\n\nWritten by `make bench`; `make bench ROW=copy` measures one row anew and leaves the others, `make bench QUICK=1` runs one short round of each. `bench/README.md` says how it is measured. " +
		"A ratio is the median of the ratios of the rounds, in each of which all that is compared ran once, by turns; absolute figures are medians of the rounds.\n\n")
	b.WriteString("| what | against | target | measured | | absolute figures |\n|---|---|---|---|---|---|\n")
	var detail strings.Builder
	for _, r := range rows {
		res, err := lastResult(filepath.Join(dir, "results"), r.id)
		if err != nil {
			return err
		}
		if res == nil {
			fmt.Fprintf(&b, "| %s | | | not measured yet | | |\n", r.what)
			continue
		}
		for _, f := range res.Figures {
			measured := f.Measured
			if res.Quick {
				measured += " (quick)"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", f.What, f.Against, orDash(f.Target), measured, f.verdict(), orDash(f.Absolute))
		}
		if err := res.describe(&detail, r, dir); err != nil {
			return err
		}
	}
	b.WriteString(detail.String())
	return os.WriteFile(filepath.Join(dir, "RESULTS.md"), []byte(b.String()), 0o644)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// describe writes a row's own part.
func (r *result) describe(b *strings.Builder, of row, dir string) error {
	rounds := fmt.Sprintf("%d rounds", r.Rounds)
	if r.Quick {
		rounds = "**quick: one short round, which says little**"
	}
	fmt.Fprintf(b, "\n## %s: %s\n\n%s\n\n%s; `make bench ROW=%s`; %s, commit %s, %d s; load average when it began: %s.  \n%s.\n",
		r.ID, of.what, upper(of.how), rounds, r.ID, r.Started.Format("2006-01-02 15:04 UTC"), r.Commit, r.Seconds, r.Load, strings.Join(r.Machine, ".  \n"))
	for _, s := range r.Remarks {
		fmt.Fprintf(b, "\n%s\n", s)
	}
	for _, t := range r.Tables {
		fmt.Fprintf(b, "\n| %s |\n|%s\n", strings.Join(t.Header, " | "), strings.Repeat("---|", len(t.Header)))
		for _, cells := range t.Rows {
			fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	for _, p := range r.Plots {
		fmt.Fprintf(b, "\n![%s](results/%s)\n", strings.TrimSuffix(p, ".svg"), p)
	}
	note, err := os.ReadFile(filepath.Join(dir, "notes", r.ID+".md"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "\n%s\n", strings.TrimSpace(string(note)))
	return nil
}

func upper(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
