package oracle

import (
	"testing"

	"segue/rewrite"
)

// TestSeesDifferences makes sure that the oracle can say no: a planner that passes everything must be found out wherever the
// physical table is not what the code was written for.
func TestSeesDifferences(t *testing.T) {
	l := newLab(t, &Plain)
	l.Plan = func(_ *rewrite.State, sql string, _ rewrite.Settings) *rewrite.Plan {
		return &rewrite.Plan{Kind: rewrite.Pass, SQL: sql}
	}
	cases, err := parseCases("inline", `SELECT {c} FROM users ORDER BY id

INSERT INTO users ({c}) VALUES ('x')

SELECT * FROM users`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		if err := l.Check(&cases[i]); err != nil {
			t.Fatal(err)
		}
	}
	wrong := map[string]bool{}
	for _, d := range l.Report.Differences {
		wrong[d.Case.Steps[0].Text+" | "+d.Stand+" | "+d.Client.String()] = true
	}
	for _, want := range []string{
		"SELECT {c} FROM users ORDER BY id | pending | new",
		"SELECT {c} FROM users ORDER BY id | dual-write | new",
		"SELECT {c} FROM users ORDER BY id | complete | old",
		"INSERT INTO users ({c}) VALUES ('x') | complete | auto, old code",
		"SELECT * FROM users | dual-write | old",
		"SELECT * FROM users | contract | new",
	} {
		if !wrong[want] {
			t.Errorf("passed on untouched, and not found out: %s", want)
		}
	}
	for _, right := range []string{
		"SELECT {c} FROM users ORDER BY id | pending | old",
		"SELECT {c} FROM users ORDER BY id | complete | new",
		"INSERT INTO users ({c}) VALUES ('x') | pending | old",
		"INSERT INTO users ({c}) VALUES ('x') | dual-write | old",
	} {
		if wrong[right] {
			t.Errorf("rightly passed on, and called different: %s", right)
		}
	}
}
