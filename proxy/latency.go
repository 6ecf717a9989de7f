package proxy

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Buckets of microseconds: eight for each power of two, so that a quantile is within an eighth; the last ones are for hours.
const (
	bucketBits = 3
	buckets64  = 34 << bucketBits
)

// shortestWindow is how long counts are collected at least.
const shortestWindow = time.Second

// latencies counts how long statements take. Adding is an atomic increment; the counts start anew with each window.
type latencies struct {
	counts [buckets64]atomic.Int64

	mu    sync.Mutex
	since time.Time // when the window under way began
	last  Latency   // the last one that is over
}

// bucket is the place of a duration.
func bucket(d time.Duration) int {
	v := uint64(max(d.Microseconds(), 1<<bucketBits))
	e := bits.Len64(v) - 1
	i := (e-bucketBits)<<bucketBits + int(v>>(e-bucketBits))&(1<<bucketBits-1)
	return min(i, buckets64-1)
}

// ceiling is the largest duration of a bucket.
func ceiling(i int) time.Duration {
	e := i>>bucketBits + bucketBits
	v := uint64(1<<bucketBits+i&(1<<bucketBits-1)+1) << (e - bucketBits)
	return time.Duration(v) * time.Microsecond
}

func (l *latencies) add(d time.Duration) { l.counts[bucket(d)].Add(1) }

// take ends the window under way, where it is long enough, and gives the last one that is over.
func (l *latencies) take(now time.Time) Latency {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) < shortestWindow {
		return l.last
	}
	var counts [buckets64]int64
	out := Latency{Window: l.last.Window + 1}
	for i := range l.counts {
		counts[i] = l.counts[i].Swap(0)
		out.Statements += counts[i]
	}
	out.Seconds = now.Sub(l.since).Seconds()
	l.since = now
	quantile := func(q float64) float64 {
		left := int64(q * float64(out.Statements))
		for i, n := range counts {
			if left -= n; left < 0 {
				return ceiling(i).Seconds()
			}
		}
		return 0
	}
	out.P50, out.P95, out.P99 = quantile(0.5), quantile(0.95), quantile(0.99)
	l.last = out
	return out
}
