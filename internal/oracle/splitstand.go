package oracle

import (
	"slices"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// splitStages are the points of a split, with the form that a proxy's catalog knows and the one that there is.
var splitStages = []Stand{
	{"pending", lens.Stage{Phase: lens.Pending}, OldOnly, OldOnly},
	{"pending, expanded unseen", lens.Stage{Phase: lens.Pending}, OldOnly, Unfilled},
	{"expand", lens.Stage{Phase: lens.Expand}, Unfilled, Unfilled},
	{"dual-write", lens.Stage{Phase: lens.DualWrite}, Unfilled, Unfilled},
	{"backfill", lens.Stage{Phase: lens.Backfilling}, Unfilled, Unfilled},
	{"backfill, proved", lens.Stage{Phase: lens.Backfilling, Proved: true}, Filled, Filled},
	{"backfill, proved, served unseen", lens.Stage{Phase: lens.Backfilling, Proved: true}, Filled, Served},
	{"switch-reads", lens.Stage{Phase: lens.SwitchReads, Proved: true}, Served, Served},
	{"contract", lens.Stage{Phase: lens.Contract, Proved: true}, Served, Served},
	{"contract/new-only", lens.Stage{Phase: lens.Contract, Step: lens.NewOnly, Proved: true}, Served, Served},
	{"contract/new-only, released unseen", lens.Stage{Phase: lens.Contract, Step: lens.NewOnly, Proved: true}, Served, Released},
	{"complete/write-new", lens.Stage{Phase: lens.Complete, Step: lens.WriteNew, Proved: true}, Released, Released},
	{"complete/write-new, dropped unseen", lens.Stage{Phase: lens.Complete, Step: lens.WriteNew, Proved: true}, Released, NewOnly},
	{"complete", lens.Stage{Phase: lens.Complete, Proved: true}, NewOnly, NewOnly},
	{"pending/write-old", lens.Stage{Phase: lens.Pending, Step: lens.WriteOld}, Unfilled, Unfilled},
	{"pending/write-old, dropped unseen", lens.Stage{Phase: lens.Pending, Step: lens.WriteOld}, Unfilled, OldOnly},
}

func (w *World) splitStands() []worldStand {
	var out []worldStand
	for i := range splitStages {
		s := &splitStages[i]
		out = append(out, worldStand{
			name: s.Name, stages: []lens.Stage{s.Stage}, catalog: shape{s.Catalog}, physical: shape{s.Physical}, keeps: [2][]bool{{true}, {true}}, split: true,
		})
	}
	return out
}

// serves says whether code of a script is served at all: old code of a split is not once it has had its time.
func (st *worldStand) serves(s *Script) bool {
	return !st.split || s.Code[0] == NewSide || st.stages[0].Phase < lens.Complete && st.physical[0] != Released
}

// late says that a split serves old code no more where it uses what goes.
func (st *worldStand) late(s *Script) bool {
	return st.split && s.Code[0] == OldSide && st.stages[0].Step == lens.NewOnly
}

// seen gives relations as a catalog of that form has them: it may not know of the new table of a split yet, or still of one that has gone.
func (w *World) seen(s shape, relations []*catalog.Relation, older *snapshot) []*catalog.Relation {
	c := w.splitting()
	if c == nil {
		return relations
	}
	name := c.split.target.Name
	isTarget := func(r *catalog.Relation) bool { return r.Schema == "public" && r.Name == name }
	switch stands := slices.ContainsFunc(relations, isTarget); {
	case stands && !s[0].has(NewSide):
		return slices.DeleteFunc(slices.Clone(relations), isTarget)
	case !stands && s[0].has(NewSide):
		return append(slices.Clone(relations), older.relation(name))
	}
	return relations
}

// standing gives what a proxy knows of the new table, where the guard stands.
func (s *splitting) standing(c *change, snap *snapshot, f Form) *lens.Target {
	if !f.has(OldSide) || !f.has(NewSide) {
		return nil
	}
	t := &lens.Target{OID: snap.relation(s.target.Name).OID, Foreign: c.Pattern.SplitTable.Reference(c.Definition().Table)}
	for _, o := range c.Columns[OldSide] {
		if o.NotNull && (f == Served || f == Released) {
			t.Required = append(t.Required, o.Name)
		}
	}
	return t
}

// formless says that what failed is what new code may do, and has no form in the old schema: a row of the new table that says nothing or belongs to none, or a row of the old one without a value that is NOT NULL
// there. The reference shows whether it is so, but not what was so in the middle of several statements.
func (c *change) formless(w *World, s *Script, ref, got *Outcome) bool {
	if s.Code[0] == OldSide {
		return false
	}
	var e *Event
	for i, events := range append(slices.Clone(got.Steps), got.Contents...) {
		if e = failure(events); e != nil {
			var own *Event
			if i < len(ref.Steps) {
				own = failure(ref.Steps[i])
			}
			switch {
			case own == nil:
			case own.Code == e.Code && e.Code != "23503": // which a savepoint may have taken back
				e = nil
				continue
			default: // of two things that are in the way, the one that is looked at first is told
				return e.Code == "0A000" || e.Code == "23503" && own.Code == e.Code
			}
			break
		}
	}
	if e == nil || !slices.Contains([]string{"0A000", "23503", "23502"}, e.Code) || len(ref.Contents) == 0 {
		return false
	}
	if s.Statements > 1 {
		return true
	}
	var results [][]Event
	for _, ev := range ref.Contents[0] {
		switch ev.Kind {
		case RowDescription:
			results = append(results, nil)
		case DataRow:
			results[len(results)-1] = append(results[len(results)-1], ev)
		}
	}
	if len(results) < 3 {
		return false
	}
	there, keys := map[string]bool{}, map[string]bool{}
	second := 0 // the place of the key's second column in the old table
	for _, col := range w.Tables[0].Columns {
		if len(c.split.key) > 1 && col.Name == c.split.key[1] {
			break
		}
		if col.change == nil {
			second++
		}
	}
	for _, row := range results[0] {
		id := *row.Values[0]
		if len(c.split.key) > 1 {
			id += "/" + *row.Values[second]
		}
		there[id] = true
	}
	n, required := len(c.split.key), slices.ContainsFunc(c.Columns[OldSide], func(o Column) bool { return o.NotNull })
	empty, orphan := false, false
	for _, row := range results[2] {
		id := *row.Values[0]
		if n > 1 {
			id += "/" + *row.Values[1]
		}
		keys[id] = true
		orphan = orphan || !there[id]
		empty = empty || !slices.ContainsFunc(row.Values[n:n+len(c.Columns[NewSide])], func(v *string) bool { return v != nil })
	}
	alone := false
	for id := range there {
		alone = alone || !keys[id]
	}
	switch e.Code {
	case "0A000":
		return empty || orphan
	case "23503":
		return orphan
	default:
		return required && (alone || empty)
	}
}
