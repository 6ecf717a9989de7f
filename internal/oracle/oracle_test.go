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

// shown bounds the differences that are printed in full.
const shown = 30

// judge fails the test where a lab's report has differences.
func judge(t *testing.T, r *Report) {
	t.Helper()
	t.Log(r.Summary())
	for i, d := range append(r.Differences, r.Wrong...) {
		if i == shown {
			t.Errorf("and %d more", len(r.Differences)+len(r.Wrong)-shown)
			break
		}
		t.Errorf("%s", d)
	}
}
