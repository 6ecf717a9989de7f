//go:build !linux

package proxy

import (
	"errors"

	"go.uber.org/zap"
)

// loops and looped are there on Linux only: see loop_linux.go. Elsewhere goroutines carry every client.
type (
	loops  struct{}
	looped struct{}
)

func openLoops(d Driver, _ int, _ *zap.Logger) (*loops, error) {
	if d == DriverEpoll {
		return nil, errors.New("the driver epoll is for Linux: choose auto or goroutine")
	}
	return nil, nil
}

func (*loops) start()                                   {}
func (*loops) close() error                             { return nil }
func (*loops) adopt(_ *conn, _ []byte, _ *reached) bool { return false }
func (*looped) post()                                   {}
func (c *conn) long()                                   { c.clocked = 0 }
