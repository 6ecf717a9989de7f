package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// Standby starts a hot standby of a server, which streams from it. The server is stopped for a moment, since its files are copied: nothing may be connected to it. The
// caller stops both.
func (s *Server) Standby(ctx context.Context) (_ *Server, err error) {
	o := &Server{Host: s.Host, bin: s.bin, cred: s.cred}
	if o.Dir, err = os.MkdirTemp(filepath.Dir(s.Dir), "segue-pg-"); err != nil {
		return nil, fmt.Errorf("making a data directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(o.Dir))
		}
	}()
	if o.cred != nil {
		if err := os.Chown(o.Dir, int(o.cred.Uid), int(o.cred.Gid)); err != nil {
			return nil, err
		}
	}
	if o.Port, err = freePort(); err != nil {
		return nil, err
	}
	if err := s.Halt(); err != nil {
		return nil, err
	}
	data := filepath.Join(o.Dir, "data")
	if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(s.Dir, "data"), data).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copying the server's files: %w\n%s", err, out)
	}
	if err := s.Restart(ctx); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "port = %d\nprimary_conninfo = 'host=%s port=%d user=postgres application_name=standby'\n", o.Port, s.Host, s.Port)
	_, err = f.Write(b.Bytes())
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	signal := filepath.Join(data, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		return nil, err
	}
	if o.cred != nil {
		if err := os.Chown(signal, int(o.cred.Uid), int(o.cred.Gid)); err != nil { // it is removed at the promotion
			return nil, err
		}
	}
	if err := o.Restart(ctx); err != nil {
		return nil, err
	}
	return o, nil
}

// Promote makes a primary of a standby, and returns once it can be written to.
func (s *Server) Promote(ctx context.Context) (err error) {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var promoted bool
	if err := conn.QueryRow(ctx, "SELECT pg_promote()").Scan(&promoted); err != nil {
		return fmt.Errorf("promoting the standby: %w", err)
	}
	if !promoted {
		return errors.New("the standby was not promoted within a minute")
	}
	return nil
}
