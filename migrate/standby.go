package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"segue/migrate/agree"
	"segue/proxy"
	"segue/rewrite"
)

// standby is a standby at which a proxy has sessions. The place that it keeps for them is a Controller of its own, which is at the primary as any, but reads its state there.
type standby struct {
	host, addr string
	view       *link         // to the standby
	seen       time.Duration // when it was last seen to be one; Run's own
	trouble    error         // why it could not be looked at the last time; nil: it could. Run's own
}

func (s *standby) at() string {
	if s == nil {
		return ""
	}
	return s.addr
}

func (s *standby) name() string {
	if s == nil {
		return ""
	}
	return s.host
}

// errNoStandby says that there is no standby any more to follow: it was promoted, or could not be looked at for a whole lease and a change waits for it.
var errNoStandby = errors.New("there is no standby to follow any more")

const (
	// lookSoon is how often a standby is looked at that does not stand where the primary does: a change waits for it.
	lookSoon = 20 * time.Millisecond
	// lookTimeout bounds one look, and the way there.
	lookTimeout = 3 * time.Second
)

// follower is a place for sessions at a standby.
type follower struct {
	*Controller
	keeper *keeper // from Run on
}

// Follow gives what keeps a place among the proxies for sessions at a standby, which host is the name of.
func (c *Controller) Follow(host, addr string) proxy.Follower {
	opt := c.opt
	opt.Log = c.log.With(zap.String("standby", addr))
	f := newController(opt, c.base)
	f.standby = &standby{host: host, addr: addr}
	f.standby.view = newLink(f.connectToStandby)
	return &follower{Controller: f}
}

// Run keeps the place until ctx ends, or there is no standby any more (errNoStandby), which is an error. Leave has to follow.
func (f *follower) Run(ctx context.Context, host proxy.Host) error {
	k, err := f.newKeeper(host)
	if err != nil {
		return err
	}
	f.keeper = k
	return k.run(ctx)
}

// Leave hands the place back, where there is one, and closes everything.
func (f *follower) Leave() error {
	var err error
	if f.keeper != nil {
		err = f.keeper.leave()
	}
	return errors.Join(err, f.Close(), f.standby.view.close())
}

// connectToStandby opens a connection to the standby; a server that is none is an error. The caller closes it.
func (c *Controller) connectToStandby(ctx context.Context) (*pgx.Conn, error) {
	conn, err := c.connectAt(ctx, c.standby.host, c.standby.addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to the standby as the control role: %w", err)
	}
	if err = setUp(ctx, conn); err == nil {
		err = isStandby(ctx, conn)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("setting up the connection to the standby: %w", err), closeConn(conn))
	}
	return conn, nil
}

func isStandby(ctx context.Context, q queryer) error {
	var standby bool
	if err := q.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
		return err
	}
	if !standby {
		return fmt.Errorf("%w: it was promoted", errNoStandby)
	}
	return nil
}

// follow takes a place for sessions at the standby: its state is the one that the standby shows, and floor is where the primary stood when the lease was inserted, which take does. conn is to the primary.
func (c *Controller) follow(ctx context.Context, conn *pgx.Conn, take func(pgx.Tx) error) (state loaded, floor agree.Mark, err error) {
	if state, err = c.readStandby(ctx, loaded{}); err != nil {
		return state, floor, err
	}
	err = inTx(ctx, conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := take(tx); err != nil {
			return err
		}
		row, err := readEpoch(ctx, tx, "")
		floor = row.Mark
		floor.History = historyOf(conn)
		return err
	})
	return state, floor, err
}

// readStandby reads the state that the standby shows. It is one state: a standby replays whole transactions, in the order in which the primary committed them.
func (c *Controller) readStandby(ctx context.Context, before loaded) (state loaded, err error) {
	seen := proxy.Boottime()
	err = c.standby.view.do(ctx, func(conn *pgx.Conn) error {
		if err := isStandby(ctx, conn); err != nil {
			return err
		}
		var err error
		state, err = readState(ctx, conn, before, nil)
		return err
	})
	if err != nil {
		return state, fmt.Errorf("reading the state at the standby %s: %w", c.standby.addr, err)
	}
	c.standby.seen = seen
	return state, nil
}

