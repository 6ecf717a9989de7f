package proxy

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"segue/rewrite/lens"
	"segue/session"
)

// stood is a loop of which the test has the role.
type stood struct {
	*loop
	hub  *hub
	got  [256]byte
	runs bool // another has the role
}

// carried is a client of it, with what the peers on both sides have.
type carried struct {
	c              *conn
	client, server net.Conn
	on             *stood
}

// stand makes a loop.
func stand(t *testing.T, control *fakeControl) *stood {
	t.Helper()
	ls, err := openLoops(DriverEpoll, 2, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ls.close(); err != nil {
			t.Error(err)
		}
	})
	return &stood{loop: ls.all[0], hub: newHub(zap.NewNop(), control.first, nil, newRegistrar(control, zap.NewNop()), &counters{})}
}

// client makes one, with a session that has been let in.
func (s *stood) client(t *testing.T, long func(c *conn)) *carried {
	t.Helper()
	ends := [2][2]net.Conn{pipe(t), pipe(t)}
	gone := make(chan struct{})
	c := &conn{home: s.hub, hub: s.hub, log: zap.NewNop(), client: ends[0][0], left: func() { close(gone) }}
	s.hub.add(c, 10, session.Options{Version: lens.Auto, Gate: c, Long: func() { long(c) }})
	if _, err := c.session.Client([]byte("\x00\x00\x00\x10\x00\x03\x00\x00user\x00u\x00\x00")); err != nil {
		t.Fatal(err)
	}
	c.session.ToServer()
	if !s.loops.adopt(c, nil, &reached{Conn: ends[1][0]}) {
		t.Fatal("the loops do not take plain sockets")
	}
	x := &carried{c: c, client: ends[0][1], server: ends[1][1], on: s}
	t.Cleanup(func() {
		if err := x.client.Close(); err != nil {
			t.Error(err)
		}
		if !x.on.runs {
			x.on.turn()
		}
		if err := x.server.Close(); err != nil {
			t.Error(err)
		}
		<-gone
	})
	s.turn()
	s.says(t, x.server, x.client, []byte("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"))
	return x
}

// pipe gives the two ends of a plain socket.
func pipe(t *testing.T) (ends [2]net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if ends[1], err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if ends[0], err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return ends
}

// turn has the loop deal with what there is; there must be something.
func (s *stood) turn() {
	s.wait()
	s.deal()
}

// sends has a peer write bytes, and the loop deal with them.
func (s *stood) sends(t *testing.T, from net.Conn, b []byte) {
	t.Helper()
	if _, err := from.Write(b); err != nil {
		t.Fatal(err)
	}
	s.turn()
}

// says sends bytes from one peer to the other, by way of the loop.
func (s *stood) says(t *testing.T, from, to net.Conn, b []byte) {
	t.Helper()
	s.sends(t, from, b)
	if n, err := to.Read(s.got[:]); err != nil || !bytes.Equal(s.got[:n], b) {
		t.Fatalf("%q arrived, %v", s.got[:n], err)
	}
}

// What is passed through must not make work for the garbage collector.
func TestPassingAllocatesNothing(t *testing.T) {
	s := stand(t, newControl(noMigrations(t)))
	x := s.client(t, (*conn).long)
	query := []byte("Q\x00\x00\x00\x0fSELECT 1;;\x00")
	query[4] = byte(len(query) - 1)
	answer := []byte("T\x00\x00\x00\x1b\x00\x01one\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x011C\x00\x00\x00\x0dSELECT 1\x00Z\x00\x00\x00\x05I")
	answer[4] = 4 + 2 + 4 + 18
	parse := []byte("P\x00\x00\x00\x12s\x00SELECT $1\x00\x00\x00S\x00\x00\x00\x04")
	parse[4] = byte(len(parse) - 1 - 5)
	s.says(t, x.client, x.server, parse)
	s.says(t, x.server, x.client, []byte("1\x00\x00\x00\x04Z\x00\x00\x00\x05I"))
	bind := []byte("B\x00\x00\x00\x14\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x017\x00\x00D\x00\x00\x00\x06P\x00E\x00\x00\x00\x09\x00\x00\x00\x00\x00S\x00\x00\x00\x04")
	bind[4] = 4 + 1 + 2 + 2 + 2 + 5 + 2
	bound := append([]byte("2\x00\x00\x00\x04"), answer...)
	for name, round := range map[string]func(){
		"simple": func() {
			s.says(t, x.client, x.server, query)
			s.says(t, x.server, x.client, answer)
		},
		"prepared": func() {
			s.says(t, x.client, x.server, bind)
			s.says(t, x.server, x.client, bound)
		},
	} {
		if n := testing.AllocsPerRun(100, round); n != 0 {
			t.Errorf("%s: %v allocations for each transaction", name, n)
		}
	}
}

