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
	for {
		row, err := readEpoch(ctx, w.conn, "")
		if err != nil {
			return err
		}
		left, err := w.resting(ctx, row)
		if err != nil || left == 0 {
			return err
		}
		if err := sleep(ctx, min(left, time.Second)); err != nil { // in pieces: a connection that is silent for long is ended
			return err
		}
	}
}

// member is a proxy, as its row in segue.proxy tells.
type member struct {
	id, host string
	renewals int64
	lease    time.Duration
	standby  string          // the address of the standby that its sessions are at; "": they are at the primary
	name     string          // and that server's name
	keeps    []BlockerStatus // what it has seen there that keeps it
}

// behind gives, for people, the proxies that have not acknowledged an epoch, with what keeps them. Those that are dead are fenced on the way.
func (w *work) behind(ctx context.Context, epoch int64, terminate bool) ([]string, error) {
	members, err := collect(ctx, w.conn, memberColumns+" WHERE ack < $1 ORDER BY joined_at", scanMember, epoch)
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
			text, err = w.keeping(ctx, m, epoch, terminate)
			text += fmt.Sprintf(", which has not renewed its lease for %v", silent.Round(time.Second))
		case agree.Lively:
			text, err = w.keeping(ctx, m, epoch, terminate)
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

const memberColumns = "SELECT id::text, host, renewals, lease, COALESCE(standby, ''), COALESCE(standby_host, ''), COALESCE(keeps, '[]') FROM segue.proxy"

func scanMember(row pgx.CollectableRow) (member, error) {
	var m member
	var seconds float64
	err := row.Scan(&m.id, &m.host, &m.renewals, &seconds, &m.standby, &m.name, &m.keeps)
	m.lease = time.Duration(seconds * float64(time.Second))
	return m, err
}

func (m member) String() string {
	s := fmt.Sprintf("proxy %s on %s", m.id[:8], m.host)
	if m.standby != "" {
		s += " for its sessions at the standby " + m.standby
	}
	return s
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
		var sessions []orphan
		var there string
		left := 0
		switch {
		case m.standby == "":
			sessions, err = sessionsOf(ctx, tx, m)
			left = len(sessions)
		case renewals == m.renewals:
			left, there, err = w.c.endAtStandby(ctx, tx, m)
		}
		if err != nil {
			return err
		}
		switch agree.Fence(m.renewals, renewals, left) {
		case agree.Spare:
			text = m.String()
			return nil
		case agree.Wait:
			if text = there; text != "" {
				return nil
			}
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
	found, err := lockHolders(ctx, w.conn, w.m.Table)
	if err != nil {
		return "", err
	}
	prepared, err := w.preparedOnTable(ctx)
	if err != nil {
		return "", err
	}
	all := append([]string(nil), prepared...)
	if len(found) > 0 {
		all = append(all, join(found[:min(len(found), 3)]))
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
