package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"segue/rewrite"
)

// followers are the standbys at which this proxy has sessions. Each has a hub of its own: its sessions plan with what that standby shows, under the lease of a place of their own. Its zero value has none.
type followers struct {
	mu   sync.Mutex
	over context.Context // when it ends, all places are handed back; nil: not open
	all  map[endpoint]*following
	work sync.WaitGroup
}

// following is one standby. What follows ready is set when it is closed.
type following struct {
	ready chan struct{}
	hub   *hub
	err   error
}

const (
	// joinTimeout bounds how long a client waits for the place of the first session at a standby.
	joinTimeout = 10 * time.Second
	// idleFollower is how long a place is kept for a standby without sessions: a change waits for it meanwhile.
	idleFollower = 10 * time.Second
)

// open lets standbys be followed until ctx ends.
func (f *followers) open(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over, f.all = ctx, map[endpoint]*following{}
}

// wait waits for all that open's ctx has ended.
func (f *followers) wait() { f.work.Wait() }

// hubs gives those of this moment.
func (f *followers) hubs() []*hub {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*hub
	for _, x := range f.all {
		select {
		case <-x.ready:
			if x.err == nil {
				out = append(out, x.hub)
			}
		default: // it has no sessions yet
		}
	}
	return out
}

// everyone gives the connections of this moment, wherever their sessions are.
func (p *Proxy) everyone() []*conn {
	conns := p.hub.all()
	for _, h := range p.follow.hubs() {
		conns = append(conns, h.all()...)
	}
	return conns
}

// migrates says whether tables migrate under a state.
func migrates(s *rewrite.State) bool { return len(s.TableNames()) > 0 }

// place gives a session that is about to begin the state of the server that it is at. What cannot be seen is taken for the primary; where the session then says that it is a standby's,
// its statements on migrating tables are held. A standby is read from while the primary, where places are taken, is down: as long as nothing migrates, a session needs none.
func (p *Proxy) place(ctx context.Context, c *conn, at endpoint) error {
	if p.opt.SessionAttrs == Primary || p.opt.SessionAttrs == ReadWrite {
		return nil // or it would have been passed over
	}
	for retried := false; ; retried = true {
		looking, cancel := p.patience(ctx)
		state, err := p.servers.look(looking, at, p.control.Server)
		cancel()
		if err != nil {
			c.log.Info("it cannot be seen whether the server is a standby", zap.Stringer("server", at), zap.Error(err))
			return nil
		}
		if !state.Standby {
			return nil
		}
		idle := !migrates(p.hub.current())
		if idle && p.hub.lapsed() && !p.follow.has(at) {
			c.stray()
			return nil
		}
		h, err := p.standbyHub(ctx, at)
		if err == nil && c.moveTo(h) {
			return nil
		}
		if err != nil && retried {
			if idle {
				c.log.Info("a session at a standby begins without a place among the proxies, since nothing migrates", zap.Stringer("server", at), zap.Error(err))
				c.stray()
				return nil
			}
			return err
		}
		p.servers.forget(at) // it may have been promoted
	}
}

// has says whether a standby is followed.
func (f *followers) has(at endpoint) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[at] != nil
}

// stray leaves a session at a standby among the primary's.
func (c *conn) stray() {
	c.locked(func() *change {
		c.astray = true
		return c.after(false) // something may have begun to migrate meanwhile
	})
}