// What takes long leaves the loop: the others' turns come meanwhile.
func TestWhatTakesLongLeavesTheLoop(t *testing.T) {
	s := stand(t, newControl(noMigrations(t)))
	begun, release := make(chan struct{}), make(chan struct{})
	slow := s.client(t, func(c *conn) {
		c.long()
		c.long() // what takes long twice leaves once
		close(begun)
		<-release
	})
	other := s.client(t, (*conn).long)
	sql := append([]byte("Q\x00\x02\x00\x04"), bytes.Repeat([]byte{' '}, 2<<16)...)
	sql[len(sql)-1] = 0
	written := make(chan error, 1)
	go func() {
		_, err := slow.client.Write(sql)
		written <- err
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			s.wait()
			if !s.deal() {
				return // the role is another's, who runs the loop from here on
			}
		}
	}()
	<-begun
	s.runs = true
	query := []byte("Q\x00\x00\x00\x06;\x00")
	for range 3 {
		if _, err := other.client.Write(query); err != nil {
			t.Fatal(err)
		}
		if n, err := other.server.Read(s.got[:]); err != nil || !bytes.Equal(s.got[:n], query) {
			t.Fatalf("%q arrived, %v", s.got[:n], err)
		}
	}
	close(release)
	got := make([]byte, len(sql))
	if _, err := io.ReadFull(slow.server, got); err != nil || !bytes.Equal(got, sql) {
		t.Errorf("what took long arrived otherwise: %v", err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	<-done
}

func TestWeigh(t *testing.T) {
	for _, c := range []struct {
		index  int
		shares []int64
		quiet  int
		what   exchange
		to     int
	}{
		{0, []int64{500, 0}, 99, keeps, 0},
		{0, []int64{900, 0}, 0, halves, 1},
		{0, []int64{900, 500}, 0, keeps, 0}, // it would only move the load about
		{1, []int64{300, 900, 100, 0}, 0, halves, 3},
		{1, []int64{0, 100}, quietWindows - 1, keeps, 1},
		{1, []int64{100, 100}, quietWindows, leaves, 0},
		{2, []int64{800, 100, 100}, quietWindows, leaves, 1},
		{1, []int64{350, 100}, quietWindows, keeps, 1},
		{0, []int64{10, 10}, quietWindows, keeps, 0}, // it is the first that gathers
	} {
		if what, to := weigh(c.index, c.shares, c.quiet); what != c.what || to != c.to {
			t.Errorf("loop %d of %v, quiet for %d: %d to %d; want %d to %d", c.index, c.shares, c.quiet, what, to, c.what, c.to)
		}
	}
}

// A client goes from loop to loop in the midst of what it says, and nothing of it is lost.
func TestClientsAreGivenToAnotherLoop(t *testing.T) {
	s := stand(t, newControl(noMigrations(t)))
	x, stays := s.client(t, (*conn).long), s.client(t, (*conn).long)
	query := []byte("Q\x00\x00\x00\x0dSELECT 1\x00")
	s.sends(t, x.client, query[:7])
	to := &stood{loop: s.loops.all[1]}
	s.give(to.loop, 2)
	if n := [2]int32{s.clients.Load(), to.clients.Load()}; n != [2]int32{1, 1} {
		t.Fatalf("the loops have %v clients", n)
	}
	to.turn()
	to.sends(t, x.client, query[7:])
	if n, err := x.server.Read(s.got[:]); err != nil || !bytes.Equal(s.got[:n], query) {
		t.Fatalf("%q arrived, %v", s.got[:n], err)
	}
	to.says(t, x.server, x.client, []byte("I\x00\x00\x00\x04Z\x00\x00\x00\x05I"))
	s.says(t, stays.client, stays.server, query)
	x.on = to // for the clean-up
}
