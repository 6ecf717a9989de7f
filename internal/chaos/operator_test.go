package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
	"segue/rewrite/lens"
)

// operator changes the phases of one track, forward and back, through any proxy.
type operator struct {
	w    *world
	t    *track
	rnd  *rand.Rand
	conn *pgx.Conn // nil while it is lost
	wg   sync.WaitGroup
}

// standing is how the track's migration stands.
type standing struct {
	there   bool
	live    bool
	stage   lens.Stage
	settled bool
	held    bool // somebody works on it
	working string
	err     string
}

// ask runs a query on a connection of the operator's own to the server.
func (o *operator) ask(ctx context.Context, f func(*pgx.Conn) error) error {
	for {
		begun := time.Now()
		var err error
		if o.conn == nil || o.conn.IsClosed() {
			o.conn, err = pgx.Connect(ctx, o.w.primary().DSN("chaos"))
		}
		if err == nil {
			err = f(o.conn)
		}
		if err == nil || ctx.Err() != nil || !o.w.outage(begun, time.Now()) {
			return err
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (o *operator) close() {
	if o.conn != nil {
		_ = o.conn.Close(context.Background()) // nothing is asked any more
	}
}

func (o *operator) standing(ctx context.Context) (s standing, err error) {
	err = o.ask(ctx, func(conn *pgx.Conn) error {
		s = standing{}
		var phase, step string
		err := conn.QueryRow(ctx, `SELECT live, phase, step, proved, changed <= (SELECT settled FROM segue.epoch), working, error,
			EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 98962947 AND objid = $2::bigint::oid AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
			FROM segue.migration WHERE name = $1`, o.t.migration(), int64(lockKey(o.t.migration()))).
			Scan(&s.live, &phase, &step, &s.stage.Proved, &s.settled, &s.working, &s.err, &s.held)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		s.there = true
		return errors.Join(s.stage.Phase.UnmarshalText([]byte(phase)), s.stage.Step.UnmarshalText([]byte(step)))
	})
	return s, err
}

// run changes phases until stop is closed.
func (o *operator) run(ctx context.Context, stop <-chan struct{}) {
	defer o.wg.Wait()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(upTo(o.rnd, 300*time.Millisecond)):
		}
		s, err := o.standing(ctx)
		if err != nil {
			if ctx.Err() == nil {
				o.w.fail("reading how %s stands: %v", o.t.migration(), err)
			}
			return
		}
		o.change(ctx, s)
	}
}

// change asks for something that makes sense where the migration stands; sometimes for what does not.
func (o *operator) change(ctx context.Context, s standing) {
	opt := map[string]any{}
	if o.rnd.IntN(3) == 0 {
		opt["max_wait"] = fmt.Sprint(100+o.rnd.IntN(900), "ms")
	}
	if o.rnd.IntN(5) == 0 {
		opt["terminate"] = true
	}
	phases := func(list ...string) {
		if to := list[o.rnd.IntN(len(list))]; to != "" {
			opt["to"] = to
		}
	}
	switch {
	case !s.there || !s.live || s.stage.Phase < lens.DualWrite && o.rnd.IntN(2) == 0:
		if s.there && o.rnd.IntN(4) == 0 && o.t.deploy(ctx, o.t.gen, o.t.gen) {
			o.request(ctx, "drop", nil)
			return
		}
		if o.request(ctx, "start", o.t.definition()) == "" {
			o.t.deploy(ctx, o.t.gen, o.t.gen+1)
		}
	case s.stage.Phase == lens.Complete && s.stage.Step == lens.NoStep || s.stage.Phase == lens.Retired:
		// The old application's next release uses the new names.
		if !o.t.deploy(ctx, o.t.gen+1, o.t.gen+1) {
			return
		}
		if s.stage.Phase == lens.Retired && s.settled {
			if o.request(ctx, "drop", nil) == "" {
				o.t.mu.Lock()
				o.t.gen++
				o.t.mu.Unlock()
				o.w.count("migrations carried through")
			}
			return
		}
		o.request(ctx, "retire", map[string]any{"quiet_for": "1ms"})
	case o.rnd.IntN(20) == 0:
		o.request(ctx, "verify", map[string]any{"repair": o.rnd.IntN(2) == 0})
	case s.stage.Phase == lens.Pending:
		o.t.deploy(ctx, o.t.gen, o.t.gen)
		if o.rnd.IntN(2) == 0 {
			o.request(ctx, "drop", nil)
		} else {
			o.request(ctx, "start", o.t.definition())
		}
	case o.rnd.IntN(3) == 0:
		phases("", "", "contract", "switch-reads", "backfill", "pending")
		o.request(ctx, "rollback", opt)
	default:
		phases("", "", "backfill", "switch-reads", "contract", "contract", "complete")
		opt["yes"] = o.rnd.IntN(2) == 0
		o.request(ctx, "advance", opt)
	}
}

// request asks a proxy for something and follows it to its end. What came of it is judged here; "" is that it was done.
func (o *operator) request(ctx context.Context, action string, body any) string {
	s := o.w.pick(o.rnd)
	armed := !s.safe && o.rnd.IntN(3) == 0 && s.turn.TryLock()
	begun := time.Now()
	if armed {
		armed = o.arm(s)
	}
	if m, ok := body.(map[string]any); ok && m["terminate"] == true {
		o.w.ending.Add(1)
		defer func() {
			o.w.mu.Lock()
			defer o.w.mu.Unlock()
			o.w.ending.Add(-1)
			o.w.ended = time.Now()
		}()
	}
	text := o.ended(ctx, s, action, body)
	o.judge(ctx, s, action, text, begun)
	if armed { // who has stopped wakes up when another one has gone on, perhaps
		stopped, down := upTo(o.rnd, 3*(lease+leaseMargin)), upTo(o.rnd, 2*time.Second)
		o.wg.Go(func() { o.disarm(ctx, s, stopped, down) })
	}
	return text
}

// ended does the request and waits for its end.
func (o *operator) ended(ctx context.Context, s *slot, action string, body any) string {
	path := "/v1/migrations/" + o.t.migration() + "/" + action
	if action == "start" {
		path = "/v1/migrations"
	}
	path += "?if_busy=" + []string{"", "", "wait", "fail"}[o.rnd.IntN(4)]
	if err := post(ctx, s.process().admin, path, body); err != nil {
		return "asking: " + err.Error()
	}
	for {
		st, err := o.standing(ctx)
		switch {
		case err != nil:
			return err.Error()
		case !st.held && st.working != "":
			return "the proxy that worked on it is gone: it was at: " + st.working
		case !st.held:
			return st.err
		}
		if o.stuck(s) || !sleep(ctx, 20*time.Millisecond) {
			return "the proxy that works on it is stopped"
		}
	}
}

// stuck says that the proxy has stopped itself at a point.
func (o *operator) stuck(s *slot) bool {
	_, err := os.Stat(s.fired())
	return err == nil && !s.safe
}

// arm makes the proxy kill or stop itself at one of the next boundaries of steps.
func (o *operator) arm(s *slot) bool {
	action := []string{"kill", "kill", "stop"}[o.rnd.IntN(3)]
	if err := os.WriteFile(s.armed(), fmt.Appendf(nil, "%s %d", action, o.rnd.IntN(8)), 0o600); err != nil {
		o.w.fail("arming %s: %v", s, err)
		s.turn.Unlock()
		return false
	}
	s.disturb()
	return true
}

// disarm brings the proxy back, where it has done what it was to do: after those times, where it has stopped or killed itself.
func (o *operator) disarm(ctx context.Context, s *slot, stopped, down time.Duration) {
	defer s.turn.Unlock()
	defer s.calm()
	p := s.process()
	if os.Remove(s.armed()) != nil { // it has fired, or is about to say so
		b, err := os.ReadFile(s.fired())
		for err != nil && p.alive() && sleep(ctx, time.Millisecond) {
			b, err = os.ReadFile(s.fired())
		}
		action, point, _ := strings.Cut(string(b), " ")
		o.w.count(action + " at a boundary")
		o.w.count(action + " at: " + strings.TrimRight(point, "\n"))
		if action == "stop" {
			sleep(ctx, 100*time.Millisecond+stopped) // it says so just before
			p.signal(syscall.SIGCONT)
		}
		_ = os.Remove(s.fired()) // it is there
		if action == "stop" {
			return
		}
	} else if p.alive() {
		return
	}
	<-p.done
	sleep(ctx, down)
	if err := s.start(ctx); err != nil && ctx.Err() == nil {
		o.w.fail("starting %s again: %v", s, err)
	}
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// judge says whether what came of a request is something that may come of it.
func (o *operator) judge(ctx context.Context, s *slot, action, text string, begun time.Time) {
	for _, x := range []struct{ part, kind string }{
		{"not settled yet", "not settled in time"},
		{"gave ", "given up in time"},
		{"busy: ", "met another one"},
		{"not in this state", "refused in this state"},
		{"the gate of ", "refused by a gate"},
		{"unknown migration", "refused in this state"},
		{"cannot be carried out", "refused in this state"},
		{"for a lock on", "no lock in time"},
		{"another proxy has taken over", "taken over"},
		{"is gone", "cut off"},
		{"is stopped", "cut off"},
		{"context deadline exceeded", "not answered in time"}, // it waits for another one
		{"stopped: ", "cut off"},
	} {
		if strings.Contains(text, x.part) {
			o.w.count("requests " + x.kind)
			return
		}
	}
	switch {
	case text == "":
		o.w.count("requests done")
	case ctx.Err() != nil:
	case s.disturbed(begun, time.Now()) || o.w.outage(begun, time.Now()):
		o.w.count("requests cut off")
	default:
		o.w.fail("%s of %s at %s, %v after it was asked for: %s", action, o.t.migration(), s, time.Since(begun).Round(time.Millisecond), text)
	}
}

// settle brings the track to rest, through proxies that nothing is done to any more: from wherever chaos has left it, there is a way on.
func (o *operator) settle(ctx context.Context) error {
	for {
		s, err := o.standing(ctx)
		if err != nil {
			return err
		}
		action, body := "advance", any(map[string]any{"yes": true})
		switch {
		case s.held:
			action = ""
		case !s.there:
			return nil
		case !s.live || s.stage.Phase < lens.DualWrite:
			action, body = "start", o.t.definition()
		case s.settled && s.stage.Step == lens.NoStep:
			return nil
		case s.stage.Step != lens.NoStep && o.rnd.IntN(2) == 0 || s.stage.Step == lens.WriteOld:
			action, body = "rollback", nil
		}
		if action != "" {
			text := o.ended(ctx, o.w.slots[o.rnd.IntN(len(o.w.slots))], action, body)
			if text != "" && !slices.ContainsFunc([]string{"is gone", "not in this state", "busy: "}, func(p string) bool { return strings.Contains(text, p) }) {
				return fmt.Errorf("%s of %s in the end: %s", action, o.t.migration(), text)
			}
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s does not come to rest: %+v", o.t.migration(), s)
		}
	}
}

// post asks for something on an admin socket.
func post(ctx context.Context, admin, path string, body any) (err error) {
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", admin)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://segue"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode < 300 {
		return err
	}
	var e proxy.ErrorAnswer
	if err := json.Unmarshal(answer, &e); err != nil {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return errors.New(e.Error)
}
