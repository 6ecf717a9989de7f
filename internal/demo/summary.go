package demo

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/lens"
)

// Summary is how a run went.
type Summary struct {
	Took     time.Duration
	Apps     []AppSummary
	Apart    int64              // rows whose columns differed, all checks on the server together
	Checks   map[lens.Phase]int // checks in each phase
	Compared int64              // rows compared with the applications' records at the end
	Wrong    int64              // of these, rows that are not what the record says
	Problems []string           // what is not as it should be; empty where all is well
}

// AppSummary is how one application fared.
type AppSummary struct {
	Name       string
	Column     string
	Statements int64
	Failures   int64 // errors and wrong answers
	Phases     map[lens.Phase]PhaseFigures
}

// summarise compares the table with the applications' records, and puts together what was seen. The applications have been stopped.
func summarise(ctx context.Context, w *world, seen standing, took time.Duration, apps ...*application) (*Summary, error) {
	s := &Summary{Took: took, Apart: seen.apart, Checks: seen.checks}
	for _, a := range apps {
		failures, firsts := a.meter.failed()
		s.Apps = append(s.Apps, AppSummary{
			Name: a.app, Column: a.column, Statements: a.meter.live().statements, Failures: failures, Phases: a.meter.figures(),
		})
		if failures > 0 {
			s.Problems = append(s.Problems, fmt.Sprintf("the %s application had %d errors or wrong answers; the first:\n    %s",
				a.app, failures, strings.Join(firsts, "\n    ")))
		}
	}
	if seen.apart > 0 {
		s.Problems = append(s.Problems, fmt.Sprintf("the columns differed in %d rows", seen.apart))
	}
	from := finalOld
	if seen.known && seen.stage.Phase >= lens.Complete {
		from = w.pattern.final
	}
	wrong, err := s.compare(ctx, w, from, apps)
	if err != nil {
		return nil, fmt.Errorf("comparing the table with the applications' records: %w", err)
	}
	if s.Wrong > 0 {
		s.Problems = append(s.Problems, fmt.Sprintf("%d rows are not what the applications' records say; the first:\n    %s", s.Wrong, strings.Join(wrong, "\n    ")))
	}
	return s, nil
}

// compare reads the whole table, around the proxies, and compares it with all workers' records, both ways.
func (s *Summary) compare(ctx context.Context, w *world, from string, apps []*application) ([]string, error) {
	type known struct {
		user
		id int64
	}
	want, lost := map[string]known{}, map[string]bool{}
	for _, a := range apps {
		for _, worker := range a.workers {
			for id, u := range worker.users {
				want[u.email] = known{u, id}
			}
			for email := range worker.lost {
				lost[email] = true
			}
		}
	}
	hot := map[string]bool{}
	for key := 1; key <= hotKeys; key++ {
		hot[hotEmail(key)] = true
	}
	var firsts []string
	differ := func(format string, args ...any) {
		s.Wrong++
		if len(firsts) < firstFailures {
			firsts = append(firsts, fmt.Sprintf(format, args...))
		}
	}
	err := w.as(ctx, controlRole, database, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT u.id, n.name, u.email, u.logins, count(o.id), coalesce(sum(o.total), 0)::bigint "+from)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var got known
			if err := rows.Scan(&got.id, &got.name, &got.email, &got.logins, &got.orders, &got.total); err != nil {
				return err
			}
			if hot[got.email] || lost[got.email] {
				continue
			}
			s.Compared++
			k, ok := want[got.email]
			switch {
			case !ok:
				differ("a row that no record has: %+v", got)
			case k != got:
				differ("the table has %+v, the record %+v", got, k)
			}
			delete(want, got.email)
		}
		return rows.Err()
	})
	for email, k := range want {
		if !lost[email] {
			s.Compared++
			differ("a row that the table has not: %+v", k)
		}
	}
	return firsts, err
}

// Print writes the summary for people.
func (s *Summary) Print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-13s %-5s %12s %9s %9s %9s  %s\n", "phase", "app", "statements", "p50", "p99", "slowest", "slowest statement")
	for _, p := range allPhases {
		for _, a := range s.Apps {
			f, ok := a.Phases[p]
			if !ok {
				continue
			}
			fmt.Fprintf(&b, "%-13s %-5s %12s %9s %9s %9s  %s\n", p, a.Name, count(f.Statements), short(f.P50), short(f.P99), short(f.Slowest), oneLine(f.SlowestSQL, 70))
		}
	}
	var statements, failures int64
	var each []string
	for _, a := range s.Apps {
		statements += a.Statements
		failures += a.Failures
		each = append(each, fmt.Sprintf("%s, written for users.%s: %s", a.Name, a.Column, count(a.Statements)))
	}
	checks := 0
	var checked []string
	for _, p := range allPhases {
		if n := s.Checks[p]; n > 0 {
			checks += n
			checked = append(checked, p.String())
		}
	}
	fmt.Fprintf(&b, "\nstatements run              %s  (%s)\n", count(statements), strings.Join(each, "; "))
	fmt.Fprintf(&b, "errors and wrong answers    %s\n", count(failures))
	fmt.Fprintf(&b, "rows with differing columns %s  (%d checks on the server, in %s)\n", count(s.Apart), checks, strings.Join(checked, ", "))
	fmt.Fprintf(&b, "rows unlike the record      %s  (of %s, compared at the end)\n", count(s.Wrong), count(s.Compared))
	fmt.Fprintf(&b, "time                        %.0f s\n", s.Took.Seconds())
	sort.Strings(s.Problems)
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "\nnot as it should be: %s\n", p)
	}
	if len(s.Problems) == 0 {
		b.WriteString("\nBoth applications worked through every phase, and the data is what they wrote.\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// oneLine writes a statement on one line of at most n characters.
func oneLine(sql string, n int) string {
	r := []rune(strings.Join(strings.Fields(sql), " "))
	if len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return string(r)
}
