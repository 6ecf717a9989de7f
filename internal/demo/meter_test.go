package demo

import (
	"testing"
	"time"

	"segue/rewrite/lens"
)

func TestHistogramBuckets(t *testing.T) {
	for _, d := range []time.Duration{0, time.Microsecond, 15 * time.Microsecond, 16 * time.Microsecond, 999 * time.Microsecond, time.Millisecond, 7 * time.Second, time.Hour} {
		end := bucketEnd(bucketOf(d))
		if end <= d || float64(end-d) > max(float64(d)/15, float64(time.Microsecond)) {
			t.Errorf("%v falls into a bucket that ends at %v", d, end)
		}
	}
	for i := range 16*32 - 1 {
		if bucketEnd(i) >= bucketEnd(i+1) {
			t.Fatalf("bucket %d ends at %v, the next at %v", i, bucketEnd(i), bucketEnd(i+1))
		}
	}
}

func TestQuantiles(t *testing.T) {
	var h histogram
	if q := h.quantile(0.5); q != 0 {
		t.Errorf("of nothing: %v", q)
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.quantile(q); got < want || got > want+want/15 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
}

func TestMeterKeepsTheSlowestOfEachPhase(t *testing.T) {
	m := newMeter()
	m.done("fast", 1, time.Millisecond)
	m.setPhase(lens.Backfilling)
	m.done("slow", 1, 20*time.Millisecond)
	m.done("three", 3, 2*time.Millisecond)
	m.fail("no %s", "good")
	f := m.figures()
	if p := f[lens.Pending]; p.Statements != 1 || p.SlowestSQL != "fast" {
		t.Errorf("pending: %+v", p.Statements)
	}
	if b := f[lens.Backfilling]; b.Statements != 4 || b.SlowestSQL != "slow" || b.Slowest != 20*time.Millisecond {
		t.Errorf("backfill: %d, %s", b.Statements, b.SlowestSQL)
	}
	if l := m.live(); l.statements != 5 || l.failures != 1 || l.rate <= 0 {
		t.Errorf("live: %+v", l)
	}
	if n, firsts := m.failed(); n != 1 || firsts[0] != "in backfill: no good" {
		t.Errorf("failures: %d %v", n, firsts)
	}
}
