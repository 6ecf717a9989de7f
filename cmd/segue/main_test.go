package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/goleak"

	"segue/internal/pgtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(pgtest.Main(m, pgtest.Options{}))
}

// command runs the program as from a shell.
func command(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, stdio{strings.NewReader(""), &out, &err})
	return code, out.String(), err.String()
}

// must runs a command that is to succeed, and gives its output.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, err := command(context.Background(), args...)
	if code != exitDone || err != "" {
		t.Fatalf("segue %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, err)
	}
	return out
}

// refused runs a command that is to fail, with a single line that contains each of want.
func refused(t *testing.T, code int, args []string, want ...string) {
	t.Helper()
	got, out, err := command(context.Background(), args...)
	if got != code {
		t.Errorf("segue %s: exit code %d; want %d", strings.Join(args, " "), got, code)
	}
	line, rest, _ := strings.Cut(err, "\n")
	if rest != "" || !strings.HasPrefix(line, "segue: ") {
		t.Errorf("segue %s: not one line: %q", strings.Join(args, " "), err)
	}
	for _, w := range want {
		if !strings.Contains(line, w) {
			t.Errorf("segue %s: %s\nwant %q in it", strings.Join(args, " "), line, w)
		}
	}
	if out != "" && code == exitUsage {
		t.Errorf("segue %s: printed %q", strings.Join(args, " "), out)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const rename = `name = "users_full_name"
table = "public.users"
[rename_column]
from = "name"
to = "full_name"
`

// served is a proxy that the command runs.
type served struct {
	addr, admin string
	stop        func()
	stderr      *lockedBuffer // complete once stop has returned
}

// lockedBuffer can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serveProxy runs `segue serve` until the test ends, or until stop.
func serveProxy(t *testing.T, database string, args ...string) *served {
	t.Helper()
	s := &served{admin: filepath.Join(t.TempDir(), "a", "admin.sock"), stderr: &lockedBuffer{}}
	args = append([]string{
		"serve", "--listen", "127.0.0.1:0", "--server", pgtest.Shared().Addr(), "--control", pgtest.Shared().DSN(database),
		"--admin", s.admin, "--lease", "3s", "--log-level", "warn",
	}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	code := make(chan int, 1)
	go func() {
		c := run(ctx, args, stdio{strings.NewReader(""), write, s.stderr})
		_ = write.Close() // a pipe's end cannot fail to close
		code <- c
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatalf("segue serve ended: exit code %d, %s", <-code, s.stderr)
	}
	var server string
	if _, err := fmt.Sscanf(line, "segue: listening on %s server %s admin %s", &s.addr, &server, &s.admin); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	s.addr = strings.TrimSuffix(s.addr, ",")
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if c := <-code; c != exitDone {
			t.Errorf("segue serve: exit code %d, %s", c, s.stderr)
		}
	}
	t.Cleanup(s.stop)
	return s
}

func noLeaks(t *testing.T) {
	known := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, known) })
}

func (s *served) dsn(database, version string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&options=-csegue.version%%3D%s", s.addr, database, version)
}

