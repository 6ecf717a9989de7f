package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
	"segue/rewrite/lens"
)

// Status is the answer of GET /v1/status. Fields are added, never renamed.
type Status struct {
	Epoch      int64             `json:"epoch"`
	Settled    bool              `json:"settled"`
	Migrations []MigrationStatus `json:"migrations"`
	Proxies    []ProxyStatus     `json:"proxies"`
	Bypass     []SessionStatus   `json:"bypass"` // sessions on the database that are no proxy's
	Events     []EventStatus     `json:"events"` // the last ones, newest first
	Notes      []string          `json:"notes"`  // what is good to know of the proxies and the database
}

// MigrationStatus is how a migration stands.
type MigrationStatus struct {
	Name     string           `json:"name"`
	Table    string           `json:"table"`
	Pattern  string           `json:"pattern"`
	Phase    lens.Phase       `json:"phase"`
	Step     lens.Step        `json:"step"`
	Proved   bool             `json:"proved"`
	Settled  bool             `json:"settled"`
	Working  string           `json:"working"` // what is going on; "" when nothing is
	Error    string           `json:"error"`   // how the last work failed; "" where it did not
	Lossy    bool             `json:"lossy"`   // what went in need not come back: new code writes from switch-reads on
	OneWay   bool             `json:"one_way"` // some old column has no way back: new code writes from complete on, where old code can no longer read
	Notes    []string         `json:"notes"`   // what is good to know, and keeps nothing from going on
	Gate     GateStatus       `json:"gate"`
	Backfill BackfillStatus   `json:"backfill"`
	Verify   VerifyStatus     `json:"verify"`
	OldNames []OldNamesStatus `json:"old_names"`
	Blocked  []BlockerStatus  `json:"blocked_by"` // what keeps the change under way waiting
	History  []EventStatus    `json:"history"`    // the last events of this migration, newest first
}

// GateStatus is the gate that comes next.
type GateStatus struct {
	Phase   string   `json:"phase"` // whose gate it is; "" where there is none
	Ready   bool     `json:"ready"`
	Missing []string `json:"missing"`
}

// BackfillStatus is how far the backfill is.
type BackfillStatus struct {
	RowsDone   int64   `json:"rows_done"`
	RowsTotal  int64   `json:"rows_total"`
	Rate       float64 `json:"rate"`        // rows a second
	ETASeconds float64 `json:"eta_seconds"` // 0 where it is not known
	Throttled  string  `json:"throttled"`   // why it, or a scan, waits or goes slowly; "" where it does not
	Paused     bool    `json:"paused"`
	MaxRows    int64   `json:"max_rows"` // rows a second at most; 0: no limit
	Done       bool    `json:"done"`
}

// VerifyStatus is what the last scan found.
type VerifyStatus struct {
	Rows      int64    `json:"rows"`
	Apart     int64    `json:"apart"`
	FirstKeys []string `json:"first_keys"`
	Lost      int64    `json:"lost"` // rows of a lossy migration that agree in one direction only
	LostKeys  []string `json:"lost_keys"`
	Repaired  int64    `json:"repaired"` // by the request that scanned last
	At        string   `json:"at"`       // "" where there was none
}

// OldNamesStatus is one kind of client that used the old names.
type OldNamesStatus struct {
	Application string    `json:"application"`
	User        string    `json:"user"`
	Version     string    `json:"version"`
	Count       int64     `json:"count"`
	LastSeen    time.Time `json:"last_seen"`
}

// ProxyStatus is a proxy that holds a lease.
type ProxyStatus struct {
	ID           string  `json:"id"`
	Host         string  `json:"host"`
	Build        string  `json:"build"`
	Format       int     `json:"format"`        // of the state that the build knows
	Epoch        int64   `json:"epoch"`         // acknowledged
	LeaseSeconds float64 `json:"lease_seconds"` // left, by the database's clock; below 0 it has run out
	Sessions     int64   `json:"sessions"`
	Self         bool    `json:"self"`
	Standby      string  `json:"standby"` // the address of the standby that the sessions are at; "": they are at the primary
}

// SessionStatus is a server session.
type SessionStatus struct {
	PID         int32  `json:"pid"`
	Application string `json:"application"`
	User        string `json:"user"`
}

