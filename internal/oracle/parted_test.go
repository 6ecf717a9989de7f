package oracle

import (
	"strings"
	"testing"
)

// TestParted runs the cases over a partitioned table, each by one of its protocols; unless it is to be thorough, one in eight.
func TestParted(t *testing.T) {
	t.Parallel()
	cases := corpus(t)
	l := newLab(t, &Parted)
	l.Thorough = *thorough
	for i := range cases {
		c := &cases[i]
		if !*thorough && i%8 != 0 || c.Live || !strings.Contains(c.String()+" "+c.Steps[0].Text, *match) || !c.meant(l.Variant, OldSide) && !c.meant(l.Variant, NewSide) {
			continue
		}
		c.byOne(i)
		if err := l.Check(c); err != nil {
			t.Fatal(err)
		}
	}
	judge(t, &l.Report)
}
