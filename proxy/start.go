package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.uber.org/zap"

	"segue/session"
)

const (
	// startupTimeout is how long a client may take to say who it is; the server's authentication_timeout has the same default.
	startupTimeout = time.Minute
	// extraConnections may be open beyond the limit, since only a client that has said who it is can be told that there are too many, and a
	// cancel request is never one too many.
	extraConnections = 1000
)

// serveClient carries one client from its first byte to its last, or as far as a loop, which carries it on. Whoever carries it last calls depart.
func (p *Proxy) serveClient(ctx context.Context, l *listener, client net.Conn, left func()) {
	live := p.live.Load()
	c := &conn{home: p.hub, hub: p.hub, idle: live.ClientIdleTimeout, client: client, tls: l.tls, log: p.log.WithLazy(zap.Stringer("client", client.RemoteAddr())), left: left}
	handed := false
	defer func() {
		if !handed {
			c.depart()
		}
	}()
	defer func() { c.survive(recover()) }()
	if !p.hub.add(c, live.MaxConnections+extraConnections, session.Options{
		Version: l.version(), TLS: l.offer, MaxMessage: live.MaxPacketSize, MaxStatement: live.MaxStatementSize, Gate: c, Long: c.long,
	}) {
		p.counters.refused.Add(1)
		return
	}
	c.drain() // the proxy may have begun to shut down meanwhile

	if !c.identify(l.trusted, live.ClientLoginTimeout) {
		return
	}
	in := newReader(client)
	defer in.release()
	start, rest := c.meet(ctx, in, live.ClientLoginTimeout)
	switch {
	case start == nil:
		return
	case start.Cancel:
		p.counters.cancels.Add(1)
		if err := p.cancel(ctx, start); err != nil {
			c.log.Warn("a cancel request could not be forwarded", zap.Error(err))
		}
		return
	}
	c.counted = true
	if p.hub.sessions.Add(1) > int64(live.MaxConnections) {
		p.turnAway(c, &fatal{
			"53300", fmt.Sprintf("the proxy has its limit of %d clients already", live.MaxConnections),
			"Raise limits.max_connections in the proxy's settings, or connect with fewer clients.",
		})
		return
	}
	if no := l.tls.admits(c.client, start.User); no != nil {
		p.turnAway(c, no)
		return
	}
	if c.entered = p.hub.enter(start.User, live.MaxUserConnections); !c.entered {
		p.turnAway(c, &fatal{
			"53300", fmt.Sprintf("the proxy has its limit of %d clients for the user %q already", live.MaxUserConnections, start.User),
			"Raise limits.max_user_connections in the proxy's settings, or connect with fewer clients.",
		})
		return
	}
	server, err := p.reach(ctx, c)
	if err != nil {
		c.log.Warn("the server cannot be reached", zap.Error(err))
		p.turnAway(c, &fatal{"08006", "the proxy cannot reach the server: " + err.Error(), "Check that the server runs, and server.addr and server.target_session_attrs in the proxy's settings."})
		return
	}
	c.log.Debug("a client is carried", zap.String("user", start.User), zap.Stringer("server", server.at))
	c.reachedAt(server)
	if handed = p.loops.adopt(c, rest, server); !handed {
		c.carry(in, rest, server.Conn, pending{first: server.first})
	}
}

// depart undoes what serveClient has done for a client that is carried no more, and closes its socket.
func (c *conn) depart() {
	if c.connected {
		c.hub.registrar.forget(c)
	}
	if c.entered {
		c.home.leave(c.session.Startup().User)
	}
	if c.counted {
		c.home.sessions.Add(-1)
	}
	if c.session != nil {
		c.over()
		c.home.unkey(c)
		c.hub.remove(c)
		if c.hub != c.home {
			c.hub.sessions.Add(-1)
			c.home.away.Add(-1)
		}
	}
	_ = c.client.Close() // whatever is wrong with it then, it is over
	c.left()
}

// meet reads the client's bytes until the session knows who it is. It gives what the session has not taken yet. It gives nil where
// there is nobody to carry; the client has been told why, where it could be.
func (c *conn) meet(ctx context.Context, in *reader, patience time.Duration) (start *session.Startup, rest []byte) {
	if patience == 0 {
		patience = startupTimeout
	}
	c.deadline(time.Now().Add(patience))
	for {
		data, err := in.read()
		if err != nil { // it left, was too slow, or the proxy is shutting down
			c.farewell()
			return nil, nil
		}
		c.home.counters.fromClient.Add(int64(len(data)))
		var n int
		var answer []byte
		var secure bool
		c.locked(func() *change {
			n, err = c.session.Client(data)
			start, answer, secure = c.session.Startup(), c.session.ToClient(), c.session.Blocked() == session.OnTLS
			return c.after(false)
		})
		if _, failed := c.client.Write(answer); failed != nil {
			return nil, nil
		}
		if err != nil {
			c.log.Info("a client's start-up is not understood", zap.Error(err))
			c.linger()
			return nil, nil
		}
		if start != nil {
			c.deadline(time.Time{})
			return start, data[n:]
		}
		if secure {
			if err := c.secure(ctx, data[n:], len(answer) == 0); err != nil {
				c.log.Info("a client's TLS handshake failed", zap.Error(err))
				return nil, nil
			}
			in.release()
			*in = *newReader(c.client)
		}
		in.release()
	}
}

// secure does the TLS handshake with the client, of which some bytes may have been read.
func (c *conn) secure(ctx context.Context, begun []byte, direct bool) error {
	s, err := c.tls.accept(ctx, c.client, begun, direct)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client = s
	c.session.Secured()
	return nil
}

// deadline sets the time by which the client must have sent something, unless the connection is being ended, which has set one of its own.
func (c *conn) deadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending && !c.cut {
		_ = c.client.SetReadDeadline(t) // an error means that it is closed: the next read tells
	}
}

// farewell writes what is left for the client: the fatal error, if there is one, and what the session had for it. No loop may run.
func (c *conn) farewell() {
	out := func() []byte {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.fatal != nil {
			c.session.Fail(c.fatal.code, c.fatal.message, c.fatal.hint)
		}
		return c.session.ToClient()
	}()
	if len(out) > 0 {
		_ = c.client.SetWriteDeadline(time.Now().Add(farewellTime)) // of a client that has gone nothing is expected
		_, _ = c.client.Write(out)
	}
}

// turnAway tells the client why it is not carried.
func (p *Proxy) turnAway(c *conn, f *fatal) {
	p.counters.refused.Add(1)
	c.mu.Lock()
	if c.fatal == nil {
		c.fatal = f
	}
	c.mu.Unlock()
	c.farewell()
	c.linger()
}

// reason gives an error of package net without what the caller says already.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var sys interface{ Timeout() bool }
	if errors.As(err, &sys) && sys.Timeout() {
		return "timed out"
	}
	return strings.TrimPrefix(err.Error(), "connect: ")
}
