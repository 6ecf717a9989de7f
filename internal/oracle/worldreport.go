package oracle

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"

	"segue/rewrite"
)

// WorldReport counts what came of scripts. A statement is one that was generated, however often it was compared.
type WorldReport struct {
	Worlds      int
	Scripts     int
	Statements  int
	Errors      int // scripts of which the reference has an error
	Compared    int // scripts at one stand by one client
	Runs        int // scripts that went to a server: of those that would send the same, one does
	Formless    int // outcomes that are an error for a value without a form on the other side
	Differences []WorldDifference
	refusals    map[string]*refusal // by reason
	refusedIn   map[*Script]bool
	lossy       map[*Script]bool
}

// refusal is what was refused for one reason.
type refusal struct {
	runs    int
	scripts map[*Script]bool
	example string
}

// WorldDifference is a script whose outcome is not the reference's, or a refusal that is not what one must be.
type WorldDifference struct {
	World   *World
	Script  *Script
	Stand   string
	Version string
	Text    string
}

func (r *WorldReport) counted(s *Script, ref *Outcome) {
	r.Scripts++
	r.Statements += s.Statements
	if slices.ContainsFunc(ref.Steps, func(events []Event) bool { return failure(events) != nil }) {
		r.Errors++
	}
}

// names are those in the reason of a refusal.
var names = regexp.MustCompile(`the column (\w+|("[^"]*")+)|("[^"]*")+( of (\w+|("[^"]*")+)\.(\w+|("[^"]*")+))?`)

// refused takes a refusal.
func (r *WorldReport) refused(l *WorldLab, a *attempt) {
	if n := len(a.plans); n > 0 && a.plans[n-1].Refusal.Hint == "" {
		l.Report.differs(l, a, "  refused without a hint: "+a.refusal+"\n")
	}
	if r.refusals == nil {
		r.refusals, r.refusedIn, r.lossy = map[string]*refusal{}, map[*Script]bool{}, map[*Script]bool{}
	}
	reason := names.ReplaceAllString(a.refusal, "...")
	c := r.refusals[reason]
	if c == nil {
		c = &refusal{scripts: map[*Script]bool{}}
		r.refusals[reason] = c
	}
	c.runs++
	c.scripts[a.script] = true
	if c.example == "" || len(a.script.String()) < 200 && len(c.example) > 600 {
		c.example = fmt.Sprintf("%s, %s, %s at %s:\n%s", l.World.Name, a.script.Name, a.version, a.stand.name, a.script)
	}
	if (a.script.Lossy || a.script.Early) && a.stand.early() || a.stand.late(a.script) {
		r.lossy[a.script] = true
		return
	}
	r.refusedIn[a.script] = true
}

// Refused is the number of statements that were refused somewhere, those not counted that write a lossy column as new code before reads are switched.
func (r *WorldReport) Refused() int {
	n := 0
	for s := range r.refusedIn {
		n += s.Statements
	}
	return n
}

// differs takes a difference.
func (r *WorldReport) differs(l *WorldLab, a *attempt, d string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s: %s code, version %s, at %s\n", l.World.Name, a.script.Name, a.script.Code, a.version, a.stand.name)
	if a.script.Again != "" {
		fmt.Fprintf(&b, "  again: go test ./internal/oracle -run %s\n", a.script.Again)
	}
	b.WriteString(a.script.String() + "\n")
	for i, p := range a.plans {
		switch {
		case p.Kind == rewrite.Refuse:
			fmt.Fprintf(&b, "  refused %s %s\n", p.Refusal.Code, p.Refusal.Message)
		case p.SQL != a.script.Steps[i].Text:
			fmt.Fprintf(&b, "  sent %s\n", p.SQL)
		}
	}
	b.WriteString(d)
	r.Differences = append(r.Differences, WorldDifference{World: l.World, Script: a.script, Stand: a.stand.name, Version: string(a.version), Text: b.String()})
}

// Summary gives the counts, and the refusals by reason, the most frequent first.
func (r *WorldReport) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d statements (%d scripts in %d worlds; %d have an error), compared in every phase: %d comparisons, %d runs, %d values without a form; %d differ\n",
		r.Statements, r.Scripts, r.Worlds, r.Errors, r.Compared, r.Runs, r.Formless, len(r.Differences))
	fmt.Fprintf(&b, "%d statements refused somewhere (%.2f%%); %d come before or after their time. By reason:\n", r.Refused(), 100*float64(r.Refused())/float64(max(r.Statements, 1)), len(r.lossy))
	reasons := slices.Collect(maps.Keys(r.refusals))
	sort.Slice(reasons, func(i, j int) bool {
		a, b := len(r.refusals[reasons[i]].scripts), len(r.refusals[reasons[j]].scripts)
		return a > b || a == b && reasons[i] < reasons[j]
	})
	for _, m := range reasons {
		c := r.refusals[m]
		fmt.Fprintf(&b, "  %6d scripts, %6d comparisons: %s\n", len(c.scripts), c.runs, m)
	}
	return b.String()
}

// Examples gives one refused script for each reason.
func (r *WorldReport) Examples() string {
	var b strings.Builder
	for _, m := range slices.Sorted(maps.Keys(r.refusals)) {
		fmt.Fprintf(&b, "%s\n%s\n", m, r.refusals[m].example)
	}
	return b.String()
}

// Add adds another report's counts and differences.
func (r *WorldReport) Add(o *WorldReport) {
	r.Worlds += o.Worlds
	r.Scripts += o.Scripts
	r.Statements += o.Statements
	r.Errors += o.Errors
	r.Compared += o.Compared
	r.Runs += o.Runs
	r.Formless += o.Formless
	r.Differences = append(r.Differences, o.Differences...)
	if r.refusals == nil {
		r.refusals, r.refusedIn, r.lossy = map[string]*refusal{}, map[*Script]bool{}, map[*Script]bool{}
	}
	maps.Copy(r.refusedIn, o.refusedIn)
	maps.Copy(r.lossy, o.lossy)
	for m, c := range o.refusals {
		own := r.refusals[m]
		if own == nil {
			r.refusals[m] = c
			continue
		}
		own.runs += c.runs
		maps.Copy(own.scripts, c.scripts)
	}
}