func TestMigrationFromStartToDrop(t *testing.T) {
	noLeaks(t)
	db := pgtest.Database(t)
	direct := pgtest.Connect(t, pgtest.Shared().DSN(db))
	pgtest.Exec(t, direct, "CREATE TABLE users (id int PRIMARY KEY, name text, email text)", "CREATE INDEX ON users (name)",
		"INSERT INTO users SELECT i, 'name ' || i, 'e' FROM generate_series(1, 3000) i")
	one, two := serveProxy(t, db), serveProxy(t, db)
	old, recent := pgtest.Connect(t, one.dsn(db, "auto")), pgtest.Connect(t, two.dsn(db, "new"))
	next := 10_000
	both := func() {
		t.Helper()
		next++
		for _, c := range []string{"name", "full_name"} {
			conn, other := old, recent
			if c != "name" {
				conn, other = recent, old
			}
			key := next*2 + len(c)%2
			pgtest.Exec(t, conn, fmt.Sprintf("INSERT INTO users (id, %s, email) VALUES (%d, 'by %s', '')", c, key, c))
			var got string
			read := map[string]string{"name": "full_name", "full_name": "name"}[c]
			if err := other.QueryRow(context.Background(), fmt.Sprintf("SELECT %s FROM users WHERE id = $1", read), key).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != "by "+c {
				t.Fatalf("one wrote %q, the other reads %q", "by "+c, got)
			}
		}
	}
	file := write(t, rename)
	if out := must(t, "check", file, "--admin", one.admin); !strings.Contains(out, "It can be started.") ||
		strings.Count(out, "pid ") != 1 || !strings.Contains(out, "ACCESS EXCLUSIVE on public.users: no rewrite, no scan") { // the proxies' sessions, idle so far, are known
		t.Fatal(out)
	}
	var report struct {
		Ready    bool
		Problems []string
	}
	bad := write(t, strings.Replace(rename, `"name"`, `"nothing"`, 1))
	if code, out, _ := command(context.Background(), "check", bad, "--json", "--admin", two.admin); code != exitGate {
		t.Fatal(code, out)
	} else if err := json.Unmarshal([]byte(out), &report); err != nil || report.Ready || len(report.Problems) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	refused(t, exitGate, []string{"check", file, "--strict", "--admin", one.admin}, "the gate of start refuses", "the hazard bypass-sessions is not allowed")
	must(t, "check", file, "--strict", "--allow", "bypass-sessions", "--admin", one.admin)
	refused(t, exitUsage, []string{"check", file, "--allow", "nothing", "--admin", one.admin}, "--allow", "those that can are lossy,")
	at := func(s *served, phase string, args ...string) {
		t.Helper()
		out := must(t, append(args, "--admin", s.admin)...)
		if !strings.Contains(out, "users_full_name: "+phase) {
			t.Fatalf("segue %s: %s\nwant %s", strings.Join(args, " "), out, phase)
		}
		both()
	}
	at(one, "dual-write", "start", file)
	refused(t, exitFailed, []string{"start", file, "--admin", one.admin}, "users_full_name")
	at(two, "contract, proved", "advance", "users_full_name", "--to", "contract")
	at(one, "switch-reads, proved", "rollback", "users_full_name")
	at(one, "switch-reads, proved; verified: 3006 rows, 0 apart", "verify", "users_full_name")
	at(two, "contract", "advance", "users_full_name")
	refused(t, exitGate, []string{"advance", "users_full_name", "--admin", two.admin}, "the gate of complete refuses", "--yes")
	var m struct{ Phase string }
	if err := json.Unmarshal([]byte(must(t, "status", "users_full_name", "--json", "--admin", one.admin)), &m); err != nil || m.Phase != "contract" {
		t.Errorf("%+v, %v", m, err)
	}
	if out := must(t, "explain", "--admin", one.admin, "--version", "old", "SELECT name FROM users"); !strings.HasPrefix(out, "-- rewritten for users_full_name\nSELECT users.full_name AS name FROM users\n--\n") {
		t.Errorf("explain: %s", out)
	}
	at(one, "complete", "advance", "users_full_name", "--yes")
	refused(t, exitGate, []string{"retire", "users_full_name", "--admin", one.admin}, "the gate of retired refuses")
	if out := must(t, "retire", "users_full_name", "--quiet-for", "0s", "--admin", one.admin); !strings.Contains(out, "retired") {
		t.Error(out)
	}
	if out := must(t, "drop", "users_full_name", "--json", "--admin", two.admin); out != "{\"name\":\"users_full_name\",\"dropped\":true}\n" {
		t.Error(out)
	}
	for _, action := range []string{"advance", "rollback", "retire", "drop", "verify"} {
		refused(t, exitFailed, []string{action, "users_full_name", "--admin", one.admin}, "users_full_name", "segue status")
	}
	refused(t, exitFailed, []string{"status", "users_full_name", "--admin", one.admin}, "there is no migration")
	if out := must(t, "status", "--admin", one.admin); !strings.Contains(out, "no migrations") || strings.Count(out, build()) != 2 ||
		!strings.Contains(out, "sessions that bypass the proxies:\n  pid ") {
		t.Errorf("%s", out)
	}
	for _, s := range []*served{one, two} {
		s.stop()
		if s.stderr.String() != "" {
			t.Errorf("a proxy warned: %s", s.stderr)
		}
	}
}

