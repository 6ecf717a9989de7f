package demo

import (
	"fmt"
	"math/bits"
	"sync"
	"time"

	"segue/rewrite/lens"
)

// histogram counts latencies in buckets of at most 1/16 relative width, from a microsecond up.
type histogram struct {
	counts [16 * 32]int64
	n      int64
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.n++
}

func (h *histogram) merge(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
}

// quantile gives the latency that a share q of the statements did not exceed, rounded up to a bucket's end; 0 where there is none.
func (h *histogram) quantile(q float64) time.Duration {
	rest := int64(float64(h.n)*q + 0.5)
	for i, c := range h.counts {
		if rest -= c; c > 0 && rest <= 0 {
			return bucketEnd(i)
		}
	}
	return 0
}

func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 16 {
		return int(us)
	}
	exp := bits.Len64(us) - 5 // us>>exp is 16..31
	return min((exp+1)*16+int(us>>exp)-16, 16*32-1)
}

func bucketEnd(i int) time.Duration {
	if i < 16 {
		return time.Duration(i+1) * time.Microsecond
	}
	exp := i/16 - 1
	return time.Duration((i%16+17)<<exp) * time.Microsecond
}

// The live figures are over the last slices.
const (
	sliceTime = 250 * time.Millisecond
	slices    = 8
)

// PhaseFigures is what one application saw while the migration was in one phase.
type PhaseFigures struct {
	Statements int64
	Slowest    time.Duration
	SlowestSQL string
	P50, P99   time.Duration

	all histogram
}

// meter counts one application's statements. Its methods may be called from many goroutines.
type meter struct {
	mu         sync.Mutex
	phase      lens.Phase
	statements int64
	failures   int64
	firsts     []string // the first failures, in words
	phases     map[lens.Phase]*PhaseFigures
	slice      [slices]histogram
	ran        [slices]int64 // statements of each slice
	turned     time.Time
	at         int
}

// firstFailures bounds how many failures are told in words; all are counted.
const firstFailures = 10

func newMeter() *meter { return &meter{phases: map[lens.Phase]*PhaseFigures{}, turned: time.Now()} }

func (m *meter) setPhase(p lens.Phase) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = p
}

// done counts a round trip of so many statements.
func (m *meter) done(sql string, statements int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(time.Now())
	m.statements += int64(statements)
	m.slice[m.at].add(took)
	m.ran[m.at] += int64(statements)
	f := m.phases[m.phase]
	if f == nil {
		f = &PhaseFigures{}
		m.phases[m.phase] = f
	}
	f.Statements += int64(statements)
	f.all.add(took)
	if took > f.Slowest {
		f.Slowest, f.SlowestSQL = took, sql
	}
}

// fail counts a failure: an error or a wrong answer.
func (m *meter) fail(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures++
	if len(m.firsts) < firstFailures {
		m.firsts = append(m.firsts, fmt.Sprintf("in %s: ", m.phase)+fmt.Sprintf(format, args...))
	}
}

// turn begins new slices as time goes on.
func (m *meter) turn(now time.Time) {
	for n := 0; now.Sub(m.turned) >= sliceTime; n++ {
		if n == slices { // long idle: all slices are empty by now
			m.turned = now
			return
		}
		m.at = (m.at + 1) % slices
		m.slice[m.at], m.ran[m.at] = histogram{}, 0
		m.turned = m.turned.Add(sliceTime)
	}
}

// live is what the display shows of an application.
type live struct {
	rate       float64 // statements a second
	statements int64
	failures   int64
	p50, p99   time.Duration
}

func (m *meter) live() live {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(time.Now())
	var h histogram
	var ran int64
	for i := range m.slice {
		h.merge(&m.slice[i])
		ran += m.ran[i]
	}
	span := (slices-1)*sliceTime + time.Since(m.turned)
	return live{
		rate: float64(ran) / span.Seconds(), statements: m.statements, failures: m.failures,
		p50: h.quantile(0.50), p99: h.quantile(0.99),
	}
}

// figures gives what was counted in each phase, by phase.
func (m *meter) figures() map[lens.Phase]PhaseFigures {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[lens.Phase]PhaseFigures, len(m.phases))
	for p, f := range m.phases {
		g := *f
		g.P50, g.P99 = f.all.quantile(0.50), f.all.quantile(0.99)
		out[p] = g
	}
	return out
}

func (m *meter) failed() (int64, []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failures, append([]string(nil), m.firsts...)
}
