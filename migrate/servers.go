package migrate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"

	"segue/migrate/agree"
	"segue/proxy"
)

// servers is what is known of the servers that clients' sessions are opened at.
type servers struct {
	turn chan struct{} // whoever has put something in may use the rest
	same time.Time     // when they were last found to be the server that the control connection reaches

	mu     sync.Mutex
	pooled map[string]bool // the addresses at which a pooler answers
}

// answering is what a server at an address said of itself.
type answering struct {
	agree.History
	standby bool // the system identifier is all of History then
	pooled  bool // sessions have other PIDs there than the server's
}

const (
	// sameFor is how long it is not looked again.
	sameFor = 10 * time.Second
	// probeTimeout bounds the look at one server.
	probeTimeout = 3 * time.Second
)

// connectAt connects as the control role to the server at an address, which is an IP address and port or the path of a unix socket; host is its name, "" where it has none. The caller closes it.
func (c *Controller) connectAt(ctx context.Context, host, addr string) (*pgx.Conn, error) {
	cfg := c.base.Copy()
	first := pgconn.FallbackConfig{Host: cfg.Host, Port: cfg.Port, TLSConfig: cfg.TLSConfig}
	var err error
	if cfg.Host, cfg.Port, err = splitAddr(addr); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(addr, "/") && host != "" {
		ip := cfg.Host
		cfg.LookupFunc = func(context.Context, string) ([]string, error) { return []string{ip}, nil }
		cfg.Host = host
	}
	// The ways that the string allows for its first host, such as with TLS and without, are those for this one.
	var ways []*pgconn.FallbackConfig
	for _, way := range append([]*pgconn.FallbackConfig{&first}, cfg.Fallbacks...) {
		if way.Host != first.Host || way.Port != first.Port {
			break
		}
		if way.TLSConfig != nil && way.TLSConfig.ServerName != "" {
			way.TLSConfig = way.TLSConfig.Clone()
			way.TLSConfig.ServerName = cfg.Host
		}
		ways = append(ways, &pgconn.FallbackConfig{Host: cfg.Host, Port: cfg.Port, TLSConfig: way.TLSConfig})
	}
	cfg.TLSConfig, cfg.Fallbacks, cfg.ValidateConnect = ways[0].TLSConfig, ways[1:], nil
	return pgx.ConnectConfig(ctx, cfg)
}

// splitAddr gives an address as pgx has it: a host, or the folder of a unix socket, and a port.
func splitAddr(addr string) (string, uint16, error) {
	host, port, err := net.SplitHostPort(addr)
	if strings.HasPrefix(addr, "/") {
		var name string
		host, name = path.Split(addr)
		port, err = strings.TrimPrefix(name, ".s.PGSQL."), nil
	}
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, uint16(n), err
}

// isLocal says that an address means another server on each host.
func isLocal(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return strings.HasPrefix(addr, "/") || err == nil && ip != nil && ip.IsLoopback()
}

// Server asks what a server is that clients' sessions may be opened at.
func (c *Controller) Server(ctx context.Context, host, addr string) (s proxy.ServerState, err error) {
	conn, err := c.connectAt(ctx, host, addr)
	if err != nil {
		return s, err
	}
	err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')::pg_catalog.bool").Scan(&s.Standby, &s.ReadOnly)
	return s, errors.Join(err, closeConn(conn))
}

// probe asks the server at an address for its history, as the control role, and notes whether it is a pooler's.
func (c *Controller) probe(ctx context.Context, addr string) (a answering, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := c.connectAt(ctx, "", addr)
	if err != nil {
		return a, err
	}
	a.History, err = readHistory(ctx, conn)
	if a.standby = errors.Is(err, errStandby); a.standby {
		err = conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&a.System)
	}
	var pid uint32
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT pg_catalog.pg_backend_pid()").Scan(&pid)
	}
	if err == nil {
		a.pooled = pid != conn.PgConn().PID()
		c.notePooled(addr, a.pooled)
	}
	return a, errors.Join(err, closeConn(conn))
}

// notePooled notes whether a pooler answers at an address, and says so when it begins to.
func (c *Controller) notePooled(addr string, pooled bool) {
	c.servers.mu.Lock()
	defer c.servers.mu.Unlock()
	if pooled && !c.servers.pooled[addr] {
		c.log.Warn(behindPooler(addr))
	}
	if c.servers.pooled == nil {
		c.servers.pooled = map[string]bool{}
	}
	c.servers.pooled[addr] = pooled
}

// poolers gives a sentence for each address at which a pooler answers.
func (c *Controller) poolers() []string {
	c.servers.mu.Lock()
	defer c.servers.mu.Unlock()
	var notes []string
	for addr, pooled := range c.servers.pooled {
		if pooled {
			notes = append(notes, behindPooler(addr))
		}
	}
	slices.Sort(notes)
	return notes
}

// behindPooler says what is lost behind a pooler.
func behindPooler(addr string) string {
	return fmt.Sprintf("at %s a pooler answers, whose sessions have PIDs of their own: this proxy's sessions are not told from writers that bypass it, status does not name those that keep a change waiting, and "+
		"if this proxy dies, what its sessions still do is neither seen nor ended; let server.addr name PostgreSQL itself, and the pooler connect to this proxy if one is wanted", addr)
}

// sameSystems refuses to join where clients would be carried to the server of another database. What cannot be reached, or not as the control role, is not judged: a server that is
// down may come up, and a pooler need not know the role.
func (c *Controller) sameSystems(ctx context.Context, here agree.History) error {
	for _, addr := range c.opt.Servers {
		there, err := c.probe(ctx, addr)
		if err != nil {
			c.log.Info("it cannot be seen whether clients reach the same server as the control connection", zap.String("server", addr), zap.Error(err))
			continue
		}
		if there.System != here.System {
			return fmt.Errorf("the server at %s (system identifier %s) is another one than the control connection reaches (%s): let server.addr and control.dsn name the same server", addr, there.System, here.System)
		}
	}
	return nil
}

// sameServers is called for server sessions that the control connection's server does not have. It gives an error where they may be another server's.
func (c *Controller) sameServers(ctx context.Context) error {
	select {
	case c.servers.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-c.servers.turn }()
	if time.Since(c.servers.same) < sameFor {
		return nil
	}
	var here agree.History
	if err := c.registers.do(ctx, func(conn *pgx.Conn) error { here = historyOf(conn); return nil }); err != nil {
		return err
	}
	for _, addr := range c.opt.Servers {
		there, err := c.probe(ctx, addr)
		switch {
		case err != nil: // no session is there either, or it is a pooler that does not know the control role
			c.log.Info("it cannot be seen whether clients reach the same server as the control connection", zap.String("server", addr), zap.Error(err))
		case there.standby && there.System == here.System && c.opt.Primaries:
			// no session is opened there
		case there.standby && there.System == here.System:
			return fmt.Errorf("the server at %s is a standby of the one that the control connection reaches, and it was taken for the primary when a session began there: its statements on migrating tables are held; connect again, or let server.target_session_attrs be primary", addr)
		case there.History != here:
			return fmt.Errorf("the server at %s (system identifier %s, timeline %d) is not the one that the control connection reaches (%s, %d): statements on migrating tables are held until it is",
				addr, there.System, there.Timeline, here.System, here.Timeline)
		}
	}
	c.servers.same = time.Now()
	return nil
}
