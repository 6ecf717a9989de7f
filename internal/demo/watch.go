package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/rewrite/lens"
)

// status is what the demo reads of a proxy's GET /v1/status.
type status struct {
	Migrations []struct {
		Name string `json:"name"`
		lens.Stage
		Settled  bool     `json:"settled"`
		Working  string   `json:"working"`
		Error    string   `json:"error"`
		Backfill backfill `json:"backfill"`
	} `json:"migrations"`
}

type backfill struct {
	Done  int64   `json:"rows_done"`
	Total int64   `json:"rows_total"`
	Rate  float64 `json:"rate"`
	ETA   float64 `json:"eta_seconds"`
}

// getStatus asks a proxy for its status.
func getStatus(ctx context.Context, admin string) (_ *status, err error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", admin)
		},
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://segue/v1/status", nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking %s for its status: %s", admin, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var s status
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("reading the status of %s: %w", admin, err)
	}
	return &s, nil
}

// standing is where the migration stands, as far as the watcher has seen.
type standing struct {
	known    bool // the migration is registered
	stage    lens.Stage
	settled  bool // all proxies have it
	working  string
	backfill backfill
	apart    int64 // rows whose columns were found to differ, all checks together
	checks   map[lens.Phase]int
}

// watcher follows the migration through the proxies' status and compares the two columns on the server itself, around the proxies. Its
// owner calls stop.
type watcher struct {
	world  *world
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	meters []*meter
	now    standing
	failed error // the first failure to compare
}

const (
	statusEvery  = 100 * time.Millisecond
	compareEvery = 700 * time.Millisecond
)

func startWatcher(ctx context.Context, w *world) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	o := &watcher{world: w, cancel: cancel, now: standing{checks: map[lens.Phase]int{}}}
	o.wg.Go(func() { every(ctx, statusEvery, func() { o.look(ctx) }) })
	o.wg.Go(func() {
		every(ctx, compareEvery, func() {
			if err := o.compare(ctx); err != nil && ctx.Err() == nil {
				o.mu.Lock()
				o.failed = errors.Join(o.failed, err)
				o.mu.Unlock()
				cancel() // one failure is enough to know
			}
		})
	})
	return o
}

func every(ctx context.Context, d time.Duration, do func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do()
		}
	}
}

func (o *watcher) stop() error {
	o.cancel()
	o.wg.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

// follow puts the statements that a meter counts from now on under the migration's phase.
func (o *watcher) follow(m *meter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.meters = append(o.meters, m)
	m.setPhase(o.now.stage.Phase)
}

func (o *watcher) standing() standing {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.now
	s.checks = make(map[lens.Phase]int, len(o.now.checks))
	for p, n := range o.now.checks {
		s.checks[p] = n
	}
	return s
}

// look asks the first proxy that answers. Where none does, what was known stands; the applications notice by themselves.
func (o *watcher) look(ctx context.Context) {
	var s *status
	for _, p := range o.world.running() {
		var err error
		if s, err = getStatus(ctx, p.admin); err == nil {
			break
		}
	}
	if s == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range s.Migrations {
		if m.Name != migrationName {
			continue
		}
		o.now.known, o.now.stage, o.now.working, o.now.backfill = true, m.Stage, m.Working, m.Backfill
		o.now.settled = m.Settled
		for _, meter := range o.meters {
			meter.setPhase(m.Phase)
		}
	}
}

// compare counts on the server the rows whose columns differ, where both are there. Until the proof a new column may be unfilled.
func (o *watcher) compare(ctx context.Context) error {
	before := o.standing().stage
	var apart int64
	var both bool
	err := o.world.as(ctx, controlRole, database, func(c *pgx.Conn) error {
		if err := c.QueryRow(ctx, o.world.pattern.both).Scan(&both); err != nil || !both {
			return err
		}
		err := c.QueryRow(ctx, o.world.pattern.apart, before.Proved).Scan(&apart)
		var undefined *pgconn.PgError
		if errors.As(err, &undefined) && (undefined.Code == "42703" || undefined.Code == "42P01") {
			both, err = false, nil // dropped in the meantime, by complete or by a rollback
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("comparing the columns on the server: %w", err)
	}
	if !both {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now.apart += apart
	o.now.checks[max(before.Phase, lens.Expand)]++ // both are there from expand on; the status may be a moment behind
	return nil
}
