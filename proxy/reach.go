package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.uber.org/zap"
)

// reached is a server connection to which a client's startup packet has been sent.
type reached struct {
	net.Conn
	at    endpoint
	first []byte // what has been read of it
}

// reach connects a client that has said who it is to the first server that takes it, and sends its startup packet. Where there are several addresses, one that does not answer in time, or is
// starting up or shutting down, is passed over, as by libpq.
func (p *Proxy) reach(ctx context.Context, c *conn) (*reached, error) {
	c.mu.Lock()
	packet := c.session.ToServer()
	c.mu.Unlock()
	var tried []string
	for at, err := range p.candidates(ctx) {
		var server *reached
		if err == nil {
			server, err = p.reachAt(ctx, c, packet, at)
		}
		if err == nil {
			if err = p.place(ctx, c, server.at); err == nil {
				return server, nil
			}
			_ = server.Close() // nothing has been asked of it
		}
		tried = append(tried, at.String()+": "+reason(err))
	}
	return nil, errors.New(strings.Join(tried, "; "))
}

// reachAt is reach for one address.
//
// With the modes allow and prefer there may be two attempts, as in libpq: where the server takes no such user with TLS, or without, it says so instead of asking
// for authentication, and the other way is tried. There is one more reason to do without TLS where that may be: a client that comes over TLS itself, and
// authenticates by SCRAM. Where the server offers channel binding and the proxy's certificate is not the server's, most clients cannot be let
// in over TLS (session.ChannelBinding).
func (p *Proxy) reachAt(ctx context.Context, c *conn, packet []byte, at endpoint) (*reached, error) {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	mode := p.server.opt.Mode
	first, err := p.try(ctx, packet, at, p.server.first())
	if err == nil && p.several() {
		var said answer
		if said, err = first.listen(ctx); err == nil && said == notNow {
			err = errors.New("the server is starting up or shutting down")
		}
	}
	if err != nil || mode != SSLAllow && mode != SSLPrefer {
		return c.bind(first, err)
	}
	_, onTLS := first.Conn.(*secured)
	if mode == SSLPrefer && !onTLS {
		return c.bind(first, nil)
	}
	said, err := first.listen(ctx)
	if err != nil || said == saysOther || said == offersBinding && (!onTLS || c.holds(first)) {
		return c.bind(first, err)
	}
	if _, ok := c.client.(*secured); said == offersBinding && !ok {
		return c.bind(first, nil) // a client without TLS does not miss it
	}
	second, err := p.try(ctx, packet, at, !onTLS)
	if err == nil {
		if _, same := second.Conn.(*secured); same == onTLS {
			err = errNoTLS
		} else if said, err = second.listen(ctx); err == nil && said == refuses {
			err = errors.New("the server refuses the client")
		}
		if err != nil {
			_ = second.Close()
		}
	}
	if err != nil {
		return c.bind(first, nil) // it has an answer, if not a good one
	}
	_ = first.Close() // its answer is not for the client
	if said == offersBinding || onTLS {
		c.log.Info("the server is reached without TLS, which server.tls allows", zap.Stringer("server", second.RemoteAddr()))
	}
	return c.bind(second, nil)
}

