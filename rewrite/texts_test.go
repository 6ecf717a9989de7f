package rewrite

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"segue/rewrite/lens"
)

func TestKeptTexts(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	set, other := settings(lens.New).Keyed(), settings(lens.Old).Keyed()
	keep := func(text string, set *Settings) *Plan {
		p := st.Plan(text, *set)
		st.Keep(text, set, p)
		return p
	}
	const text = "SELECT full_name FROM users WHERE id = $1"
	if keep(text, &set); st.Kept(text, &set) != nil {
		t.Error("a text is kept the first time that it is seen")
	}
	p := keep(text, &set)
	if got := st.Kept(text, &set); got != p {
		t.Errorf("Kept gives %v", got)
	}
	if st.Kept(text, &other) != nil || st.Kept(text+" ", &set) != nil {
		t.Error("other settings, or another text, have its plan")
	}
	for _, c := range []struct {
		what, text string
		set        Settings
	}{
		{"what is refused", "ALTER TABLE users DROP COLUMN name", set},
		{"what names no migrating table", "SELECT 1", set},
		{"a text that is too long", "SELECT full_name FROM users -- " + strings.Repeat("x", maxKeptText), set},
		{"what is planned under settings without a key", text, settings(lens.Auto)},
	} {
		for range 3 {
			keep(c.text, &c.set)
		}
		if st.Kept(c.text, &c.set) != nil {
			t.Errorf("%s is kept", c.what)
		}
	}
	if n := testing.AllocsPerRun(100, func() { st.Kept(text, &set) }); n > 0 {
		t.Errorf("a look takes %v allocations", n)
	}
}

// Many texts at once have each its own plan, also where they push each other out.
func TestKeptTextsAreTheirOwn(t *testing.T) {
	st := testState(t, lens.Stage{Phase: lens.DualWrite})
	set := settings(lens.New).Keyed()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 3 * 4 * textSets {
				text := "DELETE FROM users WHERE id = " + strconv.Itoa(i/3)
				if p := st.Kept(text, &set); p == nil {
					st.Keep(text, &set, &Plan{Kind: Rewrite, SQL: text})
				} else if p.SQL != text {
					t.Errorf("the plan of %s is that of %s", text, p.SQL)
				}
			}
		})
	}
	all.Wait()
	if st.Kept("DELETE FROM users WHERE id = "+strconv.Itoa(4*textSets-1), &set) == nil {
		t.Error("the last text is not kept")
	}
}
