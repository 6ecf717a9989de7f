package oracle

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"segue/rewrite/lens"
)

// compare holds an attempt against the reference.
func (l *WorldLab) compare(a *attempt, ref *Outcome) {
	if meaningless(ref) && a.version == lens.Auto { // it may mean something in another schema
		return
	}
	if a.refusal != "" {
		if !failed(ref) {
			l.Report.refused(l, a)
		}
		return
	}
	db := l.dbs[a.stand.physical.String()]
	l.judge(a, ref, asClientSees(a.run.outcome, a.plans), db.names, db.types)
}

// meaningless says that something was an error of class 42: its names mean nothing there, say.
func meaningless(o *Outcome) bool {
	return slices.ContainsFunc(o.Steps, func(events []Event) bool {
		e := failure(events)
		return e != nil && strings.HasPrefix(e.Code, "42")
	})
}

func failed(o *Outcome) bool {
	return slices.ContainsFunc(o.Steps, func(events []Event) bool { return failure(events) != nil })
}

// judge holds what a client saw against the reference; columns and types name what the answering database has.
func (l *WorldLab) judge(a *attempt, ref, got *Outcome, columns map[origin]string, types map[uint32]string) {
	names := &Origins{names: columns, types: types, logical: map[string]string{}}
	for k, c := range l.World.Changes {
		s := a.script.Code[k]
		switch {
		case a.stand.keeps[s][k], c.splits():
		case c.single():
			names.logical[c.Table+"."+c.Columns[1-s][0].Name] = c.Table + "." + c.Columns[s][0].Name
		default:
			names.any = true
		}
	}
	reference := l.dbs[a.script.Code.reference().String()]
	refNames := &Origins{names: reference.names, types: reference.types, logical: map[string]string{}, any: names.any}
	d, erred := "", false
	for i, st := range a.script.Steps {
		want, have := l.lines(ref.Steps[i], st, refNames), l.lines(got.Steps[i], st, names)
		if erred {
			want, have = withoutTaken(want), withoutTaken(have)
		}
		if !st.Ordered && failure(ref.Steps[i]) != nil && failure(got.Steps[i]) != nil {
			want, have = withoutCutShort(want), withoutCutShort(have)
		}
		erred = erred || failure(ref.Steps[i]) != nil
		if !l.sameButTies(st, ref.Steps[i], got.Steps[i], want, have) {
			d += diff(want, have)
		}
		if want[len(want)-1] != have[len(have)-1] {
			break
		}
	}
	if len(ref.Contents) > 0 && d == "" {
		wanted, found := ref.Contents[0], got.Contents[0]
		if slices.ContainsFunc(a.script.Steps, func(st scriptStep) bool { return merging.MatchString(st.Text) }) {
			wanted, found = withoutScales(wanted), withoutScales(found)
		}
		want, have := withoutShapes(lines(wanted, nil, l.norm)), withoutShapes(lines(found, nil, l.norm))
		if erred {
			want, have = withoutTaken(want), withoutTaken(have)
		}
		d += diff(want, have)
	}
	if d != "" && (eitherConstraint(ref, got) || a.script.unlimited(ref, got)) {
		d = ""
	}
	if c := l.World.splitting(); d != "" && c != nil && c.formless(l.World, a.script, ref, got) {
		l.Report.Formless++
		d = ""
	}
	if d != "" && a.script.Risky && l.formless(ref, got) {
		l.Report.Formless++
		d = ""
	}
	if got.Apart != "" {
		d += "  sides apart: " + got.Apart
	}
	l.Report.Compared++
	if d != "" {
		l.Report.differs(l, a, d)
	}
}

// eitherConstraint says that both failed at the same text, each of two constraints that it breaks, or at a NULL and something else: NOT NULL may be looked at earlier.
func eitherConstraint(ref, got *Outcome) bool {
	for i := range got.Steps {
		e, right := failure(got.Steps[i]), failure(ref.Steps[i])
		if e != nil || right != nil {
			return e != nil && right != nil && e.Code != right.Code && (e.Code == "23502" || strings.HasPrefix(e.Code, "23") && strings.HasPrefix(right.Code, "23"))
		}
	}
	return false
}

// unlimited says that one failed at an array of rows that the other, since it was to give some rows only, had not computed: how many it computes is its own choice.
func (s *Script) unlimited(ref, got *Outcome) bool {
	const dimensions = "2202E" // of sub-arrays, which depend on the row
	for i := range got.Steps {
		e, right := failure(got.Steps[i]), failure(ref.Steps[i])
		if e != nil || right != nil {
			return (e == nil || right == nil) && cmp.Or(e, right).Code == dimensions && limited.MatchString(s.Steps[i].Text)
		}
	}
	return false
}

// withoutCutShort drops the rows of the query that failed: which of its rows came first is PostgreSQL's own choice, and so how many came before the one that has the error.
func withoutCutShort(ls []string) []string {
	e := slices.IndexFunc(ls, func(line string) bool { return line[0] == byte(ErrorResponse) })
	first := e
	for first > 0 && ls[first-1][0] == byte(DataRow) {
		first--
	}
	if first == e {
		return ls
	}
	return slices.Delete(slices.Clone(ls), first, e)
}

// taken are numbers that sequences give: those of keys begin at 100, those of tick at 1000, and a script may take hundreds.
var taken = regexp.MustCompile(`"(tick )?[1-9][0-9]{2,3}"`)

