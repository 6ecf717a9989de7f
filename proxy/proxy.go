package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"segue/rewrite/lens"
)

// Options are what a proxy needs. All but Metrics, CheckDefinition and the times must be set.
type Options struct {
	Listen          string // host:port of the clients' listener; port 0: any
	Version         lens.Version
	TLS             ListenTLS
	Access          Access         // who may use the first listener where it is a unix socket
	TCP             KeepAlive      // of the first listener's clients
	Trusted         Trusted        // of the first listener: who begins with a PROXY protocol header
	Listeners       []Listener     // beside that one
	Sockets         []net.Listener // sockets that were handed over, for the listeners in order, in the place of their addresses
	Inherit         *Inheritance   // what is taken over from another process; nil: nothing. Claim tells that one
	Server          []string       // host:port, or the path of a unix socket, each; the first that can be reached, and fits SessionAttrs, is used
	SessionAttrs    SessionAttrs
	LoadBalance     bool          // try the servers, and the addresses of each, in a random order (libpq's load_balance_hosts)
	ConnectTimeout  time.Duration // for one address of a server, with TLS; where there are several, until it has answered; 0: none
	ServerTLS       ServerTLS
	ServerKeepAlive KeepAlive
	Admin           string // path of the admin socket
	AdminAccess     Access // who may use it; the zero value: the process's own user
	Metrics         string // host:port; "": none
	MaxConnections  int
	Limits          Live          // the limits beside that one
	HoldTimeout     time.Duration // how long a statement is held while the proxy has no lease
	DrainTimeout    time.Duration // how long Serve waits for transactions to end; 0: not at all
	// CheckDefinition judges a definition that came in over the admin socket, as far as it can be without the database; its errors are the
	// client's fault. nil: Control judges alone.
	CheckDefinition func(*lens.Definition) error
	Driver          Driver // what carries clients that are connected
	Log             *zap.Logger
}

// Proxy is a listener with everything behind it. Open makes one, Join gives it its place among the proxies, and Serve runs it to its end;
// one that is not served is closed by Close.
type Proxy struct {
	opt      Options              // what of it is in live is only how it began
	live     atomic.Pointer[Live] // never nil
	log      *zap.Logger
	counters counters
	clients  []*listener
	server   *serverTLS
	servers  servers
	admin    *socket
	metrics  net.Listener // nil where there are none

	loops *loops // nil: every client is carried by goroutines

	control Control // from Join on
	hub     *hub    // from Join on
	// follow has the hubs of sessions at standbys.
	follow followers

	stopping   context.Context // over: Serve ends
	stop       context.CancelFunc
	handing    sync.Mutex    // held while sockets are handed over
	handedOver chan struct{} // closed: another process accepts

	killed   chan struct{} // closed: what is left is ended at once
	killOnce sync.Once
}