// standbyHub gives the hub of the sessions at a standby; the first one that asks waits until it has its place.
func (p *Proxy) standbyHub(ctx context.Context, at endpoint) (*hub, error) {
	f := &p.follow
	f.mu.Lock()
	if f.over == nil || f.over.Err() != nil {
		f.mu.Unlock()
		return nil, errors.New("the proxy is shutting down")
	}
	x := f.all[at]
	if x == nil {
		x = &following{ready: make(chan struct{})}
		f.all[at] = x
		over := f.over
		f.work.Go(func() { p.followStandby(over, at, x) })
	}
	f.mu.Unlock()
	select {
	case <-x.ready:
		return x.hub, x.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// moveTo takes a session that has not begun among those of a standby, with the state that is in force there. It says false where that hub takes no more.
func (c *conn) moveTo(h *hub) bool {
	c.mu.Lock()
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		c.mu.Unlock()
		return false
	}
	old, state := c.hub, h.state
	c.hub = h
	h.conns[c] = struct{}{}
	h.mu.Unlock() // a state that comes from here on reaches it, after this
	old.mu.Lock()
	delete(old.conns, c)
	old.mu.Unlock()
	done := c.behind
	c.behind = nil
	c.session.SetState(state) // at once: nothing has been asked yet
	h.sessions.Add(1)
	c.home.away.Add(1)
	c.mu.Unlock()
	c.home.passed(done)
	c.drain() // the proxy may have begun to shut down meanwhile
	return true
}

// moveHome takes a session that is just beginning back among the primary's. c.mu is held; the change that is returned is to be handed to hub.passed once it is not.
func (c *conn) moveHome() (done *change) {
	from := c.hub
	c.home.mu.Lock()
	state := c.home.state
	c.home.conns[c] = struct{}{}
	c.home.mu.Unlock()
	c.hub = c.home
	done, c.behind = c.behind, nil
	c.session.SetState(state)
	from.remove(c)
	from.sessions.Add(-1)
	c.home.away.Add(-1)
	return done
}

// followStandby keeps the place for the sessions at a standby, from before the first until some time after the last one, or until there is no standby any more. ctx ends it when no session is left.
func (p *Proxy) followStandby(ctx context.Context, at endpoint, x *following) {
	forget := func() {
		p.follow.mu.Lock()
		defer p.follow.mu.Unlock()
		if p.follow.all[at] == x {
			delete(p.follow.all, at)
		}
	}
	f := p.control.Follow(at.host, at.addr)
	joining, cancel := context.WithTimeout(ctx, joinTimeout)
	state, err := f.Join(joining)
	cancel()
	if err != nil {
		x.err = fmt.Errorf("it is a standby, and its sessions get no place among the proxies: %w", err)
		forget() // the next client tries again
		close(x.ready)
		return
	}
	h := newHub(p.log.With(zap.Stringer("standby", at)), state, p.hub.holdTimeout, newRegistrar(f, p.log), &p.counters)
	h.standby, h.left = true, make(chan struct{}, 1)
	x.hub = h
	close(x.ready)

	run, stop := context.WithCancel(ctx)
	defer stop()
	var keeping sync.WaitGroup
	keeping.Go(func() {
		defer stop()
		if err := f.Run(run, h); err != nil {
			h.log.Warn("a standby is followed no more; its sessions are ended", zap.Error(err))
		}
	})
	keeping.Go(func() { h.registrar.run(run) })
	h.idle(run)
	h.close()
	forget()
	stop()
	keeping.Wait()
	h.Lease(0)
	h.empty()
	h.late.Wait()
	if err := f.Leave(); err != nil {
		h.log.Warn("leaving a standby", zap.Error(err))
	}
}

// idle returns when ctx ends, or when there has been no session for some time; it is closed then.
func (h *hub) idle(ctx context.Context) {
	for {
		timer := time.NewTimer(idleFollower)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-h.left:
			timer.Stop() // it counts from the last one on
			continue
		case <-timer.C:
		}
		h.mu.Lock()
		if h.closed = len(h.conns) == 0; h.closed {
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
	}
}

// close lets no more sessions in.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}

// empty ends all sessions, and waits until they have left.
func (h *hub) empty() {
	for conns := h.all(); len(conns) > 0; conns = h.all() {
		for _, c := range conns {
			c.locked(func() *change {
				if c.hub == h {
					c.end(promoted)
				}
				return nil
			})
		}
		<-h.left
	}
}
