package migrate

import (
	"sync"
	"time"

	"segue/proxy"
)

// leaseMargin is how long past its lease a proxy is still taken for alive: for clocks that run at different speeds, and for what it
// sent at the last moment.
const leaseMargin = time.Second

// observer judges leases by this process's own clock: since when each proxy's renewal counter has not moved.
type observer struct {
	mu    sync.Mutex
	moved map[string]sighting
}

type sighting struct {
	renewals int64
	since    time.Duration // Boottime when the counter was first seen at this value
}

func newObserver() *observer { return &observer{moved: map[string]sighting{}} }

// see takes note of a renewal counter as it was just read, and says for how long it has not moved at least.
func (o *observer) see(id string, renewals int64) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := proxy.Boottime()
	s, known := o.moved[id]
	if !known || s.renewals != renewals {
		s = sighting{renewals, now}
		o.moved[id] = s
	}
	return now - s.since
}

// keep forgets all proxies but these.
func (o *observer) keep(ids map[string]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.moved {
		if !ids[id] {
			delete(o.moved, id)
		}
	}
}

// reset forgets all: after the database could not be reached, since nobody else may have been able to renew.
func (o *observer) reset() { o.keep(nil) }