func TestServeSaysWhatIsWrongAndChangesNothing(t *testing.T) {
	noLeaks(t)
	db := pgtest.Database(t)
	s := serveProxy(t, db)
	empty := pgtest.Database(t)
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	down := l.Addr().String()
	admin, control := filepath.Join(dir, "admin.sock"), pgtest.Shared().DSN(empty)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--listen", s.addr, "--control", control, "--admin", admin}, "listening for clients on " + s.addr + ": bind: address already in use"},
		{[]string{"--listen", "127.0.0.1:0", "--control", control, "--admin", s.admin}, "another proxy that runs uses it"},
		{[]string{"--listen", "127.0.0.1:0", "--control", "postgres://postgres@" + down + "/x", "--admin", admin}, "connection refused"},
		{[]string{"--listen", "127.0.0.1:0", "--control", pgtest.Shared().DSN("no_such_database"), "--admin", admin}, "no_such_database"},
		{[]string{"--listen", "6432", "--control", control, "--admin", admin}, "listen.addr: \"6432\" is no address to listen on"},
		{[]string{"--version", "!", "--control", control, "--admin", admin}, "listen.version: \"!\" is no version"},
		{[]string{"--server", "db:x", "--control", control, "--admin", admin}, "server.addr: \"db:x\" is no address"},
		{[]string{"-c", write(t, "[listen]\nport = 1\n")}, "m.toml:2: listen.port: is no key that is known here"},
		{[]string{"-c", filepath.Join(dir, "none.toml")}, "none.toml: cannot be read"},
	} {
		refused(t, exitFailed, append([]string{"serve"}, c.args...), c.want)
	}
	var n int
	if err := pgtest.Connect(t, control).QueryRow(context.Background(), "SELECT count(*) FROM pg_namespace WHERE nspname = 'segue'").Scan(&n); err != nil || n != 0 {
		t.Errorf("schema segue was made %d times, %v", n, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 1 { // the lock's file
		t.Errorf("%v, %v", files, err)
	}
}

func TestUsage(t *testing.T) {
	admin := filepath.Join(t.TempDir(), "none.sock")
	for _, c := range []struct {
		code int
		args string
		want string
	}{
		{exitUsage, "advanse", `there is no command "advanse"; did you mean advance?; see segue --help`},
		{exitUsage, "advance", "accepts 1 arg(s), received 0; usage: segue advance NAME"},
		{exitUsage, "serve now", "usage: segue serve"},
		{exitUsage, "start", "usage: segue start FILE"},
		{exitUsage, "advance m --nope", "unknown flag: --nope; see segue advance --help"},
		{exitUsage, "advance m --to nowhere", `--to: "nowhere" is no phase`},
		{exitUsage, "advance m --max-wait -1s", "--max-wait: -1s is negative"},
		{exitUsage, "advance m --max-wait soon", "see segue advance --help"},
		{exitUsage, "retire m --quiet-for -1s", "--quiet-for: -1s is negative"},
		{exitUsage, "backfill m", "say what is to change: --pause, --resume or --max-rows"},
		{exitUsage, "backfill m --pause --resume", "choose one of them"},
		{exitUsage, "backfill m --max-rows -1", "--max-rows: -1 is negative"},
		{exitUsage, "run", "usage: segue run FILE"},
		{exitUsage, "explain", "usage: segue explain SQL | -"},
		{exitUsage, "explain x --phase", "see segue explain --help"},
		{exitUsage, "explain x --proved", "go with --migration FILE only"},
		{exitFailed, "status --admin " + admin, "no proxy answers at " + admin + " (no such file or directory): start one with segue serve"},
		{exitFailed, "advance m --admin " + admin, "no proxy answers"},
		{exitFailed, "start " + admin, "cannot be read"},
	} {
		refused(t, c.code, strings.Fields(c.args), c.want)
	}
	if out := must(t, "version"); !strings.HasPrefix(out, "segue ") {
		t.Error(out)
	}
	var v struct{ Version string }
	if err := json.Unmarshal([]byte(must(t, "version", "--json")), &v); err != nil || v.Version == "" {
		t.Errorf("%+v, %v", v, err)
	}
	if out := must(t); !strings.Contains(out, "Usage:") {
		t.Error(out)
	}
}

const changePrice = `
name = "price_bigint"
table = "public.products"
[change_type]
column = "price"
to = "price_v2"
type = "bigint"
up = "price::bigint"
down = "price_v2::text"
`

// The pages of testdata/explain: the arguments of `segue explain --migration`, and its output. on=price is another migration.
func TestExplainWithoutAProxy(t *testing.T) {
	users, products := write(t, rename), write(t, changePrice)
	datadriven.Walk(t, "testdata/explain", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			args := []string{"explain", "--migration", users}
			for _, a := range d.CmdArgs {
				if a.Key == "on" {
					args[2] = products
					continue
				}
				args = append(args, "--"+a.Key+"="+strings.Join(a.Vals, ","))
			}
			code, out, err := command(context.Background(), append(args, "--", d.Input)...)
			if code != exitDone {
				return fmt.Sprintf("exit code %d: %s", code, err)
			}
			return out
		})
	})
}

