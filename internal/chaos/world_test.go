package chaos

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
)

const (
	lease       = 2 * time.Second
	leaseMargin = time.Second // the product's own
	holdTimeout = 5 * time.Second
	// grace is how long after the end of a disturbance its consequences may reach clients: the lease is joined for anew, what was held expires, and a
	// coordinator that judged by the old renewals ends sessions.
	grace = lease + leaseMargin + holdTimeout
)

// world is a server, the proxies in front of it, and all that has been found to be wrong.
type world struct {
	t       *testing.T
	seed    uint64
	server  *pgtest.Server // the primary
	standby *pgtest.Server // nil: there is none
	dir     string
	slots   []*slot
	tracks  []*track

	fatal context.CancelFunc // ends the run

	mu        sync.Mutex
	problems  []string
	counts    map[string]int // what happened how often, for the report
	outages   []window       // the server was down
	longest   time.Duration  // a statement of a client whose proxy was left alone
	longestOf string
	ending    atomic.Int64 // --terminate is in use that often just now
	ended     time.Time    // when it was last in use
	epochs    map[int64]bool
}

// window is a time during which, and for a while after, clients may see that something was done to their proxy. An open one has no end.
type window struct{ from, until time.Time }

func (w window) meets(from, to time.Time) bool {
	return !to.Before(w.from) && (w.until.IsZero() || !from.After(w.until.Add(grace)))
}

// fail notes what is wrong. The first ones tell; the rest follows from them.
func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.outages); n > 0 {
		format += fmt.Sprintf(" (the server was last ended %v ago)", time.Since(w.outages[n-1].from).Round(time.Millisecond))
	}
	if len(w.problems) < 20 {
		w.problems = append(w.problems, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
	if len(w.problems) == 10 {
		w.fatal()
	}
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// outage says whether the server was down at some time between.
func (w *world) outage(from, to time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.outages {
		if o.meets(from, to) {
			return true
		}
	}
	return false
}

// slot is a place for a proxy: the process that fills it may be killed, and another one started.
type slot struct {
	w     *world
	n     int
	safe  bool // nothing is done to it
	dir   string
	relay *relay
	turn  sync.Mutex // held by who disturbs it

	mu      sync.Mutex
	proc    *process
	windows []window
}

func (s *slot) String() string { return fmt.Sprintf("proxy %d", s.n) }

// disturb opens a window; who calls it holds turn.
func (s *slot) disturb() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.windows = append(s.windows, window{from: time.Now()})
}

// calm closes the window.
func (s *slot) calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.windows[len(s.windows)-1].until = time.Now()
}

// disturbed says whether what a client met between two times may be put down to what was done to its proxy.
func (s *slot) disturbed(from, to time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.windows {
		if w.meets(from, to) {
			return true
		}
	}
	return false
}

func (s *slot) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

func (s *slot) armed() string { return filepath.Join(s.dir, "armed") }
func (s *slot) fired() string { return filepath.Join(s.dir, "fired") }

// process is one `segue serve`.
type process struct {
	addr  string
	admin string
	log   string
	cmd   *exec.Cmd
	done  chan struct{}
	err   error // after done
}

var started atomic.Int64

// start fills the slot.
func (s *slot) start(ctx context.Context) error {
	name := fmt.Sprintf("p%d-%d", s.n, started.Add(1))
	p := &process{
		admin: filepath.Join(s.dir, name, "a.sock"), log: filepath.Join(s.w.dir, name+".log"), done: make(chan struct{}),
	}
	p.cmd = exec.Command(segue, "serve", "--listen", "127.0.0.1:0", "--server", s.w.addrs(), "--control", s.control(), "--admin", p.admin,
		"--target-session-attrs", "read-write", "--lease", lease.String(), "--hold-timeout", holdTimeout.String(), "--drain-timeout", "2s")
	p.cmd.Env = append(os.Environ(), "SEGUE_CHAOS_DIR="+s.dir)
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	begun, told := make(chan error), make(chan struct{})
	go func() {
		defer close(p.done)
		runtime.LockOSThread() // the kernel sends Pdeathsig when the thread ends that started it
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		begun <- err
		if err == nil {
			<-told // Wait closes the pipe
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-begun; err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	close(told)
	if err != nil {
		<-p.done
		return fmt.Errorf("%s did not start: %w, %w\n%s", s, err, p.err, p.tail())
	}
	rest, _ := strings.CutPrefix(line, "segue: listening on ")
	p.addr, _, _ = strings.Cut(rest, ",")
	s.mu.Lock()
	s.proc = p
	s.mu.Unlock()
	return ctx.Err()
}

func (s *slot) control() string {
	hosts := s.relay.addr()
	if s.w.standby != nil { // what is cut then is the server
		hosts = s.w.addrs()
	}
	return "postgres://control@" + hosts + "/chaos?sslmode=disable&connect_timeout=2&target_session_attrs=read-write"
}

// primary gives the server that can be written to.
func (w *world) primary() *pgtest.Server {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server
}

// addrs gives the addresses of the servers.
func (w *world) addrs() string {
	addrs := w.primary().Addr()
	if w.standby != nil {
		addrs = w.standby.Addr() + "," + addrs // the one that is not to be taken, first
	}
	return addrs
}

// signal sends a signal; a process that has ended does not get it.
func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop asks the process to drain, and says how it ended.
func (p *process) stop() error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(30 * time.Second):
		p.signal(syscall.SIGQUIT) // its goroutines are in the log then
		<-p.done
		return errors.New("it did not end within 30 s of SIGTERM")
	}
}

