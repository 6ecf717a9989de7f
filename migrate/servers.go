package migrate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"segue/migrate/agree"
)

// servers is what is known of the servers that clients' sessions are opened at.
type servers struct {
	turn chan struct{} // whoever has put something in may use the rest
	same time.Time     // when they were last found to be the server that the control connection reaches
}

const (
	// sameFor is how long it is not looked again.
	sameFor = 10 * time.Second
	// probeTimeout bounds the look at one server.
	probeTimeout = 3 * time.Second
)

// probe asks the server at an address for its history, as the control role. standby says that it has none of its own.
func (c *Controller) probe(ctx context.Context, addr string) (h agree.History, standby bool, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return h, false, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return h, false, err
	}
	cfg := c.base.Copy()
	cfg.Host, cfg.Port, cfg.Fallbacks, cfg.ValidateConnect = host, uint16(n), nil, nil
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return h, false, err
	}
	h, err = readHistory(ctx, conn)
	if standby = errors.Is(err, errStandby); standby {
		err = conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&h.System)
	}
	return h, standby, errors.Join(err, closeConn(conn))
}

// sameSystems refuses to join where clients would be carried to the server of another database. What cannot be reached, or not as the control role, is not judged: a server that is
// down may come up, and a pooler need not know the role.
func (c *Controller) sameSystems(ctx context.Context, here agree.History) error {
	for _, addr := range c.opt.Servers {
		there, _, err := c.probe(ctx, addr)
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
		there, standby, err := c.probe(ctx, addr)
		switch {
		case err != nil: // no session is there either, or it is a pooler that does not know the control role
			c.log.Info("it cannot be seen whether clients reach the same server as the control connection", zap.String("server", addr), zap.Error(err))
		case standby && there.System == here.System:
			return fmt.Errorf("the server at %s is a standby of the one that the control connection reaches, and statements on migrating tables need the primary: they are held until it is", addr)
		case there != here:
			return fmt.Errorf("the server at %s (system identifier %s, timeline %d) is not the one that the control connection reaches (%s, %d): statements on migrating tables are held until it is",
				addr, there.System, there.Timeline, here.System, here.Timeline)
		}
	}
	c.servers.same = time.Now()
	return nil
}
