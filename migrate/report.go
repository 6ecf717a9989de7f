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

// CheckReport says what a definition would meet, as JSON: the answer of POST /v1/check.
type CheckReport struct {
	Migration string `json:"migration"`
	Table     string `json:"table"`
	Pattern   string `json:"pattern"`
	Ready     bool   `json:"ready"` // `start` would begin
	// Problems are what `start` refuses it for, each with the way out.
	Problems []string `json:"problems"`
	// Hazards are what is taken knowingly: "lossy", "one-way".
	Hazards []string `json:"hazards"`
	Notes   []string `json:"notes"`
	// CompleteWaitsFor are the views and functions that have to go before the old columns can.
	CompleteWaitsFor []string `json:"complete_waits_for"`
}

// Check looks for what `start` would refuse a definition for: in the catalogs, and in every row of the table. It changes nothing.
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
		Problems: []string{}, Hazards: []string{}, Notes: []string{}, CompleteWaitsFor: []string{},
	}
	f, err := check(ctx, w.conn, def)
	if err != nil {
		return nil, err
	}
	r.Problems = append(r.Problems, f.problems...)
	r.CompleteWaitsFor = append(r.CompleteWaitsFor, f.later...)
	if len(r.Problems) == 0 {
		w.m = &migration{Name: def.Name, Table: f.table, Definition: def, OldNums: f.oldNums, OldTypes: f.oldTypes}
		w.table, w.aside = def.Table.String(), true
		if err := w.examine(ctx); errors.Is(err, proxy.ErrInvalid) {
			r.Problems = append(r.Problems, err.Error())
		} else if err != nil {
			return nil, err
		}
		if err := r.remark(ctx, w); err != nil {
			return nil, err
		}
	}
	r.Ready = len(r.Problems) == 0
	return json.Marshal(r)
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
		return err
	}
	if g.OneWay() {
		r.Hazards = append(r.Hazards, "one-way")
	}
	if g.Lossy {
		r.Hazards = append(r.Hazards, "lossy")
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
