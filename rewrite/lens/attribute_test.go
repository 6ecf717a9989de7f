package lens

import (
	"testing"

	"segue/rewrite/catalog"
)

// TestAttributeNotNull has the catalogs say NOT NULL of a column where the side's own schema has it, wherever the constraint itself stands.
func TestAttributeNotNull(t *testing.T) {
	type stands struct{ old, added bool }
	for _, x := range []struct {
		name     string
		notNull  bool // in the definition
		lossy    bool
		stage    Stage
		physical stands
		required []string
		old, new bool
	}{
		{name: "one takes the place of one", stage: Stage{Phase: DualWrite}, physical: stands{old: true}, old: true, new: true},
		{name: "and the constraint has moved", stage: Stage{Phase: Contract, Step: InferNew}, physical: stands{added: true}, required: []string{"o"}, old: true, new: true},
		{name: "and it was not noted", stage: Stage{Phase: Complete}, physical: stands{added: true}, old: true, new: true},
		{name: "tightened", notNull: true, stage: Stage{Phase: DualWrite}, new: true},
		{name: "tightened, the table a step further", notNull: true, stage: Stage{Phase: Contract, Step: InferNew}, physical: stands{added: true}, required: []string{}, new: true},
		{name: "tightened, complete", notNull: true, stage: Stage{Phase: Complete}, physical: stands{added: true}, required: []string{}, new: true},
		{name: "loosened", lossy: true, stage: Stage{Phase: Contract}, physical: stands{old: true}, old: true},
		{name: "loosened, the table a step further", lossy: true, stage: Stage{Phase: Contract, Step: InferNew}, required: []string{"o"}, old: true},
		{name: "loosened, complete", lossy: true, stage: Stage{Phase: Complete}, required: []string{"o"}, old: true},
	} {
		t.Run(x.name, func(t *testing.T) {
			d := Definition{Name: "m", ChangeType: &ChangeType{Column: "o", To: "n", Type: "integer", Up: "o::integer", Down: "n::text", NotNull: x.notNull}}
			if x.lossy {
				d.Allow = []string{"lossy"}
			}
			g, err := d.Group()
			if err != nil {
				t.Fatal(err)
			}
			rel := &catalog.Relation{Name: "t"}
			if x.stage.Phase < Complete {
				rel.Columns = append(rel.Columns, catalog.Column{Name: "o", Num: 1, NotNull: x.physical.old})
			}
			rel.Columns = append(rel.Columns, catalog.Column{Name: "n", Num: 2, NotNull: x.physical.added})
			for _, isNew := range []bool{false, true} {
				l := Compile(rel, []Applied{{Name: "m", Group: g, Stage: x.stage, OldNums: map[string]int16{"o": 1}, Required: x.required, New: isNew}})
				want := x.old
				if isNew {
					want = x.new
				}
				if got := l.Columns[0].NotNull; got != want {
					t.Errorf("for new code (%t): NOT NULL is %t, want %t", isNew, got, want)
				}
			}
		})
	}
}