func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// newWorld starts the server and fills it, and starts the proxies.
func newWorld(ctx context.Context, t *testing.T, seed uint64, safe, unsafe int, standby bool) *world {
	t.Helper()
	w := &world{t: t, seed: seed, dir: t.TempDir(), counts: map[string]int{}, epochs: map[int64]bool{}, tracks: newTracks()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keep := pgtest.Keep(t)
	// What was acknowledged must outlive a crash of the server's processes.
	w.server = keep(pgtest.Start(ctx, pgtest.Options{Settings: map[string]string{"synchronous_commit": "on", "max_connections": "400"}}))
	if standby {
		w.standby = keep(w.server.Standby(ctx))
		// What was acknowledged is on the standby, too.
		w.exec("postgres", "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")
	}
	w.exec("postgres", "postgres", "CREATE ROLE control LOGIN", "CREATE ROLE app LOGIN", "GRANT pg_read_all_stats, pg_signal_backend TO control",
		"CREATE DATABASE chaos", "GRANT CREATE ON DATABASE chaos TO control")
	w.exec("postgres", "chaos", "GRANT ALL ON SCHEMA public TO control")
	w.exec("control", "chaos", "SET synchronous_commit = remote_apply", // a proxy that tries the standby first is to find the database there, too
		"CREATE TABLE items (id bigint PRIMARY KEY, owner int NOT NULL, n bigint NOT NULL DEFAULT 0, name_0 varchar(40), price_0 varchar(20))",
		"CREATE INDEX ON items (name_0)", "CREATE INDEX ON items (price_0)", "CREATE INDEX ON items (owner)",
		"CREATE TABLE notes (id bigint PRIMARY KEY, owner int NOT NULL, n bigint NOT NULL DEFAULT 0, label_0 text)", "CREATE INDEX ON notes (label_0)",
		"CREATE TABLE others (id bigint PRIMARY KEY)",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON items, notes, others TO app")
	for i := range safe + unsafe {
		s := &slot{w: w, n: i, safe: i < safe, dir: filepath.Join(w.dir, fmt.Sprint("slot", i))}
		must(os.Mkdir(s.dir, 0o700))
		var err error
		s.relay, err = newRelay(w.server.Addr())
		must(err)
		t.Cleanup(s.relay.close)
		w.slots = append(w.slots, s)
	}
	var wg sync.WaitGroup
	for _, s := range w.slots {
		wg.Go(func() {
			if err := s.start(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, s := range w.slots {
			if p := s.process(); p != nil {
				p.signal(syscall.SIGCONT)
				p.kill()
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return w
}

func (w *world) exec(role, database string, statements ...string) {
	w.t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, w.primary().DSNAs(role, database))
	if err != nil {
		w.t.Fatal(err)
	}
	pgtest.Exec(w.t, conn, statements...)
	if err := conn.Close(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// pick gives any slot: of two thirds of the time one that something may be done to.
func (w *world) pick(rnd *rand.Rand) *slot {
	for {
		s := w.slots[rnd.IntN(len(w.slots))]
		if !s.safe || rnd.IntN(3) == 0 {
			return s
		}
	}
}

// logs looks for what must not be in any log.
func (w *world) logs() {
	files, err := filepath.Glob(filepath.Join(w.dir, "*.log"))
	if err != nil {
		w.t.Error(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			w.t.Error(err)
			continue
		}
		for _, bad := range []string{"DATA RACE", "panic", "goroutine ", "not understood"} {
			if i := bytes.Index(b, []byte(bad)); i >= 0 {
				w.fail("%s: %s", filepath.Base(f), b[max(0, i-200):min(len(b), i+3000)])
				break
			}
		}
	}
}

// sleep waits, and says false where ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// upTo gives a random time.
func upTo(rnd *rand.Rand, longest time.Duration) time.Duration {
	return time.Duration(rnd.Int64N(int64(longest)))
}
