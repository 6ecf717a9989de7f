package rewrite

import (
	"testing"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

func TestClientRow(t *testing.T) {
	columns := []catalog.Column{{Name: "id", Num: 1}, {Name: "name", Num: 2}, {Name: "email", Num: 4}, {Name: "full_name", Num: 5}}
	def := lens.Definition{Name: "m", RenameColumn: &lens.RenameColumn{From: "name", To: "full_name"}}
	plan := func(isNew bool, stage lens.Stage, columns []catalog.Column) *Plan {
		g, err := def.Group()
		if err != nil {
			t.Fatal(err)
		}
		l := lens.Compile(&catalog.Relation{Name: "users", Columns: columns}, []lens.Applied{{Name: "m", Group: g, Stage: stage, OldNums: map[string]int16{"name": 2}, New: isNew}})
		return &Plan{rows: map[string]*rowShape{"users": shapeOfRows(l)}}
	}
	both, after := lens.Stage{Phase: lens.DualWrite}, lens.Stage{Phase: lens.Complete}
	gone := append(append([]catalog.Column(nil), columns[:1]...), columns[2:]...)
	for _, x := range []struct {
		plan         *Plan
		detail, want string
	}{
		{plan(false, both, columns), "Failing row contains (1, x, y, x).", "Failing row contains (1, x, y)."},
		{plan(true, both, columns), "Failing row contains (1, x, y, x).", "Failing row contains (1, y, x)."},
		{plan(false, both, columns), "Failing row contains (1, a, b, y, a, b).", "Failing row contains (1, a, b, y, a, b)."}, // whose comma is it?
		{plan(false, both, columns), "Failing row contains (1, ), y, )).", "Failing row contains (1, ), y)."},
		{plan(false, both, columns), "Failing row contains (id, name, full_name) = (1, x, x).", "Failing row contains (id, name) = (1, x)."},
		{plan(true, both, columns), "Failing row contains (id, name, full_name) = (1, x, x).", "Failing row contains (id, full_name) = (1, x)."},
		{plan(false, both, columns), "Failing row contains (id, name) = (1, a, b).", "Failing row contains (id, name) = (1, a, b)."},
		{plan(false, after, gone), "Failing row contains (1, y, x).", "Failing row contains (1, x, y)."},
		{plan(false, after, gone), "Failing row contains (email, full_name) = (y, x).", "Failing row contains (name, email) = (x, y)."},
		{plan(true, after, gone), "Failing row contains (1, y, x).", "Failing row contains (1, y, x)."},
		{plan(false, both, columns), "Partition key of the failing row contains nothing", "Partition key of the failing row contains nothing"},
	} {
		if got := x.plan.ClientRow("users", x.detail); got != x.want {
			t.Errorf("%s\n got %s\nwant %s", x.detail, got, x.want)
		}
	}
}
