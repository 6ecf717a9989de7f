package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"segue/session"
)

// looped is a loop's part of a connection. It belongs to whoever has the loop's role, or, while it is away, to the goroutine that went away with it.
type looped struct {
	c      *conn
	loop   *loop // changed with c.mu held
	slot   int32
	number uint32
	away   atomic.Bool // a goroutine of its own is dealing with it: the loop leaves it alone
	posted bool        // it is in the inbox, or about to be visited; guarded by loop.mu

	client, server side
	rest           []byte    // the client's bytes that the session has not taken
	first          []byte    // the server's bytes that came before the loop had the connection
	begun          bool      // the loop has dealt with those
	blocked        bool      // the session takes no bytes of the client's until it is posted
	over           bool      // it is to be given back
	gone           bool      // it has been
	heard          time.Time // of the client, where it may not be idle for ever
}

// noSlot is the slot of a connection that no loop has.
const noSlot = -1

// side is one side of a connection.
type side struct {
	fd      int
	watched uint32 // the events that the kernel tells of it; 0: it knows nothing of it
	out     []byte // what is still to be written: while there is any, nothing is read that would add to it
	sent    int    // how much of out is written
}

// Bits of the number that events carry beside the connection's: the slot has two, of which the lower tells the side.
const (
	clientSide = 0
	serverSide = 1
)

// adopt takes over a connection that has just got its server, where both sides are plain sockets. rest are the client's bytes that the session has not taken. It says
// false where the connection is left to its caller.
func (ls *loops) adopt(c *conn, rest []byte, server *reached) bool {
	if ls == nil {
		return false
	}
	x := &looped{c: c, slot: noSlot, rest: append([]byte(nil), rest...), first: server.first}
	var err error
	if x.client.fd, err = duplicate(c.client); err != nil {
		return false
	}
	if x.server.fd, err = duplicate(server.Conn); err != nil {
		_ = unix.Close(x.client.fd)
		return false
	}
	x.loop = ls.choose()
	x.loop.clients.Add(1)
	if c.idle > 0 {
		x.heard = time.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The runtime's own poller must not be woken by these sockets: it forgets them when its descriptors are closed, which does nothing to the connections.
	_, _ = c.client.Close(), server.Close()
	c.client, c.server, c.looped = nil, nil, x
	x.post()
	return true
}

// duplicate gives another descriptor of a plain socket.
func duplicate(conn net.Conn) (fd int, err error) {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return -1, errors.New("it is no plain socket")
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, err
	}
	if failed := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); failed != nil {
		return -1, failed
	}
	return fd, err
}

// post has the loop look at the connection. c.mu is held.
func (x *looped) post() {
	l := x.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if !x.posted {
		x.posted = true
		l.inbox = append(l.inbox, x)
		l.ring()
	}
}

// long is called by the session before something that takes long: the loop goes on without this goroutine. c.mu is held.
func (c *conn) long() {
	c.clocked = 0 // time goes by
	if x := c.looped; x != nil && !x.away.Load() {
		x.away.Store(true)
		x.loop.leave()
	}
}

// event deals with one event, and says whether the caller still has the loop's role.
func (l *loop) event(e *unix.EpollEvent) bool {
	x := l.slots[e.Fd>>1]
	if x == nil || x.number != uint32(e.Pad) {
		return true // it has gone since
	}
	s, peer := &x.client, &x.server
	if e.Fd&1 == serverSide {
		s, peer = peer, s
	}
	if x.away.Load() {
		return l.watch(x, s, 0)
	}
	const wrong = unix.EPOLLHUP | unix.EPOLLERR
	idle := true // the event is not one that was wanted
	if len(s.out) > 0 && e.Events&(unix.EPOLLOUT|wrong) != 0 {
		idle = false
		x.flush(s)
		if len(s.out) == 0 && s == &x.server && len(x.rest) > 0 && !x.blocked && !x.over {
			if !x.mind(func() { x.resume() }) {
				return false
			}
		}
	}
	if e.Events&(unix.EPOLLIN|wrong) != 0 && !x.over && x.reads(s, peer) {
		idle = false
		if !x.mind(func() { l.read(x, s, peer) }) {
			return false
		}
	}
	if idle && !x.over {
		return l.watch(x, s, x.wanted(s, peer))
	}
	l.settle(x)
	return true
}

