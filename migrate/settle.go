package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"segue/migrate/agree"
)

// terminateAfter is how long a transaction may end by itself before --terminate ends it.
const terminateAfter = time.Second

// settle waits until the current epoch is settled: every live proxy has acknowledged it, the dead ones have outlived their lease and their
// server sessions are ended, and the prepared transactions that hold locks on the table are over. Past the deadline it gives a *lateError.
func (w *work) settle(ctx context.Context) error {
	began := time.Now()
	settling := agree.Settling{Me: w.id}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		row, err := readEpoch(ctx, w.conn, "")
		if err != nil {
			return err
		}
		if settled, err := settling.Look(row); err != nil || settled {
			return err
		}
		current := row.Epoch
		waiting, err := w.behind(ctx, current, w.opt.Terminate && time.Since(began) > terminateAfter)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			now, err := w.prepared(ctx, current)
			if err != nil {
				return err
			}
			waiting = settling.Prepared(now)
		}
		if len(waiting) == 0 {
			rest, err := w.resting(ctx, row)
			if err != nil {
				return err
			}
			if rest == 0 {
				return w.settled(ctx, current)
			}
			waiting = []string{fmt.Sprintf("proxies that only the lost state of the database knew: their leases run out in %v", rest.Round(time.Second))}
		}
		if w.isLate() {
			return &lateError{waiting}
		}
		if time.Since(began) > 100*time.Millisecond {
			if err := w.say(ctx, "settling epoch %d: waiting for %s", current, strings.Join(waiting, "; ")); err != nil {
				return err
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// settled writes that an epoch is settled.
func (w *work) settled(ctx context.Context, epoch int64) error {
	if err := inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		row, err := readEpoch(ctx, tx, "FOR UPDATE")
		if err != nil {
			return err
		}
		if err := row.MaySettle(w.id, epoch); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE segue.epoch SET settled = current, moved_at = NULL")
		return err
	}); err != nil {
		return fmt.Errorf("settling epoch %d: %w", epoch, err)
	}
	return nil
}

// resting says how long the epoch has to wait yet for leases that only the lost state of the database knew.
func (w *work) resting(ctx context.Context, row agree.Row) (time.Duration, error) {
	if !row.Moved {
		return 0, nil
	}
	var seconds float64
	if err := w.conn.QueryRow(ctx, "SELECT COALESCE(max(lease), 0) FROM segue.proxy").Scan(&seconds); err != nil {
		return 0, fmt.Errorf("reading the proxies: %w", err)
	}
	return row.Rest(max(w.c.opt.Lease, time.Duration(seconds*float64(time.Second)))), nil
}

// rest waits until no lease is left that only the lost state of the database knew.
func (w *work) rest(ctx context.Context) error {
	row, err := readEpoch(ctx, w.conn, "")
	if err != nil {
		return err
	}
	left, err := w.resting(ctx, row)
	if err != nil {
		return err
	}
	return sleep(ctx, left)
}

// member is a proxy that has not acknowledged.
type member struct {
	id, host string
	renewals int64
	lease    time.Duration
}

// behind gives, for people, the proxies that have not acknowledged an epoch, with what keeps them. Those that are dead are fenced on the way.
func (w *work) behind(ctx context.Context, epoch int64, terminate bool) ([]string, error) {
	members, err := collect(ctx, w.conn, "SELECT id::text, host, renewals, lease FROM segue.proxy WHERE ack < $1 ORDER BY joined_at", func(row pgx.CollectableRow) (member, error) {
		var m member
		var seconds float64
		err := row.Scan(&m.id, &m.host, &m.renewals, &seconds)
		m.lease = time.Duration(seconds * float64(time.Second))
		return m, err
	}, epoch)
	if err != nil {
		return nil, fmt.Errorf("reading the proxies: %w", err)
	}
	var waiting []string
	for _, m := range members {
		silent := w.c.seen.see(m.id, m.renewals)
		var text string
		switch agree.Judge(silent, m.lease) {
		case agree.Dead:
			text, err = w.fence(ctx, m)
		case agree.Quiet:
			text, err = w.keeping(ctx, m, terminate)
			text += fmt.Sprintf(", which has not renewed its lease for %v", silent.Round(time.Second))
		case agree.Lively:
			text, err = w.keeping(ctx, m, terminate)
		}
		if err != nil {
			return nil, err
		}
		if text != "" {
			waiting = append(waiting, text)
		}
	}
	return waiting, nil
}

func (m member) String() string { return fmt.Sprintf("proxy %s on %s", m.id[:8], m.host) }

// blocker is a transaction that keeps a proxy from acknowledging.
type blocker struct {
	pid         int32
	application string
	age         float64 // seconds
	sure        bool    // its backend_start is the registered one, or it may not be seen
}

func scanBlocker(row pgx.CollectableRow) (b blocker, err error) {
	return b, row.Scan(&b.pid, &b.application, &b.age, &b.sure)
}

