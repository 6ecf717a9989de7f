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
}

// stand makes a loop.
func stand(t *testing.T, control *fakeControl) *stood {
	t.Helper()
	ls, err := openLoops(DriverEpoll, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for len(ls.all) > 1 { // all clients on one
		l := ls.all[1]
		ls.all = append(ls.all[:1], ls.all[2:]...)
		t.Cleanup(func() {
			if err := (&loops{all: []*loop{l}}).close(); err != nil {
				t.Error(err)
			}
		})
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
	c := &conn{hub: s.hub, log: zap.NewNop(), client: ends[0][0], left: func() { close(gone) }}
	s.hub.add(c, 10, session.Options{Version: lens.Auto, Gate: c, Long: func() { long(c) }})
	if _, err := c.session.Client([]byte("\x00\x00\x00\x10\x00\x03\x00\x00user\x00u\x00\x00")); err != nil {
		t.Fatal(err)
	}
	c.session.ToServer()
	if !s.loops.adopt(c, nil, &reached{Conn: ends[1][0]}) {
		t.Fatal("the loops do not take plain sockets")
	}
	x := &carried{c: c, client: ends[0][1], server: ends[1][1]}
	t.Cleanup(func() {
		if err := x.client.Close(); err != nil {
			t.Error(err)
		}
		if !s.runs {
			s.turn()
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

// says sends bytes from one peer to the other, by way of the loop.
func (s *stood) says(t *testing.T, from, to net.Conn, b []byte) {
	t.Helper()
	if _, err := from.Write(b); err != nil {
		t.Fatal(err)
	}
	s.turn()
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
