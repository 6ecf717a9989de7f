package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"segue/config"
	"segue/proxy"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// CheckReport says what a definition would meet, as JSON: the answer of POST /v1/check. Fields are added, never renamed.
type CheckReport struct {
	Migration string `json:"migration"`
	Table     string `json:"table"`
	Pattern   string `json:"pattern"`
	Ready     bool   `json:"ready"` // `start` would begin
	// Problems are what `start` refuses it for, each with the way out.
	Problems []string `json:"problems"`
	// Hazards are what is to be known before, under names that stay the same.
	Hazards []Hazard `json:"hazards"`
	Notes   []string `json:"notes"`
	// CompleteWaitsFor are the views, policies and their like that have to go before the old columns can.
	CompleteWaitsFor []string `json:"complete_waits_for"`
	// Steps are the statements that the migration would run on the table, in their order.
	Steps []PlannedStep `json:"steps"`
	// Rows is what looking at every row found; nil where it was not done, or has nothing to look for.
	Rows *RowsReport `json:"rows"`
	// Backfill is what filling the new columns would take; nil where nothing is filled.
	Backfill *BackfillEstimate `json:"backfill"`
}

// Hazard is something that does not keep a migration from being started, and that is better known before.
type Hazard struct {
	Name    string `json:"name"` // one of config.Hazards
	Text    string `json:"text"`
	Allowed bool   `json:"allowed"` // the definition's `allow` has its name
}

// RowsReport is what looking at the rows found: how many are wrong in which way, with the first of them.
type RowsReport struct {
	Rows          int64    `json:"rows"`
	NotConverted  int64    `json:"not_converted"` // `up` fails
	NotConvertedE []string `json:"not_converted_examples"`
	NotBack       int64    `json:"not_back"` // down(up(o)) is not o
	NotBackE      []string `json:"not_back_examples"`
	Null          int64    `json:"null"` // no value for a column that is not_null
	NullE         []string `json:"null_examples"`
	NotChecked    int64    `json:"not_checked"` // not as `check` says
	NotCheckedE   []string `json:"not_checked_examples"`
}

// Check looks for what `start` would refuse a definition for, and for what else is to be known before: in the catalogs, and in every row of the table. It changes nothing.
func (c *Controller) Check(ctx context.Context, def *lens.Definition) (answer json.RawMessage, err error) {
	if err := config.ValidateDefinition(def); err != nil {
		return nil, fmt.Errorf("the definition %w: %w", proxy.ErrInvalid, err)
	}
	w, err := c.begin(ctx, def.Name, proxy.AdvanceOptions{}, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = w.drop(err) }()
	if def, err = canonicalTypes(ctx, w.conn, def); err != nil {
		return nil, err
	}
	r := &CheckReport{
		Migration: def.Name, Table: def.Table.String(), Pattern: def.Pattern(),
		Problems: []string{}, Hazards: []Hazard{}, Notes: []string{}, CompleteWaitsFor: []string{}, Steps: []PlannedStep{},
	}
	f, err := check(ctx, w.conn, def)
	if err != nil {
		return nil, err
	}
	r.Problems = append(r.Problems, f.problems...)
	r.CompleteWaitsFor = append(r.CompleteWaitsFor, f.later...)
	if f.table != 0 && len(f.oldNums) == len((&migration{Definition: def}).oldNames()) {
		w.m = &migration{Name: def.Name, Table: f.table, Definition: def, OldNums: f.oldNums, OldTypes: f.oldTypes}
		w.table, w.aside = def.Table.String(), true
		if err := r.describe(ctx, w, f); err != nil {
			return nil, err
		}
	}
	r.Ready = len(r.Problems) == 0
	return json.Marshal(r)
}

