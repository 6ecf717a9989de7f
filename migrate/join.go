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

// epochChannel is the channel that changes are told on.
const epochChannel = "segue_epoch"

// place is a proxy's place among the proxies, from joining until leaving or fencing. Only Join and Run use it, but for id.
type place struct {
	agree.Place
	id    string
	conn  *pgx.Conn // nil while it is lost
	state loaded
	taken bool // the sessions are registered under it, and the host has the state
}

// reached says that the host has applied the state of a mark, which a place has handed to it.
type reached struct {
	place string
	mark  agree.Mark
}

// Join joins the proxies and gives the state to begin with. The lease counts from now, so Run is to follow soon.
func (c *Controller) Join(ctx context.Context) (*rewrite.State, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.sameSystems(ctx, historyOf(conn)); err != nil {
		return nil, errors.Join(err, closeConn(conn))
	}
	p, err := c.join(ctx, conn, nil)
	if err == nil {
		p.Loaded(p.state.mark)
		p.Applied(p.state.mark) // a proxy that begins has no sessions under any other epoch
		_, err = p.acknowledge(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, closeConn(conn))
	}
	c.mu.Lock()
	old := c.place
	c.place = p
	c.mu.Unlock()
	if old != nil && old.conn != nil {
		return p.state.State, closeConn(old.conn)
	}
	return p.state.State, nil
}

// join takes a new place: the lease is inserted and the epoch read in one transaction that holds the epoch's row FOR SHARE, which a change
// takes FOR UPDATE. So there is no epoch that this proxy serves and a coordinator did not wait for it at. before is the place that was lost, or nil: what is left of it goes.
func (c *Controller) join(ctx context.Context, conn *pgx.Conn, before *place) (*place, error) {
	p := &place{id: newID(), conn: conn}
	if _, err := conn.Exec(ctx, "LISTEN "+epochChannel); err != nil {
		return nil, fmt.Errorf("joining the proxies: %w", err)
	}
	var lost agree.Mark
	former := p.id
	if before != nil {
		lost, former = before.Mark, before.id
	}
	if err := inTx(ctx, conn, pgx.TxOptions{}, func(tx pgx.Tx) error { return c.arrive(ctx, tx, p.id, lost) }); err != nil {
		return nil, fmt.Errorf("joining the proxies: %w", err)
	}
	var err error
	var sent time.Duration
	take := func(tx pgx.Tx) error {
		sent = proxy.Boottime()
		if _, err := tx.Exec(ctx, "SELECT FROM segue.epoch FOR SHARE"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM segue.proxy WHERE id = $1", former); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO segue.proxy (id, host, build, ack, lease, format, standby, standby_host) VALUES ($1, $2, $3, 0, $4, $5, NULLIF($6, ''), NULLIF($7, ''))",
			p.id, c.opt.Host, c.opt.Build, c.opt.Lease.Seconds(), format, c.standby.at(), c.standby.name())
		return err
	}
	if c.standby == nil {
		p.state, err = readState(ctx, conn, loaded{}, take)
		p.Place = agree.Join(p.state.mark, sent, c.opt.Lease)
	} else {
		var floor agree.Mark
		p.state, floor, err = c.follow(ctx, conn, take)
		p.Place = agree.Follow(floor, sent, c.opt.Lease)
	}
	if err != nil {
		return nil, fmt.Errorf("joining the proxies: %w", err)
	}
	c.log.Info("joined the proxies", zap.String("proxy", p.id), zap.Int64("epoch", p.state.Epoch))
	return p, nil
}

// acknowledge writes the epoch that is due, if there is one.
func (p *place) acknowledge(ctx context.Context) (agree.Next, error) {
	epoch, due := p.Due()
	if !due {
		return agree.Stay, nil
	}
	tag, err := p.conn.Exec(ctx, "UPDATE segue.proxy SET ack = $2 WHERE id = $1", p.id, epoch)
	if err != nil {
		return agree.Stay, fmt.Errorf("acknowledging epoch %d: %w", epoch, err)
	}
	return p.Acknowledged(epoch, tag.RowsAffected() == 1), nil
}

