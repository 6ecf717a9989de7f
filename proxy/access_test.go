package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dialAs connects to a unix socket as another user, with one group and others beside it. Only the thread becomes that user, and it ends with it.
func dialAs(t *testing.T, path string, uid, gid int, groups ...uint32) (net.Conn, error) {
	t.Helper()
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and no Unlock: the thread is of no use to others afterwards
		set := func(trap, a, b, c uintptr) error {
			if _, _, errno := unix.RawSyscall(trap, a, b, c); errno != 0 {
				return errno
			}
			return nil
		}
		var first unsafe.Pointer
		if len(groups) > 0 {
			first = unsafe.Pointer(&groups[0])
		}
		err := errors.Join(set(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0), set(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)),
			set(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)))
		runtime.KeepAlive(groups)
		if err != nil {
			done <- result{nil, err}
			return
		}
		conn, err := net.Dial("unix", path)
		done <- result{conn, err}
	}()
	r := <-done
	if r.conn != nil {
		t.Cleanup(func() { _ = r.conn.Close() })
	}
	return r.conn, r.err
}

// The admin socket is its owner's, root's and, where one is named, a group's: by the file's permissions, and by what the kernel says of who asks.
func TestWhoMayUseTheAdminSocket(t *testing.T) {
	const group, stranger = 4711, 4712
	own := os.Getegid()
	if os.Geteuid() == 0 {
		own = group // root may give a file to any group
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // others are to reach the socket's folder
		t.Fatal(err)
	}
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.Admin, o.AdminAccess = filepath.Join(dir, "run", "admin.sock"), Access{Group: fmt.Sprint(own)}
	})
	path := r.opt.Admin
	mode := func(path string, want fs.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
	mode(path, 0o660)
	mode(filepath.Dir(path), 0o750)
	status := func(conn net.Conn) (int, string) {
		t.Helper()
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
		resp, err := c.Get("http://segue/v1/status")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, body := r.ask(t, "GET", "/v1/status", ""); code != http.StatusOK {
		t.Errorf("the owner: %d %s", code, body)
	}
	if os.Geteuid() != 0 {
		return // one who is no other user cannot become one; what is asked of the kernel is judged below
	}
	if _, err := dialAs(t, path, stranger, stranger); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a stranger: %v", err)
	}
	many := make([]uint32, 100) // more than are asked for at once
	for i := range many {
		many[i] = uint32(5000 + i)
	}
	many[99] = group
	for _, groups := range [][]uint32{{group}, many} {
		conn, err := dialAs(t, path, stranger, stranger, groups...)
		if err != nil {
			t.Fatal(err)
		}
		if code, body := status(conn); code != http.StatusOK {
			t.Errorf("a member of the group: %d %s", code, body)
		}
	}
	// The proxy's sockets are for its own user alone.
	conn, err := dialAs(t, path, stranger, group)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /v1/takeover HTTP/1.1\r\nHost: segue\r\nConnection: Upgrade\r\nUpgrade: "+takeoverProtocol+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a member of the group takes over: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	// Whatever lets another one open the file, the kernel tells who it is.
	if err := errors.Join(os.Chmod(path, 0o777), os.Chmod(filepath.Dir(path), 0o755)); err != nil { //nolint:gosec // as somebody might by mistake
		t.Fatal(err)
	}
	conn, err = dialAs(t, path, stranger, stranger, 5000)
	if err != nil {
		t.Fatal(err)
	}
	if code, body := status(conn); code != http.StatusForbidden || !strings.Contains(body, "uid 4712") || !strings.Contains(body, "admin.unix_socket_group") {
		t.Errorf("a stranger: %d %s", code, body)
	}
}

func TestMayAdmin(t *testing.T) {
	const group, stranger = 4711, 4712
	for _, c := range []struct {
		cred   unix.Ucred
		groups []uint32
		gid    int
		mode   fs.FileMode
		may    bool
	}{
		{unix.Ucred{Uid: 0, Gid: stranger}, nil, -1, 0o600, true},
		{unix.Ucred{Uid: uint32(os.Geteuid()), Gid: stranger}, nil, -1, 0o600, true},
		{unix.Ucred{Uid: stranger, Gid: group}, nil, group, 0o660, true},
		{unix.Ucred{Uid: stranger, Gid: stranger}, []uint32{1, group}, group, 0o660, true},
		{unix.Ucred{Uid: stranger, Gid: uint32(os.Getegid())}, nil, -1, 0o660, true},
		{unix.Ucred{Uid: stranger, Gid: stranger}, []uint32{1}, group, 0o660, false},
		{unix.Ucred{Uid: stranger, Gid: group}, nil, group, 0o600, false},
		{unix.Ucred{Uid: stranger, Gid: uint32(os.Getegid())}, nil, -1, 0o600, false},
	} {
		if err := mayAdmin(&c.cred, c.groups, c.gid, c.mode); (err == nil) != c.may {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A folder that lets in nobody but its owner would make the group's right useless, and a group that is not there is a mistake: both are said at the start.
func TestAdminSocketThatItsGroupCannotReach(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder
		t.Fatal(err)
	}
	path := filepath.Join(dir, "admin.sock")
	for access, want := range map[Access]string{
		{Group: fmt.Sprint(os.Getegid())}: "chmod g+x " + dir,
		{Group: "no such group"}:          "there is no such group",
	} {
		if _, err := listenAdmin(path, access); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", access, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is there: %v", err)
		}
	}
}
