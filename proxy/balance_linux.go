package proxy

import (
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Clients are gathered on as few loops as can carry them: a loop that has more of them finds more to do each time that it wakes, and waking costs more than
// what it then does. A loop that needs nearly all of a core gives half of its clients to one that has time; one that has had little to do for a while gives
// all of them back to one before it.

const (
	// window is how long a loop's share of a core is measured.
	window = 100 * time.Millisecond
	// fullLoad is the share of a core, in thousandths, from which on a loop gives clients away, and lightLoad that below which another may take them. Together with what it
	// gets, a loop stays below fullLoad.
	fullLoad, lightLoad = 850, 400
	// quietWindows is how many windows of little to do come before a loop's clients are gathered with another's.
	quietWindows = 50
)

// load is a loop's share of a core.
type load struct {
	share atomic.Int64 // thousandths, in the last window
	until atomic.Int64 // when that ended, in nanoseconds of Unix time: of a loop that sleeps, it is no longer so

	thread    int // that the window under way began on
	began     time.Time
	used      time.Duration // of the thread's time, when it began
	quiet     int           // windows of little to do so far
	exchanged time.Time
}

// now is the share of a core that the loop needs at this moment, in thousandths.
func (l *load) now(t time.Time) int64 {
	if t.UnixNano()-l.until.Load() > int64(10*window) {
		return 0
	}
	return l.share.Load()
}

// measure ends the window under way where it is time. It says false where there is nothing new to know: also where the loop came to another thread meanwhile. Of a thread
// that waits for a core nothing is counted, since another loop would have to wait for it, too.
func (l *load) measure(t time.Time) bool {
	if t.Sub(l.began) < window {
		return false
	}
	var used unix.Timespec
	thread, err := unix.Gettid(), unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used)
	began, before, same := l.began, l.used, l.thread == thread
	l.began, l.used, l.thread = t, time.Duration(used.Nano()), thread
	if err != nil || !same {
		return false
	}
	l.share.Store(int64((l.used - before) * 1000 / t.Sub(began)))
	l.until.Store(t.UnixNano())
	return true
}

// exchange is what a loop does about its load.
type exchange int

const (
	keeps  exchange = iota
	halves          // it gives half of its clients away
	leaves          // it gives all of them away
)

// weigh says what the loop of that index does, which has just measured its share, and to which loop. shares are those of all loops, quiet counts the windows of little to do.
func weigh(index int, shares []int64, quiet int) (what exchange, to int) {
	own := shares[index]
	if own >= fullLoad {
		for i, share := range shares {
			if share < shares[to] || to == index {
				to = i
			}
		}
		if to != index && shares[to] < lightLoad {
			return halves, to
		}
		return keeps, index
	}
	if quiet >= quietWindows {
		for i, share := range shares[:index] {
			if share+own < lightLoad {
				return leaves, i
			}
		}
	}
	return keeps, index
}

// balance measures the loop's load, and gives clients to another loop where they are better carried. Nothing is left to be dealt with when it is called.
func (l *loop) balance(t time.Time) {
	if len(l.loops.all) == 1 || !l.load.measure(t) {
		return
	}
	shares, index := make([]int64, len(l.loops.all)), 0
	for i, other := range l.loops.all {
		shares[i] = other.load.now(t)
		if other == l {
			index = i
		}
	}
	if l.load.quiet++; shares[index] >= lightLoad/2 {
		l.load.quiet = 0
	}
	what, to := weigh(index, shares, l.load.quiet)
	switch {
	case what == keeps || t.Sub(l.load.exchanged) < quietWindows*window/5: // what was given away shows in the next windows
		return
	case what == halves:
		l.give(l.loops.all[to], 2)
	default:
		l.give(l.loops.all[to], 1)
	}
	l.load.exchanged, l.load.quiet = t, 0
}

// give gives another loop one of every so many clients. Those that somebody is busy with at this moment stay.
func (l *loop) give(to *loop, every int) {
	for i, x := range l.slots {
		if x != nil && i%every == 0 && !x.away.Load() && x.c.mu.TryLock() {
			l.move(x, to)
			x.c.mu.Unlock()
		}
	}
}

// move gives a client to another loop, unless it has been posted to this one. c.mu is held, so that nobody posts it meanwhile.
func (l *loop) move(x *looped, to *loop) {
	l.mu.Lock()
	posted := x.posted
	l.mu.Unlock()
	if posted {
		return
	}
	var failed error
	for _, s := range []*side{&x.client, &x.server} {
		if s.watched != 0 {
			failed = errors.Join(failed, unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil))
			s.watched = 0
		}
	}
	l.drop(x)
	to.clients.Add(1)
	x.loop = to
	if failed != nil { // the descriptors are the loop's own: this cannot be
		l.log.Error("a client cannot be given to another loop; it is ended", zap.Error(failed))
		x.c.end(broken)
	}
	x.post()
}

// choose is the loop that gets a new client: the first one that has time for it.
func (ls *loops) choose() *loop {
	t := time.Now()
	least := ls.all[0]
	for _, l := range ls.all {
		if l.load.now(t) < fullLoad {
			return l
		}
		if l.clients.Load() < least.clients.Load() {
			least = l
		}
	}
	return least
}