// withoutTaken gives rows without the numbers of sequences. How many a statement took before it failed depends on which of its rows and columns was computed first,
// and PostgreSQL promises nothing about that.
func withoutTaken(ls []string) []string {
	out := make([]string, len(ls))
	for i, line := range ls {
		out[i] = taken.ReplaceAllString(line, `"${1}..."`)
	}
	return out
}

// formless says that what failed is a value without a form on the other side. Where the reference fails, too, it is the other one of two errors.
func (l *WorldLab) formless(ref, got *Outcome) bool {
	for i := range got.Steps {
		e, right := failure(got.Steps[i]), failure(ref.Steps[i])
		switch {
		case e == nil && right == nil || e != nil && right != nil && e.Code == right.Code:
			continue
		case e == nil:
			return false
		}
		return e.Code == "22000" || e.Code == "23000" || slices.ContainsFunc(l.World.Changes, func(c *change) bool { return slices.Contains(c.fails, e.Code) })
	}
	return false
}

func (l *WorldLab) lines(events []Event, st scriptStep, names *Origins) []string {
	if st.AnyFrom {
		names = &Origins{types: names.types, any: true, rows: true}
	}
	events = anyError(events)
	if merging.MatchString(st.Text) {
		events = withoutScales(events)
	}
	ls := lines(events, names, l.norm)
	if !st.Ordered {
		ls = unordered(ls)
	}
	return ls
}

// sameButTies says that rows differ only in which of some that ORDER BY holds equal comes first, or is still within the LIMIT: 1 and 1.0, or values of character with and without blanks at the end.
func (l *WorldLab) sameButTies(st scriptStep, ref, got []Event, want, have []string) bool {
	if !st.Ordered || slices.Equal(want, have) || !limited.MatchString(st.Text) && !slices.Equal(unordered(want), unordered(have)) {
		return slices.Equal(want, have)
	}
	rows := func(events []Event) []string {
		return slices.DeleteFunc(lines(withoutBlanks(withoutScales(events)), &Origins{any: true}, l.norm), func(line string) bool { return line[0] != byte(DataRow) })
	}
	return slices.Equal(rows(ref), rows(got)) && slices.Equal(withoutRows(want), withoutRows(have))
}

// limited finds what takes some of the rows only.
var limited = regexp.MustCompile(`(?i)\b(limit|offset|fetch)\b`)

// merging finds what gives one of several values that are equal: which of 1 and 1.0 is left open.
var merging = regexp.MustCompile(`(?i)\b(distinct|union|except|intersect|group by|max|min|greatest|least|recursive|partition|execute|fetch|\w+_agg)\b`)

// scaled finds numbers with zeros at the end of their decimals, and pointed those of which then a point is left.
var (
	scaled  = regexp.MustCompile(`(\d+)\.(\d*?)0+\b`)
	pointed = regexp.MustCompile(`(\d+)\.(\D|$)`)
)

// withoutScales drops the zeros at the end of decimals, also of those within other values.
func withoutScales(events []Event) []Event {
	return withValues(events, func(f *Field, v string) string {
		if f != nil && f.Format != 0 {
			return v
		}
		return pointed.ReplaceAllString(scaled.ReplaceAllString(v, "$1.$2"), "$1$2")
	})
}

// withoutBlanks drops the blanks at the end of values of type character.
func withoutBlanks(events []Event) []Event {
	const bpchar = 1042
	return withValues(events, func(f *Field, v string) string {
		if f != nil && f.Type != bpchar {
			return v
		}
		return strings.TrimRight(v, " ")
	})
}

// withValues gives the events with rows' values as f has them, which gets the value's field, nil where no RowDescription tells it.
func withValues(events []Event, f func(field *Field, v string) string) []Event {
	out := slices.Clone(events)
	var fields []Field
	for i, e := range out {
		switch e.Kind {
		case RowDescription:
			fields = e.Fields
		case DataRow:
			out[i].Values = slices.Clone(e.Values)
			for j, v := range e.Values {
				if v == nil {
					continue
				}
				var field *Field
				if j < len(fields) {
					field = &fields[j]
				}
				made := f(field, *v)
				out[i].Values[j] = &made
			}
		}
	}
	return out
}

// normer gives what makes messages alike: a migrating column is called {c} by whichever name.
func (w *World) normer() func(code, text string) string {
	var all []string
	for _, c := range w.Changes {
		for s := range c.Columns {
			for i := range c.Columns[s] {
				if c.splits() { // which go by their own names
					continue
				}
				all = append(all, regexp.QuoteMeta(c.Columns[s][i].Name), regexp.QuoteMeta(c.Columns[s][i].as()))
			}
		}
	}
	quoted := regexp.MustCompile(`"(` + strings.Join(all, "|") + `)"`)
	return func(code, s string) string {
		if code == "23505" { // a constraint of the other side has another name
			return duplicate.ReplaceAllString(s, "")
		}
		if code == "23502" { // of two columns that may not be NULL, the first of the table is told
			return notNull.ReplaceAllString(s, "column")
		}
		if len(all) == 0 {
			return s
		}
		return quoted.ReplaceAllString(s, `"{c}"`)
	}
}

var (
	duplicate = regexp.MustCompile(`constraint ".*"`)
	notNull   = regexp.MustCompile(`column ".*"`)
)
