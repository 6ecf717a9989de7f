package migrate

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
)

const (
	// lookEvery is how often the signals are read while the work goes on; while it waits, as well.
	lookEvery = 250 * time.Millisecond
	// defaultLatencyGrowth is by how much statements may become slower, where the definition does not say.
	defaultLatencyGrowth = 1.2
	// latencyFloor is a growth that is never minded, in seconds: below it a machine's own unrest is larger.
	latencyFloor = 0.001
	// fewStatements is how many a proxy must have counted for its figures to be minded.
	fewStatements = 50
	// leastShare is the smallest part of the time that the work takes for itself before it rests.
	leastShare = 0.1
	// shortestBatch is the shortest time that batches are sized for: below it, what each costs by itself is most of it.
	shortestBatch = 25 * time.Millisecond
	// patientRests is how often in a row the work is found too much at its least share before it rests, to see how long statements take without it.
	patientRests = 3
	// longestRest ends a rest in which the proxies tell nothing.
	longestRest = 15 * time.Second
)

// throttle holds work on many rows back: while it is paused, while standbys lag, WAL is written too fast or somebody waits for the table it waits; and it
// takes a smaller share of the time where the clients' statements have become slower by it. A signal that was asked for and cannot be read ends the work.
type throttle struct {
	*work
	share   float64 // of the time that may be worked
	text    string  // why share is below 1
	latency latencyWatch
	wal     walWatch
	limit   int64 // rows a second; 0: none
	looked  time.Time
	told    string // what status says
}

func newThrottle(w *work) *throttle {
	t := &throttle{work: w, share: 1, told: w.m.Throttled}
	t.latency.growth = w.m.Definition.Backfill.MaxLatencyGrowth
	if t.latency.growth <= 0 {
		t.latency.growth = defaultLatencyGrowth
	}
	t.wal.limit = int64(w.m.Definition.Backfill.MaxWALRate)
	t.limit = w.m.Definition.Backfill.MaxRowsPerSecond
	return t
}

// signals is what is read at one look.
type signals struct {
	paused  bool
	maxRows *int64
	waiting int64 // sessions that wait for a lock on the table
	wal     int64 // the position in the WAL, in bytes; 0 where it was not asked for
	proxies []proxySignal
}

// proxySignal is what a proxy has told with its last renewal.
type proxySignal struct {
	ID      string        `json:"id"`
	Latency proxy.Latency `json:"latency"`
}

// look reads the signals.
func (t *throttle) look(ctx context.Context) (*signals, error) {
	s := &signals{}
	var proxies []byte
	wal := "0::bigint"
	if t.wal.limit > 0 {
		wal = "(pg_current_wal_insert_lsn() - '0/0')::bigint"
	}
	if err := t.conn.QueryRow(ctx, `SELECT m.paused, m.max_rows, `+wal+`,
		(SELECT count(*) FROM pg_locks l WHERE NOT l.granted AND l.locktype = 'relation' AND l.pid <> pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		 AND l.relation IN (SELECT oid FROM `+fmt.Sprintf(familySQL, "$2")+` f)),
		COALESCE((SELECT jsonb_agg(jsonb_build_object('id', p.id, 'latency', p.latency)) FROM segue.proxy p WHERE p.latency IS NOT NULL), '[]')
		FROM segue.migration m WHERE m.name = $1`, t.name, t.m.Table).Scan(&s.paused, &s.maxRows, &s.wal, &s.waiting, &proxies); err != nil {
		return nil, fmt.Errorf("reading what the work on the rows is throttled by: %w", err)
	}
	if err := json.Unmarshal(proxies, &s.proxies); err != nil {
		return nil, fmt.Errorf("reading the proxies' latency: %w", err)
	}
	return s, nil
}

