package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// registerSQL stores PIDs with the start of their sessions, so that a PID that is used again is not taken for the same session, and gives those that it has stored. A PID that
// the server does not have is the one of a session that has ended, or of another server's.
const registerSQL = `
INSERT INTO segue.session (proxy, pid, backend_start)
SELECT $1, a.pid, a.backend_start FROM pg_stat_activity a WHERE a.pid = ANY ($2)
ON CONFLICT (proxy, pid) DO UPDATE SET backend_start = EXCLUDED.backend_start, registered_at = now() RETURNING pid`

// Register stores the PIDs of server sessions. It fails where the proxy has no place among the proxies, or has just lost it, and where the control connection has come to another
// server than the one that the proxy's state is from, or the sessions themselves are another server's.
func (c *Controller) Register(ctx context.Context, pids []uint32) error {
	id := c.self()
	if id == "" {
		return errors.New("storing the PIDs of server sessions: this proxy has no place among the proxies")
	}
	var stored []int32
	register := func(conn *pgx.Conn) (err error) {
		if err := c.sameHistory(ctx, conn); err != nil {
			if errors.Is(err, errElsewhere) {
				err = errors.Join(err, closeConn(conn)) // the next try opens another one
			}
			return err
		}
		c.pidMu.Lock()
		for _, pid := range pids {
			delete(c.gone, pid)
			c.pids[pid] = true // before it is stored: a new place takes it along
		}
		c.pidMu.Unlock()
		stored, err = c.register(ctx, conn, id, pids)
		return err
	}
	err := c.registers.do(ctx, register)
	if errors.Is(err, errElsewhere) {
		err = c.registers.do(ctx, register)
	}
	if errors.Is(err, errElsewhere) {
		c.doubted.Store(true) // it may be the place that is of another server
		c.poke()
	}
	if err != nil {
		return fmt.Errorf("storing the PIDs of server sessions: %w", err)
	}
	if now := c.self(); now != id {
		return errors.New("storing the PIDs of server sessions: this proxy has lost its place among the proxies meanwhile")
	}
	for _, pid := range pids {
		if !slices.Contains(stored, int32(pid)) {
			if c.standby != nil {
				return fmt.Errorf("the standby at %s does not have the server session %d: it has ended, or that address is one of several servers: name each by an address of its own", c.standby.addr, pid)
			}
			// It has ended; or a pooler stands in between, whose sessions have PIDs of its own; or it is another server's.
			return c.sameServers(ctx)
		}
	}
	return nil
}

// register stores PIDs, and gives those that it has stored.
func (c *Controller) register(ctx context.Context, conn *pgx.Conn, id string, pids []uint32) ([]int32, error) {
	if c.standby != nil {
		return c.registerAtStandby(ctx, conn, id, pids)
	}
	return collect(ctx, conn, registerSQL, pgx.RowTo[int32], id, toInt4(pids))
}

// errElsewhere says that two connections reach different servers, or one server before and after it went back to an earlier state.
var errElsewhere = errors.New("the control connection reaches another state of the database than the one that this proxy joined at")

// sameHistory says whether a connection reaches the history that this proxy's statements are planned for. One that has lost the epoch that they are planned for is another, and would not
// tell whoever changes the epoch there what this proxy is at.
func (c *Controller) sameHistory(ctx context.Context, conn *pgx.Conn) error {
	mark := c.planned.Load()
	if mark == nil {
		return nil // there are no statements yet
	}
	row, err := readEpoch(ctx, conn, "")
	if err != nil {
		return err
	}
	now := row.Mark
	now.History = historyOf(conn)
	if mark.Forked(now) {
		return fmt.Errorf("%w (timeline %d, epoch %d; it was timeline %d, epoch %d)", errElsewhere, now.Timeline, now.Epoch, mark.Timeline, mark.Epoch)
	}
	return nil
}

// Unregister forgets a server session at the next renewal.
func (c *Controller) Unregister(pid uint32) {
	c.pidMu.Lock()
	defer c.pidMu.Unlock()
	delete(c.pids, pid)
	c.gone[pid] = true
}

// flushGone deletes what Unregister has collected. It takes turns with Register, so that a PID that is used again is not forgotten.
func (c *Controller) flushGone(ctx context.Context) error {
	c.pidMu.Lock()
	n := len(c.gone)
	c.pidMu.Unlock()
	if n == 0 {
		return nil
	}
	err := c.registers.do(ctx, func(conn *pgx.Conn) error {
		c.pidMu.Lock()
		gone := make([]uint32, 0, len(c.gone))
		for pid := range c.gone {
			gone = append(gone, pid)
		}
		c.pidMu.Unlock()
		if _, err := conn.Exec(ctx, "DELETE FROM segue.session WHERE proxy = $1 AND pid = ANY ($2)", c.self(), toInt4(gone)); err != nil {
			return err
		}
		c.pidMu.Lock()
		defer c.pidMu.Unlock()
		for _, pid := range gone {
			delete(c.gone, pid)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forgetting server sessions that have ended: %w", err)
	}
	return nil
}

// registerAll stores all live sessions under a new place.
func (c *Controller) registerAll(ctx context.Context) error {
	err := c.registers.do(ctx, func(conn *pgx.Conn) error {
		c.pidMu.Lock()
		pids := make([]uint32, 0, len(c.pids))
		for pid := range c.pids {
			pids = append(pids, pid)
		}
		clear(c.gone) // they were another place's
		c.pidMu.Unlock()
		_, err := c.register(ctx, conn, c.self(), pids)
		return err
	})
	if err != nil {
		return fmt.Errorf("storing the PIDs of server sessions: %w", err)
	}
	return nil
}

func toInt4(pids []uint32) []int32 {
	out := make([]int32, len(pids))
	for i, p := range pids {
		out[i] = int32(p)
	}
	return out
}
