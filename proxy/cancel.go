package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

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
		server, err := p.dial(ctx, p.server.first())
		if err != nil {
			return err
		}
		return forwardCancel(server, start.Raw)
	}
	var addr string
	var secure, forward bool
	c.locked(func() *change {
		if c.server != nil {
			addr = c.addr
			_, secure = c.server.(*secured)
			forward = c.session.Cancel()
		}
		return c.after(false)
	})
	if !forward {
		return nil
	}
	server, err := p.dialOne(ctx, addr, secure)
	if err != nil {
		return err
	}
	return forwardCancel(server, start.Raw)
}

// forwardCancel hands a cancel request to the server, on a connection of its own, which it closes, and waits until the server has taken it: the client
// counts on that when its own connection is closed.
func forwardCancel(server net.Conn, raw []byte) error {
	defer func() { _ = server.Close() }()
	if err := server.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if _, err := server.Write(raw); err != nil {
		return err
	}
	_, err := server.Read(make([]byte, 1)) // the server answers by closing the connection
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