func (b blocker) String() string {
	return fmt.Sprintf("pid %d, %s, %.0fs in transaction", b.pid, nameless(b.application), b.age)
}

func nameless(application string) string {
	if application == "" {
		return "no application_name"
	}
	return application
}

// keeping says what keeps a live proxy from acknowledging; with terminate, it ends that. A failed transaction that its client has not ended has
// a state and no xact_start.
func (w *work) keeping(ctx context.Context, m member, terminate bool) (string, error) {
	blockers, err := collect(ctx, w.conn, `
		SELECT a.pid, a.application_name, extract(epoch FROM clock_timestamp() - COALESCE(a.xact_start, a.state_change))::float8, true
		FROM segue.session s JOIN pg_stat_activity a ON a.pid = s.pid AND a.backend_start = s.backend_start
		WHERE s.proxy = $1 AND (a.xact_start IS NOT NULL OR a.state LIKE 'idle in transaction%') ORDER BY COALESCE(a.xact_start, a.state_change) LIMIT 50`, scanBlocker, m.id)
	if err != nil {
		return "", fmt.Errorf("looking for what keeps %s: %w", m, err)
	}
	if len(blockers) == 0 {
		// Its sessions are not registered before their first statement on a migrating table, and not seen without pg_read_all_stats: name the
		// oldest transactions that there are.
		guesses, err := collect(ctx, w.conn, `
			SELECT pid, application_name, extract(epoch FROM clock_timestamp() - COALESCE(xact_start, state_change))::float8, false FROM pg_stat_activity
			WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> $1
			AND (xact_start IS NOT NULL OR state LIKE 'idle in transaction%') AND COALESCE(xact_start, state_change) < clock_timestamp() - interval '1 s'
			ORDER BY COALESCE(xact_start, state_change) LIMIT 3`, scanBlocker, applicationName)
		if err != nil {
			return "", fmt.Errorf("looking for what keeps %s: %w", m, err)
		}
		if len(guesses) == 0 {
			return m.String(), nil
		}
		return fmt.Sprintf("%s (the oldest transactions: %s)", m, join(guesses)), nil
	}
	if terminate {
		for _, b := range blockers {
			if refused, err := w.terminate(ctx, b.pid); err != nil {
				return "", err
			} else if refused != "" {
				return fmt.Sprintf("%s (%s; %s)", m, join(blockers), refused), nil
			}
			if err := w.c.note(ctx, w.conn, w.name, "terminated", map[string]any{"pid": b.pid, "application": b.application}); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%s (%s)", m, join(blockers[:min(len(blockers), 5)])), nil
}

func join(bs []blocker) string {
	var out []string
	for _, b := range bs {
		out = append(out, b.String())
	}
	return strings.Join(out, "; ")
}

// terminate ends a server session; refused says why the control role may not.
func (w *work) terminate(ctx context.Context, pid int32) (refused string, err error) {
	_, err = w.conn.Exec(ctx, "SELECT pg_terminate_backend($1)", pid)
	switch {
	case sqlState(err) == "42501":
		return "it may not be ended by the control role: grant it pg_signal_backend", nil
	case err != nil:
		return "", fmt.Errorf("ending the server session %d: %w", pid, err)
	}
	return "", nil
}

// fence is for a dead proxy: its registered server sessions are ended, and then it is struck off. It says what is still to come; "" once it is
// done. The row is locked meanwhile, so no session is registered that is not seen here, and a proxy that renewed at the last moment is left.
func (w *work) fence(ctx context.Context, m member) (text string, err error) {
	err = inTx(ctx, w.conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		text = ""
		var renewals int64
		err := tx.QueryRow(ctx, "SELECT renewals FROM segue.proxy WHERE id = $1 FOR UPDATE", m.id).Scan(&renewals)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // it left
		}
		if err != nil {
			return err
		}
		sessions, err := sessionsOf(ctx, tx, m)
		if err != nil {
			return err
		}
		switch agree.Fence(m.renewals, renewals, len(sessions)) {
		case agree.Spare:
			text = m.String()
			return nil
		case agree.Wait:
			text, err = endSessions(ctx, tx, m, sessions)
			return err
		case agree.Strike:
		}
		if _, err := tx.Exec(ctx, "DELETE FROM segue.proxy WHERE id = $1", m.id); err != nil {
			return err
		}
		w.c.log.Warn("a proxy outlived its lease and was struck off", zap.String("proxy", m.id), zap.String("host", m.host))
		return w.c.note(ctx, tx, w.name, "fenced", map[string]any{"proxy": m.id, "host": m.host})
	})
	if err != nil {
		return "", fmt.Errorf("striking off %s: %w", m, err)
	}
	return text, nil
}

// orphan is a server session of a dead proxy.
type orphan struct {
	pid   int32
	known bool // it is the one that was registered, and no later one with its PID
	may   bool // the control role may end it
}

