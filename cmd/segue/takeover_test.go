package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
)

// A new process takes the sockets over: clients that come and go meanwhile do not notice, a transaction that is open in the old process goes on, and the old process ends when its clients are gone.
func TestTakeover(t *testing.T) {
	ctx := context.Background()
	db := pgtest.Database(t)
	direct := pgtest.Connect(t, pgtest.Shared().DSN(db))
	pgtest.Exec(t, direct, "CREATE TABLE a (b int)")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	admin, unixSocket := filepath.Join(dir, "a", "admin.sock"), filepath.Join(dir, ".s.PGSQL.6432")
	file := write(t, fmt.Sprintf("[listen]\naddr = \"127.0.0.1:0\"\n[[listeners]]\naddr = %q\n[metrics]\naddr = \"127.0.0.1:0\"\n", unixSocket))
	// start gives the process, and where it listens; "" for one that ends without.
	start := func(control string, args ...string) (*exec.Cmd, string) {
		t.Helper()
		cmd := exec.Command(exe, append([]string{"serve", "-c", file, "--server", pgtest.Shared().Addr(), "--control", control, "--admin", admin, "--log-level", "error"}, args...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() }) // where the test failed
		line, _ := bufio.NewReader(out).ReadString('\n')
		m := regexp.MustCompile(`listening on ([^,]+),`).FindStringSubmatch(line)
		if m == nil {
			return cmd, ""
		}
		return cmd, m[1]
	}
	good := pgtest.Shared().DSN(db)
	first, addr := start(good, "--takeover") // from nobody
	if addr == "" {
		t.Fatal("it does not start")
	}
	tcp := "postgres://postgres@" + addr + "/" + db + "?sslmode=disable"
	open := pgtest.Connect(t, tcp)
	pgtest.Exec(t, open, "BEGIN", "INSERT INTO a VALUES (1)")

	var came atomic.Int64
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for _, dsn := range []string{tcp, tcp, fmt.Sprintf("host=%s port=6432 user=postgres dbname=%s", dir, db)} {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := pgx.Connect(ctx, dsn)
				if err == nil {
					_, err = conn.Exec(ctx, "SELECT 1")
					err = errors.Join(err, conn.Close(ctx))
				}
				if err != nil {
					t.Errorf("after %d clients: %v", came.Load(), err)
					return
				}
				came.Add(1)
			}
		})
	}
	more := func() {
		t.Helper()
		until := came.Load() + 30
		eventually(t, "clients come and go", func() bool { return came.Load() >= until || t.Failed() })
	}
	more()

	// One that cannot join the proxies changes nothing.
	broken, _ := start("postgres://nobody@127.0.0.1:1/nothing?sslmode=disable", "--takeover")
	if err := broken.Wait(); err == nil {
		t.Error("a process without a database ended well")
	}
	more()
	second, again := start(good, "--takeover")
	if again != addr {
		t.Fatalf("the second process listens on %q; want %q", again, addr)
	}
	more()
	pgtest.Exec(t, open, "INSERT INTO a VALUES (2)", "COMMIT", "SELECT 1") // at a transaction's boundary it is not ended either
	if err := open.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("the first process: %v", err)
	}
	more()
	var proxies, rows int
	if err := direct.QueryRow(ctx, "SELECT (SELECT count(*) FROM segue.proxy), (SELECT count(*) FROM a)").Scan(&proxies, &rows); err != nil || proxies != 1 || rows != 2 {
		t.Errorf("%v: %d proxies, and %d rows", err, proxies, rows)
	}
	if out := must(t, "status", "--admin", admin); !strings.Contains(out, "epoch") {
		t.Error(out)
	}
	refused(t, exitFailed, []string{"serve", "--listen", "127.0.0.1:0", "--control", good, "--admin", admin}, "another proxy that runs uses it")

	third, _ := start(good, "--takeover")
	if err := second.Wait(); err != nil { // once its last client has gone
		t.Errorf("the second process: %v", err)
	}
	more()
	close(stop)
	clients.Wait()
	if err := third.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := third.Wait(); err != nil {
		t.Errorf("the third process: %v", err)
	}
	for _, path := range []string{admin, unixSocket} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	t.Logf("%d clients came and went", came.Load())
}
