package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Access says who may use a unix socket, as PostgreSQL's unix_socket_group and unix_socket_permissions do.
type Access struct {
	Group string      // name or number; "": the process's own
	Mode  fs.FileMode // permissions; 0: what is usual for the socket
}

// gid looks the group up; -1 where none is named.
func (a Access) gid() (int, error) {
	if a.Group == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(a.Group, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(a.Group)
	if err != nil {
		return -1, fmt.Errorf("unix_socket_group is %q, and there is no such group: name one that there is, or its number", a.Group)
	}
	return strconv.Atoi(g.Gid)
}

// grant opens a socket's file to those who may use it. It is to be closed to all but its owner before: the group is set first, so that it is never open to another one.
func (a Access) grant(path string) error {
	gid, err := a.gid()
	if err != nil {
		return err
	}
	if gid >= 0 {
		if err := os.Chown(path, -1, gid); errors.Is(err, unix.EPERM) {
			return fmt.Errorf("giving it to the group %s: the proxy's user must be root or a member of that group", a.Group)
		} else if err != nil {
			return fmt.Errorf("giving it to the group %s: %w", a.Group, err)
		}
	}
	if err := os.Chmod(path, a.Mode); err != nil {
		return fmt.Errorf("setting its permissions: %w", err)
	}
	return nil
}

// orEverybody lets in everybody where nothing is said.
func (a Access) orEverybody() Access {
	if a.Mode == 0 {
		a.Mode = 0o777
	}
	return a
}

// adminMode is the admin socket's, where nothing is said: its owner's alone, and its group's where one is named.
func (a Access) adminMode() fs.FileMode {
	switch {
	case a.Mode != 0:
		return a.Mode
	case a.Group != "":
		return 0o660
	}
	return 0o600
}

// adminFolder makes the folder of the admin socket where there is none, for those who may use the socket and nobody else.
func adminFolder(path string, a Access) error {
	dir := filepath.Dir(path)
	mode := fs.FileMode(0o700)
	if a.Mode&0o070 != 0 {
		mode = 0o750
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && mode == 0o700:
		return os.MkdirAll(dir, mode)
	case errors.Is(err, fs.ErrNotExist):
		if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o755), os.Mkdir(dir, 0o700)); err != nil { //nolint:gosec // what is above the folder is nobody's secret
			return err
		}
		return Access{Group: a.Group, Mode: mode}.grant(dir)
	case err != nil:
		return err
	case mode != 0o700 && info.Mode().Perm()&0o011 == 0:
		return fmt.Errorf("unix_socket_group may use it, and its folder lets in nobody but the owner: chgrp %[1]s %[2]s && chmod g+x %[2]s", a.Group, dir)
	}
	return nil
}

// peerGroups gives the groups that a process at the other end of a unix socket was in when it connected, beside its first one (SO_PEERGROUPS).
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // the kernel fills the slice that is given with its size
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno == unix.ERANGE && int(size/4) > len(groups): // it says how many there are
			groups = make([]uint32, size/4)
		default:
			return nil, errno
		}
	}
}

// mayAdmin judges who is at the other end of the admin socket by what the kernel says of him, whatever let him open the file. It gives why he may not, or nil.
func mayAdmin(cred *unix.Ucred, groups []uint32, gid int, mode fs.FileMode) error {
	if cred.Uid == 0 || int(cred.Uid) == os.Geteuid() {
		return nil
	}
	if gid < 0 {
		gid = os.Getegid()
	}
	if mode&0o060 != 0 {
		for _, g := range append([]uint32{cred.Gid}, groups...) {
			if int(g) == gid {
				return nil
			}
		}
	}
	return fmt.Errorf("%s may not use this proxy's admin socket: its owner may, and the group that admin.unix_socket_group names", peer(cred))
}

type refusedKey struct{}

// withAccess answers those who may not use the admin socket.
func withAccess(next http.Handler, p *Proxy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err, ok := r.Context().Value(refusedKey{}).(error); ok {
			p.answer(w, r, http.StatusForbidden, ErrorAnswer{Error: err.Error()})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refusing notes in a connection's context that its requests are refused.
func refusing(ctx context.Context, err error) context.Context {
	return context.WithValue(ctx, refusedKey{}, err)
}

type uidKey struct{}

// uidOf reads who is at the other end of the admin socket.
func uidOf(ctx context.Context) (uid uint32, ok bool) {
	uid, ok = ctx.Value(uidKey{}).(uint32)
	return uid, ok
}
