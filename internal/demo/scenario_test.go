package demo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/rewrite/lens"
)

// buildSegue builds the binary once for all tests.
var buildSegue = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(binaries, "segue")
	out, err := exec.Command("go", "build", raceFlag, "-buildvcs=false", "-o", exe, "segue/cmd/segue").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building segue: %w\n%s", err, out)
	}
	return exe, nil
})

func segueBinary(t *testing.T) string {
	t.Helper()
	exe, err := buildSegue()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// logged shows the demo's output as the test's.
type logged struct {
	t   *testing.T
	all bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.all.Write(b)
	l.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

func scenarioOptions(t *testing.T, out io.Writer) Options {
	return Options{Exe: segueBinary(t), Rows: testRows, Workers: 5, Rate: 400, Hold: time.Second, Out: out}
}

func (s *Summary) mustBeRight(t *testing.T) {
	t.Helper()
	for _, p := range s.Problems {
		t.Error(p)
	}
	for _, phase := range []lens.Phase{lens.DualWrite, lens.Backfilling, lens.SwitchReads, lens.Contract} {
		if s.Checks[phase] == 0 {
			t.Errorf("the columns were not compared in %s", phase)
		}
	}
	for _, a := range s.Apps {
		for _, phase := range []lens.Phase{lens.Pending, lens.DualWrite, lens.Backfilling, lens.SwitchReads, lens.Contract, lens.Complete, lens.Retired} {
			if a.Name == "old" && phase == lens.Retired {
				if n := a.Phases[phase].Statements; n > 0 {
					t.Errorf("the old application ran %d statements in retired", n)
				}
				continue
			}
			if a.Name == "bypass" || a.Name == "new" && phase == lens.Pending { // it began later
				continue
			}
			if a.Phases[phase].Statements == 0 {
				t.Errorf("the %s application ran no statement in %s", a.Name, phase)
			}
		}
	}
}

// The demo itself, with a small table.
func TestDemo(t *testing.T) {
	out := &logged{t: t}
	if err := Run(t.Context(), scenarioOptions(t, out)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.all.String(), "Both applications worked through every phase") {
		t.Error("no good word at the end")
	}
}

// Another pattern of the demo from its beginning to its end; those that SEGUE_DEMO names, apart by commas, where it is set.
func TestPatterns(t *testing.T) {
	for _, name := range strings.Split(cmp.Or(os.Getenv("SEGUE_DEMO"), "split"), ",") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt := scenarioOptions(t, &logged{t: t})
			opt.Pattern, opt.Rate, opt.Hold = name, 200, 200*time.Millisecond
			if err := Run(t.Context(), opt); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := Run(t.Context(), Options{Pattern: "merge"}); err == nil || !strings.Contains(err.Error(), "rename, type, split") {
		t.Errorf("a pattern that there is not: %v", err)
	}
}

// The demo's scenario under attack: a writer goes around the proxies in every phase, the proxy that carries out the backfill is killed
// in the middle of it, and complete is given up half-way.
func TestScenarioUnderAttack(t *testing.T) {
	ctx := t.Context()
	opt := scenarioOptions(t, &logged{t: t})
	opt.serve = []string{"--lease", "2s"}
	opt.definition = "\n[backfill]\nbatch_target = \"20ms\"\nmax_rows_per_second = 1500\n"
	s, err := start(ctx, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	doomed, err := s.startProxy(ctx, "proxy-c")
	if err != nil {
		t.Fatal(err)
	}
	bypass := startBypasser(t, s.world)
	s.watch.follow(bypass.app.meter)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	old := s.a.dsn("bypass", "")
	bypass.old.Store(&old)
	must(s.hold(ctx))

	must(s.do(ctx, s.a, nil, "start", s.toml))
	must(s.startNew(ctx))
	newer := s.b.dsn("bypass", "new")
	bypass.new.Store(&newer)
	must(s.hold(ctx))

	// The proxy that fills the column dies in the middle; another one goes on.
	err = s.do(ctx, doomed, func() error {
		st := s.watch.standing()
		if st.stage.Phase == lens.Backfilling && st.backfill.Done > 0 && !doomed.killed.Load() {
			return doomed.kill()
		}
		return nil
	}, "advance", migrationName, "--to", "backfill")
	if err == nil || !doomed.killed.Load() {
		t.Fatalf("the backfill ended before its proxy was killed: %v", err)
	}
	must(s.hold(ctx))
	must(s.do(ctx, s.b, nil, "advance", migrationName, "--to", "backfill"))
	must(s.hold(ctx))
	must(s.do(ctx, s.a, nil, "advance", migrationName, "--to", "switch-reads"))
	must(s.hold(ctx))
	must(s.do(ctx, s.b, nil, "advance", migrationName, "--to", "contract"))
	must(s.hold(ctx))

	// A transaction that stays open keeps complete waiting; it is given up, everything works on, and it is done later.
	s.giveUpComplete(ctx, t)
	must(s.hold(ctx))
	must(s.do(ctx, s.a, nil, "advance", migrationName, "--to", "complete", "--yes"))
	must(s.hold(ctx))

	s.stopApp(s.old)
	bypass.old.Store(nil)
	must(s.retire(ctx))
	must(s.hold(ctx))
	bypass.stop()
	sum, err := s.finish(ctx, bypass.app)
	must(err)
	if err := sum.Print(s.opt.Out); err != nil {
		t.Fatal(err)
	}
	sum.mustBeRight(t)
	if bypass.written.Load() < 100 {
		t.Errorf("the writer around the proxies wrote %d rows only", bypass.written.Load())
	}
}

func (s *scene) giveUpComplete(ctx context.Context, t *testing.T) {
	t.Helper()
	open, err := connectPlain(ctx, s.a.dsn("keeps-waiting", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close(context.WithoutCancel(ctx)) }()
	tx, err := open.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "SELECT name FROM users LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	err = s.do(ctx, s.b, nil, "advance", migrationName, "--to", "complete", "--yes", "--max-wait", "1s")
	var exit *commandError
	if !errors.As(err, &exit) || exit.code != 1 {
		t.Fatalf("complete was not given up though a transaction kept it waiting: %v", err)
	}
	s.event("  %s", exit.said)
	st, err := getStatus(ctx, s.b.admin)
	if err != nil {
		t.Fatal(err)
	}
	if m := st.Migrations[0]; m.Stage != (lens.Stage{Phase: lens.Contract, Proved: true}) || m.Working != "" {
		t.Fatalf("after giving up it stands at %s, working at %q", m.Stage, m.Working)
	}
	if err := s.hold(ctx); err != nil {
		t.Fatal(err)
	}
	// The transaction that was in the way has lost nothing.
	if _, err := tx.Exec(ctx, "SELECT name FROM users LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}
