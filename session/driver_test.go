package session

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"

	"segue/internal/pgtest"
	"segue/rewrite"
	"segue/rewrite/lens"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, pgtest.Options{Settings: map[string]string{"wal_level": "logical"}, HBA: []string{
		"host all scram 127.0.0.1/32 scram-sha-256", "host all md5 127.0.0.1/32 md5", "host all plain 127.0.0.1/32 password",
		"host all all 127.0.0.1/32 trust",
	}}))
}

// door is a listener that drives sessions to the tests' server: the smallest owner that keeps the rules.
type door struct {
	t        *testing.T
	listener net.Listener
	planner  planner
	gate     *lockedGate
	wg       sync.WaitGroup

	mu       sync.Mutex
	state    *rewrite.State
	sessions map[*connection]bool
}

// lockedGate counts what many sessions send.
type lockedGate struct {
	mu   sync.Mutex
	used []string
}

func (g *lockedGate) Admit(uint32) bool { return true }

func (g *lockedGate) Leased() bool { return true }

func (g *lockedGate) Used(_ *Session, p *rewrite.Plan) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used = append(g.used, p.SQL)
}

func (g *lockedGate) last() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.used) == 0 {
		return ""
	}
	return g.used[len(g.used)-1]
}

func (g *lockedGate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.used)
}

type connection struct {
	mu             sync.Mutex
	woken          *sync.Cond
	s              *Session
	client, server net.Conn
	closed         bool
}

func openDoor(t *testing.T, st *rewrite.State, p planner) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, listener: l, planner: p, gate: &lockedGate{}, state: st, sessions: map[*connection]bool{}}
	d.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.wg.Go(func() { d.serve(c) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		d.mu.Lock()
		for c := range d.sessions {
			c.close()
		}
		d.mu.Unlock()
		d.wg.Wait()
	})
	return d
}

func (d *door) dsn(user, database string) string {
	return "postgres://" + user + "@" + d.listener.Addr().String() + "/" + database + "?sslmode=prefer"
}

// setState gives all sessions a state.
func (d *door) setState(st *rewrite.State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = st
	for c := range d.sessions {
		c.mu.Lock()
		c.s.SetState(st)
		c.woken.Broadcast()
		c.mu.Unlock()
	}
}

func (d *door) serve(nc net.Conn) {
	d.mu.Lock()
	c := &connection{client: nc, s: New(Options{State: d.state, Version: lens.Auto, Gate: d.gate})}
	if d.planner != nil {
		c.s.planner = d.planner
	}
	c.woken = sync.NewCond(&c.mu)
	d.sessions[c] = true
	d.mu.Unlock()
	var server sync.WaitGroup
	c.fromClient(&server)
	c.close()
	if err := c.s.err; err != nil {
		d.t.Log("a session ended:", err)
	}
	server.Wait()
	d.mu.Lock()
	delete(d.sessions, c)
	d.mu.Unlock()
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.woken.Broadcast()
	_ = c.client.Close() // of a connection that may be closed already
	if c.server != nil {
		_ = c.server.Close()
	}
}

func (c *connection) fromClient(server *sync.WaitGroup) {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.client.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; ; {
			c.mu.Lock()
			for c.s.Blocked() != NotBlocked && !c.closed {
				c.woken.Wait()
			}
			used, failed := c.s.Client(rest)
			toServer, toClient := c.s.ToServer(), c.s.ToClient()
			blocked, st := c.s.Blocked() != NotBlocked, c.s.Startup()
			c.mu.Unlock()
			rest = rest[used:]
			if _, err := c.client.Write(toClient); len(toClient) > 0 && err != nil || failed != nil {
				return
			}
			if st != nil && c.server == nil {
				sc, err := net.Dial("tcp", pgtest.Shared().Addr())
				if err != nil {
					return
				}
				c.mu.Lock()
				c.server = sc
				c.mu.Unlock()
				if st.Cancel {
					if _, err := sc.Write(st.Raw); err == nil {
						_, _ = io.Copy(io.Discard, sc) // until the server has dealt with it
					}
					return
				}
				server.Go(c.fromServer)
			}
			if len(toServer) > 0 {
				if _, err := c.server.Write(toServer); err != nil {
					return
				}
			}
			if len(rest) == 0 && !blocked || c.ended() {
				break
			}
		}
	}
}

func (c *connection) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *connection) fromServer() {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.server.Read(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				c.close()
			}
			return
		}
		c.mu.Lock()
		failed := c.s.Server(buf[:n])
		toClient := c.s.ToClient()
		c.woken.Broadcast()
		c.mu.Unlock()
		if _, err := c.client.Write(toClient); err != nil || failed != nil {
			c.close()
			return
		}
	}
}

// database makes a database with the tables of the tests.
func database(t *testing.T) string {
	t.Helper()
	name := pgtest.Database(t)
	pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN(name)),
		"CREATE TABLE users (id int PRIMARY KEY, name text, n2 text, n3 text, n4 text)",
		"INSERT INTO users SELECT i, 'name ' || i, 'two ' || i, 'three ' || i, 'four ' || i FROM generate_series(1, 100) i",
		"CREATE TABLE plain (id int PRIMARY KEY, v text)")
	return name
}

var background = context.Background()
