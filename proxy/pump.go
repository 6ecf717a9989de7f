package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"go.uber.org/zap"

	"segue/session"
)

// pending is what has been read before carry, or is still to be written by it.
type pending struct {
	first              []byte // the server's bytes that the session has not had
	toServer, toClient []byte // what the session has given for either side
}

// reachedAt notes that the client has a server, by which way.
func (c *conn) reachedAt(server *reached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connected, c.at = true, server.at
	_, c.overTLS = server.Conn.(*secured)
}

// carry runs both loops between the client and its server until one of them goes, or the connection is ended, and ends the other. Two goroutines drive the session:
// fromClient and fromServer. Only the first writes to the server, and only the second to the client, so that no lock is held over a write and neither direction waits for
// the other. rest are the client's bytes, in in's buffer, that the session has not taken. When it returns, the server session has ended as far as can be told, and the
// server is closed.
func (c *conn) carry(in *reader, rest []byte, server net.Conn, left pending) {
	defer func() { _ = server.Close() }()
	c.mu.Lock()
	c.server, c.wake = server, make(chan struct{}, 1)
	if c.ending {
		c.kick() // the proxy began to shut down while the server was dialled, or a loop gives back what is to end
	}
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.fromServer(newReader(server), left)
		_ = server.SetWriteDeadline(time.Now()) // nobody reads any more what the server says to what it is sent
		c.interrupt()
	}()
	c.fromClient(in, rest, left.toServer)
	in.release()
	_ = closeWrite(server) // the server sees the client's end of file, and ends the session when it reads it
	<-done
	c.farewell()
	c.await(server)
	c.linger()
}

// fromClient takes the client's bytes to the server until either goes, or the connection is ended. It begins with what is left to be written.
func (c *conn) fromClient(in *reader, rest, left []byte) {
	defer func() { c.survive(recover()) }()
	if len(left) > 0 {
		if _, err := c.server.Write(left); err != nil {
			return
		}
	}
	for {
		step, ok := c.takeClient(rest)
		if !ok {
			return
		}
		if len(step.out) > 0 {
			if _, err := c.server.Write(step.out); err != nil {
				return // what the server said before it went is still to be read by fromServer
			}
			session.Recycle(step.out)
		}
		rest = rest[step.n:]
		switch {
		case step.blocked:
			<-c.wake
		case len(rest) > 0 && step.n == 0:
			c.fail(fmt.Errorf("the session took none of %d bytes and does not say what it waits for", len(rest)))
			return
		case len(rest) == 0:
			in.release()
			var err error
			if rest, err = c.read(in); err != nil {
				return // the client's end of file, or the connection is ended
			}
			c.home.counters.fromClient.Add(int64(len(rest)))
		}
	}
}

// read reads from the client, and ends the connection of one that is idle for too long.
func (c *conn) read(in *reader) ([]byte, error) {
	for {
		if c.idle > 0 {
			c.deadline(time.Now().Add(c.idle))
		}
		data, err := in.read()
		if c.idle == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return data, err
		}
		if c.endIdle() {
			return nil, err
		}
	}
}

type clientStep struct {
	n       int    // bytes taken
	out     []byte // for the server
	blocked bool   // wait for c.wake
}

// takeClient hands bytes to the session. It says false where the connection is over.
func (c *conn) takeClient(data []byte) (step clientStep, ok bool) {
	c.locked(func() *change {
		if c.ending || c.cut {
			return nil
		}
		var err error
		c.clocking, c.clocked = true, 0
		step.n, err = c.session.Client(data)
		c.clocking = false
		step.out = c.session.ToServer()
		if err != nil {
			c.log.Info("a client broke the protocol; the connection is ended", zap.Error(err))
			c.end(nil) // the session has left its error for the client
			return nil
		}
		step.blocked = c.session.Blocked() != session.NotBlocked
		c.waiting, ok = step.blocked, true
		return c.after(true)
	})
	return step, ok
}

// fail ends the connection for a fault of the proxy's own.
func (c *conn) fail(err error) {
	c.log.Error("the connection is ended", zap.Error(err))
	c.locked(func() *change {
		c.end(broken)
		return nil
	})
}

// Of a client that can no longer be written to, the server's bytes are dropped for that long and that many: long enough for a session that is
// idle to end in order, and not so long that a server sends a whole table to nobody.
const (
	dropTime  = 5 * time.Second
	dropBytes = 1 << 20
)

// fromServer takes the server's bytes to the client until the server goes, or the connection is ended. It begins with what is left to be written, and to be dealt with.
func (c *conn) fromServer(out *reader, left pending) {
	defer func() { c.survive(recover()) }()
	defer out.release()
	gone, dropped := false, 0
	write := func(bytes []byte) {
		if _, err := c.client.Write(bytes); err != nil {
			gone = true
			c.interrupt()
			_ = c.server.SetReadDeadline(time.Now().Add(dropTime)) // an error of this shows in the read
		}
	}
	if len(left.toClient) > 0 {
		write(left.toClient)
	}
	first := left.first
	for {
		data := first
		if first = nil; data == nil {
			var err error
			if data, err = out.read(); err != nil {
				return
			}
		}
		c.home.counters.fromServer.Add(int64(len(data)))
		bytes, ok := c.takeServer(data)
		if !ok {
			return
		}
		if gone {
			if dropped += len(data); dropped > dropBytes {
				return
			}
		} else if len(bytes) > 0 {
			write(bytes)
		}
		session.Recycle(bytes)
		out.release()
	}
}

// takeServer hands bytes to the session and gives what the client gets. It says false where the connection is over.
func (c *conn) takeServer(data []byte) (bytes []byte, ok bool) {
	c.locked(func() *change {
		if c.ending {
			return nil
		}
		if err := c.session.Server(data); err != nil {
			c.log.Error("the server's bytes are not understood; the connection is ended", zap.Error(err))
			c.end(broken)
			return nil
		}
		done := c.after(false) // before the bytes are taken: a proxy that shuts down may have a word to add
		bytes, ok = c.session.ToClient(), true
		return done
	})
	return bytes, ok
}

// interrupt makes fromClient stop: there is nobody left to carry for. Errors of setting deadlines mean that a socket is closed, which stops
// it, too.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	_ = c.client.SetReadDeadline(time.Now())
	c.proceed()
}

// await reads the server's connection to its end, so that the server session is known to be over, for a short while.
func (c *conn) await(server net.Conn) {
	const patience = 2 * time.Second
	if err := server.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return
	}
	drain(server)
}

// linger lets the client read what it was sent: a socket that is closed with unread bytes in it takes back what is on its way.
func (c *conn) linger() {
	const patience = time.Second
	if err := closeWrite(c.client); err != nil {
		return
	}
	if err := c.client.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return
	}
	drain(c.client)
}

// drain reads and drops bytes until there are no more, or an error comes.
func drain(conn net.Conn) {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for {
		if _, err := conn.Read(buf[:]); err != nil {
			return
		}
	}
}

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
