package proxy

import (
	"context"
	"errors"
	"io"
	"time"
)

// forwardCancel hands a cancel request to the server, on a connection of its own, and waits until the server has taken it: the client
// counts on that when its own connection is closed.
func (p *Proxy) forwardCancel(ctx context.Context, raw []byte) error {
	server, err := p.dial(ctx, p.server.first())
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	if err := server.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if _, err := server.Write(raw); err != nil {
		return err
	}
	_, err = server.Read(make([]byte, 1)) // the server answers by closing the connection
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
