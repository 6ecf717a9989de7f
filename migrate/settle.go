package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
)

// terminateAfter is how long a transaction may end by itself before --terminate ends it.
const terminateAfter = time.Second

// settle waits until the current epoch is settled: every live proxy has acknowledged it, the dead ones have outlived their lease and their
// server sessions are ended, and the prepared transactions that hold locks on the table are over. Past the deadline it gives a *lateError.
func (w *work) settle(ctx context.Context) error {
	began := time.Now()
	var prepared map[string]bool // those that there were when all proxies had acknowledged; nil before
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		var settled, current int64
		var holder string
		if err := w.conn.QueryRow(ctx, "SELECT settled, current, COALESCE(holder::text, '') FROM segue.epoch").Scan(&settled, &current, &holder); err != nil {
			return fmt.Errorf("reading the epoch: %w", err)
		}
		if settled == current {
			return nil
		}
		if holder != w.id {
			return errLost
		}
		waiting, err := w.behind(ctx, current, w.opt.Terminate && time.Since(began) > terminateAfter)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			now, err := w.prepared(ctx, current)
			if err != nil {
				return err
			}
			if prepared == nil {
				prepared = map[string]bool{}
				for _, x := range now {
					prepared[x] = true
				}
			}
			for _, x := range now { // later ones were made under this epoch
				if prepared[x] {
					waiting = append(waiting, x)
				}
			}
		}
		if len(waiting) == 0 {
			tag, err := w.conn.Exec(ctx, "UPDATE segue.epoch SET settled = current WHERE current = $1 AND holder = $2", current, w.id)
			if err != nil {
				return fmt.Errorf("settling epoch %d: %w", current, err)
			}
			if tag.RowsAffected() != 1 {
				return errLost
			}
			return nil
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
		if silent > m.lease+leaseMargin {
			text, err = w.fence(ctx, m)
		} else if text, err = w.keeping(ctx, m, terminate); err == nil && silent > m.lease/2 {
			text += fmt.Sprintf(", which has not renewed its lease for %v", silent.Round(time.Second))
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
		if renewals != m.renewals {
			text = m.String()
			return nil
		}
		if text, err = w.endSessions(ctx, tx, m); err != nil || text != "" {
			return err
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

// endSessions ends the server sessions of a dead proxy; it says which are still there.
func (w *work) endSessions(ctx context.Context, tx pgx.Tx, m member) (string, error) {
	type session struct {
		pid   int32
		known bool   // it is the one that was registered, and no later one with its PID
		state string // "" where it may not be seen
		may   bool   // the control role may end it
	}
	sessions, err := collect(ctx, tx, `
		SELECT a.pid, COALESCE(a.backend_start = s.backend_start, false), COALESCE(a.state, ''),
		       me.rolsuper OR (NOT COALESCE(r.rolsuper, true) AND (pg_has_role(r.oid, 'MEMBER') OR pg_has_role('pg_signal_backend', 'MEMBER')))
		FROM segue.session s
		JOIN pg_stat_activity a ON a.pid = s.pid AND COALESCE(a.backend_start = s.backend_start, true)
		JOIN pg_roles me ON me.rolname = current_user
		LEFT JOIN pg_roles r ON r.oid = a.usesysid
		WHERE s.proxy = $1 ORDER BY a.pid`, func(row pgx.CollectableRow) (s session, err error) {
		return s, row.Scan(&s.pid, &s.known, &s.state, &s.may)
	}, m.id)
	if err != nil {
		return "", err
	}
	var left []string
	for _, s := range sessions {
		switch {
		case s.known && s.may:
			if _, err := tx.Exec(ctx, "SELECT pg_terminate_backend($1)", s.pid); err != nil {
				return "", err
			}
			left = append(left, fmt.Sprintf("pid %d", s.pid))
		case s.known && s.state == "idle":
			// It is outside a transaction, and its proxy holds its clients since the lease ran out.
		default:
			left = append(left, fmt.Sprintf("pid %d, which the control role may not end", s.pid))
		}
	}
	if len(left) == 0 {
		return "", nil
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
