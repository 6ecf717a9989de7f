package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"segue/rewrite/lens"
	"segue/session"
)

// Listener is a place where clients connect, beside the first one.
type Listener struct {
	Addr    string       // host:port, or the path of a unix socket
	Version lens.Version // of clients that do not say theirs
	TLS     ListenTLS
	Access  Access // who may use a unix socket; without a mode, everybody
	TCP     KeepAlive
	Trusted Trusted // who begins with a PROXY protocol header
}

// listener is an open Listener.
type listener struct {
	net.Listener
	addr    string // as it is in the settings
	version func() lens.Version
	tls     *listenTLS // nil: it has none
	offer   session.TLSOffer
	tcp     KeepAlive
	trusted Trusted
}

// openListeners opens the first listener and those beside it.
func (p *Proxy) openListeners(ctx context.Context) error {
	all := append([]Listener{{Addr: p.opt.Listen, TLS: p.opt.TLS, Access: p.opt.Access, TCP: p.opt.TCP, Trusted: p.opt.Trusted}}, p.opt.Listeners...)
	for i, opt := range all {
		l := &listener{addr: opt.Addr, version: func() lens.Version { return opt.Version }, offer: opt.TLS.Offer, tcp: opt.TCP, trusted: opt.Trusted}
		if i == 0 {
			l.version = func() lens.Version { return p.live.Load().Version }
		}
		var err error
		if l.tls, err = openListenTLS(opt.TLS, p.log); err != nil {
			return err
		}
		if p.opt.Inherit != nil {
			l.Listener = take(p.opt.Inherit.clients, opt.Addr)
		}
		switch {
		case l.Listener != nil && isSocket(opt.Addr):
			err = opt.Access.orEverybody().grant(opt.Addr)
		case l.Listener != nil:
		case i < len(p.opt.Sockets):
			l.Listener = p.opt.Sockets[i]
		case isSocket(opt.Addr):
			l.Listener, err = listenUnix(ctx, opt.Addr, opt.Access)
		default:
			l.Listener, err = listen(ctx, opt.Addr, "clients", "--listen")
		}
		if err != nil {
			return err
		}
		if l.Addr().Network() == "unix" {
			l.offer, l.tls = session.NoTLS, nil // as libpq and PostgreSQL have it
		}
		p.clients = append(p.clients, l)
	}
	for _, l := range p.opt.Sockets[min(len(all), len(p.opt.Sockets)):] {
		p.log.Warn("a socket that was handed over is not used: there are more of them than listeners", zap.Stringer("address", l.Addr()))
	}
	return nil
}

// closeListeners lets nobody in any more.
func (p *Proxy) closeListeners() error {
	var err error
	for _, l := range p.clients {
		err = errors.Join(err, l.Close())
	}
	return err
}

// isSocket tells the path of a unix socket from host:port.
func isSocket(addr string) bool { return strings.HasPrefix(addr, "/") }

func listen(ctx context.Context, addr, what, setting string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for %s on %s: %s; stop what uses it, or choose another with %s", what, addr, bindReason(err), setting)
	}
	return l, nil
}

// listenUnix listens on a unix socket that everybody may use, as PostgreSQL's, where access does not say who may: who they are, the server finds out. One that is left of a
// process that is gone is removed.
func listenUnix(ctx context.Context, path string, access Access) (net.Listener, error) {
	access = access.orEverybody()
	lc := net.ListenConfig{Control: closedToOthers}
	l, err := lc.Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if info, statErr := os.Lstat(path); statErr == nil && info.Mode().Type() == os.ModeSocket {
			if other, dialErr := net.DialTimeout("unix", path, time.Second); dialErr != nil {
				if err := os.Remove(path); err != nil {
					return nil, fmt.Errorf("listening for clients on %s: removing what is left of another process: %w", path, err)
				}
				l, err = lc.Listen(ctx, "unix", path)
			} else {
				_ = other.Close()
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listening for clients on %s: %s; stop what uses it, or choose another path", path, bindReason(err))
	}
	if err := access.grant(path); err != nil {
		return nil, errors.Join(fmt.Errorf("letting clients use %s: %w", path, err), l.Close())
	}
	return l, nil
}
