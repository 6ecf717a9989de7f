package oracle

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"segue/rewrite"
	"segue/rewrite/lens"
)

// Planner plans a text as a proxy at a stand does for a session.
type Planner func(state *rewrite.State, sql string, set rewrite.Settings) *rewrite.Plan

// Lab has a variant's two reference databases and one database for each form.
type Lab struct {
	Variant *Variant
	Plan    Planner
	// Thorough says that sessions of version auto go by every protocol, too: they plan as those of old or new do, so one is enough for most runs.
	Thorough bool

	refs   [2]*Database
	forms  [NewOnly + 1]*Database
	states []*rewrite.State // by stand
	norm   func(code, text string) string
	Report Report
}

// NewLab makes the databases; create gives the connection string of a fresh, empty one. Close the lab when done.
func NewLab(ctx context.Context, v *Variant, create func() string) (_ *Lab, err error) {
	l := &Lab{Variant: v, Plan: (*rewrite.State).Plan, norm: normer(v)}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	for s, f := range []Form{OldOnly, RefNew} {
		if l.refs[s], err = NewDatabase(ctx, create(), v, f); err != nil {
			return nil, err
		}
	}
	// The forms of one migration are databases of their own here: their tables' OIDs and their catalogs differ, so a stand whose catalog is older
	// than its table takes the older one's columns under the table's own OIDs.
	for f := range l.forms {
		if l.forms[f], err = NewDatabase(ctx, create(), v, Form(f)); err != nil {
			return nil, err
		}
	}
	for _, st := range Stands {
		snap := l.forms[st.Physical].snap
		if st.Catalog != st.Physical {
			snap = snap.outdated(v.Table, l.forms[st.Catalog].snap)
		}
		state, err := rewrite.NewState(7, snap.catalog(), []rewrite.Migration{{
			Definition: v.Definition(), Stage: st.Stage, OldNums: map[string]int16{v.Names[OldSide]: oldNum}, Seq: 1,
		}})
		if err != nil {
			return nil, err
		}
		l.states = append(l.states, state)
	}
	return l, nil
}

