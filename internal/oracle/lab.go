package oracle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/copydata"
	"segue/rewrite/lens"
)

// Planner plans a text as a proxy at a stand does for a session.
type Planner func(state *rewrite.State, sql string, set rewrite.Settings) *rewrite.Plan

// Lab is a bench with one database for each form of a migration, on which texts are planned without a proxy.
type Lab struct {
	*Bench
	Plan Planner
	// Thorough says that sessions of version auto go by every protocol, too: they plan as those of old or new do, so one is enough for most runs.
	Thorough bool

	forms  [NewOnly + 1]*Database
	states []*rewrite.State // by stand
}

// NewLab makes the databases; create gives the connection string of a fresh, empty one. Close the lab when done.
func NewLab(ctx context.Context, v *Variant, create func() string) (_ *Lab, err error) {
	l := &Lab{Plan: (*rewrite.State).Plan}
	if l.Bench, err = newBench(ctx, v, create); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	// The forms of one migration are databases of their own here: their tables' OIDs and their catalogs differ, so a stand whose catalog is older
	// than its table takes the older one's columns under the table's own OIDs.
	for f := range l.forms {
		if l.forms[f], err = NewDatabase(ctx, create(), v, Form(f)); err != nil {
			return nil, err
		}
	}
	nums, types := map[string]int16{}, map[string]catalog.Type{}
	for i, o := range v.Columns[OldSide] {
		nums[o.Name] = v.num(OldSide, i)
		types[o.Name] = l.forms[OldOnly].snap.relation(v.Table).Column(o.Name).Type
	}
	for _, st := range Stands {
		snap := l.forms[st.Physical].snap
		if st.Catalog != st.Physical {
			snap = snap.outdated(v.Table, l.forms[st.Catalog].snap)
		}
		state, err := rewrite.NewState(7, snap.catalog(), []rewrite.Migration{{
			Definition: v.Definition(), Stage: st.Stage, OldNums: nums, OldTypes: types, OldRequired: v.required(st.Catalog), OldDefaults: v.defaults(st.Catalog, l.forms[OldOnly].snap.relation(v.Table)), Seq: 1,
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
	errs := []error{l.Bench.Close()}
	for _, d := range l.forms {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(errs...)
}

// Check runs a case at every stand, for every client and by every protocol, and reports to l.Report. An error means that the harness failed.
func (l *Lab) Check(c *Case) error {
	for i, p := range c.protocols() {
		ran := map[string]*Outcome{}
		var made asked
		for _, client := range Clients {
			if client.Version == lens.Auto && i > 0 && !l.Thorough || !c.meantFor(l.Variant, client) {
				continue
			}
			right, err := l.right(c, client, p, &made)
			if err != nil {
				return err
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
	view := l.Variant.view(right[0].schema)
	key := fmt.Sprint(Stands[stand].Physical, view)
	for i, s := range right[0].steps {
		plan := l.Plan(l.states[stand], s.Text, settings)
		plans = append(plans, plan)
		text := sent{Step: s, types: right[0].types[i]}
		text.Text = plan.SQL
		if p != Simple {
			text.Text, _ = plan.ExtendedText()
		}
		if text.Copy != nil {
			text.Copy = edited(plan, text.Copy)
		}
		if plan.Kind == rewrite.Refuse {
			if plan.Refusal.Code == "0A000" {
				l.Report.planned(where, plan)
				return nil
			}
			text.abort, text.Text = true, s.Text
			if plan.Before != nil {
				text.abort, text.Text = false, plan.Before.SQL+poison
			}
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
		if o, err = db.Run(texts, p, c.Commit, view); err != nil {
			return err
		}
		ran[key] = o
		l.Report.Runs++
	}
	alike := func(s Side) *Origins { return db.origins(s, !Stands[stand].keeps(s)) }
	l.compare(where, right, asClientSees(o, plans), alike)
	return nil
}

// edited gives what becomes of the data of a text's only COPY.
func edited(plan *rewrite.Plan, data []byte) []byte {
	for _, c := range plan.Copies {
		if c.Spec != nil {
			s := copydata.NewStream(c.Spec)
			return s.Finish(s.Feed(nil, data))
		}
	}
	return data
}

// poison stands for a statement that is refused behind others of the same text, as a session has it.
const poison = `SELECT "segue refuses the statement"`

// asClientSees does to the server's messages what a session does: refusals in their place, positions, origins.
func asClientSees(o *Outcome, plans []*rewrite.Plan) *Outcome {
	out := &Outcome{Contents: o.Contents, Apart: o.Apart}
	for i, events := range o.Steps {
		plan, refusal := plans[i], plans[i].Refusal
		if plan.Before != nil {
			plan = plan.Before
		}
		var seen []Event
		statement, tags := 0, 0
		for _, e := range events {
			if slices.ContainsFunc(plan.Copies, func(x rewrite.CopyIn) bool { return x.Staged != nil && x.Statement == statement }) && e.Kind != ErrorResponse {
				// DO, COPY, DO and SELECT stand for one COPY.
				switch {
				case e.Kind == CommandComplete:
					if tags++; tags == 4 {
						tags = 0
						statement++
					}
					continue
				case e.Kind == DataRow && tags == 3:
					seen = append(seen, Event{Kind: CommandComplete, Text: "COPY " + *e.Values[0]})
					continue
				case e.Kind == RowDescription && tags == 3:
					continue
				}
			}
			switch e.Kind {
			case ErrorResponse:
				if refusal != nil && e.Code != "25P02" && (plan.Kind == rewrite.Refuse || strings.Contains(e.Text, "segue refuses")) { // in a failed transaction, the server's own error is told
					e = Event{Kind: ErrorResponse, Code: refusal.Code, Text: refusal.Message, Pos: refusal.Position}
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
							if or.Type != 0 {
								e.Fields[or.Column].Type = or.Type
							}
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