func TestExplainOverADatabase(t *testing.T) {
	noLeaks(t)
	db := pgtest.Database(t)
	dsn := pgtest.Shared().DSN(db)
	file := write(t, rename)
	refused(t, exitFailed, []string{"explain", "--migration", file, "--control", dsn, "SELECT name FROM users"}, "has no table public.users")
	conn := pgtest.Connect(t, dsn)
	pgtest.Exec(t, conn, "CREATE TABLE users (id int PRIMARY KEY)")
	refused(t, exitFailed, []string{"explain", "--migration", file, "--control", dsn, "SELECT name FROM users"}, "has no column name")
	pgtest.Exec(t, conn, "ALTER TABLE users ADD name varchar(10), ADD email text")
	out := must(t, "explain", "--migration", file, "--control", dsn, "--phase", "contract", "--version", "old", "SELECT * FROM users")
	if want := "-- rewritten for users_full_name\nSELECT users.id, users.full_name AS name, users.email FROM users\n--\n"; !strings.HasPrefix(out, want) {
		t.Errorf("%s\nwant %s", out, want)
	}
	refused(t, exitFailed, []string{"explain", "--migration", file, "--control", "postgres://x@127.0.0.1:1/x", "SELECT 1"}, "connection refused")
}

// TestExplainWhatComesOrGoes explains over definitions that only add columns, or only drop some.
func TestExplainWhatComesOrGoes(t *testing.T) {
	comes := write(t, "name = \"lower\"\ntable = \"public.users\"\n[columns]\n[[columns.add]]\nname = \"mail\"\ntype = \"text\"\nup = \"lower(email)\"\n")
	goes := write(t, "name = \"gone\"\ntable = \"public.users\"\n[columns]\ndrop = [\"email\"]\n[columns.down]\nemail = \"'none'\"\n")
	constant := write(t, "name = \"kind\"\ntable = \"public.users\"\n[columns]\n[[columns.add]]\nname = \"kind\"\ntype = \"text\"\nup = \"'user'\"\nnot_null = true\n")
	for _, x := range []struct{ file, version, phase, want string }{
		{comes, "old", "dual-write", "SELECT users.id, users.email FROM users\n--\n-- public.users for old code, lower at dual-write:"},
		{comes, "new", "dual-write", "SELECT users.id, users.email, ((lower(users.email))::text) AS mail FROM users\n"},
		{comes, "new", "complete", "SELECT users.id, users.email, users.mail FROM users\n"},
		{goes, "old", "complete", "SELECT users.id, (('none')::text) AS email FROM users\n"},
		{goes, "new", "dual-write", "SELECT users.id FROM users\n--\n-- public.users for new code, gone at dual-write:"},
		{constant, "new", "pending", "SELECT users.id, (('user')::text) AS kind FROM users\n"},
	} {
		out := must(t, "explain", "--migration", x.file, "--columns", "id", "--phase", x.phase, "--version", x.version, "SELECT * FROM users")
		if !strings.Contains(out, x.want) {
			t.Errorf("%s code at %s:\n%s\nwant %s", x.version, x.phase, out, x.want)
		}
	}
}