// Open takes what only one proxy can have: the admin socket and the addresses for clients and metrics. Nobody is accepted yet, and the
// database is not touched: where a port is in use, nothing has been changed.
func Open(ctx context.Context, opt Options) (_ *Proxy, err error) {
	p := &Proxy{opt: opt, log: opt.Log, killed: make(chan struct{}), handedOver: make(chan struct{})}
	p.stopping, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	if opt.Limits.MaxConnections == 0 {
		opt.Limits.MaxConnections = opt.MaxConnections
	}
	opt.Limits.Version, opt.Limits.HoldTimeout, opt.Limits.DrainTimeout = opt.Version, opt.HoldTimeout, opt.DrainTimeout
	p.Reload(opt.Limits)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.server, err = openServerTLS(opt.ServerTLS, p.log); err != nil {
		return nil, err
	}
	if err = p.openAdmin(); err != nil {
		return nil, err
	}
	if err = p.openListeners(ctx); err != nil {
		return nil, err
	}
	if p.loops, err = openLoops(opt.Driver, runtime.GOMAXPROCS(0), p.log); err != nil {
		return nil, err
	}
	if opt.Inherit != nil {
		p.metrics = take(opt.Inherit.metrics, opt.Metrics)
	}
	if opt.Metrics != "" && p.metrics == nil {
		if p.metrics, err = listen(ctx, opt.Metrics, "metrics", "--metrics"); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// openAdmin opens the admin socket, or takes it over.
func (p *Proxy) openAdmin() (err error) {
	in := p.opt.Inherit
	if in == nil {
		p.admin, err = listenAdmin(p.opt.Admin, p.opt.AdminAccess)
		return err
	}
	if p.admin, err = adoptAdmin(in.admin, in.lock, p.opt.Admin, p.opt.AdminAccess); err == nil {
		in.admin, in.lock = nil, nil
	}
	return err
}

// Join joins the proxies. Control's owner closes it, after Serve has returned. Once it has joined, Serve must follow, which leaves them again.
func (p *Proxy) Join(ctx context.Context, control Control) error {
	state, err := control.Join(ctx)
	if err != nil {
		return err
	}
	p.control = control
	p.hub = newHub(p.log, state, func() time.Duration { return p.live.Load().HoldTimeout }, newRegistrar(control, p.log), &p.counters)
	p.hub.attrs = p.opt.SessionAttrs
	return nil
}

func bindReason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}

// Addr is where clients connect, on the first listener.
func (p *Proxy) Addr() net.Addr { return p.clients[0].Addr() }

// Addrs are all places where clients connect.
func (p *Proxy) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(p.clients))
	for i, l := range p.clients {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Serve carries clients until ctx ends; Join must have succeeded. Then it drains: it takes no more clients, ends each at its next transaction boundary, after
// DrainTimeout (or Kill) wherever it is, and leaves the proxies. When it returns, all that it started has ended.
func (p *Proxy) Serve(ctx context.Context) error {
	// The control work and the registrar go on until the last client is gone.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, p.stop)()
	defer p.stop()

	var group sync.WaitGroup
	var runErr error
	group.Go(func() {
		defer cancel() // without its place among the proxies it is of no use
		if runErr = p.control.Run(background, p.hub); runErr != nil {
			runErr = fmt.Errorf("keeping the proxy's place among the proxies: %w", runErr)
		}
	})
	group.Go(func() { p.hub.registrar.run(background) })
	servers := p.serveHTTP(&group)

	p.follow.open(background)
	p.loops.start()

	dialing, hangUp := context.WithCancel(background)
	defer hangUp()
	var accepting, clients sync.WaitGroup
	if ctx.Err() == nil {
		for _, l := range p.clients {
			accepting.Go(func() { p.accept(ctx, dialing, l, &clients) })
		}
	}

	var err error
	select {
	case <-ctx.Done():
		err = p.closeListeners()
	case <-p.handedOver: // they are closed
	}
	accepting.Wait() // nobody else comes in
	if p.HandedOver() {
		p.outlast(ctx, &clients)
	}
	p.log.Info("shutting down", zap.Int64("clients", p.hub.sessions.Load()))
	p.stop()
	p.drain(&clients, hangUp)
	err = errors.Join(err, p.loops.close()) // nobody is carried any more
	p.handing.Lock()                        // whoever was taking over has been answered
	p.handing.Unlock()                      //nolint:staticcheck // it was waited for
	for _, s := range servers {
		err = errors.Join(err, closeHTTP(s))
	}
	err = errors.Join(err, p.admin.Close())
	stop()
	group.Wait()
	p.follow.wait()
	p.hub.late.Wait() // nobody calls Apply any more, and no session is busy
	return errors.Join(runErr, err)
}

// Kill ends a drain that is under way, and makes a later one short.
func (p *Proxy) Kill() { p.killOnce.Do(func() { close(p.killed) }) }

// outlast lets clients stay after another process has taken over, until they go by themselves, so that none is disturbed that comes and goes; no longer than DrainTimeout.
func (p *Proxy) outlast(ctx context.Context, clients *sync.WaitGroup) {
	gone := make(chan struct{})
	p.hub.late.Go(func() {
		defer close(gone)
		clients.Wait()
	})
	timeout := time.NewTimer(p.live.Load().DrainTimeout)
	defer timeout.Stop()
	select {
	case <-gone:
	case <-timeout.C:
	case <-ctx.Done():
	case <-p.killed:
	}
}

// isStopping says that Serve ends.
func (p *Proxy) isStopping() bool { return p.stopping.Err() != nil || p.HandedOver() }

// accept takes clients until the listener is closed. Where that fails for another reason (such as too many open files), it waits a
// little, longer each time, instead of giving up or spinning. Clients are carried under ctx, which outlasts stopping.
func (p *Proxy) accept(stopping, ctx context.Context, l *listener, clients *sync.WaitGroup) {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		client, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			p.log.Warn("accepting a client failed; trying again", zap.Error(err), zap.Duration("pause", pause))
			select {
			case <-time.After(pause):
			case <-stopping.Done():
			case <-p.handedOver:
			}
			pause = min(2*pause, longest)
			continue
		}
		pause = shortest
		if err := l.tcp.apply(client); err != nil {
			p.log.Warn("a client's connection could not be set up as the settings have it", zap.Error(err)) // it may be gone, which its first read tells
		}
		p.counters.accepted.Add(1)
		clients.Add(1)
		go p.serveClient(ctx, l, client, clients.Done)
	}
}

// drain ends all clients, in time, and waits for them.
func (p *Proxy) drain(clients *sync.WaitGroup, hangUp func()) {
	p.hub.draining.Store(true)
	for _, c := range p.everyone() {
		c.drain()
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		clients.Wait()
	}()
	patience := p.live.Load().DrainTimeout
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-gone:
		return
	case <-timeout.C:
		p.log.Warn("transactions are still open; ending them", zap.Duration("waited", patience), zap.Int64("clients", p.hub.sessions.Load()))
	case <-p.killed:
		p.log.Warn("told again to stop; ending what is open", zap.Int64("clients", p.hub.sessions.Load()))
	}
	hangUp()
	for _, c := range p.everyone() {
		c.kill()
	}
	<-gone
}

// serveHTTP starts the admin socket's server and that of the metrics.
func (p *Proxy) serveHTTP(group *sync.WaitGroup) []*http.Server {
	start := func(l net.Listener, h http.Handler, what string) *http.Server {
		s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(p.log)}
		if l == p.admin {
			s.ConnContext = p.admin.withPeer
		}
		group.Go(func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) && !p.HandedOver() {
				p.log.Error("serving stopped", zap.String("what", what), zap.Error(err))
			}
		})
		return s
	}
	servers := []*http.Server{start(p.admin, p.adminHandler(), "admin socket")}
	if p.metrics != nil {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /metrics", p.serveMetrics)
		servers = append(servers, start(p.metrics, mux, "metrics"))
	}
	return servers
}

// closeHTTP gives requests under way a moment to end.
func closeHTTP(s *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		return s.Close()
	} else if err != nil {
		return fmt.Errorf("closing an HTTP listener: %w", err)
	}
	return nil
}

// Close closes what Open has opened, of a proxy that is not served.
func (p *Proxy) Close() error {
	err := errors.Join(p.closeListeners(), p.loops.close())
	if p.metrics != nil {
		err = errors.Join(err, p.metrics.Close())
	}
	if p.admin != nil {
		err = errors.Join(err, p.admin.Close())
	}
	return errors.Join(err, p.opt.Inherit.Close())
}
