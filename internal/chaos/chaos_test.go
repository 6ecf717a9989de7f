package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

var (
	seed = flag.Uint64("seed", 0, "of everything that is decided at random; 0: by the clock")
	calm = flag.Bool("calm", false, "do nothing to proxies, and keep no transaction open for long: what changes cost by themselves")
)

// segue is the binary that the tests build.
var segue string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "segue-chaos-bin-")
	if err == nil {
		segue = filepath.Join(dir, "segue")
		// The tag adds what kills and stops a proxy at the boundaries of its steps.
		var out []byte
		if out, err = exec.Command("go", "build", raceFlag, "-buildvcs=false", "-tags", "chaos", "-o", segue, "segue/cmd/segue").CombinedOutput(); err != nil {
			err = fmt.Errorf("building segue: %w\n%s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

// lasting says for how long a test changes phases: SEGUE_CHAOS_TIME, or a few seconds.
func lasting(t *testing.T, short time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("SEGUE_CHAOS_TIME")
	if text == "" {
		return short
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return length
}

// seeded gives the seed of a test, and prints it.
func seeded(t *testing.T, length time.Duration) uint64 {
	n := *seed
	if n == 0 {
		n = uint64(time.Now().UnixNano()) % 1_000_000
	}
	t.Logf("seed %d: `make chaos CHAOS_SEED=%d CHAOS_TIME=%v` decides the same", n, n, length)
	return n
}

// TestChaos lets applications work through eight proxies, while operators change the phases of three migrations, two of them of one table, and proxies are killed,
// stopped, cut off from their control connections, drained, and killed and stopped at the boundaries of the steps that they carry out.
func TestChaos(t *testing.T) {
	length := lasting(t, 8*time.Second)
	n := seeded(t, length)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	safe := 3
	if *calm {
		safe = 8
	}
	w := newWorld(ctx, t, n, safe, 8-safe, false)
	w.fatal = cancel
	b := &saboteur{w: w, rnd: rand.New(rand.NewPCG(n, 3000))}
	w.play(ctx, length, func(stop <-chan struct{}) {
		if !*calm {
			b.run(ctx, stop, 3*time.Second)
		}
	})
}

// TestFailover ends the server at once while phases change, and makes a primary of its standby: clients that connect again go on, and so do the changes.
func TestFailover(t *testing.T) {
	length := lasting(t, 6*time.Second)
	n := seeded(t, length)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := newWorld(ctx, t, n, 3, 0, true)
	w.fatal = cancel
	w.play(ctx, length, func(<-chan struct{}) {
		if sleep(ctx, length/2) {
			w.failOver(ctx)
		}
	})
}

// play has everybody work for a while, brings all to rest, and judges. disturb is to end when its channel is closed.
func (w *world) play(ctx context.Context, length time.Duration, disturb func(stop <-chan struct{})) {
	var clients []*client
	var working, changing, checking sync.WaitGroup
	stopWork, stopChange := make(chan struct{}), make(chan struct{})
	for i := range 14 {
		c := newClient(w, i+1)
		run := c.run
		if i >= 12 && *calm {
			continue
		}
		if i >= 12 {
			run = c.sit
		} else {
			clients = append(clients, c)
		}
		working.Go(func() { run(ctx, stopWork) })
	}
	check, stopCheck := context.WithCancel(ctx)
	defer stopCheck()
	checking.Go(func() { w.checker(check) })
	var operators []*operator
	for i, track := range w.tracks {
		o := &operator{w: w, t: track, rnd: rand.New(rand.NewPCG(w.seed, 2000+uint64(i)))}
		operators = append(operators, o)
		changing.Go(func() { o.run(ctx, stopChange) })
	}
	changing.Go(func() { disturb(stopChange) })

	begun := time.Now()
	sleep(ctx, length)
	close(stopChange)
	changing.Wait()
	settle, giveUp := context.WithTimeout(ctx, 90*time.Second)
	defer giveUp()
	for _, o := range operators {
		changing.Go(func() {
			defer o.close()
			if err := o.settle(settle); err != nil && ctx.Err() == nil {
				w.fail("%v", err)
			}
		})
	}
	changing.Wait()
	took := time.Since(begun)
	close(stopWork)
	working.Wait()
	stopCheck()
	checking.Wait()
	if ctx.Err() == nil {
		if err := w.final(ctx, clients); err != nil {
			w.t.Error(err)
		}
	}
	epoch, err := w.settled()
	if err != nil {
		w.t.Error(err)
	}
	for _, s := range w.slots {
		if err := s.process().stop(); err != nil {
			w.fail("%s in the end: %v\n%s", s, err, s.process().tail())
		}
	}
	w.logs()
	w.report(epoch, took)
}

// settled gives the last settled epoch.
func (w *world) settled() (epoch int64, err error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, w.primary().DSN("chaos"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return epoch, conn.QueryRow(ctx, "SELECT settled FROM segue.epoch").Scan(&epoch)
}

func (w *world) report(epoch int64, took time.Duration) {
	var lines []string
	for what, n := range w.counts {
		lines = append(lines, fmt.Sprintf("%7d %s", n, what))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[8:], b[8:]) })
	for _, l := range lines {
		w.t.Log(l)
	}
	w.t.Logf("%d changes settled in %v: %.1f a minute; the columns were compared in %d settled epochs", epoch-1, took.Round(time.Second), float64(epoch-1)/took.Minutes(), len(w.epochs))
	w.t.Logf("longest statement of a client whose proxy was left alone: %v: %s", w.longest.Round(time.Millisecond), w.longestOf)
	for _, p := range w.problems {
		w.t.Errorf("seed %d: %s", w.seed, p)
	}
}
