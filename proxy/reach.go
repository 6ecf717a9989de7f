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
	addr  string // as it was dialled
	first []byte // what has been read of it
}

// dialled is a connection with the address that it was dialled by.
type dialled struct {
	net.Conn
	addr string
}

// reach connects a client that has said who it is to the server, and sends its startup packet.
//
// With the modes allow and prefer there may be two attempts, as in libpq: where the server takes no such user with TLS, or without, it says so instead of asking
// for authentication, and the other way is tried. There is one more reason to do without TLS where that may be: a client that comes over TLS itself, and
// authenticates by SCRAM. Where the server offers channel binding and the proxy's certificate is not the server's, most clients cannot be let
// in over TLS (session.ChannelBinding).
func (p *Proxy) reach(ctx context.Context, c *conn) (*reached, error) {
	c.mu.Lock()
	packet := c.session.ToServer()
	c.mu.Unlock()
	mode := p.server.opt.Mode
	first, err := p.try(ctx, packet, p.server.first())
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
	second, err := p.try(ctx, packet, !onTLS)
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

// try connects to the server, with or without TLS, and sends a startup packet.
func (p *Proxy) try(ctx context.Context, packet []byte, secure bool) (*reached, error) {
	conn, err := p.dial(ctx, secure)
	if err != nil {
		return nil, err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if _, err := conn.Write(packet); err != nil {
		return nil, errors.Join(fmt.Errorf("sending the startup packet: %w", err), conn.Close())
	}
	if err := conn.SetWriteDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &reached{Conn: conn.Conn, addr: conn.addr}, nil
}

// dial connects to the first of the server's addresses that can be reached.
func (p *Proxy) dial(ctx context.Context, secure bool) (*dialled, error) {
	var tried []string
	for _, addr := range p.opt.Server {
		server, err := p.dialOne(ctx, addr, secure)
		if err == nil {
			return &dialled{server, addr}, nil
		}
		tried = append(tried, addr+": "+reason(err))
	}
	return nil, errors.New(strings.Join(tried, "; "))
}

// dialOne connects to an address of the server's.
func (p *Proxy) dialOne(ctx context.Context, addr string, secure bool) (net.Conn, error) {
	// TCP_NODELAY is what package net sets of itself.
	d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive, Count: 3}}
	if isSocket(addr) {
		return d.DialContext(ctx, "unix", addr) // where libpq uses no TLS either
	}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil || !secure {
		return conn, err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	server, err := p.server.secure(ctx, conn, host)
	if err != nil {
		_ = conn.Close()
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
)

// maxAnswer bounds what is read ahead of a server's answer, in bytes.
const maxAnswer = 64 << 10

// listen reads up to the server's first answer to the startup packet. What it read stays in r.first.
func (r *reached) listen(ctx context.Context) (answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now()) })
	defer stop()
	if err := r.SetReadDeadline(time.Now().Add(startupTimeout)); err != nil {
		return saysOther, err
	}
	buf := make([]byte, 8<<10)
	for {
		if said, known := judge(r.first); known || len(r.first) > maxAnswer {
			return said, r.SetReadDeadline(time.Time{})
		}
		n, err := r.Read(buf)
		r.first = append(r.first, buf[:n]...)
		if n == 0 && err != nil {
			if len(r.first) > 0 {
				return saysOther, r.SetReadDeadline(time.Time{})
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
		case 'R':
			if bytes.Contains(body, []byte("SCRAM-SHA-256-PLUS\x00")) {
				return offersBinding, true
			}
		}
		return saysOther, true
	}
}
