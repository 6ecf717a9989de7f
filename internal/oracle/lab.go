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

	refs   [2]*Database
	forms  [NewOnly + 1]*Database
	states []*rewrite.State // by stand
	Report Report
}

// NewLab makes the databases; create gives the connection string of a fresh, empty one. Close the lab when done.
func NewLab(ctx context.Context, v *Variant, create func() string) (_ *Lab, err error) {
	l := &Lab{Variant: v, Plan: (*rewrite.State).Plan}
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
		old := l.forms[OldOnly].snap.relation(v.Table).Column(v.Names[OldSide])
		state, err := rewrite.NewState(7, snap.catalog(), []rewrite.Migration{{
			Definition: v.Definition(), Stage: st.Stage, OldNums: map[string]int16{old.Name: old.Num}, Seq: 1,
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

// reference is the outcome of a case against the schema that its code was written for.
type reference struct {
	steps []Step
	types [][]uint32
	want  [][]string // lines of the texts' and the contents' events, in turn
}

func (l *Lab) reference(c *Case, side Side, p Protocol) (*reference, error) {
	db := l.refs[side]
	r := &reference{steps: c.expand(l.Variant, side)}
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
	r.want = l.lines(o, db, side, c)
	return r, nil
}

// lines writes an outcome as lines, one list for each text and for each look at the contents.
func (l *Lab) lines(o *Outcome, db *Database, side Side, c *Case) [][]string {
	var out [][]string
	origins := db.origins(side)
	for i := range o.Steps {
		ls := lines(o.Steps[i], origins, l.norm)
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

// norm makes messages alike: the migrating column is called {c} by whichever name.
func (l *Lab) norm(s string) string {
	for _, n := range []string{l.Variant.Names[NewSide], l.Variant.Names[OldSide]} {
		s = regexp.MustCompile(`([".])`+regexp.QuoteMeta(n)+`"`).ReplaceAllString(s, `$1{c}"`)
		s = strings.ReplaceAll(s, " "+l.Variant.Table+"."+n+" ", " "+l.Variant.Table+".{c} ")
	}
	return strings.ReplaceAll(s, `"`+l.Variant.Table+`.{c}"`, `"{c}"`)
}

// Check runs a case at every stand, for every client and by every protocol, and reports to l.Report. An error means that the harness failed.
func (l *Lab) Check(c *Case) error {
	for _, p := range c.protocols() {
		ran := map[string]*Outcome{}
		var refs [2]*reference
		for _, client := range Clients {
			if !c.meant(l.Variant, client.Side) || c.Star && client.Version == lens.Auto && client.Side == NewSide {
				continue
			}
			if refs[client.Side] == nil {
				var err error
				if refs[client.Side], err = l.reference(c, client.Side, p); err != nil {
					return fmt.Errorf("%s, reference of %s code: %w", c, client, err)
				}
			}
			for i := range Stands {
				if err := l.at(c, p, client, i, refs[client.Side], ran); err != nil {
					return fmt.Errorf("%s, %s, %s, %s: %w", c, Stands[i].Name, client, p, err)
				}
			}
		}
	}
	return nil
}

// at runs a case at one stand. ran has the outcomes of texts that were sent to the same form before.
func (l *Lab) at(c *Case, p Protocol, client Client, stand int, ref *reference, ran map[string]*Outcome) error {
	db := l.forms[Stands[stand].Physical]
	settings := rewrite.Settings{Version: client.Version, Path: []string{"pg_catalog", "public"}, ServerMajor: 15, Encoding: "UTF8"}
	where := Where{Case: c, Variant: l.Variant, Stand: Stands[stand].Name, Client: client, Protocol: p}
	var texts []sent
	var plans []*rewrite.Plan
	key := fmt.Sprint(Stands[stand].Physical)
	for i, s := range ref.steps {
		plan := l.Plan(l.states[stand], s.Text, settings)
		plans = append(plans, plan)
		text := sent{Step: s, types: ref.types[i]}
		text.Text = plan.SQL
		if plan.Kind == rewrite.Refuse {
			if plan.Refusal.Code == "0A000" {
				l.Report.refused(where, plan)
				return nil
			}
			text.abort = true
		}
		texts = append(texts, text)
		key += "\x00" + text.Text
		where.Sent = append(where.Sent, text.Text)
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
	got := l.lines(asClientSees(o, plans), db, client.Side, c)
	d := ""
	for i := range got {
		d += diff(ref.want[i], got[i])
	}
	if o.Apart != "" {
		d += "  columns apart: " + o.Apart
	}
	l.Report.compared(where, d)
	return nil
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
