package proxy

import (
	"testing"
	"time"
)

// TestLatencies demands that quantiles are within an eighth, and that taking starts anew.
func TestLatencies(t *testing.T) {
	now := time.Now()
	l := &latencies{since: now}
	for i := 1; i <= 1000; i++ {
		l.add(time.Duration(i) * 100 * time.Microsecond)
	}
	if got := l.take(now.Add(shortestWindow / 2)); got.Window != 0 || got.Statements != 0 {
		t.Fatalf("a window of half the time is over: %+v", got)
	}
	now = now.Add(shortestWindow)
	got := l.take(now)
	if got.Statements != 1000 || got.Window != 1 || got.Seconds != 1 || l.take(now) != got {
		t.Fatalf("%+v", got)
	}
	for _, q := range []struct{ got, want float64 }{{got.P50, 0.0501}, {got.P95, 0.0951}, {got.P99, 0.0991}} {
		if q.got < q.want || q.got > q.want*1.125 {
			t.Errorf("a quantile is %g, and should be %g to an eighth more", q.got, q.want)
		}
	}
	if got := l.take(now.Add(time.Minute)); got.Statements != 0 || got.P99 != 0 || got.Window != 2 {
		t.Errorf("%+v", got)
	}
	for _, d := range []time.Duration{-1, 0, time.Microsecond, 8 * time.Microsecond, 9 * time.Microsecond, time.Second, 1000 * time.Hour} {
		if i := bucket(d); i < 0 || i >= buckets64 || d > 0 && d < time.Hour && (ceiling(i) < d || i > 0 && ceiling(i-1) > d) {
			t.Errorf("%v is in bucket %d, up to %v", d, i, ceiling(i))
		}
	}
}
