package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"segue/proxy"
)

// maxAnswer bounds an answer of a proxy, in bytes.
const maxAnswer = 64 << 20

// client talks to a proxy over its admin socket.
type client struct {
	socket string
	http   *http.Client
}

func newClient(socket string) *client {
	return &client{socket: socket, http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, // a request every now and then needs none, and nothing is left behind
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}}
}

// errGone is that the proxy could not be asked.
var errGone = errors.New("no proxy answers")

// call sends a request, with in as its JSON body where there is one, and reads the answer into out. A gate that refuses is a *proxy.GateError.
func (c *client) call(ctx context.Context, method, path string, in, out any) (err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://segue"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 300 {
		var e proxy.ErrorAnswer
		if err := json.Unmarshal(answer, &e); err != nil || e.Error == "" {
			return fmt.Errorf("the proxy at %s answered %s: %.200s", c.socket, resp.Status, answer)
		}
		if e.Gate != "" {
			return &proxy.GateError{Gate: e.Gate, Missing: e.Missing}
		}
		if busy := proxy.ParseBusy(e.Error); e.Busy && busy != nil {
			return busy
		}
		return errors.New(e.Error)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("the proxy at %s answered what is not understood: %w", c.socket, err)
	}
	return nil
}

func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var sys syscall.Errno
	why := err.Error()
	if errors.As(err, &sys) {
		why = sys.Error()
	}
	hint := "start one with segue serve, or name its socket with --admin or SEGUE_ADMIN"
	if errors.Is(err, fs.ErrPermission) {
		hint = "only the proxy's own user may, and the group that admin.unix_socket_group names: try it as one of those"
	}
	return fmt.Errorf("%w at %s (%s): %s", errGone, c.socket, why, hint)
}
