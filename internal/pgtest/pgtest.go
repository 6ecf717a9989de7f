// Package pgtest runs throwaway PostgreSQL servers on free loopback ports, for tests and for the demo. It installs nothing:
// where no server binaries are found, it says what to install.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say how a throwaway server differs from the plain one: trust authentication, no fsync, superuser postgres.
type Options struct {
	Settings map[string]string // postgresql.conf
	HBA      []string          // lines of pg_hba.conf; nil: trust for everybody on loopback
	Dir      string            // where the data directory is made; "": the system's temporary directory
	Bin      string            // folder of initdb and postgres; "": FindBin
}

// Server is a running throwaway server. Its owner stops it.
type Server struct {
	Host string
	Port int
	Dir  string // data directory; removed by Stop

	bin  string
	cred *syscall.Credential
	cmd  *exec.Cmd
	done chan struct{}
	log  *os.File
}

// FindBin finds the folder of PostgreSQL's server binaries: SEGUE_PG_BIN, else the newest version below /usr/lib/postgresql or
// /usr/pgsql-*, else the folder of initdb on the PATH.
func FindBin() (string, error) {
	if d := os.Getenv("SEGUE_PG_BIN"); d != "" {
		return d, nil
	}
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb"} {
		m, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		found = append(found, m...)
	}
	sort.Slice(found, func(i, j int) bool { return versionOf(found[i]) < versionOf(found[j]) })
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	return "", errors.New("looked for PostgreSQL's server binaries (initdb, postgres) and found none: install the package postgresql, or set SEGUE_PG_BIN to their folder")
}

// FindProgram finds one of PostgreSQL's client programs: in the folder of the server's binaries, else the newest that is installed, since what has a
// server need not have clients. The caller sees to it that its version can do.
func FindProgram(name string) (string, error) {
	bin, err := FindBin()
	if err != nil {
		return "", err
	}
	found := []string{filepath.Join(bin, name)}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/" + name, "/usr/pgsql-*/bin/" + name} {
		m, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		sort.Slice(m, func(i, j int) bool { return versionOf(m[i]) > versionOf(m[j]) })
		found = append(found, m...)
	}
	for _, p := range found {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	return "", fmt.Errorf("looked for PostgreSQL's program %s in %s, below /usr/lib/postgresql and on the PATH, and found none: install the package postgresql-client", name, bin)
}

func versionOf(path string) int {
	for _, part := range strings.Split(path, "/") {
		if n, err := strconv.Atoi(strings.TrimPrefix(part, "pgsql-")); err == nil {
			return n
		}
	}
	return 0
}

// credential finds a user to run the server as, since PostgreSQL refuses to run as root; nil where we are not root.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as: add one, or run this as another user")
}

// Start makes a data directory and starts a server on it. It returns when the server accepts connections.
func Start(ctx context.Context, opt Options) (_ *Server, err error) {
	s := &Server{Host: "127.0.0.1", bin: opt.Bin}
	if s.bin == "" {
		if s.bin, err = FindBin(); err != nil {
			return nil, err
		}
	}
	if s.cred, err = credential(); err != nil {
		return nil, err
	}
	if s.Dir, err = os.MkdirTemp(opt.Dir, "segue-pg-"); err != nil {
		return nil, fmt.Errorf("making a data directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.Dir))
		}
	}()
	if s.cred != nil {
		if err := os.Chown(s.Dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(s.Dir, "data")
	initdb := s.command(ctx, "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("running initdb: %w\n%s", err, out)
	}
	if opt.HBA != nil {
		hba := strings.Join(opt.HBA, "\n") + "\n"
		if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
			return nil, err
		}
	}
	if s.Port, err = freePort(); err != nil {
		return nil, err
	}
	conf := map[string]string{
		"listen_addresses": "127.0.0.1", "port": strconv.Itoa(s.Port), "unix_socket_directories": "",
		"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200",
		"max_prepared_transactions": "10", "log_min_messages": "warning", "log_line_prefix": "%m [%p] ",
		"track_functions": "all", "shared_buffers": "128MB", "max_wal_size": "2GB",
	}
	for k, v := range opt.Settings {
		conf[k] = v
	}
	var b bytes.Buffer
	for k, v := range conf {
		fmt.Fprintf(&b, "%s = '%s'\n", k, strings.ReplaceAll(v, "'", "''"))
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(b.Bytes()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := s.Restart(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Restart starts the server again on its data directory and port, after Halt or Crash.
func (s *Server) Restart(ctx context.Context) (err error) {
	if s.log, err = os.Create(filepath.Join(s.Dir, "server.log")); err != nil {
		return err
	}
	s.cmd = s.command(context.WithoutCancel(ctx), "postgres", "-D", filepath.Join(s.Dir, "data"))
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	// Should this process die, by a panic in a test or a kill, the server is to go with it: the kernel sees to that when the thread that started it
	// ends, so that thread is kept for it.
	s.cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	started := make(chan error)
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait() // its exit status says how it was stopped, which the one who stopped it knows
		}
	}()
	if err := <-started; err != nil {
		return errors.Join(fmt.Errorf("starting postgres: %w", err), s.log.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.done:
			return errors.Join(fmt.Errorf("the server ended while starting:\n%s", s.Log()), s.log.Close())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting for the server to accept connections: %w", err), s.Crash())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// DSN is a connection string for a database as the superuser.
func (s *Server) DSN(database string) string { return s.DSNAs("postgres", database) }

// DSNAs is a connection string for a database as a user.
func (s *Server) DSNAs(user, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, s.Addr(), database)
}

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Log is what the server logged since it was started last.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.Dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// PID is the postmaster's process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Halt shuts the server down fast (sessions are ended) and waits; the data stays, for Restart.
func (s *Server) Halt() error { return s.end(syscall.SIGINT) }

// Crash ends the server at once, as a power cut would (its processes; not the disk's cache), and waits.
func (s *Server) Crash() error { return s.end(syscall.SIGQUIT) }

func (s *Server) end(sig syscall.Signal) error {
	select {
	case <-s.done:
		return nil
	default:
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		if err := s.cmd.Process.Kill(); err != nil {
			return err
		}
		<-s.done
	}
	return s.log.Close()
}

// Stop shuts the server down and removes its data.
func (s *Server) Stop() error {
	return errors.Join(s.end(syscall.SIGQUIT), os.RemoveAll(s.Dir))
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setpgid: true}
	return cmd
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
