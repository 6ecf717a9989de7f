package migrate

import (
	"sync"
	"time"

	"segue/migrate/agree"
	"segue/proxy"
)

// observer judges leases by this process's own clock: since when each proxy's renewal counter has not moved.
type observer struct {
	mu    sync.Mutex
	moved map[string]agree.Sighting
}

func newObserver() *observer { return &observer{moved: map[string]agree.Sighting{}} }

// see takes note of a renewal counter as it was just read, and says for how long it has not moved at least.
func (o *observer) see(id string, renewals int64) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	next, silent := o.moved[id].See(renewals, proxy.Boottime())
	o.moved[id] = next
	return silent
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