// sessionsOf gives the registered server sessions of a proxy that have not ended.
func sessionsOf(ctx context.Context, tx pgx.Tx, m member) ([]orphan, error) {
	return collect(ctx, tx, `
		SELECT a.pid, COALESCE(a.backend_start = s.backend_start, false),
		       me.rolsuper OR (NOT COALESCE(r.rolsuper, true) AND (pg_has_role(r.oid, 'MEMBER') OR pg_has_role('pg_signal_backend', 'MEMBER')))
		FROM segue.session s
		JOIN pg_stat_activity a ON a.pid = s.pid AND COALESCE(a.backend_start = s.backend_start, true)
		JOIN pg_roles me ON me.rolname = current_user
		LEFT JOIN pg_roles r ON r.oid = a.usesysid
		WHERE s.proxy = $1 ORDER BY a.pid`, func(row pgx.CollectableRow) (o orphan, err error) {
		return o, row.Scan(&o.pid, &o.known, &o.may)
	}, m.id)
}

// endSessions ends the server sessions of a dead proxy, where the control role may, and says which are waited for. One that is idle is waited for, too: its proxy may have been
// stopped with a statement in hand, and send it when it wakes.
func endSessions(ctx context.Context, tx pgx.Tx, m member, sessions []orphan) (string, error) {
	var left []string
	for _, s := range sessions {
		if !s.known || !s.may {
			left = append(left, fmt.Sprintf("pid %d, which the control role may not end: grant it pg_signal_backend, or as a superuser SELECT pg_terminate_backend(%d)", s.pid, s.pid))
			continue
		}
		if _, err := tx.Exec(ctx, "SELECT pg_terminate_backend($1)", s.pid); err != nil {
			return "", err
		}
		left = append(left, fmt.Sprintf("pid %d", s.pid))
	}
	return fmt.Sprintf("the server sessions of %s, whose lease ran out (%s)", m, strings.Join(left[:min(len(left), 5)], "; ")), nil
}

// preparedLocks are the locks that prepared transactions hold, by gid. They have no pid; what ties them to their transaction is its lock on its own xid, under
// the same virtual transaction.
const preparedLocks = `(SELECT p.gid, p.owner, p.transaction, l.relation FROM pg_prepared_xacts p
	JOIN pg_locks x ON x.locktype = 'transactionid' AND x.transactionid = p.transaction AND x.granted AND x.pid IS NULL
	JOIN pg_locks l ON l.virtualtransaction = x.virtualtransaction AND l.pid IS NULL AND l.locktype = 'relation'
	WHERE p.database = current_database() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))`

// prepared gives the prepared transactions that hold locks on the table of the migration that an epoch is about.
func (w *work) prepared(ctx context.Context, epoch int64) ([]string, error) {
	found, err := collect(ctx, w.conn, `
		SELECT DISTINCT 'prepared transaction ' || quote_literal(p.gid) || ' of ' || p.owner::text || ' (xid ' || p.transaction::text || '): COMMIT PREPARED or ROLLBACK PREPARED it'
		FROM `+preparedLocks+` p JOIN segue.migration m ON m.changed = $1 AND p.relation IN (SELECT oid FROM `+fmt.Sprintf(familySQL, "m.table_oid")+` f)`, pgx.RowTo[string], epoch)
	if err != nil {
		return nil, fmt.Errorf("looking for prepared transactions: %w", err)
	}
	return found, nil
}

// lockHolders names the transactions that hold locks on the table, for people.
func (w *work) lockHolders(ctx context.Context) (string, error) {
	found, err := collect(ctx, w.conn, `
		SELECT DISTINCT l.pid, COALESCE(a.application_name, ''), COALESCE(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8, true
		FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'relation' AND l.relation IN (SELECT oid FROM `+fmt.Sprintf(familySQL, "$1")+` f) AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.pid IS NOT NULL
		ORDER BY 3 DESC LIMIT 3`, scanBlocker, w.m.Table)
	if err != nil {
		return "", fmt.Errorf("looking for who holds locks: %w", err)
	}
	prepared, err := w.preparedOnTable(ctx)
	if err != nil {
		return "", err
	}
	all := append([]string(nil), prepared...)
	if len(found) > 0 {
		all = append(all, join(found))
	}
	if len(all) == 0 {
		return "a transaction that has ended by now", nil
	}
	return strings.Join(all, "; "), nil
}

func (w *work) preparedOnTable(ctx context.Context) ([]string, error) {
	found, err := collect(ctx, w.conn, "SELECT DISTINCT 'prepared transaction ' || quote_literal(p.gid) FROM "+preparedLocks+" p WHERE p.relation IN (SELECT oid FROM "+fmt.Sprintf(familySQL, "$1")+" f)", pgx.RowTo[string], w.m.Table)
	if err != nil {
		return nil, fmt.Errorf("looking for prepared transactions: %w", err)
	}
	return found, nil
}