// wait returns when work may go on.
func (t *throttle) wait(ctx context.Context) error {
	if time.Since(t.looked) < lookEvery {
		return nil
	}
	for {
		s, err := t.look(ctx)
		if err != nil {
			return err
		}
		t.limit = t.m.Definition.Backfill.MaxRowsPerSecond
		if s.maxRows != nil {
			t.limit = *s.maxRows
		}
		why, err := t.stopped(ctx, s)
		if err != nil {
			return err
		}
		t.looked = time.Now()
		if why == "" {
			return t.tell(ctx, t.text)
		}
		t.latency.quiet = true
		if err := t.tell(ctx, why); err != nil {
			return err
		}
		if err := t.c.opt.Hooks.at(ctx, "throttled"); err != nil {
			return err
		}
		if err := sleep(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// stopped says what the work has to wait for; "" where it may go on.
func (t *throttle) stopped(ctx context.Context, s *signals) (string, error) {
	resting := t.latency.see(s.proxies, t)
	if s.paused {
		return fmt.Sprintf("paused: `segue backfill %s --resume` goes on", t.name), nil
	}
	behind, err := t.lagging(ctx)
	if err != nil || behind != "" {
		return behind, err
	}
	if why := t.wal.over(s.wal); why != "" {
		return why, nil
	}
	if s.waiting > 0 {
		return fmt.Sprintf("locks: %d sessions wait for a lock on %s", s.waiting, t.table), nil
	}
	return resting, nil
}

// tell notes in status why work waits, or goes slowly; "" where it does not.
func (t *throttle) tell(ctx context.Context, why string) error {
	if why == t.told {
		return nil
	}
	if err := t.throttle(ctx, why); err != nil {
		return err
	}
	t.told = why
	return nil
}

// worked takes note of a batch, and pauses for as long as leaves the work its share, and the rows their limit.
func (t *throttle) worked(ctx context.Context, took time.Duration, rows int64) error {
	t.latency.quiet = false
	rest := time.Duration(float64(took) * (1/t.share - 1))
	if t.limit > 0 {
		rest = max(rest, time.Duration(float64(rows)/float64(t.limit)*float64(time.Second))-took)
	}
	for rest > 0 { // in pieces, so that a limit that is lifted is lifted soon
		piece := min(rest, lookEvery)
		if err := sleep(ctx, piece); err != nil {
			return err
		}
		if rest -= piece; rest > 0 {
			before := t.limit
			if err := t.wait(ctx); err != nil {
				return err
			}
			if t.limit != before {
				return nil
			}
		}
	}
	return nil
}

// bound holds a batch to what may be worked on: a smaller share takes smaller batches, too, since each holds locks for as long as it takes.
func (t *throttle) bound(target time.Duration, rows int64) (time.Duration, int64) {
	if t.share < 1 {
		target = max(time.Duration(float64(target)*t.share), min(target, shortestBatch))
	}
	if t.limit > 0 {
		rows = min(rows, max(t.limit/10, 1))
	}
	return target, rows
}

// lagging says which standby is further behind than it may be, or cannot be told. replay_lag alone does not grow while a standby is silent, so where there is something to
// replay the time since its last word counts as well, past the interval of its reports.
func (t *throttle) lagging(ctx context.Context) (string, error) {
	limit := time.Duration(t.m.Definition.Backfill.MaxReplicationLag)
	if limit <= 0 {
		return "", nil
	}
	behind, err := collect(ctx, t.conn, `
		SELECT CASE WHEN r.state IS NULL THEN 'its state cannot be read: grant the control role pg_read_all_stats'
		            WHEN r.replay_lsn IS NULL THEN coalesce(nullif(r.application_name, ''), 'a standby') || ' does not say how far it has replayed'
		            ELSE coalesce(nullif(r.application_name, ''), 'a standby') || ' is ' || round(l.lag::numeric, 1)::text || 's behind' END
		FROM pg_stat_replication r CROSS JOIN LATERAL (SELECT greatest(extract(epoch FROM coalesce(r.replay_lag, '0')),
			CASE WHEN r.replay_lsn < pg_current_wal_flush_lsn() THEN extract(epoch FROM clock_timestamp() - r.reply_time) - 10 ELSE 0 END)::float8 AS lag) l
		WHERE r.state IS DISTINCT FROM 'backup' AND r.state IS DISTINCT FROM 'startup' AND (r.state IS NULL OR r.replay_lsn IS NULL OR l.lag > $1)`,
		pgx.RowTo[string], limit.Seconds())
	if err != nil {
		return "", fmt.Errorf("reading the standbys' lag, which max_replication_lag asks for: %w", err)
	}
	if len(behind) == 0 {
		return "", nil
	}
	return "replication: " + strings.Join(behind, "; "), nil
}

// walWatch holds the WAL that the whole server writes to a rate: what is over it is waited for.
type walWatch struct {
	limit int64 // bytes a second; 0: not asked for
	at    time.Time
	from  int64
	debt  float64 // bytes over the rate
}

func (x *walWatch) over(position int64) string {
	if x.limit <= 0 {
		return ""
	}
	now := time.Now()
	if !x.at.IsZero() {
		x.debt = max(x.debt+float64(position-x.from)-float64(x.limit)*now.Sub(x.at).Seconds(), -float64(x.limit)) // a second's worth may be saved up
	}
	x.at, x.from = now, position
	if x.debt <= 0 {
		return ""
	}
	return fmt.Sprintf("WAL: the server has written %.1f MB more than max_wal_rate allows", x.debt/1e6)
}

// latencyWatch compares how long the clients' statements take with how long they take without the work.
type latencyWatch struct {
	growth float64
	quiet  bool // no work has been done since the last look
	seen   map[string]*latencySeen
	over   int       // judgements in a row at the least share that found statements too slow
	rest   time.Time // since when the work rests; zero: it does not
}

// latencySeen is what is known of a proxy.
type latencySeen struct {
	window int64   // the last one that was told
	calm   bool    // nothing has been worked since it was
	base   float64 // seconds that 95 of 100 statements take without the work; 0: not known
}

// see takes note of what the proxies have told, and sets the share. It gives a text while the work has to rest.
func (l *latencyWatch) see(proxies []proxySignal, t *throttle) string {
	first := l.seen == nil
	if first {
		l.seen = map[string]*latencySeen{}
	}
	var n, now, base float64
	learned, unknown := false, false
	for _, p := range proxies {
		x := l.seen[p.ID]
		if x == nil {
			x = &latencySeen{window: p.Latency.Window, calm: l.quiet}
			if first && p.Latency.Statements >= fewStatements { // told before the work began
				x.base = p.Latency.P95
			}
			l.seen[p.ID] = x
			continue
		}
		if p.Latency.Window == x.window {
			x.calm = x.calm && l.quiet
			continue
		}
		calm := x.calm && l.quiet
		x.window, x.calm = p.Latency.Window, l.quiet
		if p.Latency.Statements < fewStatements {
			learned = learned || calm
			continue
		}
		switch {
		case calm:
			x.base, learned = p.Latency.P95, true
		case x.base > 0:
			w := float64(p.Latency.Statements)
			n, now, base = n+w, now+w*p.Latency.P95, base+w*x.base
		default:
			unknown = true
		}
	}
	if !l.rest.IsZero() {
		if !learned && time.Since(l.rest) < longestRest {
			return t.text
		}
		l.rest, l.over, t.share, t.text = time.Time{}, 0, 4*leastShare, ""
		return ""
	}
	if n == 0 && unknown {
		l.rest = time.Now()
		t.text = "latency: resting to see how long statements take without this work"
		return t.text
	}
	if n == 0 {
		return ""
	}
	now, base = now/n, base/n
	if now > base*l.growth && now-base > latencyFloor {
		if t.share <= leastShare {
			l.over++
		}
		t.share = max(t.share/2, leastShare)
	} else {
		t.share, l.over = min(t.share+0.1, 1), 0
	}
	t.text = ""
	if t.share < 1 {
		t.text = fmt.Sprintf("latency: 95 of 100 statements take %s, %s without this work, which takes %.0f%% of the time", ms(now), ms(base), 100*t.share)
	}
	if l.over >= patientRests {
		l.rest = time.Now()
		t.text = fmt.Sprintf("latency: 95 of 100 statements take %s, %s before; resting to see how long they take without this work", ms(now), ms(base))
		return t.text
	}
	return ""
}

func ms(seconds float64) string { return fmt.Sprintf("%.3g ms", 1000*seconds) }

// Backfill changes how the work on many rows goes, also while it does.
func (c *Controller) Backfill(ctx context.Context, name string, opt proxy.BackfillOptions) (json.RawMessage, error) {
	if opt.MaxRows != nil && *opt.MaxRows < 0 {
		return nil, fmt.Errorf("%w: %d rows a second at most are none: give 0 for no limit", proxy.ErrInvalid, *opt.MaxRows)
	}
	if _, err := c.find(ctx, name); err != nil {
		return nil, err
	}
	var answer json.RawMessage
	err := c.side.do(ctx, func(conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, `UPDATE segue.migration SET paused = COALESCE($2, paused), max_rows = COALESCE($3, max_rows) WHERE name = $1
			RETURNING jsonb_build_object('migration', name, 'paused', paused, 'max_rows', max_rows)`, name, opt.Paused, opt.MaxRows).Scan(&answer); err != nil {
			return err
		}
		if opt.Paused == nil && opt.MaxRows == nil {
			return nil
		}
		return c.note(ctx, conn, name, "backfill", map[string]any{"paused": opt.Paused, "max_rows": opt.MaxRows})
	})
	if err != nil {
		return nil, fmt.Errorf("changing how the backfill of %s goes: %w", name, err)
	}
	return answer, nil
}
