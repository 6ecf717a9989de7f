package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// storeBehind notes which sessions keep this proxy from acknowledging the state that it has handed over, in the transaction that renews its lease.
func (k *keeper) storeBehind(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `UPDATE segue.session SET behind = CASE WHEN pid = ANY ($2) THEN $3::bigint END
		WHERE proxy = $1 AND (behind IS NOT NULL OR pid = ANY ($2))`, k.id, toInt4(k.behind), k.state.Epoch)
	k.over = nil
	if err != nil || len(k.behind) == 0 || k.c.standby != nil {
		k.missing = nil
		return err
	}
	missing, err := collect(ctx, tx, "SELECT s.pid FROM segue.session s WHERE s.proxy = $1 AND s.pid = ANY ($2) AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = s.pid)",
		pgx.RowTo[int32], k.id, toInt4(k.behind))
	if err != nil {
		return fmt.Errorf("looking whether server sessions are over: %w", err)
	}
	// Those that were over the last time already, and still keep the change waiting, have not noticed.
	for _, pid := range missing {
		if slices.Contains(k.missing, pid) {
			k.over = append(k.over, uint32(pid))
		}
	}
	k.missing = missing
	return nil
}

// blocker is a transaction that keeps a change waiting. What the control role may not see of it is left empty.
type blocker struct {
	pid         int32
	application string
	user        string
	age         float64 // seconds; below 0 where it is not seen
	state       string  // as pg_stat_activity has it
	statement   string  // the kind of its last statement
	old         bool    // it began before the proxy said so: a later one of the same session is not in the way; for a lock's holder, it is a client's
}

// blockerColumns are those of a row a of pg_stat_activity; what comes after them says whether the transaction is old.
const blockerColumns = `a.pid, COALESCE(a.application_name, ''), COALESCE(a.usename::text, ''), COALESCE(extract(epoch FROM clock_timestamp() - COALESCE(a.xact_start, a.state_change))::float8, -1),
	COALESCE(a.state, ''), COALESCE(left(a.query, 1000), '')`

func scanBlocker(row pgx.CollectableRow) (b blocker, err error) {
	err = row.Scan(&b.pid, &b.application, &b.user, &b.age, &b.state, &b.statement, &b.old)
	b.statement = statementKind(b.statement)
	return b, err
}

func (b blocker) String() string {
	text := fmt.Sprintf("pid %d, %s, user %s", b.pid, nameless(b.application), b.user)
	if b.age >= 0 {
		text += fmt.Sprintf(", %.0fs in transaction", b.age)
	}
	if b.statement != "" {
		text += ", last " + b.statement
	}
	return text
}

func nameless(application string) string {
	if application == "" {
		return "no application_name"
	}
	return application
}

func join(bs []blocker) string {
	var out []string
	for _, b := range bs {
		out = append(out, b.String())
	}
	return strings.Join(out, "; ")
}

