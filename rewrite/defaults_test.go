package rewrite

import (
	"testing"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// TestLeavesDefaults has constants written on both sides where nobody's privileges are on single columns, and leaves all else to the server and the guard.
func TestLeavesDefaults(t *testing.T) {
	def := lens.Definition{Name: "m", RenameColumn: &lens.RenameColumn{From: "o", To: "n"}}
	g, err := def.Group()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		def      string
		phase    lens.Phase
		byColumn bool
		want     bool
	}{
		{"'it''s'::character varying", lens.DualWrite, false, true},
		{"((('7'::text))::numeric(8,2))", lens.Contract, false, true},
		{"'-1'::integer", lens.SwitchReads, false, true},
		{"0", lens.DualWrite, true, false},
		{"0", lens.Expand, false, false},
		{"0", lens.Complete, false, false},
		{"", lens.DualWrite, false, false},
		{"now()", lens.DualWrite, false, false},
		{"nextval('s'::regclass)", lens.DualWrite, false, false},
		{"('x'::text || random())", lens.DualWrite, false, false},
	} {
		rel := &catalog.Relation{Name: "t", ByColumn: x.byColumn, Columns: []catalog.Column{{Name: "o", Num: 1, Default: x.def}, {Name: "n", Num: 2}}}
		l := lens.Compile(rel, []lens.Applied{{Name: "m", Group: g, Stage: lens.Stage{Phase: x.phase}, OldNums: map[string]int16{"o": 1}}})
		if got := leavesDefaults(l, l.Columns[0].Tie); got != x.want {
			t.Errorf("%s, %s, privileges on columns %t: %t", x.def, x.phase, x.byColumn, got)
		}
	}
}
