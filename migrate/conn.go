package migrate

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"golang.org/x/sys/unix"

	"segue/migrate/agree"
)

// applicationName marks the control connections in pg_stat_activity, so that they are not taken for sessions that bypass the proxies.
const applicationName = "segue control"

// closeTimeout bounds what is done after the context has ended: handing back, noting an error, saying goodbye.
const closeTimeout = 5 * time.Second

// queryer is what a connection and a transaction have in common.
type queryer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func parseDSN(dsn string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the control connection's string: %w; write one such as postgres://segue@127.0.0.1:5432/app", err)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	if cfg.ValidateConnect == nil && slices.ContainsFunc(cfg.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.Host != cfg.Host || f.Port != cfg.Port }) {
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary // of several hosts, a standby is no reason to stop
	}
	cfg.RuntimeParams["application_name"] = applicationName
	dialer := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
		// A peer that does not answer must end the connection sooner than TCP would by itself, which takes a quarter of an hour.
		Control: func(network, _ string, raw syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			var err error
			return errors.Join(raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(10*time.Second/time.Millisecond))
			}), err)
		},
	}
	cfg.DialFunc = dialer.DialContext
	return cfg, nil
}

// settings make a session independent of how the role and the database are set up. search_path is pg_catalog so that what the server
// writes for us (defaults, types, index definitions) is qualified; row_security is off so that a policy gives an error instead of
// hiding rows from the backfill. What the proxies agree on must outlive a crash of the server, so a commit is waited for.
const settings = `
SET search_path = pg_catalog;
SET row_security = off;
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET TimeZone = 'UTC';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET standard_conforming_strings = on;
SET quote_all_identifiers = off;
SET default_transaction_isolation = 'read committed';
SET default_transaction_read_only = off;
SET default_transaction_deferrable = off;
SET session_replication_role = DEFAULT;
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET tcp_keepalives_idle = 5;
SET tcp_keepalives_interval = 5;
SET tcp_keepalives_count = 3;
SET tcp_user_timeout = 10000;
SELECT set_config(name, CASE name WHEN 'client_connection_check_interval' THEN '1s' ELSE '0' END, false) FROM pg_settings
WHERE name IN ('client_connection_check_interval', 'idle_session_timeout', 'transaction_timeout');
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`

// connect opens a control connection. The caller closes it.
func (c *Controller) connect(ctx context.Context) (*pgx.Conn, error) { return c.dial(ctx, nil) }

// connectToWork is connect for long statements: when the context ends, the server is told to stop the statement, instead of being left with it. The locks that go with the connection must not
// outlive the work: of a proxy that is stopped, its kernel answers for it, so the server ends the session when it has asked for nothing for Options.Silence. (Up to version 13 it cannot, outside a
// transaction.)
func (c *Controller) connectToWork(ctx context.Context) (*pgx.Conn, error) {
	conn, err := c.dial(ctx, func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: closeTimeout}
	})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SELECT set_config(name, $1, false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout')",
		fmt.Sprint(c.opt.Silence.Milliseconds())); err != nil {
		return nil, errors.Join(fmt.Errorf("setting up the control connection: %w", err), closeConn(conn))
	}
	return conn, nil
}

func (c *Controller) dial(ctx context.Context, handler func(*pgconn.PgConn) ctxwatch.Handler) (*pgx.Conn, error) {
	cfg := c.base.Copy()
	if handler != nil {
		cfg.BuildContextWatcherHandler = handler
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the control connection: %w; see that the server runs and that the control connection's string is right", err)
	}
	history := agree.History{}
	if err = setUp(ctx, conn); err == nil {
		history, err = readHistory(ctx, conn)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("setting up the control connection: %w", err), closeConn(conn))
	}
	conn.PgConn().CustomData()[historyKey] = history
	return conn, nil
}

// setUp makes a session what this package's statements rely on.
func setUp(ctx context.Context, conn *pgx.Conn) error {
	// session_replication_role is a superuser's setting: who may not set it has it at its default unless the database says otherwise.
	text := settings
	var super bool
	if err := conn.QueryRow(ctx, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").Scan(&super); err != nil {
		return err
	}
	if !super {
		text = strings.Replace(text, "SET session_replication_role = DEFAULT;\n", "", 1)
	}
	_, err := conn.Exec(ctx, text)
	return err
}

// closeConn says goodbye, whatever has become of the caller's context.
func closeConn(conn *pgx.Conn) error {
	if conn.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return conn.Close(ctx)
}

// inTx runs f in a transaction, committed where f gives no error.
func inTx(ctx context.Context, conn *pgx.Conn, opt pgx.TxOptions, f func(pgx.Tx) error) error {
	tx, err := conn.BeginTx(ctx, opt)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		if rollback := tx.Rollback(ctx); rollback != nil && ctx.Err() == nil && !conn.IsClosed() {
			err = errors.Join(err, rollback)
		}
		return err
	}
	return tx.Commit(ctx)
}

// The advisory locks' first keys. Each second key is 0, or for a migration's work, the hash of its name: two names with one hash only wait
// for each other.
const (
	lockCreate     = 0x5e60e01 // making the state
	lockCoordinate = 0x5e60e02 // changing the epoch
	lockWork       = 0x5e60e03 // working on a migration
)

func lockKey(name string) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails, says hash.Hash
	return int32(h.Sum32())
}

// backoff gives growing pauses with jitter, so that several that wait for one thing do not come at once.
type backoff struct{ next, longest time.Duration }

func (b *backoff) pause(ctx context.Context) error {
	d := b.next/2 + rand.N(b.next/2+1)
	b.next = min(2*b.next, b.longest)
	return sleep(ctx, d)
}

// sqlState gives the SQLSTATE of a server's error, or "".
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// collect runs a query and scans each row into a T by fields.
func collect[T any](ctx context.Context, q queryer, sql string, scan func(pgx.CollectableRow) (T, error), args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}