// bind tells the session whether SCRAM's channel binding can hold.
func (c *conn) bind(r *reached, err error) (*reached, error) {
	if err != nil {
		if r != nil {
			_ = r.Close()
		}
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.ChannelBinding(c.holds(r))
	return r, nil
}

// holds says whether the client sees the certificate that the server has: SCRAM binds to its hash (tls-server-end-point, RFC 5929).
func (c *conn) holds(r *reached) bool {
	client, ok1 := c.client.(*secured)
	server, ok2 := r.Conn.(*secured)
	return ok1 && ok2 && bytes.Equal(client.leaf, server.leaf)
}

// several says whether there may be another address to try.
func (p *Proxy) several() bool {
	if len(p.opt.Server) > 1 {
		return true
	}
	host, _, err := net.SplitHostPort(p.opt.Server[0])
	return err == nil && net.ParseIP(host) == nil && !isSocket(p.opt.Server[0])
}

// try connects to a server, with or without TLS, and sends a startup packet.
func (p *Proxy) try(ctx context.Context, packet []byte, at endpoint, secure bool) (*reached, error) {
	conn, err := p.dial(ctx, at, secure)
	if err != nil {
		return nil, err
	}
	release := until(ctx, conn)
	_, err = conn.Write(packet)
	if err := errors.Join(err, release()); err != nil {
		return nil, errors.Join(fmt.Errorf("sending the startup packet: %w", err), conn.Close())
	}
	return &reached{Conn: conn, at: at}, nil
}

// until has a connection's reads and writes fail when ctx is over. release, which must be called, takes that back and gives ctx's error, if it is.
func until(ctx context.Context, conn net.Conn) (release func() error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) }) // one that is closed fails by itself
	return func() error {
		if stop() {
			return nil
		}
		return context.Cause(ctx)
	}
}

// dial connects to a server. It is the one place that does.
func (p *Proxy) dial(ctx context.Context, at endpoint, secure bool) (net.Conn, error) {
	// TCP_NODELAY is what package net sets of itself.
	d := net.Dialer{KeepAlive: -1} // KeepAlive.apply does it
	if isSocket(at.addr) {
		return d.DialContext(ctx, "unix", at.addr) // where libpq uses no TLS either
	}
	conn, err := d.DialContext(ctx, "tcp", at.addr)
	if err != nil {
		return nil, err
	}
	if err := p.opt.ServerKeepAlive.apply(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if !secure {
		return conn, nil
	}
	server, err := p.server.secure(ctx, conn, at.host)
	if err != nil {
		_ = conn.Close() // err says what is wrong, and may have closed it
		return nil, err
	}
	return server, nil
}

// answer is what a server makes of a startup packet.
type answer int

const (
	saysOther     answer = iota
	refuses              // FATAL, before it has asked for anything: pg_hba.conf has no place for such a client
	offersBinding        // SCRAM with channel binding
	notNow               // FATAL: it is starting up or shutting down, or recovers
)

// maxAnswer bounds what is read ahead of a server's answer, in bytes.
const maxAnswer = 64 << 10

// listen reads up to the server's first answer to the startup packet. What it read stays in r.first.
func (r *reached) listen(ctx context.Context) (answer, error) {
	release := until(ctx, r)
	said, err := r.answer()
	return said, errors.Join(err, release())
}

// answer is listen without a time.
func (r *reached) answer() (answer, error) {
	buf := make([]byte, 8<<10)
	for {
		if said, known := judge(r.first); known || len(r.first) > maxAnswer {
			return said, nil
		}
		n, err := r.Read(buf)
		r.first = append(r.first, buf[:n]...)
		if n == 0 && err != nil {
			if len(r.first) > 0 {
				return saysOther, nil
			}
			return saysOther, fmt.Errorf("waiting for the server's answer to the startup packet: %w", err)
		}
	}
}

// judge reads the first message that is not about the protocol's version; known is false where it has not come whole.
func judge(b []byte) (said answer, known bool) {
	const header = 5
	for {
		if len(b) < header {
			return saysOther, false
		}
		size := 1 + int(binary.BigEndian.Uint32(b[1:]))
		if b[0] != 'v' && b[0] != 'E' && b[0] != 'R' || size < header || size > maxAnswer {
			return saysOther, true
		}
		if len(b) < size {
			return saysOther, false
		}
		body := b[header:size]
		switch b[0] {
		case 'v': // NegotiateProtocolVersion
			b = b[size:]
			continue
		case 'E':
			if bytes.Contains(body, []byte("\x00C28000\x00")) {
				return refuses, true
			}
			if bytes.Contains(body, []byte("\x00C57P03\x00")) {
				return notNow, true
			}
		case 'R':
			if bytes.Contains(body, []byte("SCRAM-SHA-256-PLUS\x00")) {
				return offersBinding, true
			}
		}
		return saysOther, true
	}
}
