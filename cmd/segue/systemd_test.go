package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"segue/internal/pgtest"
)

// A service manager opens the clients' socket, is told when the proxy accepts, and keeps the socket: a client that comes between two processes waits, and is not refused.
func TestServiceManager(t *testing.T) {
	db := pgtest.Database(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Close() }()
	told := func(want string) {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := manager.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("the manager is told %q, %v; want %q", buf[:n], err, want)
		}
	}
	run := func() *exec.Cmd {
		t.Helper()
		// The shell becomes the proxy, so that it knows the process's number before.
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, exe, "serve", "--listen", "127.0.0.1:1", "--server", pgtest.Shared().Addr(),
			"--control", pgtest.Shared().DSN(db), "--admin", filepath.Join(dir, "admin.sock"), "--log-level", "warn")
		cmd.Env = append(os.Environ(), asProgram+"=1", "LISTEN_FDS=1", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
		cmd.ExtraFiles, cmd.Stderr = []*os.File{file}, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	stop := func(cmd *exec.Cmd) {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		told("STOPPING=1")
	}
	dsn := "postgres://postgres@" + l.Addr().String() + "/" + db + "?sslmode=disable"
	first := run()
	told("READY=1")
	if err := pgtest.Connect(t, dsn).Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	stop(first)
	came := make(chan error, 1)
	go func() {
		conn, err := net.Dial("tcp", l.Addr().String()) // nobody serves
		if err == nil {
			_, err = conn.Write([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f"))
		}
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		came <- err
	}()
	second := run()
	told("READY=1")
	if err := <-came; err != nil {
		t.Errorf("a client that came between: %v", err)
	}
	stop(second)
}
