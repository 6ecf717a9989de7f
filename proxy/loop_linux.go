package proxy

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// loops carry clients whose connections are plain sockets, on both sides: one for each core. They are level-triggered: what a turn leaves in a socket is told again, after
// the turns of the others. An idle client costs no goroutine, no stack and no buffer.
type loops struct {
	all     []*loop
	log     *zap.Logger
	running sync.WaitGroup // the loops, and what has left one for a while
}

// loop is one thread's worth of clients. It is a role rather than a goroutine: where a client's bytes need something that takes long, the goroutine that has the role
// gives it to a new one, goes on with that client alone, and ends (conn.long). Fields without a note belong to the role.
type loop struct {
	loops *loops
	log   *zap.Logger
	epoll int // descriptor
	bell  int // an eventfd, which ends a wait

	slots   []*looped // by the number that events carry
	free    []int32   // unused numbers
	number  uint32    // of clients taken over so far: it tells events of one that has gone from those of the next in its slot
	buf     *[turnSize]byte
	events  [256]unix.EpollEvent
	at, n   int       // the events that are not dealt with yet
	batch   []*looped // posted: what is not dealt with yet
	sweep   time.Time // when idle clients are looked for; zero: there is none that may not be idle
	over    bool      // it ends
	yielded time.Time // when the others had the processor last

	clients atomic.Int32
	load    load

	mu     sync.Mutex
	inbox  []*looped // whom something has happened to that no socket tells
	asleep bool      // the loop waits in the kernel, and is to be woken by the bell
	ending bool
}

const (
	// turnSize is what is read from a socket at a time, in bytes.
	turnSize = 64 << 10
	// turnReads bounds how often one socket is read in a turn, so that none keeps the others waiting.
	turnReads = 4
	// yieldTime is how long a loop runs before it lets other goroutines run: less than the 10 ms of the runtime's monitor.
	yieldTime = 5 * time.Millisecond
	// theBell is the slot of the bell.
	theBell = -1
)

var turnBuffers = sync.Pool{New: func() any { return new([turnSize]byte) }}

// openLoops makes the loops that a driver needs on so many cores; nil where it needs none.
func openLoops(d Driver, cores int, log *zap.Logger) (_ *loops, err error) {
	if d == DriverGoroutine {
		return nil, nil
	}
	ls := &loops{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, ls.close())
		}
	}()
	for range cores {
		l := &loop{loops: ls, log: log, epoll: -1, bell: -1, buf: turnBuffers.Get().(*[turnSize]byte)}
		ls.all = append(ls.all, l)
		if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return nil, fmt.Errorf("making an event loop: %w; driver = \"goroutine\" does without", err)
		}
		if l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
			return nil, fmt.Errorf("making an event loop's bell: %w; driver = \"goroutine\" does without", err)
		}
		if err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: theBell}); err != nil {
			return nil, fmt.Errorf("hanging up an event loop's bell: %w; driver = \"goroutine\" does without", err)
		}
	}
	return ls, nil
}

// start lets the loops run, until close.
func (ls *loops) start() {
	if ls == nil {
		return
	}
	for _, l := range ls.all {
		ls.running.Go(l.run)
	}
}

// close ends the loops. They must have no clients.
func (ls *loops) close() error {
	if ls == nil {
		return nil
	}
	for _, l := range ls.all {
		l.mu.Lock()
		l.ending = true
		l.ring()
		l.mu.Unlock()
	}
	ls.running.Wait()
	var err error
	for _, l := range ls.all {
		for _, fd := range []*int{&l.epoll, &l.bell} {
			if *fd >= 0 {
				err = errors.Join(err, unix.Close(*fd))
				*fd = -1
			}
		}
	}
	ls.all = nil
	return err
}

// run has the role of the loop until the loop ends, or until the role has been given to another goroutine.
func (l *loop) run() {
	for !l.over {
		if !l.deal() {
			return
		}
		l.wait()
	}
}

// deal deals with what wait has brought, and says whether the caller still has the loop's role.
func (l *loop) deal() bool {
	for l.at < l.n {
		e := &l.events[l.at]
		l.at++
		if e.Fd == theBell {
			l.hush()
		} else if !l.event(e) {
			return false
		}
	}
	for len(l.batch) > 0 {
		x := l.batch[0]
		l.batch = l.batch[1:]
		if !l.visit(x) {
			return false
		}
	}
	return true
}

// leave gives the role of the loop to a new goroutine: the one that calls it, which is dealing with a client, has that client and nothing else from here on.
func (l *loop) leave() {
	l.buf = turnBuffers.Get().(*[turnSize]byte) // the old one has the client's bytes
	l.loops.running.Go(l.run)
}

// wait waits for events or posts. Where there is neither, the goroutine blocks in an ordinary system call: blocking in a raw one would hold up the
// garbage collector, which waits for every goroutine that it does not know to be in a call.
//
// Every few milliseconds the others get the processor. It is for the loop's own good: one that has not been scheduled for 10 ms has its processor taken away by the
// runtime's monitor in every call that it blocks in, some 20 us after, and the monitor is kept awake for that. Measured, that is up to half of a proxy's time.
func (l *loop) wait() {
	if now := time.Now(); now.Sub(l.yielded) > yieldTime {
		l.yielded = now
		runtime.Gosched()
		l.balance(now)
	}
	l.at, l.n = 0, l.poll()
	l.mu.Lock()
	l.batch, l.inbox = l.inbox, l.batch[:0:0]
	for _, x := range l.batch {
		x.posted = false
	}
	l.over = l.ending
	l.asleep = l.n == 0 && len(l.batch) == 0 && !l.over
	asleep := l.asleep
	l.mu.Unlock()
	if asleep {
		timeout := -1
		if !l.sweep.IsZero() {
			timeout = max(0, int(time.Until(l.sweep).Milliseconds())+1)
		}
		n, err := unix.EpollWait(l.epoll, l.events[:], timeout)
		if err != nil && !errors.Is(err, unix.EINTR) {
			l.log.Error("waiting for events failed", zap.Error(err)) // the descriptor is the loop's own: this cannot be
		}
		l.n = max(n, 0)
		l.mu.Lock()
		l.asleep = false
		l.mu.Unlock()
	}
	if !l.sweep.IsZero() {
		l.sweepIdle()
	}
}

// ring ends a wait. l.mu is held.
func (l *loop) ring() {
	if l.asleep {
		l.asleep = false
		one := [8]byte{7: 1} // a number in the machine's own order, of which any will do
		_, _ = unix.Write(l.bell, one[:])
	}
}

// hush makes the bell silent again. It fails where it is silent.
func (l *loop) hush() {
	var count [8]byte
	_, _ = unix.Read(l.bell, count[:])
}

// put gives a client a slot.
func (l *loop) put(x *looped) {
	if n := len(l.free); n > 0 {
		x.slot, l.free = l.free[n-1], l.free[:n-1]
		l.slots[x.slot] = x
	} else {
		x.slot = int32(len(l.slots))
		l.slots = append(l.slots, x)
	}
	l.number++
	x.number = l.number
}

// drop takes a client's slot away.
func (l *loop) drop(x *looped) {
	l.slots[x.slot] = nil
	l.free = append(l.free, x.slot)
	x.slot = noSlot
	l.clients.Add(-1)
}