// statementKind gives a statement's first word, which says what kind it is: its values are nobody's business. "" where it has none, or may not be seen.
func statementKind(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n\f\v(;")
		switch {
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			// Comments nest; one that does leaves a word of it at worst.
			_, sql, _ = strings.Cut(sql, "*/")
		default:
			end := strings.IndexFunc(sql, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
			if end < 0 {
				end = len(sql)
			}
			return strings.ToUpper(sql[:min(end, 20)])
		}
	}
}

// behindSessions gives the transactions that keep a proxy from acknowledging an epoch, as it has told with its last renewal, the oldest first.
func behindSessions(ctx context.Context, q queryer, proxyID string, epoch int64) ([]blocker, error) {
	// A failed transaction that its client has not ended has a state and no xact_start.
	found, err := collect(ctx, q, `
		SELECT `+blockerColumns+`, COALESCE(a.xact_start <= p.renewed_at, a.state IS DISTINCT FROM 'idle')
		FROM segue.session s JOIN segue.proxy p ON p.id = s.proxy JOIN pg_stat_activity a ON a.pid = s.pid AND COALESCE(a.backend_start = s.backend_start, true)
		WHERE s.proxy = $1 AND s.behind = $2 ORDER BY COALESCE(a.xact_start, a.state_change) LIMIT 50`, scanBlocker, proxyID, epoch)
	if err != nil {
		return nil, fmt.Errorf("looking for the transactions that keep a proxy from acknowledging: %w", err)
	}
	return found, nil
}

// keeping says what keeps a live proxy from acknowledging; with terminate, it ends that.
func (w *work) keeping(ctx context.Context, m member, epoch int64, terminate bool) (string, error) {
	if m.standby != "" {
		return w.keepingStandby(ctx, m, terminate)
	}
	blockers, err := behindSessions(ctx, w.conn, m.id, epoch)
	if err != nil {
		return "", err
	}
	if len(blockers) == 0 {
		return m.String(), nil
	}
	if terminate {
		for _, b := range blockers {
			if !b.old {
				continue
			}
			if refused, err := w.terminate(ctx, b.pid); err != nil {
				return "", err
			} else if refused != "" {
				return fmt.Sprintf("%s (%s; %s)", m, join(blockers), refused), nil
			}
			if err := w.c.note(ctx, w.conn, w.name, "terminated", map[string]any{"pid": b.pid, "application": b.application, "user": b.user}); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%s (%s)", m, join(blockers[:min(len(blockers), 5)])), nil
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

// waitingForLock is in what a work says while it waits for a lock on the table.
const waitingForLock = "waiting for a lock on "

// lockHolders gives the transactions that hold locks on a table or its relatives, the oldest first.
func lockHolders(ctx context.Context, q queryer, table uint32) ([]blocker, error) {
	found, err := collect(ctx, q, `
		SELECT DISTINCT ON (4, 1) `+blockerColumns+`, COALESCE(a.backend_type = 'client backend', false) AND a.application_name <> $2 FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'relation' AND l.relation IN (SELECT oid FROM `+fmt.Sprintf(familySQL, "$1")+` f) AND l.granted AND l.pid <> pg_backend_pid()
		ORDER BY 4 DESC, 1 LIMIT 10`, scanBlocker, table, applicationName)
	if err != nil {
		return nil, fmt.Errorf("looking for who holds locks: %w", err)
	}
	return found, nil
}

// BlockerStatus is something that keeps a change waiting.
type BlockerStatus struct {
	Why         string  `json:"why"`         // "epoch": a transaction runs under the epoch before; "lock": it holds a lock on the table; "prepared": as both, by a prepared transaction; "proxy": it has not acknowledged; "lease": its lease runs out; "standby": the standby that it has sessions at has not replayed the epoch
	Proxy       string  `json:"proxy"`       // its id; "" where it is none's
	Host        string  `json:"host"`        // the proxy's
	PID         int32   `json:"pid"`         // of the server session; 0 where it is not one's
	Application string  `json:"application"` // application_name
	User        string  `json:"user"`
	AgeSeconds  float64 `json:"age_seconds"` // of the transaction; below 0 where it is not seen
	State       string  `json:"state"`       // as pg_stat_activity has it
	Statement   string  `json:"statement"`   // the kind of its last statement, such as UPDATE
	Prepared    string  `json:"prepared"`    // the prepared transaction's identifier
	Standby     string  `json:"standby"`     // the address of the standby that it is about; "" where it is the primary
}

func (b blocker) status(why string) BlockerStatus {
	return BlockerStatus{Why: why, PID: b.pid, Application: b.application, User: b.user, AgeSeconds: b.age, State: b.state, Statement: b.statement}
}

// blockedBy lists what keeps a migration's change waiting just now: before it is written, locks; after it, whoever still runs under the epoch before.
func blockedBy(ctx context.Context, q queryer, m *migration, settled int64, waitsForLock bool) ([]BlockerStatus, error) {
	out := []BlockerStatus{}
	if waitsForLock {
		holders, err := lockHolders(ctx, q, m.Table)
		if err != nil {
			return nil, err
		}
		for _, b := range holders {
			out = append(out, b.status("lock"))
		}
	}
	if m.Changed > settled {
		more, err := unacknowledged(ctx, q, m.Changed)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if waitsForLock || m.Changed > settled {
		gids, err := collect(ctx, q, "SELECT DISTINCT p.gid, p.owner::text FROM "+preparedLocks+" p WHERE p.relation IN (SELECT oid FROM "+fmt.Sprintf(familySQL, "$1")+" f)", func(row pgx.CollectableRow) (b BlockerStatus, err error) {
			b.Why, b.AgeSeconds = "prepared", -1
			return b, row.Scan(&b.Prepared, &b.User)
		}, m.Table)
		if err != nil {
			return nil, fmt.Errorf("looking for prepared transactions: %w", err)
		}
		out = append(out, gids...)
	}
	return out, nil
}

// unacknowledged lists the proxies that have not acknowledged an epoch, each with the transactions that keep it.
func unacknowledged(ctx context.Context, q queryer, epoch int64) ([]BlockerStatus, error) {
	var out []BlockerStatus
	keeps := map[string][]BlockerStatus{} // at standbys
	late, err := collect(ctx, q, "SELECT id::text, host, clock_timestamp() > renewed_at + make_interval(secs => lease), COALESCE(standby, ''), COALESCE(keeps, '[]') FROM segue.proxy WHERE ack < $1 ORDER BY joined_at, id", func(row pgx.CollectableRow) (b BlockerStatus, err error) {
		var over bool
		var told []BlockerStatus
		err = row.Scan(&b.Proxy, &b.Host, &over, &b.Standby, &told)
		b.Why, b.AgeSeconds = "proxy", -1
		if over {
			b.Why = "lease"
		} else if b.Standby != "" {
			for _, k := range told {
				k.Proxy, k.Host = b.Proxy, b.Host
				keeps[b.Proxy] = append(keeps[b.Proxy], k)
			}
		}
		return b, err
	}, epoch)
	if err != nil {
		return nil, fmt.Errorf("reading the proxies: %w", err)
	}
	for _, p := range late {
		if told := keeps[p.Proxy]; len(told) > 0 {
			out = append(out, told...)
			continue
		}
		if p.Standby != "" {
			out = append(out, p)
			continue
		}
		sessions, err := behindSessions(ctx, q, p.Proxy, epoch)
		if err != nil {
			return nil, err
		}
		for _, b := range sessions {
			s := b.status("epoch")
			s.Proxy, s.Host = p.Proxy, p.Host
			out = append(out, s)
		}
		if len(sessions) == 0 {
			out = append(out, p)
		}
	}
	return out, nil
}
