package migrate

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// link is one connection for short work of many goroutines, one at a time. It is opened when it is needed, and anew after it broke.
type link struct {
	open func(context.Context) (*pgx.Conn, error)
	turn chan struct{} // holds one token; who has it may use conn
	conn *pgx.Conn
}

func newLink(open func(context.Context) (*pgx.Conn, error)) *link {
	l := &link{open: open, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// do runs f on the connection. A connection that turns out to have been broken already is opened anew, once.
func (l *link) do(ctx context.Context, f func(*pgx.Conn) error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { l.turn <- struct{}{} }()
	for fresh := false; ; {
		if l.conn != nil && !l.conn.IsClosed() && isBroken(l.conn.PgConn().Conn()) {
			abandon(l.conn)
		}
		if l.conn == nil || l.conn.IsClosed() {
			conn, err := l.open(ctx)
			if err != nil {
				return err
			}
			l.conn, fresh = conn, true
		}
		err := f(l.conn)
		if err == nil || fresh || ctx.Err() != nil || !pgconn.SafeToRetry(err) && !ended(err) {
			return err
		}
	}
}

// ended says that the server had ended the session before it did anything of what was asked: a restart, pg_terminate_backend.
func ended(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "57P01" || pg.Code == "57P02" || pg.Code == "57P05")
}

func (l *link) close() error {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	if l.conn == nil {
		return nil
	}
	return closeConn(l.conn)
}

// isBroken says that the server has ended an idle connection: its end of file, or the error that it sends before, is waiting to be read. What was asked on such
// a connection would fail, and whether it was done could not be told; asked before anything is sent, it can be opened anew.
func isBroken(conn net.Conn) bool {
	secured := false
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn, secured = c.NetConn(), true
	}
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return true // it is closed
	}
	broken := false
	err = raw.Control(func(fd uintptr) {
		// A server that is shut down at once says so in a notice, behind which is the end of file.
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(poll, 0); err == nil && n > 0 {
			broken = true
			return
		}
		first := []byte{0}
		n, _, err := unix.Recvfrom(int(fd), first, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		case err != nil || n == 0:
			broken = true
		default: // an error that nobody asked for is the session's last word; what TLS has to say cannot be told apart
			broken = secured || first[0] == 'E'
		}
	})
	return broken || err != nil
}

// abandon closes a connection that is of no use any more, without a word.
func abandon(conn *pgx.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // so that nothing is waited for
	_ = conn.Close(ctx)
}