// Run keeps the lease until ctx ends.
func (c *Controller) Run(ctx context.Context, host proxy.Host) error {
	k, err := c.newKeeper(host)
	if err != nil {
		return err
	}
	if err := k.run(ctx); err != nil {
		return errors.Join(err, k.leave())
	}
	return k.leave()
}

func (c *Controller) newKeeper(host proxy.Host) (*keeper, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.place == nil {
		return nil, errors.New("keeping the lease: this proxy has not joined; call Join first")
	}
	return &keeper{c: c, host: host, place: c.place}, nil
}

// run keeps the lease until ctx ends; of a place at a standby, also until there is none there any more, with an error.
func (k *keeper) run(ctx context.Context) error {
	c := k.c
	k.taken = true // there are no sessions yet
	k.apply()
	retry := backoff{next: 50 * time.Millisecond, longest: max(c.opt.Lease/4, 50*time.Millisecond)}
	for ctx.Err() == nil {
		err := k.keep(ctx, &retry)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errNoStandby) {
			return err
		}
		c.log.Warn("the control connection failed; it is being opened anew", zap.Error(err))
		if k.conn != nil && k.conn.IsClosed() {
			k.conn = nil
		}
		if k.conn == nil {
			c.seen.reset()
		}
		if retry.pause(ctx) != nil {
			break
		}
	}
	return nil //nolint:nilerr // ctx has ended, which is how it is to end
}

// keeper is Run's own: one goroutine's.
type keeper struct {
	c    *Controller
	host proxy.Host
	*place
	usage    []proxy.OldNames // counted and not written yet; bounded by keepUsage
	sessions int              // clients connected, as last counted
	pids     []uint32         // their server sessions
	latency  proxy.Latency    // of their statements since the count before
	behind   []uint32         // server sessions that keep the state from being applied, as last told
	missing  []int32          // of those, the ones that the server did not have
	over     []uint32         // of those, the ones that it did not have the time before either
	look     time.Duration    // when the standby is to be looked at next
}

// tellBehind is how often a proxy that cannot acknowledge yet renews, and with it tells what keeps it.
const tellBehind = 500 * time.Millisecond

// keepUsage bounds what is kept for a database that cannot be reached.
const keepUsage = 10_000

// apply hands the state to the host; what comes back wakes keep.
func (k *keeper) apply() {
	c, this := k.c, reached{k.id, k.state.mark}
	k.Loaded(this.mark)
	at := k.Mark
	c.planned.Store(&at)
	k.host.Apply(k.state.State, func(int64) {
		c.reached.Store(&this)
		c.poke()
	})
}

// keep renews, follows and acknowledges until something fails or ctx ends.
func (k *keeper) keep(ctx context.Context, retry *backoff) error {
	c := k.c
	if k.conn == nil {
		conn, err := c.connect(ctx)
		if err != nil {
			return err
		}
		k.conn = conn
		if _, err := conn.Exec(ctx, "LISTEN "+epochChannel); err != nil {
			return err
		}
	}
	// What failed may have been anything, so begin with a renewal, which tells how things stand.
	for due := proxy.Boottime(); ; {
		if !k.taken {
			if err := k.limited(ctx, k.take); err != nil {
				return err
			}
		}
		if proxy.Boottime() >= due {
			if err := k.limited(ctx, k.renew); err != nil {
				return err
			}
			due = k.Sent + c.opt.Lease/4
			retry.next = 50 * time.Millisecond
		}
		if c.standby != nil && proxy.Boottime() >= k.look {
			if err := k.limited(ctx, k.lookAtStandby); err != nil {
				return err
			}
		}
		if err := k.limited(ctx, k.acknowledge); err != nil {
			return err
		}
		if c.looks.Swap(false) {
			// They renew, this one too, and find that the catalog is another one.
			if _, err := k.conn.Exec(ctx, "SELECT pg_notify($1, '')", epochChannel); err != nil {
				c.looks.Store(true)
				return fmt.Errorf("telling of a change of the catalog: %w", err)
			}
		}
		if c.doubted.Swap(false) { // another connection will show which server there is now
			return errors.Join(errElsewhere, closeConn(k.conn))
		}
		if k.Acked != k.Mark.Epoch { // what keeps it is to be seen soon
			due = min(due, k.Sent+tellBehind)
		}
		wake := due
		if c.standby != nil {
			wake = min(due, k.look)
		}
		told, err := k.wait(ctx, wake)
		if err != nil {
			return err
		}
		if told {
			due = proxy.Boottime() // a renewal brings the epoch, too
		}
	}
}

