package proxy

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// KeepAlive is how a TCP connection finds out that its peer is gone, as libpq's keepalives_* and tcp_user_timeout have it; in each, 0 leaves it to the system.
type KeepAlive struct {
	Off         bool          // never ask a silent peer whether it is still there
	Idle        time.Duration // how long it may be silent before it is asked
	Interval    time.Duration // between questions
	Count       int           // questions without an answer until it is taken for gone
	UserTimeout time.Duration // how long what was sent may go unacknowledged
}

// apply sets a connection up; one that is no TCP connection stays as it is.
func (k KeepAlive) apply(conn net.Conn) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	left := func(d time.Duration) time.Duration {
		if d == 0 {
			return -1 // as package net has it: 0 is its own default there
		}
		return d
	}
	cfg := net.KeepAliveConfig{Enable: !k.Off, Idle: left(k.Idle), Interval: left(k.Interval), Count: int(left(time.Duration(k.Count)))}
	if err := tcp.SetKeepAliveConfig(cfg); err != nil {
		return fmt.Errorf("setting TCP keepalives: %w", err)
	}
	if k.UserTimeout == 0 {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(k.UserTimeout.Milliseconds()))
	})
	if err := errors.Join(failed, err); err != nil {
		return fmt.Errorf("setting tcp_user_timeout: %w", err)
	}
	return nil
}