// describe looks at the rows, where the catalogs refuse nothing, and adds what is to be known before.
func (r *CheckReport) describe(ctx context.Context, w *work, f *findings) error {
	if err := r.beside(ctx, w); err != nil {
		return err
	}
	if len(r.Problems) == 0 {
		if err := w.examine(ctx); errors.Is(err, proxy.ErrInvalid) {
			r.Problems = append(r.Problems, err.Error())
		} else if err != nil {
			return err
		}
		r.Rows = w.found.report()
	}
	if w.m.splitting() {
		return r.describeSplit(ctx, w, f)
	}
	if err := r.remark(ctx, w); err != nil {
		return err
	}
	if err := r.hazards(ctx, w); err != nil {
		return err
	}
	if len(f.problems) > 0 {
		return nil // what it would do is not known
	}
	steps, err := w.planned(ctx)
	if err != nil {
		return err
	}
	r.Steps = steps
	if len(r.Problems) == 0 {
		r.Backfill, err = w.sample(ctx)
	}
	return err
}

// beside adds what other migrations of the table refuse it for.
func (r *CheckReport) beside(ctx context.Context, w *work) error {
	ms, err := readMigrations(ctx, w.conn)
	if err != nil {
		return err
	}
	refused, err := refusedBeside(ctx, w.conn, w.m.Definition, w.m.Table, ms)
	if err != nil {
		return err
	}
	if refused != "" {
		r.Problems = append(r.Problems, refused)
	}
	for _, m := range ms {
		if m.Name == w.name && m.Stand.Live {
			r.Notes = append(r.Notes, fmt.Sprintf("a migration of that name is registered already, and is at %s", m.Stand))
		}
	}
	return nil
}

// refusedBeside says what other migrations refuse a definition for; "" where they do not.
func refusedBeside(ctx context.Context, q queryer, def *lens.Definition, table uint32, ms []*migration) (string, error) {
	other, shared, err := overlaps(ctx, q, def, table, ms)
	if err != nil {
		return "", err
	}
	if shared {
		return fmt.Sprintf("migration %s is under way on one of its columns: finish or drop that first", other), nil
	}
	if other, shares := sharesFunction(def, ms); shares {
		return fmt.Sprintf("with its new column's name, its name comes to the same as that of migration %s, so that one would replace the other's functions: choose another `name`", other), nil
	}
	constraint, other, err := sharedConstraint(ctx, q, def, table, ms)
	if err != nil {
		return "", err
	}
	if other != "" {
		return fmt.Sprintf("the constraint %s has a column of migration %s in it, too: finish or drop that first", constraint, other), nil
	}
	return "", nil
}

// ways says what a migration that is one-way, or lossy, asks of code.
func ways(g *lens.Group) (notes []string) {
	if g.OneWay() {
		notes = append(notes, "one-way: what has no `down` cannot be read by old code from complete on, nor written by new code before")
	}
	if g.Lossy {
		notes = append(notes, "lossy: new code can write the new columns from switch-reads on, and old code reads its own until contract")
	}
	return notes
}

// remark adds what is good to know beforehand.
func (r *CheckReport) remark(ctx context.Context, w *work) error {
	g, err := w.m.Definition.Group()
	if err != nil {
		r.Notes = append(r.Notes, err.Error())
		return nil
	}
	r.Notes = append(r.Notes, ways(g)...)
	if g.Same || g.Dropping {
		return nil
	}
	if !w.m.Definition.LookupIndexes {
		for _, n := range g.New {
			r.Notes = append(r.Notes, fmt.Sprintf("new code's lookups by column %s read the whole table until switch-reads: lookup_indexes = true builds an index for them", catalog.QuoteIdent(n.As)))
		}
	}
	family, err := readFamily(ctx, w.conn, w.m.Table)
	if err != nil {
		return err
	}
	for _, on := range family {
		indexes, err := readIndexes(ctx, w.conn, w.m, on)
		if err != nil {
			return err
		}
		for _, x := range indexes {
			if !x.plain || len(g.Old) != 1 || len(g.New) != 1 {
				r.Notes = append(r.Notes, fmt.Sprintf("the index %s gets no mirror on the new side: make one for what new code looks up, once the new column stands", x.name))
			}
		}
	}
	return nil
}
