package proxy

import (
	"context"
	"errors"
	"io"
	"net"

	"segue/session"
)

// cancelKeyAt is where in a CancelRequest the key begins: behind the length and the code.
const cancelKeyAt = 8

// cancel deals with a request to cancel what a session does. One of this proxy's sessions is found by its key: the request goes to that session's server and the way that the
// session went, and nowhere where the session is idle, so that it cannot meet the client's next statement. Any other key may be one that another proxy before the same
// server gave out, or one of a session that is over; the server knows.
func (p *Proxy) cancel(ctx context.Context, start *session.Startup) error {
	c := p.hub.keyed(start.Raw[cancelKeyAt:])
	if c == nil {
		return p.cancelAnywhere(ctx, start.Raw)
	}
	var at endpoint
	var secure, forward bool
	c.locked(func() *change {
		if at, secure = c.at, c.overTLS; c.connected {
			forward = c.session.Cancel()
		}
		return c.after(false)
	})
	if !forward {
		return nil
	}
	return p.cancelAt(ctx, at, secure, start.Raw)
}

// cancelAnywhere hands a cancel request of which it is not known whose it is to all servers: where its key means nothing, nothing happens.
func (p *Proxy) cancelAnywhere(ctx context.Context, raw []byte) error {
	var failed error
	reached := false
	for at, err := range p.endpoints(ctx) {
		if err == nil {
			err = p.cancelAt(ctx, at, p.server.first(), raw)
		}
		reached = reached || err == nil
		failed = errors.Join(failed, err)
	}
	if reached {
		return nil // one that is down has no session either
	}
	return failed
}

func (p *Proxy) cancelAt(ctx context.Context, at endpoint, secure bool, raw []byte) error {
	ctx, cancel := p.patience(ctx)
	defer cancel()
	server, err := p.dial(ctx, at, secure)
	if err != nil {
		return err
	}
	return forwardCancel(ctx, server, raw)
}

// forwardCancel hands a cancel request to the server, on a connection of its own, which it closes, and waits until the server has taken it: the client
// counts on that when its own connection is closed.
func forwardCancel(ctx context.Context, server net.Conn, raw []byte) error {
	defer func() { _ = server.Close() }()
	release := until(ctx, server)
	defer func() { _ = release() }() // the read has failed by then
	if _, err := server.Write(raw); err != nil {
		return err
	}
	_, err := server.Read(make([]byte, 1)) // the server answers by closing the connection
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
