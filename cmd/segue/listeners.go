package main

import (
	"net"
	"strings"
	"time"

	"segue/config"
	"segue/proxy"
)

// listeners gives those beside the first one as package proxy has them.
func listeners(s *config.Settings) []proxy.Listener {
	var out []proxy.Listener
	for _, l := range s.AllListeners()[1:] {
		out = append(out, proxy.Listener{Addr: l.Addr, Version: l.Version, TLS: listenTLS(&l), Access: access(l.UnixSocketGroup, l.UnixSocketPermissions), TCP: keepAlive(&l.TCP), Trusted: trusted(&l)})
	}
	return out
}

func addresses(addrs []net.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, ",")
}

// access gives who may use a unix socket as package proxy has it; settings are valid.
func access(group, permissions string) proxy.Access {
	mode, _ := config.Permissions(permissions)
	return proxy.Access{Group: group, Mode: mode}
}

// keepAlive gives TCP's settings as package proxy has them; in valid ones nothing is left out.
func keepAlive(t *config.TCP) proxy.KeepAlive {
	return proxy.KeepAlive{
		Off: !*t.Keepalives, Idle: time.Duration(*t.KeepalivesIdle), Interval: time.Duration(*t.KeepalivesInterval), Count: *t.KeepalivesCount,
		UserTimeout: time.Duration(*t.TCPUserTimeout),
	}
}

// trusted gives who begins with a PROXY protocol header as package proxy has it; settings are valid.
func trusted(l *config.Listen) proxy.Trusted {
	networks, unix, _ := l.Trusted()
	return proxy.Trusted{Networks: networks, Unix: unix}
}
