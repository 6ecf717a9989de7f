package oracle

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"segue/internal/pgtest"
)

var (
	seed      = flag.Uint64("seed", 1, "the seed of the generated worlds")
	world     = flag.Int("world", -1, "run only this one of the seed's worlds")
	statement = flag.Int("statement", -1, "run only this one of a world's scripts")
	limit     = flag.Duration("for", 3*time.Hour, "begin no world after this time")
	atStands  = flag.Int("stands", 0, "run each script at so many of the stands, at random; 0: at all of them")
	examples  = flag.Bool("examples", false, "print an example of each refusal")
)

// batch is how many scripts are run at once, scriptsPerWorld how many a world gets, and workers how many worlds are under way at once.
const (
	batch           = 24
	scriptsPerWorld = 120
	workers         = 2
)

// shrinkings bounds the differences that are made smaller in one run.
const shrinkings = 4

// statements gives the number of statements to generate: SEGUE_ORACLE_N, else otherwise.
func statements(t *testing.T, otherwise int) int {
	t.Helper()
	env := os.Getenv("SEGUE_ORACLE_N")
	if env == "" {
		return otherwise
	}
	n, err := strconv.Atoi(env)
	if err != nil || n < 1 {
		t.Fatalf("SEGUE_ORACLE_N is %q: give the number of statements to generate", env)
	}
	return n
}

// TestWorlds runs generated scripts in generated worlds. What it prints with a difference runs it again:
// go test ./internal/oracle -run Worlds -seed S -world W -statement I
func TestWorlds(t *testing.T) { generated(t, statements(t, 480), *atStands, "Worlds$", newWorld) }

// TestSplitWorlds does the same in worlds whose migration splits a table. Where it is not said how many statements there are to be, each is run at some of the stands only.
func TestSplitWorlds(t *testing.T) {
	const few, some = 160, 4
	n, stands := statements(t, few), *atStands
	if n == few && stands == 0 {
		stands = some
	}
	generated(t, n, stands, "SplitWorlds", newSplitWorld)
}

// generated runs n statements, each at so many of the stands, in worlds that are made of choices; run is the flag that runs them again.
func generated(t *testing.T, n, stands int, run string, makes func(*choices) *World) {
	t.Helper()
	t.Logf("seed %d", *seed)
	start := time.Now()
	reports := make([]*WorldReport, workers)
	var wg sync.WaitGroup
	var next atomic.Int64
	var shrunk atomic.Int64
	for i := range workers {
		l := NewWorldLab(func() string { return pgtest.Shared().DSN(pgtest.Database(t)) })
		reports[i] = l.Report
		if *statement < 0 {
			l.AtStands = stands
		}
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			for l.Report.Statements < n/workers && time.Since(start) < *limit {
				k := next.Add(1) - 1
				if *world >= 0 {
					if k > int64(*world) {
						return
					}
					k = int64(*world)
					next.Store(k + 1)
				}
				if err := runWorld(t, l, run, makes, uint64(k), n/workers, &shrunk); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	all := &WorldReport{}
	for _, r := range reports {
		all.Add(r)
	}
	t.Log(all.Summary())
	t.Logf("%.0f statements a second", float64(all.Statements)/time.Since(start).Seconds())
	if *examples {
		t.Log(all.Examples())
	}
	if all.Statements >= 2000 && all.Refused()*100 > all.Statements {
		t.Errorf("%d of %d statements were refused: more than one in a hundred", all.Refused(), all.Statements)
	}
	seen := map[*Script]bool{}
	for _, d := range all.Differences {
		if !seen[d.Script] && len(seen) < *shown {
			t.Error(strings.TrimSpace(d.Text))
		}
		seen[d.Script] = true
	}
	if len(seen) > 0 {
		t.Errorf("%d scripts differ", len(seen))
	}
}

// runWorld runs the scripts of one world, n of them at most, and makes its first difference smaller.
func runWorld(t *testing.T, l *WorldLab, run string, makes func(*choices) *World, k uint64, n int, shrunk *atomic.Int64) error {
	w := makes(newChoices(*seed, k<<20))
	w.Name = fmt.Sprintf("seed %d, world %d", *seed, k)
	if err := l.Enter(context.Background(), w, ""); err != nil {
		return err
	}
	l.Report.Worlds++
	before := len(l.Report.Differences)
	made := map[*Script][]uint32{}
	count := scriptsPerWorld
	if *statement < 0 {
		count = min(count, n)
	}
	for i := 0; i < count; {
		var scripts []*Script
		for ; i < count && len(scripts) < batch; i++ {
			if *statement < 0 || i == *statement {
				s, choices := namedScript(*seed, k, uint64(i), w)
				s.Again = run + " " + s.Again
				made[s] = choices
				scripts = append(scripts, s)
			}
		}
		if err := l.Check(scripts); err != nil {
			return err
		}
	}
	if before == len(l.Report.Differences) || shrunk.Add(1) > shrinkings {
		return nil
	}
	d := l.Report.Differences[before]
	text, err := l.Smaller(context.Background(), d, made[d.Script])
	if err != nil {
		return err
	}
	t.Logf("smaller: %s", text)
	return nil
}
