package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"segue/internal/pgtest"
	"segue/proxy"
	"segue/rewrite/lens"
)

// serve runs a real proxy for the database until the test ends. Its controller, which the test has for itself, stops at the hooks.
func (e *env) serve(h *hooks) (addr string, p *testProxy) {
	e.t.Helper()
	dir, err := os.MkdirTemp("", "segue") // a socket's path is bounded, and the test's own folder has a long one
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	x, err := proxy.Open(ctx, proxy.Options{
		Listen: "127.0.0.1:0", Version: lens.Auto, Server: []string{pgtest.Shared().Addr()}, Admin: filepath.Join(dir, "admin.sock"),
		MaxConnections: 50, HoldTimeout: patience, Driver: proxy.Driver(os.Getenv("SEGUE_DRIVER")), Log: zap.NewNop(),
	})
	if err != nil {
		stop()
		e.t.Fatal(err)
	}
	c, err := Open(ctx, Options{DSN: e.dsn, Host: "test", Build: "test", Hooks: Hooks{At: h.call}})
	if err == nil {
		err = x.Join(ctx, c)
	}
	if err != nil {
		stop()
		e.t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		if err := x.Serve(ctx); err != nil {
			e.t.Error(err)
		}
	})
	e.t.Cleanup(func() {
		stop()
		served.Wait()
		if err := c.Close(); err != nil {
			e.t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			e.t.Error(err)
		}
	})
	return x.Addr().String(), &testProxy{Controller: c, t: e.t, hooks: h}
}

// crowd is clients of pgbench that go on until they are stopped.
type crowd struct {
	cmd  *exec.Cmd
	errs bytes.Buffer
}

func (e *env) crowd(addr, version, mode, script string) *crowd {
	e.t.Helper()
	pgbench, err := pgtest.FindProgram("pgbench")
	if err != nil {
		e.t.Fatal(err)
	}
	file := filepath.Join(e.t.TempDir(), "script.sql")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		e.t.Fatal(err)
	}
	host, port, _ := strings.Cut(addr, ":")
	c := &crowd{cmd: exec.Command(pgbench, "-n", "-c", "2", "-j", "1", "-T", "600", "--verbose-errors", "-M", mode, "-f", file, "-h", host, "-p", port, "-U", "postgres", e.db)}
	c.cmd.Env = append(os.Environ(), "PGOPTIONS=-csegue.version="+version)
	c.cmd.Stderr = &c.errs
	if err := c.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	return c
}

// stop ends the clients and gives what they complained about.
func (c *crowd) stop() string {
	_ = c.cmd.Process.Kill() // it may have ended, with an error
	_ = c.cmd.Wait()
	said := c.errs.String()
	for _, bad := range []string{"ERROR", "abort", "fail"} {
		if strings.Contains(said, bad) {
			return said
		}
	}
	return ""
}

// TestUpsertsInEveryPhase has clients of old and new code insert and delete a few keys through two proxies, by every protocol, in and outside of transactions, in
// every phase there and back. Most of the time goes to where the unique indexes of both sides stand, in which either can be met by who passed the other. No
// client sees any error.
func TestUpsertsInEveryPhase(t *testing.T) {
	e := newEnv(t, `
		CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, n int NOT NULL DEFAULT 0, CONSTRAINT one_name UNIQUE (name));
		CREATE SEQUENCE work;`)
	h := &hooks{at: map[string]func() error{}}
	addrs := [2]string{}
	var p *testProxy
	addrs[0], _ = e.serve(&hooks{at: map[string]func() error{}})
	addrs[1], p = e.serve(h)

	statement := func(column, conflict string) string {
		return "INSERT INTO users (" + column + ", n) VALUES ('k' || :k, 1) ON CONFLICT " + conflict + " DO UPDATE SET n = users.n + 1 RETURNING " + column + ";\n"
	}
	begin := "\\set k random(1, 4)\n"
	end := "SELECT nextval('work');\n"
	remove := func(column string) string { return "DELETE FROM users WHERE " + column + " = 'k' || :k;\n" }
	var crowds []*crowd
	for i, column := range []string{"name", "full_name"} {
		version := []string{"old", "new"}[i]
		alone := begin + statement(column, "("+column+")") + remove(column) + end
		block := begin + "BEGIN;\n" + statement(column, "ON CONSTRAINT one_name") + "COMMIT;\n" + remove(column) + end
		modes := [][2]string{{"simple", "prepared"}, {"extended", "simple"}}[i]
		crowds = append(crowds, e.crowd(addrs[i], version, modes[0], alone), e.crowd(addrs[1-i], version, modes[1], block))
		if i == 0 { // new code comes with the migration
			p.start()
		}
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		for i, c := range crowds {
			if bad := c.stop(); bad != "" {
				t.Errorf("clients %d: %s", i, bad)
			}
		}
	}
	defer stop()
	// work waits until the clients have done so much.
	reader := pgtest.Connect(t, pgtest.Shared().DSN(e.db))
	work := func(rounds int) error {
		var from, now int
		deadline := time.After(patience)
		for begun := time.Now(); ; {
			if err := reader.QueryRow(context.Background(), "SELECT last_value FROM work").Scan(&now); err != nil {
				return err
			}
			if from == 0 {
				from = now
			}
			if now >= from+rounds {
				t.Logf("%d rounds in %v", rounds, time.Since(begun).Round(time.Millisecond))
				return nil
			}
			select {
			case <-deadline:
				return fmt.Errorf("the clients did %d rounds of %d", now-from, rounds)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	mustWork := func() {
		t.Helper()
		if err := work(100); err != nil {
			t.Fatal(err)
		}
	}
	hold := func(point string, rounds int) {
		h.on(point, func() error {
			t.Log(point)
			return work(rounds)
		})
	}
	for _, phase := range []lens.Phase{lens.Backfilling, lens.SwitchReads, lens.Contract} {
		mustWork()
		p.advance(phase)
	}
	mustWork()
	both := 1000
	hold("drop "+mirrorName("one_name", "users_full_name"), both)
	hold("settled infer-new", both)
	h.on("settled write-new", func() error { return errors.Join(work(100), errTest) })
	if err := p.goTo(lens.Complete); err != nil {
		t.Fatal(err)
	}
	p.finished()
	p.at(lens.Complete, lens.WriteNew, true)
	e.want("SELECT count(*) FROM users WHERE name IS DISTINCT FROM full_name", "0")
	h.on("settled write-new", nil)
	hold("settled infer-new", 0)
	hold("after tighten", both)
	hold("settled back to both-unique", both)
	p.rollback(lens.Contract)
	mustWork()
	e.want("SELECT count(*) FROM users WHERE name IS DISTINCT FROM full_name", "0")
	p.rollback(lens.Backfilling)
	mustWork()
	p.advance(lens.Complete)
	mustWork()
	stop()
	e.want("SELECT count(*) - count(DISTINCT full_name) FROM users", "0")
}
