package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is the admin socket: a listener that holds the lock that goes with its path.
type socket struct {
	net.Listener
	lock  *os.File
	once  sync.Once
	close error
}

// Close closes the listener, which removes the socket, and gives the lock back. It may be called more than once.
func (s *socket) Close() error {
	s.once.Do(func() {
		err := s.Listener.Close()
		if errors.Is(err, net.ErrClosed) {
			err = nil // http.Server has closed it
		}
		s.close = errors.Join(err, s.lock.Close())
	})
	return s.close
}

// listenAdmin listens on a unix socket that only its owner may use, from its first moment on. What a dead proxy left at the path is removed;
// a live one is an error. Which of the two it is, a lock tells, that ends with its process: so two proxies that start at once
// cannot take the path from each other.
func listenAdmin(path string) (_ *socket, err error) {
	fail := func(err error) (*socket, error) { return nil, fmt.Errorf("opening the admin socket %s: %w", path, err) }
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fail(err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	inUse := errors.New("another proxy that runs uses it: stop that one, or choose another path with --admin")
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return fail(inUse)
	} else if err != nil {
		return fail(fmt.Errorf("locking %s: %w", lock.Name(), err))
	}
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fail(err)
	case info.Mode().Type() != fs.ModeSocket:
		return fail(errors.New("there is a file there that is no socket: remove it, or choose another path with --admin"))
	default:
		if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
			return fail(errors.Join(inUse, conn.Close()))
		}
		if err := os.Remove(path); err != nil {
			return fail(err)
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var chmod error // of the socket before it is bound: Linux gives its mode to the file
		if err := raw.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) }); err != nil {
			return err
		}
		return chmod
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return fail(errors.New(bindReason(err)))
	}
	return &socket{Listener: l, lock: lock}, nil
}
