package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is the admin socket: a listener that holds the lock that goes with its path.
type socket struct {
	net.Listener
	gid   int         // of the group that may use it; -1: that of the process
	mode  fs.FileMode // who may use it
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

// listenAdmin listens on a unix socket that only those may use whom access names, from its first moment on. What a dead proxy left at the path is removed;
// a live one is an error. Which of the two it is, a lock tells, that ends with its process: so two proxies that start at once
// cannot take the path from each other.
func listenAdmin(path string, access Access) (_ *socket, err error) {
	fail := func(err error) (*socket, error) { return nil, fmt.Errorf("opening the admin socket %s: %w", path, err) }
	access.Mode = access.adminMode()
	gid, err := access.gid()
	if err != nil {
		return fail(err)
	}
	if err := adminFolder(path, access); err != nil {
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
	lc := net.ListenConfig{Control: closedToOthers}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return fail(errors.New(bindReason(err)))
	}
	if access.Mode != 0o600 || gid >= 0 {
		if err := access.grant(path); err != nil {
			return fail(errors.Join(err, l.Close()))
		}
	}
	return &socket{Listener: l, gid: gid, mode: access.Mode, lock: lock}, nil
}

// closedToOthers has a unix socket's file begin as its owner's alone: Linux gives it the mode that the socket has when it is bound.
func closedToOthers(_, _ string, raw syscall.RawConn) error {
	var chmod error
	if err := raw.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) }); err != nil {
		return err
	}
	return chmod
}

// unixFile is what has a descriptor: a listener or a file.
type unixFile any

// copyDescriptor gives another descriptor of the same open file or socket. The caller closes it.
func copyDescriptor(f unixFile) (int, error) {
	sc, ok := f.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has none", f)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	failed := raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(failed, err)
}

// adoptAdmin makes the admin socket of one that was taken over, for those who may use it now.
func adoptAdmin(l net.Listener, lock *os.File, path string, access Access) (*socket, error) {
	access.Mode = access.adminMode()
	gid, err := access.gid()
	if err == nil {
		err = access.grant(path)
	}
	if err != nil {
		return nil, fmt.Errorf("taking over the admin socket %s: %w", path, err)
	}
	return &socket{Listener: l, gid: gid, mode: access.Mode, lock: lock}, nil
}
