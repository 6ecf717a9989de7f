package proxy

import (
	"time"

	"segue/rewrite/lens"
)

// Live are the options that can be changed while a proxy serves: the version, for sessions that begin from then on; the limit, for clients that come; the times, for
// what begins to wait.
type Live struct {
	Version        lens.Version
	MaxConnections int
	HoldTimeout    time.Duration
	DrainTimeout   time.Duration
}

// Reload puts other options into force. Clients that are connected stay, also where there are more than may be.
func (p *Proxy) Reload(l Live) { p.live.Store(&l) }
