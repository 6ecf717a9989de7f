package migrate

import (
	"context"
	"errors"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// A work that lost its connection tells of its end where nobody has taken it up, and does not write over what became of one that came after it.
func TestLateWordOfALostWork(t *testing.T) {
	e := newEnv(t, smallTable)
	p, q := e.proxy(0), e.proxy(0)
	p.start()
	lost := func() *work {
		t.Helper()
		w, err := p.take(context.Background(), "users_full_name", proxy.AdvanceOptions{}, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{w.begun(context.Background(), "advance", nil), w.say(context.Background(), "at it"), closeConn(w.conn)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return w
	}
	w := lost()
	w.finish("", "advance", errors.New("the connection broke"))
	if got := p.migration().Error; got != "the connection broke" {
		t.Fatalf("the error is %q", got)
	}
	w = lost()
	q.advance(lens.Backfilling)
	w.finish("", "advance", errors.New("the connection broke"))
	if got := p.migration(); got.Error != "" || got.Working != "" {
		t.Fatalf("the error is %q, at work: %q", got.Error, got.Working)
	}
}