// Status reads how everything stands, from the database.
func (c *Controller) Status(ctx context.Context) (json.RawMessage, error) {
	var s *Status
	err := c.side.do(ctx, func(conn *pgx.Conn) error {
		var err error
		s, err = c.status(ctx, conn)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	return json.Marshal(s)
}

func (c *Controller) status(ctx context.Context, q queryer) (*Status, error) {
	s := &Status{Migrations: []MigrationStatus{}}
	var settled int64
	if err := q.QueryRow(ctx, "SELECT current, settled FROM segue.epoch").Scan(&s.Epoch, &settled); err != nil {
		return nil, err
	}
	s.Settled = s.Epoch == settled
	ms, err := readMigrations(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, m := range ms {
		x, err := migrationStatus(ctx, q, m, settled)
		if errors.Is(err, proxy.ErrUnknown) {
			continue // it was dropped meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", m.Name, err)
		}
		s.Migrations = append(s.Migrations, *x)
	}
	self := c.self()
	if s.Proxies, err = collect(ctx, q, `SELECT id::text, host, build, format, ack, lease - extract(epoch FROM clock_timestamp() - renewed_at)::float8, sessions, COALESCE(standby, '')
		FROM segue.proxy ORDER BY joined_at, id`, func(row pgx.CollectableRow) (p ProxyStatus, err error) {
		err = row.Scan(&p.ID, &p.Host, &p.Build, &p.Format, &p.Epoch, &p.LeaseSeconds, &p.Sessions, &p.Standby)
		p.Self = p.ID == self
		return p, err
	}); err != nil {
		return nil, err
	}
	if s.Bypass, err = bypassing(ctx, q); err != nil {
		return nil, err
	}
	if s.Events, err = events(ctx, q, ""); err != nil {
		return nil, err
	}
	if s.Notes, err = s.remarks(ctx, q); err != nil {
		return nil, err
	}
	s.Notes = append(s.Notes, c.poolers()...)
	return s, nil
}

// bypassing lists the sessions on the database that are no proxy's. A proxy tells all of its sessions with each renewal, and those that run statements on migrating tables at
// once.
func bypassing(ctx context.Context, q queryer) ([]SessionStatus, error) {
	return collect(ctx, q, `SELECT a.pid, a.application_name, COALESCE(a.usename, '') FROM pg_stat_activity a
		WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND a.application_name <> $1
		AND NOT EXISTS (SELECT FROM segue.session s JOIN segue.proxy p ON p.id = s.proxy AND p.standby IS NULL WHERE s.pid = a.pid AND COALESCE(s.backend_start = a.backend_start, true))
		AND NOT EXISTS (SELECT FROM segue.proxy p WHERE a.pid = ANY (p.pids) AND COALESCE(a.backend_start <= p.renewed_at, true))
		ORDER BY a.pid LIMIT 1000`, func(row pgx.CollectableRow) (x SessionStatus, err error) {
		return x, row.Scan(&x.PID, &x.Application, &x.User)
	}, applicationName)
}

func migrationStatus(ctx context.Context, q queryer, m *migration, settled int64) (*MigrationStatus, error) {
	table, err := tableName(ctx, q, m.Table)
	if err != nil {
		return nil, err
	}
	gone := table == ""
	if gone {
		table = m.Definition.Table.String()
	}
	x := &MigrationStatus{
		Name: m.Name, Table: table, Pattern: m.Definition.Pattern(), Phase: m.Stand.Phase, Step: m.Stand.Step, Proved: m.Stand.Proved,
		Settled: m.Changed <= settled && m.Stand.Live, Working: m.Working, Error: m.Error,
		Notes:    []string{},
		Gate:     GateStatus{Missing: []string{}},
		Backfill: BackfillStatus{RowsDone: m.RowsDone, RowsTotal: m.RowsTotal, Rate: m.Rate, Throttled: m.Throttled, Paused: m.Paused, MaxRows: m.maxRows(), Done: m.Backfilled},
		Verify:   VerifyStatus{FirstKeys: []string{}, LostKeys: []string{}},
	}
	if g, err := m.Definition.Group(); err != nil {
		x.Notes = append(x.Notes, err.Error())
	} else {
		x.Lossy, x.OneWay = g.Lossy, g.OneWay()
	}
	if m.Working != "" {
		// The text holds only while the work's lock is held: a proxy that died could not take it back.
		var held bool
		if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid::bigint = $1 AND objid = $2::bigint::oid AND objsubid = 2
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`, lockWork, int64(uint32(lockKey(m.Name)))).Scan(&held); err != nil {
			return nil, err
		}
		if !held { // or it has just ended, and has taken it back
			if m, err = readMigration(ctx, q, m.Name); err != nil {
				return nil, err
			}
		}
		if !held && m.Working == "" {
			return migrationStatus(ctx, q, m, settled)
		}
		if !held {
			x.Working, x.Backfill.Throttled = "", ""
			x.Error = fmt.Sprintf("the proxy that worked on it is gone (it was at: %s): `segue advance %s` goes on, `segue rollback %s` goes back", m.Working, m.Name, m.Name)
		}
	}
	if left := m.RowsTotal - m.RowsDone; !m.Backfilled && left > 0 && m.Rate > 0 && x.Working != "" {
		x.Backfill.ETASeconds = float64(left) / m.Rate
	}
	if v := m.Verified; v != nil {
		x.Verify = VerifyStatus{Rows: v.Rows, Apart: v.Apart, FirstKeys: v.FirstKeys, Lost: v.Lost, LostKeys: v.LostKeys, Repaired: v.Repaired, At: v.At.UTC().Format(time.RFC3339)}
	}
	if to, ok := nextGate(m.Stand); ok && m.Stand.Live && !gone {
		x.Gate.Phase = to.String()
		// What --yes says is for the request to say.
		missing, err := gate(ctx, q, m, to, gateOptions{yes: true, quiet: defaultQuiet})
		if err != nil { // somebody may be changing the schema just now
			missing = []string{"it cannot be told just now: " + err.Error()}
		}
		if m.NewNums == nil && to < lens.Retired {
			missing = []string{fmt.Sprintf("the new column is not there yet: `segue advance %s`", m.Name)}
		}
		notes, err := notes(ctx, q, m)
		if err != nil { // as above
			notes = []string{"what else is to be known cannot be told just now: " + err.Error()}
		}
		x.Notes = append(x.Notes, notes...)
		x.Gate.Missing = append(x.Gate.Missing, missing...)
		x.Gate.Ready = len(missing) == 0
	}
	// The table's locks are in the way only while the work says so.
	if x.Blocked, err = blockedBy(ctx, q, m, settled, strings.Contains(x.Working, waitingForLock)); err != nil {
		return nil, err
	}
	if x.History, err = events(ctx, q, m.Name); err != nil {
		return nil, err
	}
	x.OldNames, err = collect(ctx, q, "SELECT application, username, version, count, last_seen FROM segue.old_names WHERE migration = $1 ORDER BY last_seen DESC LIMIT 100",
		func(row pgx.CollectableRow) (o OldNamesStatus, err error) {
			return o, row.Scan(&o.Application, &o.User, &o.Version, &o.Count, &o.LastSeen)
		}, m.Name)
	return x, err
}

// notes is what is good to know of a migration that is under way.
func notes(ctx context.Context, q queryer, m *migration) ([]string, error) {
	var notes []string
	if m.splitting() {
		return nil, nil
	}
	if m.NewNums != nil && m.Stand.Phase < lens.Complete {
		_, alone, err := readMirrors(ctx, q, m)
		if err != nil {
			return nil, err
		}
		for _, name := range alone {
			notes = append(notes, fmt.Sprintf("the index %s gets no mirror on the new side: make one for what new code looks up", name))
		}
	}
	if g, err := readGroup(ctx, q, m); err == nil && m.Stand.Phase < lens.Complete {
		standing, err := readStanding(ctx, q, m, g)
		if err != nil {
			return nil, err
		}
		objects, err := readStatistics(ctx, q, m, g)
		if err != nil {
			return nil, err
		}
		for _, x := range objects {
			if x.own == "" && !g.Dropping {
				notes = append(notes, fmt.Sprintf("the statistics object %s gets no mirror on the new side: make one", x.name))
			}
		}
		for _, s := range standing {
			if g.Dropping && len(s.columns) > 1 {
				notes = append(notes, fmt.Sprintf("the constraint %s goes with the column, and has others in it, too", s.name))
			} else if s.kept && !g.Dropping {
				notes = append(notes, fmt.Sprintf("the CHECK %s goes on judging what old code reads, and goes when the migration is retired: the new column gets one of its own only where the definition says `check`", s.name))
			}
		}
	}
	for _, n := range renamed(m.Definition) {
		notes = append(notes, fmt.Sprintf("column %s gets the name %s when the migration is retired, which waits until no client is connected", n.Name, n.As))
	}
	return notes, nil
}
