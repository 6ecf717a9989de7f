package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// handedOver gives the sockets that a service manager has opened for the proxy (sd_listen_fds(3)): the clients', in the order of the listeners. None where there is no such
// manager.
func handedOver(getenv func(string) string) ([]net.Listener, error) {
	const first = 3 // SD_LISTEN_FDS_START
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > 100 {
		return nil, fmt.Errorf("the service manager's LISTEN_FDS is %q, which is no number of sockets", getenv("LISTEN_FDS"))
	}
	var sockets []net.Listener
	for fd := first; fd < first+n; fd++ {
		f := os.NewFile(uintptr(fd), "LISTEN_FD_"+strconv.Itoa(fd))
		l, err := net.FileListener(f) // which is a copy
		if err = errors.Join(err, f.Close()); err != nil {
			for _, open := range sockets {
				err = errors.Join(err, open.Close())
			}
			return nil, fmt.Errorf("taking over the service manager's socket %d: %w", fd, err)
		}
		if unix, ok := l.(*net.UnixListener); ok {
			unix.SetUnlinkOnClose(false) // the file is the manager's
		}
		sockets = append(sockets, l)
	}
	return sockets, nil
}

// notify tells a service manager how the proxy is (sd_notify(3)); where there is none, nobody.
func notify(getenv func(string) string, state string) error {
	path := getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"}) // a name that begins with @ is an abstract one
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}
