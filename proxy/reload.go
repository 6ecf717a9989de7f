package proxy

import (
	"time"

	"segue/rewrite/lens"
)

// Live are the options that can be changed while a proxy serves: the version, for sessions that begin from then on; the limit, for clients that come; the times, for
// what begins to wait.
type Live struct {
	Version            lens.Version
	MaxConnections     int
	MaxUserConnections int           // 0: no limit for one user
	ClientLoginTimeout time.Duration // how long a client may take to say who it is; 0: a minute
	ClientIdleTimeout  time.Duration // how long it may be idle outside of a transaction; 0: for ever
	MaxPacketSize      int           // bytes of a client's message; 0: PostgreSQL's own limit
	MaxStatementSize   int           // bytes of a statement's text; 0: 64 MiB
	HoldTimeout        time.Duration
	DrainTimeout       time.Duration
}

// Reload puts other options into force. Clients that are connected stay, also where there are more than may be.
func (p *Proxy) Reload(l Live) { p.live.Store(&l) }
