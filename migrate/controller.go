package migrate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"segue/migrate/agree"
	"segue/proxy"
)

// Options say which database a Controller works on, and for which proxy.
type Options struct {
	DSN   string        // the control role's connection string
	Host  string        // the proxy's host, for people
	Build string        // the proxy's build, for people
	Lease time.Duration // how long a proxy may go on without a renewal; 0: 10s
	// Silence is how long the connection of a work may ask for nothing before the server ends it, so that another proxy can go on with the work of one that is stopped;
	// 0: three leases, and 10s at least.
	Silence time.Duration
	// Servers are the addresses, host:port, that clients' sessions are opened at: they must be the server that the control connection reaches. None: that is not looked at.
	Servers []string
	// Primaries says that sessions are opened at primaries alone: a standby among Servers is one that waits to take over.
	Primaries bool
	Log       *zap.Logger // nil: none
	Hooks     Hooks       // for tests
}

// Hooks are called at the boundaries of steps, so that a test can hold or end the work there.
type Hooks struct {
	// At is called with the name of each point. An error ends the work, or the proxy's leaving, on the spot, as if the process had been killed:
	// nothing is tidied or told.
	At func(ctx context.Context, point string) error
}

// errKilled wraps the error of a hook.
var errKilled = errors.New("killed")

func (h Hooks) at(ctx context.Context, point string) error {
	if h.At == nil {
		return nil
	}
	if err := h.At(ctx, point); err != nil {
		return fmt.Errorf("%w at %s: %w", errKilled, point, err)
	}
	return nil
}

// Controller implements proxy.Control. Its owner calls Close once Run has returned.
type Controller struct {
	opt  Options
	log  *zap.Logger
	base *pgx.ConnConfig

	registers *link // stores and forgets the PIDs of server sessions
	side      *link // answers status and notes what happened

	seen *observer

	mu    sync.Mutex
	place *place // nil before Join

	works     context.Context // ends with Close
	stopWorks context.CancelFunc
	workers   sync.WaitGroup
	workMu    sync.Mutex
	running   map[string]*work // by migration

	pidMu sync.Mutex
	pids  map[uint32]bool // registered server sessions that live
	gone  map[uint32]bool // sessions to forget; bounded by the sessions that there were since the last renewal

	planned atomic.Pointer[agree.Mark] // of the state that the host was handed last
	reached atomic.Pointer[reached]    // what the host has applied last
	wake    chan struct{}              // ends Run's waiting
	looks   atomic.Bool                // all proxies are to be told to look at the catalog
	doubted atomic.Bool                // the place's connection may be another server's than new ones

	servers servers

	standby *standby // where sessions are that this is the place of; nil: at the primary
}

var _ proxy.Control = (*Controller)(nil)

// Open connects to the migrated database and makes the durable state there where it is missing. The error says what to grant where the control
// role may not.
func Open(ctx context.Context, opt Options) (*Controller, error) {
	if opt.Lease <= 0 {
		opt.Lease = 10 * time.Second
	}
	if opt.Silence <= 0 {
		opt.Silence = max(3*opt.Lease, 10*time.Second)
	}
	if opt.Log == nil {
		opt.Log = zap.NewNop()
	}
	base, err := parseDSN(opt.DSN)
	if err != nil {
		return nil, err
	}
	c := newController(opt, base)
	if err := c.side.do(ctx, func(conn *pgx.Conn) error { return createState(ctx, conn) }); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func newController(opt Options, base *pgx.ConnConfig) *Controller {
	c := &Controller{
		opt: opt, log: opt.Log, base: base, seen: newObserver(), servers: servers{turn: make(chan struct{}, 1)}, running: map[string]*work{},
		pids: map[uint32]bool{}, gone: map[uint32]bool{}, wake: make(chan struct{}, 1),
	}
	c.registers, c.side = newLink(c.connect), newLink(c.connect)
	c.works, c.stopWorks = context.WithCancel(context.Background())
	return c
}

// Close ends the work under way, where it stands, and all connections. Any proxy can go on with the work.
func (c *Controller) Close() error {
	c.stopWorks()
	c.workers.Wait()
	c.mu.Lock()
	p := c.place
	c.place = nil
	c.mu.Unlock()
	var err error
	if p != nil && p.conn != nil {
		err = closeConn(p.conn)
	}
	return errors.Join(err, c.registers.close(), c.side.close())
}

// self is the proxy's id among the proxies; "" before Join.
func (c *Controller) self() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.place == nil {
		return ""
	}
	return c.place.id
}

func (c *Controller) poke() {
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

// newID makes a random UUID (version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process where the system has no randomness
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// sleep waits, or gives the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
