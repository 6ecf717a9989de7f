package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// bufferSize is what is read from a socket at a time, in bytes.
const bufferSize = 32 << 10

// smallSize is the size of the buffer with which an idle TLS connection waits, in bytes.
const smallSize = 512

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// reader reads a connection without holding a buffer while nothing comes: an idle client costs no buffer. It belongs to one goroutine.
type reader struct {
	conn net.Conn
	raw  syscall.RawConn // nil for a connection that is no plain socket
	// A connection that is no plain socket cannot be waited for without a buffer in hand: it is a small one, as long as little comes.
	small []byte
	busy  bool // the last read filled its buffer
	try   func(fd uintptr) bool
	buf   *[bufferSize]byte
	n     int
	err   error
}

func newReader(conn net.Conn) *reader {
	r := &reader{conn: conn}
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil { // or else it is read the plain way
			r.raw, r.try = raw, r.tryRead
		}
	}
	return r
}

// read waits for bytes and gives them; they are the caller's until release, which must come before the next read.
func (r *reader) read() ([]byte, error) {
	if r.raw == nil && !r.busy {
		if r.small == nil {
			r.small = make([]byte, smallSize)
		}
		n, err := r.conn.Read(r.small)
		if r.busy = n == smallSize; n > 0 {
			return r.small[:n], nil // an error that came along comes again
		}
		if err == nil {
			err = io.EOF
		}
		return nil, err
	}
	if r.raw == nil {
		r.buf = buffers.Get().(*[bufferSize]byte)
		r.n, r.err = r.conn.Read(r.buf[:])
		r.busy = r.n > smallSize
	} else {
		r.n, r.err = 0, nil
		if err := r.raw.Read(r.try); err != nil {
			return nil, err
		}
	}
	if r.n == 0 && r.err == nil {
		r.err = io.EOF
	}
	if r.n == 0 {
		r.release()
		return nil, r.err
	}
	return r.buf[:r.n], nil // an error that came along comes again
}

// tryRead is called with a descriptor that may have something to read.
func (r *reader) tryRead(fd uintptr) bool {
	r.buf = buffers.Get().(*[bufferSize]byte)
	for {
		r.n, r.err = unix.Read(int(fd), r.buf[:])
		switch {
		case r.err == nil:
			return true
		case errors.Is(r.err, unix.EINTR):
		case errors.Is(r.err, unix.EAGAIN):
			r.release()
			return false
		default:
			r.n = 0
			return true
		}
	}
}

// release gives the buffer back.
func (r *reader) release() {
	if r.buf != nil {
		buffers.Put(r.buf)
		r.buf = nil
	}
}