// visit deals with a connection that was posted, and says whether the caller still has the loop's role.
func (l *loop) visit(x *looped) bool {
	if x.away.Load() || x.gone {
		return true // it comes again, or has no loop
	}
	if x.slot == noSlot {
		l.put(x)
		l.sweepBy(x)
	}
	if !x.mind(func() {
		if x.over = x.over || x.c.isEnding(); x.over {
			return
		}
		if !x.begun {
			x.begun, x.blocked = true, true
			if first := x.first; len(first) > 0 {
				x.first = nil
				x.fromServer(first)
			}
		}
		if x.blocked {
			x.blocked = false
			x.resume()
		}
	}) {
		return false
	}
	l.settle(x)
	return true
}

// mind does something with a connection that a bug, or what takes long, may come in the way of. It says whether the caller still has the loop's role.
func (x *looped) mind(f func()) bool {
	l, buf := x.loop, x.loop.buf
	func() {
		defer func() {
			if p := recover(); p != nil {
				x.c.survive(p)
				x.over = true
			}
		}()
		f()
	}()
	if !x.away.Load() {
		return true
	}
	turnBuffers.Put(buf)
	l.mu.Lock()
	defer l.mu.Unlock()
	x.away.Store(false)
	x.posted = true // it may be so already: then it is visited twice
	l.inbox = append(l.inbox, x)
	l.ring()
	return false
}

// reads says whether the side s is to be read.
func (x *looped) reads(s, peer *side) bool {
	return len(peer.out) == 0 && (s == &x.server || len(x.rest) == 0 && !x.blocked)
}

func (x *looped) wanted(s, peer *side) uint32 {
	var events uint32
	if x.reads(s, peer) {
		events |= unix.EPOLLIN
	}
	if len(s.out) > 0 {
		events |= unix.EPOLLOUT
	}
	return events
}

// settle has the kernel tell what is wanted of a connection from here on, or gives it back.
func (l *loop) settle(x *looped) {
	if x.over {
		l.giveBack(x)
		return
	}
	for _, s := range []*side{&x.client, &x.server} {
		peer := &x.server
		if s == peer {
			peer = &x.client
		}
		wanted := x.wanted(s, peer)
		// That a side is not to be read is told to the kernel when it has something: mostly that time does not come.
		if wanted&^s.watched != 0 || s.watched&^wanted&unix.EPOLLOUT != 0 {
			l.watch(x, s, wanted)
		}
	}
}

// watch has the kernel tell these events; 0: nothing, not even that the peer is gone, which it would tell on and on. It gives true.
func (l *loop) watch(x *looped, s *side, events uint32) bool {
	if events == s.watched {
		return true
	}
	op, bit := unix.EPOLL_CTL_MOD, int32(clientSide)
	switch {
	case events == 0:
		op = unix.EPOLL_CTL_DEL
	case s.watched == 0:
		op = unix.EPOLL_CTL_ADD
	}
	if s == &x.server {
		bit = serverSide
	}
	if err := unix.EpollCtl(l.epoll, op, s.fd, &unix.EpollEvent{Events: events, Fd: x.slot<<1 | bit, Pad: int32(x.number)}); err != nil {
		x.c.fail(fmt.Errorf("watching a socket: %w", err)) // it is posted by that
		return true
	}
	s.watched = events
	return true
}

// read reads a side, at most as often as a turn has it.
func (l *loop) read(x *looped, s, peer *side) {
	buf := l.buf[:]
	for range turnReads {
		n, errno := readRaw(s.fd, buf)
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 || n == 0 {
			x.over = true
			return
		}
		if s == &x.server {
			x.fromServer(buf[:n])
		} else {
			x.c.home.counters.fromClient.Add(int64(n))
			if x.c.idle > 0 {
				x.heard = time.Now()
			}
			x.fromClient(buf[:n])
		}
		if n < len(buf) || x.over || x.away.Load() || !x.reads(s, peer) {
			return
		}
	}
}

// resume hands the session what it has not taken; also nothing, where it holds what it waits with.
func (x *looped) resume() {
	rest := x.rest
	x.rest = nil
	x.fromClient(rest)
}

// fromClient hands the client's bytes to the session, and what that makes of them to the server.
func (x *looped) fromClient(data []byte) {
	for {
		step, ok := x.c.takeClient(data)
		if !ok {
			x.over = true
			return
		}
		x.write(&x.server, step.out)
		data = data[step.n:]
		switch {
		case step.blocked:
			x.blocked = true
		case len(data) == 0:
			return
		case step.n == 0:
			x.c.fail(fmt.Errorf("the session took none of %d bytes and does not say what it waits for", len(data)))
			x.over = true
			return
		}
		if step.blocked || len(x.server.out) > 0 || x.over {
			x.rest = append([]byte(nil), data...)
			return
		}
	}
}

