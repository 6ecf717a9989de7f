package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"segue/rewrite"
)

// Where says which of a case's many runs something was seen in.
type Where struct {
	Case     *Case
	Variant  *Variant
	Stand    string
	Client   Client
	Protocol Protocol
	Sent     []string // the texts that went to the server
}

// Difference is one run whose outcome was not the reference's.
type Difference struct {
	Where
	Text string
}

// String shows the difference with all that is needed to see why.
func (d Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s [%s] %s, %s, %s\n", d.Case, d.Variant.Name, d.Stand, d.Client, d.Protocol)
	for i, s := range d.Case.expand(d.Variant, d.Client.Side) {
		fmt.Fprintf(&b, "  text %s%s\n", s.Text, params(s))
		if i < len(d.Sent) && d.Sent[i] != s.Text {
			fmt.Fprintf(&b, "  sent %s\n", d.Sent[i])
		}
	}
	return b.String() + d.Text
}

// Groups gives one difference of each case as text, and where else the case differs.
func Groups(diffs []Difference) []string {
	var order []string
	byCase := map[string][]Difference{}
	for _, d := range diffs {
		k := d.Case.String() + d.Variant.Name
		if byCase[k] == nil {
			order = append(order, k)
		}
		byCase[k] = append(byCase[k], d)
	}
	var out []string
	for _, k := range order {
		ds := byCase[k]
		s := ds[0].String()
		if len(ds) > 1 {
			s += fmt.Sprintf("  and in %d more:", len(ds)-1)
			runs := map[string]int{}
			for _, d := range ds {
				runs[fmt.Sprintf("%s (%s)", d.Stand, d.Client)]++
			}
			for _, r := range slices.Sorted(maps.Keys(runs)) {
				s += " " + r + ";"
			}
			s += "\n"
		}
		out = append(out, s)
	}
	return out
}

func params(s Step) string {
	if len(s.Params) == 0 {
		return ""
	}
	var v []string
	for _, p := range s.Params {
		v = append(v, show(p))
	}
	return "   -- " + strings.Join(v, ", ")
}

// Report counts outcomes and keeps differences.
type Report struct {
	Compared    int // runs whose outcome was held against the reference's
	Runs        int // of those, how many went to a server: the others sent what had been sent
	Errors      int // references that were errors
	Refused     map[string]int
	Differences []Difference
	// Wrong are refusals that must not be: of a case that is not marked, or without what a refusal must have.
	Wrong     []Difference
	Otherwise int // runs whose outcome is not the reference's, as their case allows
	// otherCases has the cases of those runs.
	otherCases map[*Case]bool
	// refusedCases has the marked cases that were refused somewhere.
	refusedCases map[*Case]bool
}

func (r *Report) compared(w Where, diff string) {
	r.Compared++
	if diff != "" {
		r.Differences = append(r.Differences, Difference{w, diff})
	}
}

// otherwise takes a run whose outcome is another one as its case allows.
func (r *Report) otherwise(w Where) {
	if r.otherCases == nil {
		r.otherCases = map[*Case]bool{}
	}
	r.otherCases[w.Case] = true
	r.Otherwise++
}

// planned takes a planner's refusal.
func (r *Report) planned(w Where, p *rewrite.Plan) {
	ref := p.Refusal
	switch {
	case ref.Hint == "":
		r.Wrong = append(r.Wrong, Difference{w, "  refused without a hint: " + ref.Message + "\n"})
	case !slices.Contains(p.Migrations, w.Variant.Definition().Name):
		r.Wrong = append(r.Wrong, Difference{w, "  refused without naming the migration: " + ref.Message + "\n"})
	}
	r.refused(w, ref.Message)
}

// refused takes a refusal by its message.
func (r *Report) refused(w Where, message string) {
	if r.Refused == nil {
		r.Refused, r.refusedCases = map[string]int{}, map[*Case]bool{}
	}
	r.Refused[message]++
	r.refusedCases[w.Case] = true
	if !w.Case.mayBeRefused(w) {
		r.Wrong = append(r.Wrong, Difference{w, "  refused, and not marked so: " + message + "\n"})
	}
}

// NeedlessMarks gives the cases, of those that were run, that are marked as refused and were refused nowhere, or that may
// be otherwise and were not.
func (r *Report) NeedlessMarks(ran []*Case) []*Case {
	return slices.DeleteFunc(slices.Clone(ran), func(c *Case) bool {
		refused := (!c.Refused || c.RefusedV != "") && c.Auto != "refused" || r.refusedCases[c]
		return refused && (c.Fails == nil && !c.Known || r.otherCases[c])
	})
}

// Summary gives the counts, and the refusals by reason.
func (r *Report) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d compared (%d runs; %d references were errors), %d differ, %d as their case allows, %d refused wrongly; refused by reason:\n",
		r.Compared, r.Runs, r.Errors, len(r.Differences), r.Otherwise, len(r.Wrong))
	for _, m := range slices.Sorted(maps.Keys(r.Refused)) {
		fmt.Fprintf(&b, "  %6d %s\n", r.Refused[m], m)
	}
	return b.String()
}