// lookAtStandby brings the state up to date with what the standby shows, and says when to look again: soon, where the primary is ahead of it. One that cannot be looked at is tried again; the lease
// that the host has does not go on meanwhile. The sessions are left alone as long as nobody waits for them: what names no migrating table needs no lease.
func (k *keeper) lookAtStandby(ctx context.Context) error {
	s := k.c.standby
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	err := k.compare(ctx)
	now := proxy.Boottime()
	switch {
	case errors.Is(err, errNoStandby):
		return err
	case err != nil:
		if s.trouble == nil {
			k.c.log.Warn("the standby cannot be looked at; it is tried again", zap.Error(err))
		}
		s.trouble = err
		if now > s.seen+k.Lease && k.Acked != k.Mark.Epoch {
			return fmt.Errorf("%w: it could not be looked at for %v: %w", errNoStandby, k.Lease, err)
		}
		k.look = now + 10*lookSoon
		return nil
	}
	s.trouble = nil
	k.lease()
	k.look = now + k.Lease // a renewal comes before
	if k.Behind() {
		k.look = now + lookSoon
	}
	return nil
}

// compare looks whether the standby shows another state than the host has, and hands that over.
func (k *keeper) compare(ctx context.Context) error {
	s := k.c.standby
	seen := proxy.Boottime()
	var other bool
	if err := s.view.do(ctx, func(conn *pgx.Conn) error {
		if err := isStandby(ctx, conn); err != nil {
			return err
		}
		row, err := readEpoch(ctx, conn, "")
		if err != nil {
			return err
		}
		if other = row.Mark != k.Shown; other || k.Behind() {
			return nil // the catalog is looked at when it stands where the primary does
		}
		print, err := fingerprint(ctx, conn)
		other = print != k.state.print
		return err
	}); err != nil {
		return err
	}
	s.seen = seen
	if !other {
		return nil
	}
	state, err := k.c.readStandby(ctx, k.state)
	if err != nil {
		return err
	}
	k.state = state
	k.apply()
	return nil
}

// registerAtStandby stores, at the primary, the PIDs of server sessions that the standby has, and gives those.
func (c *Controller) registerAtStandby(ctx context.Context, conn *pgx.Conn, id string, pids []uint32) ([]int32, error) {
	var found []int32
	var starts []*time.Time
	if err := c.standby.view.do(ctx, func(there *pgx.Conn) error {
		return there.QueryRow(ctx, "SELECT COALESCE(array_agg(pid ORDER BY pid), '{}'), COALESCE(array_agg(backend_start ORDER BY pid), '{}') FROM pg_stat_activity WHERE pid = ANY ($1)", toInt4(pids)).
			Scan(&found, &starts)
	}); err != nil {
		return nil, err
	}
	return collect(ctx, conn, `INSERT INTO segue.session (proxy, pid, backend_start) SELECT $1, s.pid, s.start FROM unnest($2::integer[], $3::timestamptz[]) s (pid, start)
		ON CONFLICT (proxy, pid) DO UPDATE SET backend_start = EXCLUDED.backend_start, registered_at = now() RETURNING pid`, pgx.RowTo[int32], id, found, starts)
}

// keeps says what keeps this place from acknowledging, as it is to be seen at the standby; nil where nothing does, or it is at the primary.
func (k *keeper) keeps(ctx context.Context) []BlockerStatus {
	s := k.c.standby
	if s == nil || k.Acked == k.Mark.Epoch {
		return nil
	}
	b := BlockerStatus{Why: "standby", AgeSeconds: -1, Standby: s.addr}
	if s.trouble != nil {
		b.State = "it cannot be looked at: " + s.trouble.Error()
		return []BlockerStatus{b}
	}
	ctx, cancel := context.WithTimeout(ctx, min(lookTimeout, k.limit()/4)) // the renewal is to come through where the standby hangs, too
	defer cancel()
	var out []BlockerStatus
	err := s.view.do(ctx, func(conn *pgx.Conn) error {
		if k.Behind() {
			b.State = "replaying"
			var paused bool
			err := conn.QueryRow(ctx, "SELECT pg_is_wal_replay_paused(), COALESCE(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8, -1)").Scan(&paused, &b.AgeSeconds)
			if paused {
				b.State = "replay is paused: SELECT pg_wal_replay_resume() there"
			}
			out = append(out, b)
			if err != nil {
				return err
			}
		}
		found, err := collect(ctx, conn, "SELECT "+blockerColumns+", true FROM pg_stat_activity a WHERE a.pid = ANY ($1) ORDER BY COALESCE(a.xact_start, a.state_change) LIMIT 50", scanBlocker, toInt4(k.behind))
		for _, x := range found {
			status := x.status("epoch")
			status.Standby = s.addr
			out = append(out, status)
		}
		return err
	})
	if err != nil {
		b.State = "it cannot be looked at: " + err.Error()
		return []BlockerStatus{b}
	}
	return out
}

