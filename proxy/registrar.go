package proxy

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// registration is how far a server session's PID has come on its way into the database.
type registration int

const (
	unregistered registration = iota
	queued                    // in registrar.queue
	sent                      // Register is being called
	registered
)

// registrar stores the PIDs of server sessions, many at once, before the first statement of each on a migrating table. run is its
// one goroutine.
type registrar struct {
	keeper sessionKeeper
	log    *zap.Logger
	wake   chan struct{}

	mu    sync.Mutex
	queue []*conn // bounded by the number of connections: each is in it once
}

// registerTimeout bounds one call of Register, which waits for the control connection.
const registerTimeout = 5 * time.Second

func newRegistrar(keeper sessionKeeper, log *zap.Logger) *registrar {
	return &registrar{keeper: keeper, log: log, wake: make(chan struct{}, 1)}
}

// request asks for a connection's PID to be stored; the connection is resumed once it is. It does not block.
func (r *registrar) request(c *conn, pid uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.registration != unregistered || c.forgotten {
		return
	}
	c.registration, c.registeredPID = queued, pid
	r.queue = append(r.queue, c)
	r.notify()
}

func (r *registrar) notify() {
	select {
	case r.wake <- struct{}{}:
	default: // it is awake already
	}
}

// forget says that a connection's server session has ended.
func (r *registrar) forget(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.forgotten {
		return
	}
	c.forgotten = true
	if c.registration == registered {
		r.keeper.Unregister(c.registeredPID)
	}
}

// run registers until ctx ends. What fails is tried again: the sessions are held meanwhile, as long as they may be.
func (r *registrar) run(ctx context.Context) {
	const shortest, longest = 20 * time.Millisecond, time.Second
	pause := shortest
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		batch := r.take()
		if len(batch) == 0 {
			continue
		}
		pids := make([]uint32, len(batch))
		for i, c := range batch {
			pids[i] = c.registeredPID
		}
		call, cancel := context.WithTimeout(ctx, registerTimeout)
		err := r.keeper.Register(call, pids)
		cancel()
		r.done(batch, err)
		if err == nil {
			pause = shortest
			continue
		}
		if ctx.Err() != nil {
			return
		}
		r.log.Warn("storing the PIDs of server sessions failed; their first statements on migrating tables are held until it succeeds",
			zap.Int("sessions", len(pids)), zap.Error(err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

func (r *registrar) take() []*conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := make([]*conn, 0, len(r.queue))
	for _, c := range r.queue {
		if !c.forgotten {
			c.registration = sent
			batch = append(batch, c)
		}
	}
	r.queue = nil
	return batch
}

func (r *registrar) done(batch []*conn, err error) {
	r.mu.Lock()
	for _, c := range batch {
		switch {
		case c.forgotten: // its session ended meanwhile; where Register failed, it may have stored the PID all the same
			r.keeper.Unregister(c.registeredPID)
		case err != nil:
			c.registration = queued
			r.queue = append(r.queue, c)
			r.notify()
		default:
			c.registration = registered
			c.registered.Store(true)
		}
	}
	r.mu.Unlock()
	if err == nil && len(batch) > 0 {
		batch[0].hub.resume(batch)
	}
}
