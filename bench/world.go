package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/internal/pgtest"
)

// The roles and the database of a world. The control role owns the tables, and is not called segue: what a role of that name creates lands in schema segue, which is its own by "$user"; the load connects as a superuser, whom no policy concerns.
const (
	database    = "app"
	controlRole = "owner"
	loadRole    = "postgres"
)

// world is a throwaway server with an empty database, and the processes in front of it. Its owner calls close.
type world struct {
	opt     options
	out     io.Writer // progress
	dir     string
	server  *pgtest.Server
	version string
	cred    *syscall.Credential // who PgBouncer runs as; nil: as this process
	started []*process          // in order
}

func newWorld(ctx context.Context, opt options, out io.Writer) (_ *world, err error) {
	w := &world{opt: opt, out: out}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "segue-bench-"); err != nil {
		return nil, err
	}
	if err := w.findUser(); err != nil {
		return nil, err
	}
	w.server, err = pgtest.Start(ctx, pgtest.Options{Settings: map[string]string{
		"max_connections": strconv.Itoa(opt.idle + 1300), "shared_buffers": "512MB", "max_wal_size": "16GB", "checkpoint_timeout": "1h",
		"autovacuum": "off", "track_functions": "none",
	}})
	if err != nil {
		return nil, err
	}
	if err := w.as(ctx, loadRole, "postgres", "CREATE ROLE "+controlRole+" LOGIN", "GRANT pg_read_all_stats, pg_signal_backend TO "+controlRole); err != nil {
		return nil, err
	}
	return w, w.createDatabase(ctx, database)
}

// findUser finds who PgBouncer runs as, since it refuses to run as root, and gives him the world's folder.
func (w *world) findUser() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PgBouncer refuses to run as root, and there is no user postgres to run it as: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	w.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(w.dir, int(uid), int(gid))
}

func (w *world) createDatabase(ctx context.Context, name string) error {
	if err := w.as(ctx, loadRole, "postgres", "CREATE DATABASE "+name, "GRANT CREATE ON DATABASE "+name+" TO "+controlRole); err != nil {
		return err
	}
	if err := w.as(ctx, loadRole, name, "GRANT CREATE ON SCHEMA public TO "+controlRole); err != nil {
		return err
	}
	return w.query(ctx, name, func(c *pgx.Conn) error { return c.QueryRow(ctx, "SHOW server_version").Scan(&w.version) })
}

// query connects to the server itself as the load's role.
func (w *world) query(ctx context.Context, database string, do func(*pgx.Conn) error) error {
	return w.connected(ctx, loadRole, database, do)
}

func (w *world) connected(ctx context.Context, role, database string, do func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, w.server.DSNAs(role, database))
	if err != nil {
		return err
	}
	err = do(c)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(err, c.Close(closing))
}

// as runs statements on the server itself.
func (w *world) as(ctx context.Context, role, database string, statements ...string) error {
	return w.connected(ctx, role, database, func(c *pgx.Conn) error {
		for _, s := range statements {
			if _, err := c.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
}

// close ends what was started, and removes it.
func (w *world) close() error {
	var errs []error
	for i := len(w.started) - 1; i >= 0; i-- {
		errs = append(errs, w.started[i].stop())
	}
	if w.server != nil {
		errs = append(errs, w.server.Stop())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// process is a proxy or PgBouncer.
type process struct {
	name  string
	addr  string // host:port that it accepts on
	admin string // a proxy's admin socket
	log   string
	cmd   *exec.Cmd
	done  chan struct{}
	ended bool // by stop
}

// start starts a command and waits until it accepts on addr.
func (w *world) start(ctx context.Context, p *process) error {
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.done = make(chan struct{})
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is told by its log
	}()
	w.started = append(w.started, p)
	patience := time.NewTimer(30 * time.Second)
	defer patience.Stop()
	for {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended by itself:\n%s", p.name, p.tail())
		case <-patience.C:
			return fmt.Errorf("waiting until %s accepts: %w\n%s", p.name, err, p.tail())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits for it.
func (p *process) stop() error {
	if p.ended {
		return nil
	}
	p.ended = true
	select {
	case <-p.done:
		return fmt.Errorf("%s ended before it was asked to:\n%s", p.name, p.tail())
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(5 * time.Second):
	}
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// segue starts a proxy in front of a database of the server's.
func (w *world) segue(ctx context.Context, database string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("segue-%d", len(w.started))
	p := &process{name: name, addr: port, admin: filepath.Join(w.dir, name, "admin.sock"), log: filepath.Join(w.dir, name+".log")}
	p.cmd = exec.Command(w.opt.exe, "serve", "--listen", p.addr, "--server", w.server.Addr(), "--server-tls", "disable", "--control", w.server.DSNAs(controlRole, database),
		"--admin", p.admin, "--log-level", "warn", "--max-connections", strconv.Itoa(w.opt.idle+1200), "--drain-timeout", "1s")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return p, w.start(ctx, p)
}

// bouncer starts a PgBouncer with session pooling. With fresh, a server connection serves one client only.
func (w *world) bouncer(ctx context.Context, fresh bool) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	host, number, err := net.SplitHostPort(port)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("pgbouncer-%d", len(w.started))
	users, ini := filepath.Join(w.dir, name+".users"), filepath.Join(w.dir, name+".ini")
	lifetime := "3600"
	if fresh {
		lifetime = "0"
	}
	text := strings.Join([]string{
		"[databases]", "* = host=" + w.server.Host + " port=" + strconv.Itoa(w.server.Port), "[pgbouncer]", "listen_addr = " + host, "listen_port = " + number, "unix_socket_dir =",
		"auth_type = trust", "auth_file = " + users, "pool_mode = session", fmt.Sprintf("max_client_conn = %d", w.opt.idle+1200), fmt.Sprintf("default_pool_size = %d", w.opt.idle+1200),
		"server_lifetime = " + lifetime, "client_tls_sslmode = disable", "server_tls_sslmode = disable", "log_connections = 0", "log_disconnections = 0", "log_stats = 0", "",
	}, "\n")
	if err := os.WriteFile(users, []byte(`"`+loadRole+`" ""`+"\n"), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(ini, []byte(text), 0o644); err != nil {
		return nil, err
	}
	p := &process{name: name, addr: port, log: filepath.Join(w.dir, name+".log"), cmd: exec.Command("pgbouncer", "-q", ini)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: w.cred, Setpgid: true}
	return p, w.start(ctx, p)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
