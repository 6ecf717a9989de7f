package oracle

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
)

var (
	seed      = flag.Uint64("seed", 1, "the seed of the generated statements")
	statement = flag.Int("statement", -1, "run only this one of the seed's statements")
)

// generated is the number of statements when SEGUE_ORACLE_N does not say another.
const generated = 240

// TestGenerated runs generated statements, each for one of the renames. What it prints with a difference runs it again:
// go test ./internal/oracle -run Generated/plain -seed S -statement I
func TestGenerated(t *testing.T) {
	checkAllGenerated(t, []*Variant{&Plain, &Required, &Quoted}, 5)
}

// TestGeneratedChanges runs generated statements, each of one side's code, for the changes of more than a name; but not those of Token, whose uuids no
// generated expression is about.
func TestGeneratedChanges(t *testing.T) {
	checkAllGenerated(t, []*Variant{&Price, &Named, &Counter, &Amount, &Persons, &Address}, 3)
}

// checkAllGenerated deals the statements out to the variants. Of what is to be compared, one in refusals may be refused.
func checkAllGenerated(t *testing.T, variants []*Variant, refusals int) {
	t.Helper()
	n := generated
	if env := os.Getenv("SEGUE_ORACLE_N"); env != "" {
		var err error
		if n, err = strconv.Atoi(env); err != nil || n < 0 {
			t.Fatalf("SEGUE_ORACLE_N is %q: give the number of statements to generate", env)
		}
	}
	for k, v := range variants {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", *seed)
			l := newLab(t, v)
			l.Thorough = *thorough
			for i := k; i < n; i += len(variants) {
				if *statement < 0 || i == *statement {
					checkGenerated(t, l, uint64(i))
				}
			}
			judge(t, &l.Report)
			refused := 0
			for _, r := range l.Report.Refused {
				refused += r
			}
			if all := refused + l.Report.Compared; *statement < 0 && refused*refusals > all {
				t.Errorf("%d of %d were refused: the generator, or the planner, leaves too little to compare", refused, all)
			}
		})
	}
}

// shrinkings bounds the statements that are made smaller in one run, and the runs that each may take.
const (
	shrinkings  = 5
	shrinkLimit = 200
)

// checkGenerated runs one statement; where it shows a difference, the smallest statement that is found to show one is reported in its place.
func checkGenerated(t *testing.T, l *Lab, i uint64) {
	t.Helper()
	before := len(l.Report.Differences) + len(l.Report.Wrong)
	c, made := Generate(*seed, i, l.Variant)
	if err := l.Check(&c); err != nil {
		t.Fatal(err)
	}
	if len(l.Report.Differences)+len(l.Report.Wrong) == before || before > shrinkings {
		return
	}
	report := l.Report
	defer func() { l.Report = report }()
	made, err := shrink(made, shrinkLimit, func(smaller []uint32) (bool, error) {
		l.Report = Report{}
		c := generate(&choices{made: smaller}, l.Variant)
		err := l.Check(&c)
		return len(l.Report.Differences)+len(l.Report.Wrong) > 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Report = Report{}
	small := generate(&choices{made: made}, l.Variant)
	small.File, small.Line = fmt.Sprintf("%s, made smaller from seed %d, statement", l.Variant.Name, *seed), int(i)
	if err := l.Check(&small); err != nil {
		t.Fatal(err)
	}
	for _, g := range append(Groups(l.Report.Differences), Groups(l.Report.Wrong)...) {
		t.Logf("smaller: %s", g)
	}
}
