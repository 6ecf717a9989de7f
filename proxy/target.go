package proxy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// SessionAttrs is which of several servers clients' sessions may be opened at, in libpq's words (target_session_attrs).
type SessionAttrs string

// libpq's words. An empty one is any.
const (
	AnyServer     SessionAttrs = "any"
	ReadWrite     SessionAttrs = "read-write"     // no standby, and transactions are not read-only by default
	ReadOnly      SessionAttrs = "read-only"      // the contrary
	Primary       SessionAttrs = "primary"        // no standby
	Standby       SessionAttrs = "standby"        //
	PreferStandby SessionAttrs = "prefer-standby" // any, where no standby can be reached
)

// ServerState is what the control role finds a server to be.
type ServerState struct {
	Standby  bool // it is in recovery
	ReadOnly bool // a transaction there is read-only, unless it says otherwise or at all
}

// fits says why a server is none to open sessions at; nil where it is one.
func (a SessionAttrs) fits(s ServerState) error {
	switch a {
	case ReadWrite:
		if s.Standby {
			return errors.New("it is a standby")
		}
		if s.ReadOnly {
			return errors.New("its transactions are read-only")
		}
	case ReadOnly:
		if !s.Standby && !s.ReadOnly {
			return errors.New("its transactions are read-write")
		}
	case Primary:
		if s.Standby {
			return errors.New("it is a standby")
		}
	case Standby, PreferStandby:
		if !s.Standby {
			return errors.New("it is not a standby")
		}
	case AnyServer, "":
	}
	return nil
}

// belies says that a session, by what its server reports of itself, is on the wrong kind of server: it was another one, or has become another one, since it was looked at. What
// the client itself has asked for, such as transactions that are read-only by default, is no such thing.
func (a SessionAttrs) belies(standby bool) bool {
	switch a {
	case ReadWrite, Primary:
		return standby
	case Standby:
		return !standby
	case AnyServer, ReadOnly, PreferStandby, "":
	}
	return false
}

// endpoint is one address of a server.
type endpoint struct {
	host string // as it is configured, for people and for TLS
	addr string // what is dialled: an IP address and port, or the path of a unix socket
}

func (e endpoint) String() string {
	if host, _, err := net.SplitHostPort(e.addr); err == nil && host != e.host {
		return e.host + " (" + e.addr + ")"
	}
	return e.addr
}

// endpoints gives the addresses of all configured servers, in the order in which they are to be tried; a name stands for each of its addresses. A name that cannot be looked up comes with
// the error. The order is the configured one, or another one each time for balanced load.
func (p *Proxy) endpoints(ctx context.Context) iter.Seq2[endpoint, error] {
	return func(yield func(endpoint, error) bool) {
		servers := p.shuffled(p.opt.Server)
		for _, server := range servers {
			host, port, err := net.SplitHostPort(server)
			if isSocket(server) || err != nil || net.ParseIP(host) != nil {
				if !yield(endpoint{host, server}, nil) {
					return
				}
				continue
			}
			addrs, err := p.lookUp(ctx, host)
			if err != nil && !yield(endpoint{host, server}, err) {
				return
			}
			for _, addr := range p.shuffled(addrs) {
				if !yield(endpoint{host, net.JoinHostPort(addr, port)}, nil) {
					return
				}
			}
		}
	}
}

// shuffled gives the words in the order in which they are tried.
func (p *Proxy) shuffled(words []string) []string {
	if !p.opt.LoadBalance || len(words) < 2 {
		return words
	}
	words = append([]string(nil), words...)
	rand.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	return words
}

func (p *Proxy) lookUp(ctx context.Context, host string) ([]string, error) {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, host)
}

// patience bounds the attempt to reach one address of a server.
func (p *Proxy) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.opt.ConnectTimeout > 0 {
		return context.WithTimeout(ctx, p.opt.ConnectTimeout)
	}
	return context.WithCancel(ctx)
}

// candidates gives the addresses at which sessions may be opened, in the order in which they are to be tried; those at which they may not be, with the reason. Each is looked at when its turn
// has come.
func (p *Proxy) candidates(ctx context.Context) iter.Seq2[endpoint, error] {
	return func(yield func(endpoint, error) bool) {
		for at, err := range p.endpoints(ctx) {
			if err == nil {
				err = p.suits(ctx, at)
			}
			if !yield(at, err) {
				return
			}
		}
		if p.opt.SessionAttrs != PreferStandby {
			return
		}
		for at, err := range p.endpoints(ctx) {
			if !yield(at, err) {
				return
			}
		}
	}
}

func (p *Proxy) suits(ctx context.Context, at endpoint) error {
	if p.opt.SessionAttrs == AnyServer || p.opt.SessionAttrs == "" {
		return nil
	}
	ctx, cancel := p.patience(ctx)
	defer cancel()
	state, err := p.servers.look(ctx, at, p.control.Server)
	if err != nil {
		return fmt.Errorf("the control role cannot see what server it is: %w", err)
	}
	return p.opt.SessionAttrs.fits(state)
}

// seenFor is how long what a server was found to be is believed. A client that comes after a failover waits no longer than that for it to be noticed.
const seenFor = time.Second

// servers is what is known of the servers. Its zero value knows nothing.
type servers struct {
	mu    sync.Mutex
	looks map[endpoint]*look // one for each address; replaced when it is too old
}

// look is one look at a server. What follows done is set when done is closed.
type look struct {
	done  chan struct{}
	until time.Time
	state ServerState
	err   error
}

// look gives what a server is, by asking it where that is not known. Many that want to know at once ask once.
func (s *servers) look(ctx context.Context, at endpoint, ask func(ctx context.Context, host, addr string) (ServerState, error)) (ServerState, error) {
	s.mu.Lock()
	l := s.looks[at]
	if l != nil {
		select {
		case <-l.done:
			if time.Now().After(l.until) {
				l = nil
			}
		default:
		}
	}
	if l != nil {
		s.mu.Unlock()
		select {
		case <-l.done:
			return l.state, l.err
		case <-ctx.Done():
			return ServerState{}, ctx.Err()
		}
	}
	l = &look{done: make(chan struct{})}
	if s.looks == nil || len(s.looks) >= maxLooks {
		s.looks = map[endpoint]*look{}
	}
	s.looks[at] = l
	s.mu.Unlock()
	l.state, l.err = ask(ctx, at.host, at.addr)
	l.until = time.Now().Add(seenFor)
	close(l.done)
	return l.state, l.err
}

// forget has a server be looked at anew.
func (s *servers) forget(at endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.looks, at)
}

// maxLooks bounds what is kept of servers whose names have ever other addresses.
const maxLooks = 1000
