package config

import (
	"fmt"
	"net/netip"
	"time"

	"segue/rewrite/lens"
)

// TCP is how a side's connections find out that their peer is gone: libpq's settings of the same names. In each, 0 leaves it to the system.
type TCP struct {
	Keepalives         *bool          `toml:"keepalives"`
	KeepalivesIdle     *lens.Duration `toml:"keepalives_idle"`
	KeepalivesInterval *lens.Duration `toml:"keepalives_interval"`
	KeepalivesCount    *int           `toml:"keepalives_count"`
	TCPUserTimeout     *lens.Duration `toml:"tcp_user_timeout"`
}

func defaultTCP() TCP {
	on, often, times, never := true, lens.Duration(30*time.Second), 3, lens.Duration(0)
	return TCP{&on, &often, &often, &times, &never}
}

// or takes what t leaves out from another one.
func (t TCP) or(other TCP) TCP {
	t.Keepalives = either(t.Keepalives, other.Keepalives)
	t.KeepalivesIdle = either(t.KeepalivesIdle, other.KeepalivesIdle)
	t.KeepalivesInterval = either(t.KeepalivesInterval, other.KeepalivesInterval)
	t.KeepalivesCount = either(t.KeepalivesCount, other.KeepalivesCount)
	t.TCPUserTimeout = either(t.TCPUserTimeout, other.TCPUserTimeout)
	return t
}

func either[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// validate checks what is set. The bounds are the kernel's.
func (t TCP) validate(key string) error {
	for _, d := range []struct {
		key   string
		value *lens.Duration
		unit  time.Duration
		max   time.Duration
	}{
		{"keepalives_idle", t.KeepalivesIdle, time.Second, 32767 * time.Second},
		{"keepalives_interval", t.KeepalivesInterval, time.Second, 32767 * time.Second},
		{"tcp_user_timeout", t.TCPUserTimeout, time.Millisecond, 24 * time.Hour},
	} {
		if d.value == nil {
			continue
		}
		if v := time.Duration(*d.value); v != 0 && v < d.unit || v > d.max {
			return &Error{Key: key + "." + d.key, Problem: fmt.Sprintf("is %v; it must be 0s (the system's), or between %v and %v", v, d.unit, d.max)}
		}
	}
	if n := t.KeepalivesCount; n != nil && (*n < 0 || *n > 127) {
		return &Error{Key: key + ".keepalives_count", Problem: fmt.Sprintf("is %d; it must be between 0 (the system's) and 127", *n)}
	}
	return nil
}

// Trusted reads ProxyProtocolNetworks: the networks, and whether unix sockets are among them.
func (l *Listen) Trusted() (networks []netip.Prefix, unix bool, err error) {
	for _, word := range l.ProxyProtocolNetworks {
		if word == "unix" {
			unix = true
			continue
		}
		if addr, err := netip.ParseAddr(word); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(word)
		if err != nil || network.Addr().Is4In6() {
			return nil, false, fmt.Errorf("%q is no address: write a network such as 10.0.0.0/8, an address, or unix", word)
		}
		if network != network.Masked() {
			return nil, false, fmt.Errorf("%q names an address within a network: write %s, or the address alone", word, network.Masked())
		}
		networks = append(networks, network)
	}
	return networks, unix, nil
}
