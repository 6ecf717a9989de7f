package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/internal/pgtest"
)

// proxyProcess is a proxy in a process of its own, whose memory can be told from the test's.
type proxyProcess struct {
	addr, admin string
	pid         int
}

// asProgram has the test's binary run as the program.
const asProgram = "SEGUE_TEST_RUNS_AS_PROGRAM"

// startProcess runs a proxy until the test ends; one that hands over what runs it is ended by who gets that.
func startProcess(t *testing.T, database string, handOver ...func(*exec.Cmd)) *proxyProcess {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &proxyProcess{admin: filepath.Join(t.TempDir(), "a", "admin.sock")}
	cmd := exec.Command(exe, "serve", "--listen", "127.0.0.1:0", "--server", pgtest.Shared().Addr(), "--control", pgtest.Shared().DSN(database), "--admin", p.admin, "--log-level", "warn")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	for _, f := range handOver {
		f(cmd)
	}
	t.Cleanup(func() {
		if len(handOver) > 0 && cmd.ProcessState != nil {
			return
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("the proxy is gone: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the proxy: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("segue serve: %v", err)
	}
	m := regexp.MustCompile(`listening on (\S+),`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("segue serve said %q", line)
	}
	p.addr = m[1]
	return p
}

// memory gives what the process has taken at most since it began, in MiB.
func (p *proxyProcess) memory(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("no VmHWM in %s", b)
	}
	kB, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kB >> 10
}

// maxMemory bounds, in MiB, what a proxy may take while statements of any size come, one of 64 MiB among them. The race detector doubles it: without it a
// proxy took 670.
const maxMemory = 1536

// largestTree gives a statement of about as many tokens as may be parsed.
func largestTree(target string) string {
	return "SELECT " + target + " FROM users WHERE false AND (id = 1" + strings.Repeat(" OR id=1", 120_000) + ")"
}

// Whatever is sent, the proxy lives, stays within its memory, and carries the others meanwhile.
func TestStatementsOfAnySizeAndShape(t *testing.T) {
	db := pgtest.Database(t)
	pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN(db)), "CREATE TABLE users (id int PRIMARY KEY, name text)", "INSERT INTO users VALUES (1, 'Ann')")
	p := startProcess(t, db)
	must(t, "start", write(t, rename), "--admin", p.admin)
	dsn := fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", p.addr, db)

	// Another session at work all the while.
	ctx, cancel := context.WithCancel(context.Background())
	var done atomic.Int64
	var others sync.WaitGroup
	other := pgtest.Connect(t, dsn)
	others.Go(func() {
		for ctx.Err() == nil {
			var name string
			if err := other.QueryRow(context.Background(), "SELECT name FROM users WHERE id = $1 /* a text of its own "+strconv.FormatInt(done.Load(), 10)+" */", pgx.QueryExecModeExec, 1).Scan(&name); err != nil {
				t.Errorf("another session: %v", err)
				return
			}
			done.Add(1)
		}
	})
	defer others.Wait()
	defer cancel()

	const n = 50_000
	repeat := strings.Repeat
	for _, c := range []struct {
		name, sql string
		codes     string // what may come of it; "" is success
	}{
		{"terms", "SELECT 1" + repeat("+1", n) + " FROM users", "54001"},
		{"concatenated", "SELECT name" + repeat("||'x'", n) + " FROM users", "54001"},
		{"brackets", "SELECT " + repeat("(", n) + "1" + repeat(")", n) + " FROM users", "54001"},
		{"cases", "SELECT " + repeat("CASE WHEN true THEN ", n) + "1" + repeat(" END", n) + " FROM users", "54001"},
		{"selects", repeat("SELECT (", n) + "SELECT name FROM users" + repeat(")", n), "54001"},
		{"derived", repeat("SELECT * FROM (", n) + "SELECT name FROM users" + repeat(") x", n), "54001"},
		{"arrays", "SELECT " + repeat("ARRAY[", n) + "1" + repeat("]", n) + " FROM users", "54001"},
		{"subscripts", "SELECT name" + repeat("[1]", n) + " FROM users", "54001"},
		{"calls", "SELECT " + repeat("lower(", n) + "name" + repeat(")", n) + " FROM users", "54001"},
		{"dots", "SELECT users" + repeat(".name", n) + " FROM users", "42601 0A000 54001"},
		{"indirection", "SELECT (users)" + repeat(".name", n) + " FROM users", "42601 0A000 54001 42809"},
		{"or", "SELECT name FROM users WHERE false AND (id = 1" + repeat(" OR id = 2", n) + ")", " 54001"},
		{"and", "SELECT name FROM users WHERE id = 2" + repeat(" AND id <> 1", n/10), " 54001"},
		{"with", "WITH " + repeat("a AS (SELECT 1), ", n) + "b AS (SELECT 1) SELECT name FROM users", "42712 54001"},
		{"brackets that are not closed", "SELECT name FROM users WHERE " + repeat("(", n), "42601 54001"},
		{"a million elements", "SELECT name FROM users WHERE name IN ('1'" + repeat(",'12'", 1_000_000) + ") AND false", ""},
		{"rows", "INSERT INTO users (id, name) VALUES (1, 'x')" + repeat(", (1, 'x')", 100_000) + " ON CONFLICT DO NOTHING", ""},
		{"a tree as large as may be", largestTree("name"), " 54001"},
		{"a larger tree", "SELECT name FROM users WHERE false AND (id = 1" + repeat(" OR id=1", 200_000) + ")", "54000"},
		{"64 MiB", "SELECT name FROM users WHERE name = '" + repeat("x", 64<<20-100) + "'", "54000"},
		{"more", "SELECT name FROM users WHERE name = '" + repeat("x", 65<<20) + "'", "54000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := pgtest.Connect(t, dsn)
			before, began := done.Load(), time.Now()
			_, err := conn.PgConn().Exec(context.Background(), c.sql).ReadAll()
			took, meanwhile := time.Since(began), done.Load()-before
			t.Logf("%v, %d statements of another session, %d MiB", took, meanwhile, p.memory(t))
			code := ""
			var pgErr *pgconn.PgError
			if errors.As(err, &pgErr) {
				code = pgErr.Code
			} else if err != nil {
				t.Fatalf("the connection broke: %v", err)
			}
			if strings.HasPrefix(c.codes, " ") && code == "" {
				code = "54001" // either
			}
			if code != c.codes && (code == "" || !strings.Contains(c.codes, code)) {
				t.Errorf("SQLSTATE %q, %v; want %s", code, err, c.codes)
			}
			// A statement of another session takes some milliseconds.
			if meanwhile == 0 && took > 500*time.Millisecond {
				t.Errorf("in %v, no statement of another session was through", took)
			}
			if _, err := conn.PgConn().Exec(context.Background(), "SELECT name FROM users").ReadAll(); err != nil {
				t.Errorf("the session itself, afterwards: %v", err)
			}
		})
	}
	// Several at once are parsed one after the other.
	before := p.memory(t)
	var several sync.WaitGroup
	for i := range 3 {
		conn := pgtest.Connect(t, dsn)
		several.Go(func() {
			var pgErr *pgconn.PgError
			if _, err := conn.PgConn().Exec(context.Background(), largestTree(fmt.Sprintf("name AS n%d", i))).ReadAll(); err != nil && (!errors.As(err, &pgErr) || pgErr.Code != "54001") {
				t.Errorf("one of several: %v", err)
			}
		})
	}
	several.Wait()
	t.Logf("%d MiB, and %d with several large statements at once", before, p.memory(t))
	if got := p.memory(t); got > maxMemory {
		t.Errorf("the proxy took %d MiB; its bound is %d", got, maxMemory)
	}
}
