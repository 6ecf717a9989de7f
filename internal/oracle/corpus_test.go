package oracle

import (
	"os"
	"strings"
	"testing"
)

func corpus(t *testing.T) []Case {
	t.Helper()
	cases, err := ReadCorpus(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestCorpus runs the cases of testdata, as old and as new code, at every stand: all of them where the column takes NULL, and those
// that write where it does not, since only writes meet NOT NULL and the default.
func TestCorpus(t *testing.T) {
	cases := corpus(t)
	for _, v := range []*Variant{&Plain, &Required, &Quoted} {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, v)
			l.Thorough = *thorough
			var ran []*Case
			for i := range cases {
				c := &cases[i]
				if !strings.Contains(c.String()+" "+c.Steps[0].Text, *match) || v == &Required && !*thorough && !c.Writes() {
					continue
				}
				if c.Live || !c.meant(v, OldSide) && !c.meant(v, NewSide) {
					continue
				}
				if err := l.Check(c); err != nil {
					t.Fatal(err)
				}
				ran = append(ran, c)
			}
			judge(t, &l.Report)
			for _, c := range l.Report.NeedlessMarks(ran) {
				if v != &Required {
					t.Errorf("%s is marked as refused, and is not: take the mark away\n  %s", c, c.Steps[0].Text)
				}
			}
		})
	}
}
