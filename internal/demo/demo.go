package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"segue/rewrite/lens"
)

// Options say what the demo runs with. Zero values mean the defaults.
type Options struct {
	Exe     string        // the segue binary; "": the one that is running
	Rows    int64         // rows of users; default 200,000
	Workers int           // connections of each application; default 5
	Rate    float64       // statements a second that each application aims at; default 1,200
	Hold    time.Duration // how long the applications work in each phase before the next step; default 2 s
	Pattern string        // what is carried out: one of PatternNames; "": the rename
	Keep    bool          // at the end, leave the server, the proxies and the new application running until ctx ends
	Out     io.Writer     // where the demo shows itself; default os.Stdout

	serve      []string // more flags of `segue serve`
	definition string   // more of the migration's definition
}

func (o *Options) defaults() error {
	if o.Exe == "" {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		o.Exe = exe
	}
	if o.Rows == 0 {
		o.Rows = 200_000
	}
	if o.Workers == 0 {
		o.Workers = 5
	}
	if o.Rate == 0 {
		o.Rate = 1200
	}
	if o.Hold == 0 {
		o.Hold = 2 * time.Second
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Rows < int64(200*o.Workers) {
		return fmt.Errorf("%d rows are too few for %d connections: give at least %d", o.Rows, o.Workers, 200*o.Workers)
	}
	return nil
}

// ErrNotRight is what Run gives where it came to its end and something was not as it should be; the summary says what.
var ErrNotRight = errors.New("the demo ended, and not all was as it should be: see the summary")

// ErrInterrupted is what Run gives where its context ended before the demo did. What the demo had started has been ended.
var ErrInterrupted = errors.New("interrupted")

// Run runs the demo and prints its summary. It returns when everything that it started has ended.
func Run(ctx context.Context, opt Options) error {
	if err := opt.defaults(); err != nil {
		return err
	}
	if _, err := patternOf(opt.Pattern); err != nil {
		return err
	}
	s, err := start(ctx, opt)
	if err == nil {
		err = s.play(ctx)
		if ctx.Err() != nil && err != nil { // whatever it was at, it failed for that
			err = ErrInterrupted
		}
		return errors.Join(err, s.close())
	}
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}

func (s *scene) play(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	sum, err := s.finish(ctx)
	if err != nil {
		return err
	}
	if err := sum.Print(s.opt.Out); err != nil {
		return err
	}
	if s.opt.Keep {
		if err := s.keep(ctx); err != nil {
			return err
		}
	}
	if len(sum.Problems) > 0 {
		return ErrNotRight
	}
	return nil
}

// scene is a world with the two applications in it, and the display of both.
type scene struct {
	*world
	opt      Options
	display  display
	began    time.Time
	watch    *watcher
	hot      writers
	a, b     *proxyProcess // the old application's proxy, and the new one's
	old, new *application  // nil before their start
	stopped  map[*application]bool
	asked    string // the last command
}

// start brings up the server, two proxies, and the old application through the first of them.
func start(ctx context.Context, opt Options) (_ *scene, err error) {
	s := &scene{opt: opt, display: newDisplay(opt.Out), began: time.Now(), stopped: map[*application]bool{}}
	s.event("starting a throwaway PostgreSQL and filling users with %s rows", count(opt.Rows))
	if s.world, err = newWorld(ctx, &opt); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.event("PostgreSQL %s is up at %s", s.version, s.server.Addr())
	for _, p := range []struct {
		name string
		to   **proxyProcess
	}{{"proxy-a", &s.a}, {"proxy-b", &s.b}} {
		if *p.to, err = s.startProxy(ctx, p.name); err != nil {
			return nil, err
		}
		s.event("segue serve: %s accepts at %s", p.name, (*p.to).addr)
	}
	s.watch = startWatcher(ctx, s.world)
	if s.old, err = s.application(ctx, oldDialect, s.a, "", 1); err != nil {
		return nil, err
	}
	s.event("the old application, written for users (id, name), works through proxy-a")
	return s, nil
}

// application starts one of the two, which owns one half of the keys.
func (s *scene) application(ctx context.Context, d dialect, through *proxyProcess, version string, first int64) (*application, error) {
	a, err := startApplication(ctx, d, through.dsn("shop-"+d.app, version), s.opt.Workers, first, s.opt.Rows/2, s.opt.Rate, &s.hot)
	if err != nil {
		return nil, err
	}
	s.watch.follow(a.meter)
	return a, nil
}

// startNew starts the new application. Its code uses `*`, so it says which version it is.
func (s *scene) startNew(ctx context.Context) (err error) {
	if s.new, err = s.application(ctx, s.pattern.new, s.b, "new", s.opt.Rows/2+1); err != nil {
		return err
	}
	s.event("the new application, written for %s, works through proxy-b", s.pattern.says)
	return nil
}

// migrate carries the applications through the whole migration.
func (s *scene) migrate(ctx context.Context) error {
	if err := s.hold(ctx); err != nil {
		return err
	}
	// The new application begins as soon as the proxies know of the migration: before there is a new column.
	err := s.do(ctx, s.a, func() error {
		st := s.watch.standing()
		if s.new != nil || s.pattern.from > lens.Pending || !st.known || (st.stage.Phase == lens.Pending && !st.settled) {
			return nil
		}
		return s.startNew(ctx)
	}, "start", s.toml)
	if err != nil {
		return err
	}
	if s.new == nil && s.pattern.from == lens.Pending { // start was through before the watcher looked
		if err := s.startNew(ctx); err != nil {
			return err
		}
	}
	if err := s.hold(ctx); err != nil {
		return err
	}
	s.event("every step can be undone: back to the beginning, and on again")
	for _, step := range [][]string{
		{"rollback", migrationName, "--to", "pending"},
		{"start", s.toml},
		{"advance", migrationName, "--to", "backfill"},
		{"advance", migrationName, "--to", "switch-reads"},
		{"advance", migrationName, "--to", "contract"},
	} {
		if err := s.do(ctx, s.b, nil, step...); err != nil {
			return err
		}
		if s.new == nil && s.pattern.from > lens.Pending && step[len(step)-1] == s.pattern.from.String() {
			if err := s.startNew(ctx); err != nil {
				return err
			}
		}
		if err := s.hold(ctx); err != nil {
			return err
		}
	}
	complete := []string{"advance", migrationName, "--to", "complete", "--yes"}
	stop := func() {
		s.stopApp(s.old)
		s.event("the old application has stopped")
	}
	if s.pattern.quiet {
		stop()
		if err := s.whenQuiet(ctx, append(complete, "--quiet-for", "2s")...); err != nil {
			return err
		}
	} else if err := s.do(ctx, s.b, nil, complete...); err != nil {
		return err
	}
	if err := s.hold(ctx); err != nil {
		return err
	}
	if !s.pattern.quiet {
		stop()
	}
	if err := s.retire(ctx); err != nil {
		return err
	}
	return s.hold(ctx)
}

// retire has the migration forgotten once old code is quiet.
func (s *scene) retire(ctx context.Context) error {
	return s.whenQuiet(ctx, "retire", migrationName, "--quiet-for", "2s")
}

// whenQuiet runs a subcommand until the gate is satisfied that old code is quiet.
func (s *scene) whenQuiet(ctx context.Context, args ...string) error {
	const patience = 20 * time.Second
	deadline := time.Now().Add(patience)
	told := false
	for {
		err := s.do(ctx, s.b, nil, args...)
		var refused *commandError
		const gateRefused = 3 // the exit code of the command line
		if !errors.As(err, &refused) || refused.code != gateRefused || time.Now().After(deadline) {
			return err
		}
		if !told {
			s.event("  %s", refused.said)
			s.event("  asking again until it is quiet")
			told = true
		}
		if err := s.show(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// do runs a subcommand of segue through a proxy, and shows how things stand meanwhile. meanwhile, where not nil, is called now and then
// while it runs.
func (s *scene) do(ctx context.Context, through *proxyProcess, meanwhile func() error, args ...string) error {
	if command := "$ segue " + joinShort(args); command != s.asked {
		s.event("%s", command)
		s.asked = command
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		defer close(said)
		done <- s.segue(ctx, through, func(line string) { said <- line }, args...)
	}()
	var failed error
	last := ""
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		select {
		case line, ok := <-said:
			if ok {
				last = "  " + line
				s.update()
				s.display.said(last)
				continue
			}
			if last != "" {
				s.display.ended(last)
			}
			return errors.Join(failed, <-done)
		case <-tick.C:
			s.update()
			if meanwhile != nil && failed == nil {
				if failed = meanwhile(); failed != nil {
					cancel()
				}
			}
		}
	}
}

// hold lets the applications work for a while, then compares the columns on the server once more, so that no phase goes without.
func (s *scene) hold(ctx context.Context) error {
	if err := s.show(ctx, s.opt.Hold); err != nil {
		return err
	}
	return s.watch.compare(ctx)
}

// show lets time pass, and shows how things stand.
func (s *scene) show(ctx context.Context, d time.Duration) error {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(sliceTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case <-tick.C:
			s.update()
		}
	}
}

func (s *scene) event(format string, args ...any) {
	s.update()
	s.display.event(fmt.Sprintf(format, args...))
}

func (s *scene) update() {
	v := view{elapsed: time.Since(s.began), rows: s.opt.Rows}
	if s.watch != nil {
		v.standing = s.watch.standing()
	}
	for _, a := range []*application{s.old, s.new} {
		if a != nil {
			v.apps = append(v.apps, appView{name: a.app, column: a.column, running: !s.stopped[a], live: a.meter.live()})
		}
	}
	s.display.update(v)
}

func (s *scene) stopApp(a *application) {
	if a != nil && !s.stopped[a] {
		a.stop()
		s.stopped[a] = true
	}
}

// apps gives the applications that were started, stopped.
func (s *scene) apps() []*application {
	var out []*application
	for _, a := range []*application{s.old, s.new} {
		if a != nil {
			s.stopApp(a)
			out = append(out, a)
		}
	}
	return out
}

// finish stops what still works and sums up. others are stopped applications that wrote as well.
func (s *scene) finish(ctx context.Context, others ...*application) (*Summary, error) {
	apps := append(s.apps(), others...)
	s.update()
	s.display.close()
	if err := s.watch.stop(); err != nil {
		return nil, err
	}
	return summarise(ctx, s.world, s.watch.standing(), time.Since(s.began), apps...)
}

// keep leaves the server, the proxies and the new application to whoever wants to look, until ctx ends. What the application meets from now on
// is not judged: others may write its rows.
func (s *scene) keep(ctx context.Context) error {
	s.new.start(ctx)
	s.stopped[s.new] = false
	_, err := fmt.Fprintf(s.opt.Out, `
The server, both proxies and the new application are still running:

  PostgreSQL itself     psql '%s'
  through proxy-a       psql '%s'
  through proxy-b       psql '%s'
  the proxies' state    %s status --admin %s
  a migration's file    %s
  the proxies' logs     %s, %s

Press ^C to stop them and to remove what they left.
`, s.server.DSN(database), s.a.dsn("psql", ""), s.b.dsn("psql", "new"), s.exe, s.a.admin, s.toml, s.a.log, s.b.log)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// close ends everything: applications, watcher, proxies, server.
func (s *scene) close() error {
	s.apps()
	var errs []error
	if s.watch != nil {
		errs = append(errs, s.watch.stop())
	}
	return errors.Join(append(errs, s.world.close())...)
}

// joinShort writes a command line with the definition's path shortened to its name, as a user in its folder would type it.
func joinShort(args []string) string {
	short := make([]string, len(args))
	for i, a := range args {
		short[i] = filepath.Base(a)
	}
	return strings.Join(short, " ")
}
