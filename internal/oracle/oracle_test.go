package oracle

import (
	"context"
	"flag"
	"os"
	"testing"

	"segue/internal/pgtest"
)

// match narrows a run to cases whose text or place contains it: go test ./internal/oracle -run Corpus -case "select.sql:12".
var match = flag.String("case", "", "run only the cases whose place or text contains this")

// shown bounds the kinds of differences that are printed.
var shown = flag.Int("shown", 30, "print this many kinds of differences")

// thorough runs every case in every way; without it, what can hardly differ is left out.
var thorough = flag.Bool("thorough", os.Getenv("SEGUE_ORACLE_N") != "", "run every case for every variant, client and protocol")

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Options{})) }

// newLab makes a lab on the shared server.
func newLab(t *testing.T, v *Variant) *Lab {
	t.Helper()
	l, err := NewLab(context.Background(), v, func() string { return pgtest.Shared().DSN(pgtest.Database(t)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// judge fails the test where a lab's report has differences.
func judge(t *testing.T, r *Report) {
	t.Helper()
	t.Log(r.Summary())
	groups := append(Groups(r.Differences), Groups(r.Wrong)...)
	for i, g := range groups {
		if i == *shown {
			t.Errorf("and %d more", len(groups)-i)
			break
		}
		t.Errorf("%s", g)
	}
}
