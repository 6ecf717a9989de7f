package proxy

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"segue/internal/pgtest"
)

// Both sides' sockets have what is set for them; what is 0 is the system's.
func TestKeepAlives(t *testing.T) {
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.TCP = KeepAlive{Idle: 41 * time.Second, Interval: 7 * time.Second, Count: 5, UserTimeout: 1500 * time.Millisecond}
		o.ServerKeepAlive = KeepAlive{Idle: 42 * time.Second}
		o.Driver = DriverGoroutine // which has the sockets where the test can see them
		o.Listeners = []Listener{{Addr: "127.0.0.1:0", TCP: KeepAlive{Off: true}}}
	})
	options := func(conn net.Conn) (got [5]int) {
		t.Helper()
		raw, err := conn.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(raw.Control(func(fd uintptr) {
			for i, o := range [][2]int{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE},
				{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
				{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
				{unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
				{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT},
			} {
				var failed error
				got[i], failed = unix.GetsockoptInt(int(fd), o[0], o[1])
				err = errors.Join(err, failed)
			}
		}), err)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	// What the system has, a socket that nothing was set for says.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	fresh, err := (&net.Dialer{KeepAlive: -1}).Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fresh.Close() }()
	system := options(fresh)

	pgtest.Connect(t, r.dsn("postgres", "postgres"))
	c := r.hub.all()[0]
	if got := options(c.client); got != [5]int{1, 41, 7, 5, 1500} {
		t.Errorf("the client's: %v", got)
	}
	if got, want := options(c.server), [5]int{1, 42, system[2], system[3], 0}; got != want {
		t.Errorf("the server's: %v; want %v", got, want)
	}
	conn, err := net.Dial("tcp", r.Addrs()[1].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	eventually(t, "the second is accepted", func() bool { return len(r.hub.all()) == 2 })
	for _, other := range r.hub.all() {
		if other != c && options(other.client)[0] != 0 {
			t.Errorf("the other listener's: %v", options(other.client))
		}
	}
}