// keepingStandby is keeping for sessions at a standby.
func (w *work) keepingStandby(ctx context.Context, m member, terminate bool) (string, error) {
	text := m.String()
	for i, k := range m.keeps {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		if k.Why == "standby" {
			text += sep + "it has not replayed the epoch (" + k.State + ")"
			continue
		}
		text += sep + blocker{pid: k.PID, application: k.Application, user: k.User, age: k.AgeSeconds, statement: k.Statement}.String()
		if !terminate {
			continue
		}
		ended, err := w.c.terminateAtStandby(ctx, m, k)
		if err != nil {
			text += ", which cannot be ended: " + err.Error()
		} else if ended {
			if err := w.c.note(ctx, w.conn, w.name, "terminated", map[string]any{"pid": k.PID, "application": k.Application, "user": k.User, "standby": m.standby}); err != nil {
				return "", err
			}
		}
	}
	return text, nil
}

// terminateAtStandby ends a transaction at a standby, unless it is a later one than was told.
func (c *Controller) terminateAtStandby(ctx context.Context, m member, k BlockerStatus) (ended bool, err error) {
	err = c.visit(ctx, m, func(ctx context.Context, conn *pgx.Conn) error {
		pids, err := collect(ctx, conn, `SELECT pg_terminate_backend(a.pid)::int FROM pg_stat_activity a
			WHERE a.pid = $1 AND COALESCE(extract(epoch FROM clock_timestamp() - COALESCE(a.xact_start, a.state_change))::float8 >= $2, true) AND a.state IS DISTINCT FROM 'idle'`, pgx.RowTo[int32], k.PID, k.AgeSeconds)
		ended = len(pids) > 0
		return err
	})
	return ended, err
}

// errNotReached says that a standby is only known by an address that means another server here.
var errNotReached = errors.New("its address is one that only its own host can use")

// visit goes to the standby that a proxy has sessions at.
func (c *Controller) visit(ctx context.Context, m member, f func(context.Context, *pgx.Conn) error) (err error) {
	if isLocal(m.standby) && m.host != c.opt.Host {
		return errNotReached
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	conn, err := c.connectAt(ctx, m.name, m.standby)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeConn(conn)) }()
	return f(ctx, conn)
}

// endAtStandby ends the server sessions at a standby of a proxy that is dead, and says how many there still were, and which. It needs the standby: nobody else knows whether a statement that such
// a proxy has in hand could still be carried out, and its result given to a client. The proxy's row is locked by tx.
func (c *Controller) endAtStandby(ctx context.Context, tx pgx.Tx, m member) (left int, text string, err error) {
	type session struct {
		pid   int32
		start *time.Time
	}
	sessions, err := collect(ctx, tx, "SELECT pid, backend_start FROM segue.session WHERE proxy = $1", func(row pgx.CollectableRow) (s session, err error) { return s, row.Scan(&s.pid, &s.start) }, m.id)
	if err != nil || len(sessions) == 0 {
		return 0, "", err
	}
	pids, starts := make([]int32, len(sessions)), make([]*time.Time, len(sessions))
	for i, s := range sessions {
		pids[i], starts[i] = s.pid, s.start
	}
	var found []int32
	err = c.visit(ctx, m, func(ctx context.Context, conn *pgx.Conn) (err error) {
		if found, err = collect(ctx, conn, `SELECT a.pid FROM unnest($1::integer[], $2::timestamptz[]) s (pid, start) JOIN pg_catalog.pg_stat_activity a ON a.pid = s.pid AND COALESCE(a.backend_start = s.start, true)`,
			pgx.RowTo[int32], pids, starts); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "SELECT pg_catalog.pg_terminate_backend(p) FROM unnest($1::integer[]) p", found)
		return err
	})
	if err != nil {
		return len(sessions), fmt.Sprintf("%s, whose lease ran out: whether its %d server sessions there have ended cannot be seen (%v); let its host come back, or where that standby or that proxy is gone for good, as the control role: DELETE FROM segue.proxy WHERE id = '%s'",
			m, len(sessions), err, m.id), nil
	}
	return len(found), fmt.Sprintf("the server sessions of %s, whose lease ran out (%d are left)", m, len(found)), nil
}

// Join joins the proxies for sessions at the standby, and gives the state that it shows.
func (f *follower) Join(ctx context.Context) (*rewrite.State, error) {
	state, err := f.Controller.Join(ctx)
	if err != nil {
		return nil, errors.Join(err, f.Leave())
	}
	return state, nil
}