// Close ends the sessions.
func (l *Lab) Close() error {
	var errs []error
	for _, d := range append(l.refs[:], l.forms[:]...) {
		if d != nil && d.conn != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(errs...)
}

// reference is the outcome of a case against one schema.
type reference struct {
	schema      Side
	steps       []Step
	types       [][]uint32
	want        [][]string // lines of the texts' and the contents' events, in turn
	meaningless bool       // a text was an error of class 42: its names mean nothing there, say
}

// reference runs a case, with the names that code of a side uses, on the reference of a schema.
func (l *Lab) reference(c *Case, side, schema Side, p Protocol) (*reference, error) {
	db := l.refs[schema]
	r := &reference{schema: schema, steps: c.expand(l.Variant, side)}
	var texts []sent
	for _, s := range r.steps {
		var types []uint32
		if p == Binary {
			var err error
			if types, err = db.conn.Describe(s); err != nil {
				return nil, err
			}
		}
		r.types = append(r.types, types)
		texts = append(texts, sent{Step: s, types: types})
	}
	o, err := db.Run(texts, p, c.Commit)
	if err != nil {
		return nil, err
	}
	r.want = l.lines(o, db.origins(schema, false), c)
	for _, events := range o.Steps {
		if e := failure(events); e != nil {
			l.Report.Errors++
			r.meaningless = r.meaningless || strings.HasPrefix(e.Code, "42")
		}
	}
	return r, nil
}

// lines writes an outcome as lines, one list for each text and for each look at the contents.
func (l *Lab) lines(o *Outcome, origins *Origins, c *Case) [][]string {
	var out [][]string
	if c.AnyFrom {
		origins = nil
	}
	for i := range o.Steps {
		events := o.Steps[i]
		if c.AnyError {
			events = anyError(events)
		}
		ls := lines(events, origins, l.norm)
		switch {
		case c.AnyRows:
			ls = withoutRows(ls)
		case !orderBy.MatchString(c.Steps[i].Text):
			ls = unordered(ls)
		}
		out = append(out, ls, withoutShapes(lines(o.Contents[i], origins, l.norm)))
	}
	return out
}

// withoutShapes drops the descriptions of contents' results, which name physical columns.
func withoutShapes(ls []string) []string {
	var out []string
	for _, s := range ls {
		if s[0] == byte(DataRow) || s[0] == byte(ErrorResponse) {
			out = append(out, s)
		}
	}
	return out
}

// normer gives what makes messages alike: the migrating column is called {c} by whichever name, with the table's name before it or not.
// What names a column that does not exist says the client's own name, which is left as it is.
func normer(v *Variant) func(code, text string) string {
	names := regexp.QuoteMeta(v.Names[OldSide]) + "|" + regexp.QuoteMeta(v.Names[NewSide])
	table := regexp.QuoteMeta(v.Table)
	quoted := regexp.MustCompile(`"(` + table + `\.)?(` + names + `)"`)
	plain := regexp.MustCompile(` ` + table + `\.(` + names + `) `)
	return func(code, s string) string {
		if code == "42703" {
			return s
		}
		return plain.ReplaceAllString(quoted.ReplaceAllString(s, `"{c}"`), ` {c} `)
	}
}

// Check runs a case at every stand, for every client and by every protocol, and reports to l.Report. An error means that the harness failed.
func (l *Lab) Check(c *Case) error {
	for i, p := range c.protocols() {
		ran := map[string]*Outcome{}
		var refs [2]*reference
		for _, client := range Clients {
			auto := client.Version == lens.Auto
			if auto && i > 0 && !l.Thorough {
				continue
			}
			if !c.meant(l.Variant, client.Side) || auto && (c.Star && client.Side == NewSide || c.Auto == "none") {
				continue
			}
			if refs[client.Side] == nil {
				var err error
				if refs[client.Side], err = l.reference(c, client.Side, client.Side, p); err != nil {
					return fmt.Errorf("%s, reference of %s code: %w", c, client, err)
				}
			}
			right := []*reference{refs[client.Side]}
			// A text that means nothing in one schema may mean something in the other, which is what version auto finds out. Where it
			// means nothing in either, the error may be either's.
			if auto && right[0].meaningless {
				other, err := l.reference(c, client.Side, 1-client.Side, p)
				if err != nil {
					return fmt.Errorf("%s, reference of the other schema: %w", c, err)
				}
				right = append(right, other)
				if !other.meaningless {
					right = right[1:]
				}
			}
			for i := range Stands {
				if err := l.at(c, p, client, i, right, ran); err != nil {
					return fmt.Errorf("%s, %s, %s, %s: %w", c, Stands[i].Name, client, p, err)
				}
			}
		}
	}
	return nil
}

// at runs a case at one stand; any of the references is right. ran has the outcomes of texts that were sent to the same form before.
func (l *Lab) at(c *Case, p Protocol, client Client, stand int, right []*reference, ran map[string]*Outcome) error {
	db := l.forms[Stands[stand].Physical]
	settings := rewrite.Settings{Version: client.Version, Path: []string{"pg_catalog", "public"}, ServerMajor: 15, Encoding: "UTF8"}
	where := Where{Case: c, Variant: l.Variant, Stand: Stands[stand].Name, Client: client, Protocol: p}
	var texts []sent
	var plans []*rewrite.Plan
	key := fmt.Sprint(Stands[stand].Physical)
	for i, s := range right[0].steps {
		plan := l.Plan(l.states[stand], s.Text, settings)
		plans = append(plans, plan)
		text := sent{Step: s, types: right[0].types[i]}
		text.Text = plan.SQL
		if plan.Kind == rewrite.Refuse {
			if plan.Refusal.Code == "0A000" {
				l.Report.refused(where, plan)
				return nil
			}
			text.abort, text.Text = true, s.Text
			where.Sent = append(where.Sent, "(refused with "+plan.Refusal.Code+")")
		} else {
			where.Sent = append(where.Sent, text.Text)
		}
		texts = append(texts, text)
		key += fmt.Sprint("\x00", text.abort, text.Text)
	}
	o := ran[key]
	if o == nil {
		var err error
		if o, err = db.Run(texts, p, c.Commit); err != nil {
			return err
		}
		ran[key] = o
		l.Report.Runs++
	}
	seen := asClientSees(o, plans)
	d := ""
	for _, ref := range right {
		if d = diffs(ref.want, l.lines(seen, db.origins(ref.schema, !Stands[stand].keeps(ref.schema)), c)); d == "" {
			break
		}
	}
	if o.Apart != "" {
		d += "  columns apart: " + o.Apart
	}
	l.Report.compared(where, d)
	return nil
}

// diffs shows where two outcomes differ, up to the first text after which the transactions' states do.
func diffs(want, got [][]string) string {
	d := ""
	for i := range got {
		d += diff(want[i], got[i])
		if i%2 == 0 && want[i][len(want[i])-1] != got[i][len(got[i])-1] {
			break
		}
	}
	return d
}

// asClientSees does to the server's messages what a session does: refusals in their place, positions, origins.
func asClientSees(o *Outcome, plans []*rewrite.Plan) *Outcome {
	out := &Outcome{Contents: o.Contents}
	for i, events := range o.Steps {
		plan := plans[i]
		var seen []Event
		statement := 0
		for _, e := range events {
			switch e.Kind {
			case ErrorResponse:
				if plan.Kind == rewrite.Refuse {
					e = Event{Kind: ErrorResponse, Code: plan.Refusal.Code, Text: plan.Refusal.Message, Pos: plan.Refusal.Position}
				} else if e.Pos > 0 {
					e.Pos = plan.ClientPosition(e.Pos)
				}
			case CommandComplete:
				statement++
			case RowDescription:
				e.Fields = append([]Field(nil), e.Fields...)
				for _, r := range plan.Results {
					if r.Statement != statement {
						continue
					}
					for _, or := range r.Origins {
						if or.Column < len(e.Fields) {
							e.Fields[or.Column].Table, e.Fields[or.Column].Num = or.Table, or.Num
						}
					}
				}
			}
			seen = append(seen, e)
		}
		out.Steps = append(out.Steps, seen)
	}
	return out
}