// fromServer hands the server's bytes to the session, and what that makes of them to the client.
func (x *looped) fromServer(data []byte) {
	x.c.home.counters.fromServer.Add(int64(len(data)))
	bytes, ok := x.c.takeServer(data)
	if !ok {
		x.over = true
		return
	}
	x.write(&x.client, bytes)
}

// write writes bytes of the session's, and keeps what there is no room for.
func (x *looped) write(s *side, data []byte) {
	switch {
	case len(data) == 0:
		session.Recycle(data)
	case len(s.out) > 0: // of the server's, that came with what the loop began with
		s.out = append(s.out, data...)
		session.Recycle(data)
	default:
		s.out, s.sent = data, 0
		x.flush(s)
	}
}

// flush writes what is to be written. Where that fails, the connection is given back, with what is left: what comes of it is seen to by carry.
func (x *looped) flush(s *side) {
	for s.sent < len(s.out) {
		n, errno := sendRaw(s.fd, s.out[s.sent:])
		switch errno {
		case 0:
			s.sent += n
		case unix.EAGAIN:
			return
		default:
			x.over = true
			return
		}
	}
	session.Recycle(s.out)
	s.out, s.sent = nil, 0
}

// sweepBy has idle clients looked for in time for this one.
func (l *loop) sweepBy(x *looped) {
	if x.c.idle == 0 {
		return
	}
	if due := x.heard.Add(x.c.idle); l.sweep.IsZero() || due.Before(l.sweep) {
		l.sweep = due
	}
}

// sweepIdle ends clients that have been idle for too long, outside of a transaction, and says when to look again.
func (l *loop) sweepIdle() {
	now := time.Now()
	if now.Before(l.sweep) {
		return
	}
	l.sweep = time.Time{}
	for _, x := range l.slots {
		if x == nil || x.c.idle == 0 || x.away.Load() {
			continue
		}
		if now.Sub(x.heard) >= x.c.idle {
			x.heard = now
			if !x.blocked && len(x.rest) == 0 {
				x.c.endIdle()
			}
		}
		l.sweepBy(x)
	}
	// One that is away is found by a later sweep. Many clients with times of their own do not make for one each.
	if least := now.Add(shortestSweep); l.clients.Load() > 0 && l.sweep.Before(least) {
		l.sweep = least
	}
}

// shortestSweep is the time between two looks for idle clients, at least.
const shortestSweep = 20 * time.Millisecond

// giveBack leaves a connection to goroutines, which see to its end.
func (l *loop) giveBack(x *looped) {
	l.watch(x, &x.client, 0)
	l.watch(x, &x.server, 0)
	l.drop(x)
	x.gone = true
	go x.finish()
}

// finish makes a connection one of goroutines again, and carries it to its end.
func (x *looped) finish() {
	c := x.c
	client, server := newFileConn(x.client.fd, "client"), newFileConn(x.server.fd, "server")
	c.mu.Lock()
	c.client, c.looped = client, nil
	c.mu.Unlock()
	defer c.depart()
	defer func() { c.survive(recover()) }()
	c.carry(newReader(client), x.rest, server, pending{first: x.first, toServer: x.server.out[x.server.sent:], toClient: x.client.out[x.client.sent:]})
}

// fileConn is a socket that a loop has given back, as goroutines use it.
type fileConn struct {
	*os.File
}

func newFileConn(fd int, name string) *fileConn { return &fileConn{os.NewFile(uintptr(fd), name)} }

// CloseWrite tells the peer that nothing more comes.
func (f *fileConn) CloseWrite() error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if failed := raw.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) }); failed != nil {
		return failed
	}
	return err
}

// LocalAddr is not known any more.
func (f *fileConn) LocalAddr() net.Addr { return fileAddr(f.Name()) }

// RemoteAddr is not known any more.
func (f *fileConn) RemoteAddr() net.Addr { return fileAddr(f.Name()) }

// fileAddr stands for an address that is not known any more, by the name of the side.
type fileAddr string

// Network names no network.
func (a fileAddr) Network() string { return "given back" }

// String is the name of the side.
func (a fileAddr) String() string { return string(a) }