// limited gives a call no longer than half the lease: a connection that hangs must be found out while there is time for another.
func (k *keeper) limited(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, k.limit())
	defer cancel()
	return f(ctx)
}

func (k *keeper) limit() time.Duration { return max(k.c.opt.Lease/2, time.Second) }

// wait returns when the time has come, when the host has applied a state, or with told when another epoch was announced.
func (k *keeper) wait(ctx context.Context, due time.Duration) (told bool, err error) {
	wait, cancel := context.WithTimeout(ctx, max(due-proxy.Boottime(), 0))
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		select {
		case <-k.c.wake:
			cancel()
		case <-wait.Done():
		}
	}()
	_, err = k.conn.WaitForNotification(wait)
	cancel()
	<-woken
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case wait.Err() != nil && !k.conn.IsClosed():
		return false, nil
	}
	return false, fmt.Errorf("waiting for an epoch: %w", err)
}

// renew renews the lease, tells what was counted, and brings the state up to date.
func (k *keeper) renew(ctx context.Context) error {
	c := k.c
	sent := proxy.Boottime()
	var row agree.Row
	var found bool
	var acked int64
	keeps := k.keeps(ctx)
	err := inTx(ctx, k.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var at time.Time
		var err error
		if row, err = readEpoch(ctx, tx, ""); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at); err != nil {
			return err
		}
		k.count() // after the time of the renewal, so that all uses before it are told with it
		switch err := tx.QueryRow(ctx, "UPDATE segue.proxy SET renewals = renewals + 1, renewed_at = $2, sessions = $3, pids = $4, latency = $5, keeps = $6 WHERE id = $1 RETURNING ack",
			k.id, at, k.sessions, k.here(), k.latency, keeps).Scan(&acked); {
		case err == nil:
			found = true
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		if err := k.storeBehind(ctx, tx); err != nil {
			return err
		}
		return k.storeUsage(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("renewing the lease: %w", err)
	}
	k.usage = nil
	if len(k.over) > 0 {
		k.host.Ended(k.over)
	}
	now := row.Mark
	now.History = historyOf(k.conn) // what the row says may not have been noted yet
	next := k.Renewed(sent, found, acked, now)
	if next == agree.Rejoin {
		return k.rejoin(ctx)
	}
	k.lease()
	if c.standby != nil {
		at := k.Mark
		c.planned.Store(&at)
		k.look = 0 // what it shows is to be compared with what the primary has
	} else if err := k.reload(ctx, next); err != nil {
		return err
	}
	if err := c.flushGone(ctx); err != nil {
		return err
	}
	return k.observe(ctx)
}

// reload brings the state up to date with the primary's.
func (k *keeper) reload(ctx context.Context, next agree.Next) error {
	print, err := fingerprint(ctx, k.conn)
	if err != nil {
		return err
	}
	if next == agree.Load || print != k.state.print {
		state, err := readState(ctx, k.conn, k.state, nil)
		if err != nil {
			return err // what is known stays
		}
		k.state = state
		k.apply()
	}
	return nil
}

// here gives the server sessions that are the primary's: a standby numbers its own.
func (k *keeper) here() []int32 {
	if k.c.standby != nil {
		return []int32{}
	}
	return toInt4(k.pids)
}

// count takes over what the host has counted.
func (k *keeper) count() {
	u := k.host.Usage()
	k.sessions, k.pids, k.behind, k.latency = u.Sessions, u.PIDs, u.Behind, u.Latency
	k.usage = append(k.usage, u.OldNames...)
	if len(k.usage) > keepUsage {
		k.usage = k.usage[len(k.usage)-keepUsage:]
	}
}

// lease tells the host until when it holds; what is held because there was none is told by rejoin.
func (k *keeper) lease() {
	until := k.Until()
	if s := k.c.standby; s != nil {
		until = min(until, s.seen+k.Lease)
	}
	if until > 0 {
		k.host.Lease(until)
	}
}

// storeUsage adds to the counts of old names; what belongs to a migration that is gone is dropped.
func (k *keeper) storeUsage(ctx context.Context, tx pgx.Tx) error {
	for _, u := range k.usage {
		if _, err := tx.Exec(ctx, `INSERT INTO segue.old_names AS o (migration, application, username, version, count, last_seen)
			SELECT m.name,
			       CASE WHEN (SELECT count(*) FROM segue.old_names WHERE migration = m.name) < 1000 OR EXISTS (SELECT FROM segue.old_names
			            WHERE migration = m.name AND application = $2) THEN $2 ELSE '(others)' END,
			       $3, $4, $5, clock_timestamp() FROM segue.migration m WHERE m.name = $1
			ON CONFLICT (migration, application, username, version) DO UPDATE SET count = o.count + EXCLUDED.count, last_seen = EXCLUDED.last_seen`,
			u.Migration, u.Application, u.User, u.Version, u.Count); err != nil {
			return err
		}
	}
	return nil
}

// observe takes note of all renewal counters, so that a later change need not begin to count.
func (k *keeper) observe(ctx context.Context) error {
	rows, err := k.conn.Query(ctx, "SELECT id::text, renewals FROM segue.proxy")
	if err != nil {
		return fmt.Errorf("reading the proxies: %w", err)
	}
	ids := map[string]bool{}
	var id string
	var renewals int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &renewals}, func() error {
		ids[id] = true
		k.c.seen.see(id, renewals)
		return nil
	}); err != nil {
		return fmt.Errorf("reading the proxies: %w", err)
	}
	k.c.seen.keep(ids)
	return nil
}

