package oracle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func corpus(t *testing.T) []Case { return corpusOf(t, &Plain) }

func corpusOf(t *testing.T, v *Variant) []Case {
	t.Helper()
	folders := []string{v.Folder}
	if v.Catalogs {
		folders = append(folders, "columns")
	}
	var cases []Case
	for _, f := range folders {
		more, err := ReadCorpus(os.DirFS(filepath.Join("testdata", f)))
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, more...)
	}
	if len(cases) == 0 {
		t.Fatalf("there are no cases for variant %s", v.Name)
	}
	return cases
}

// byOne lets a case go by one of its protocols, another for each i.
func (c *Case) byOne(i int) {
	all := c.protocols()
	c.Protocols = []Protocol{all[i%len(all)]}
}

// TestCorpus runs the cases of testdata, as old and as new code, at every stand: all of them where the column takes NULL, and those
// that write where it does not, since only writes meet NOT NULL and the default. Unless it is to be thorough, only writes go by all their protocols,
// and those for one variant.
func TestCorpus(t *testing.T) {
	for _, v := range []*Variant{&Plain, &Required, &Quoted} {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			cases := corpus(t)
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
				if !*thorough && (v != &Plain || !c.Writes()) {
					c.byOne(i)
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

// TestChanges runs the cases of each change of more than a name; unless it is to be thorough, each by one of its protocols, and of those that were
// run for Price, a part for Named.
func TestChanges(t *testing.T) {
	for _, v := range Changes {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			cases := corpusOf(t, v)
			l := newLab(t, v)
			l.Thorough = *thorough
			var ran []*Case
			for i := range cases {
				c := &cases[i]
				if !strings.Contains(c.String()+" "+c.Steps[0].Text, *match) || !c.meant(v, OldSide) && !c.meant(v, NewSide) {
					continue
				}
				if !*thorough {
					if v == &Named && i%3 != 0 {
						continue
					}
					c.byOne(i)
				}
				if err := l.Check(c); err != nil {
					t.Fatal(err)
				}
				ran = append(ran, c)
			}
			judge(t, &l.Report)
			for _, c := range l.Report.NeedlessMarks(ran) {
				t.Errorf("%s is marked as refused or as failing, and nowhere is: take the mark away\n  %s", c, c.Steps[0].Text)
			}
		})
	}
}