// acknowledge writes what the host has applied.
func (k *keeper) acknowledge(ctx context.Context) error {
	if r := k.c.reached.Load(); r != nil && r.place == k.id {
		first := k.Until() == 0
		k.Applied(r.mark)
		if first {
			k.lease()
		}
	}
	next, err := k.place.acknowledge(ctx)
	if err != nil {
		return err
	}
	if next == agree.Rejoin {
		return k.rejoin(ctx)
	}
	return nil
}

// rejoin is for a proxy that was taken for dead, or whose database went back: it holds its clients, joins anew, and goes on only when no
// session of it runs under what it knew before.
func (k *keeper) rejoin(ctx context.Context) error {
	c := k.c
	k.host.Lease(0)
	c.log.Warn("this proxy lost its place among the proxies; it joins anew", zap.String("proxy", k.id), zap.Int64("epoch", k.Mark.Epoch))
	p, err := c.join(ctx, k.conn, k.place)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.place = p
	c.mu.Unlock()
	k.place = p
	return k.take(ctx)
}

// take fills a new place: with the sessions that live, and with the state for the host to apply.
func (k *keeper) take(ctx context.Context) error {
	if err := k.c.registerAll(ctx); err != nil {
		return err
	}
	k.taken = true
	k.apply()
	return nil
}

// Look has all proxies look at the catalog soon.
func (c *Controller) Look() {
	c.looks.Store(true)
	c.poke()
}

// leave hands the lease back, so that nobody waits for it.
func (k *keeper) leave() error {
	c := k.c
	k.host.Lease(0)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	killed := c.opt.Hooks.at(ctx, "leave")
	var err error
	if killed == nil {
		if k.conn == nil || k.conn.IsClosed() {
			k.conn, err = c.connect(ctx)
		}
		if err == nil {
			k.count()
			err = inTx(ctx, k.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
				if err := k.storeUsage(ctx, tx); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, "DELETE FROM segue.proxy WHERE id = $1", k.id)
				return err
			})
		}
	}
	if err != nil {
		c.log.Warn("handing the lease back failed; the other proxies wait until it runs out", zap.Error(err))
	}
	c.mu.Lock()
	c.place = nil
	c.mu.Unlock()
	if k.conn != nil {
		return closeConn(k.conn)
	}
	return nil
}
