package chaos

import (
	"io"
	"net"
	"sync"
)

// relay stands between a proxy's control connections and the server, so that they can be cut while the clients' connections live.
type relay struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu     sync.Mutex
	mode   relayMode
	healed chan struct{} // closed when mode goes back to passing
	conns  map[net.Conn]bool
}

type relayMode int

const (
	passing relayMode = iota
	refusing
	stalling // connections stay open, and nothing goes through
)

func newRelay(target string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, target: target, conns: map[net.Conn]bool{}, healed: make(chan struct{})}
	r.wg.Go(r.accept)
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return // it is closed
		}
		r.wg.Go(func() { r.carry(c) })
	}
}

// keep takes a connection among those that a cut ends. It says false where connections are refused.
func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mode == refusing {
		return false
	}
	r.conns[c] = true
	return true
}

func (r *relay) drop(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	_ = c.Close() // it may have been cut
}

func (r *relay) carry(c net.Conn) {
	if !r.keep(c) {
		_ = c.Close() // nobody is to be carried
		return
	}
	defer r.drop(c)
	s, err := net.Dial("tcp", r.target)
	if err != nil || !r.keep(s) {
		return
	}
	defer r.drop(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.copy(s, c)
		_ = s.(*net.TCPConn).CloseWrite() // an error means that it is closed already
	}()
	r.copy(c, s)
	_ = c.(*net.TCPConn).CloseWrite() // as above
	<-done
}

// copy copies until either end is closed; while the relay stalls, what has been read waits.
func (r *relay) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		mode, healed := r.mode, r.healed
		r.mu.Unlock()
		if mode == stalling {
			<-healed
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *relay) set(m relayMode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mode == stalling && m != stalling {
		close(r.healed)
		r.healed = make(chan struct{})
	}
	r.mode = m
	if m == refusing {
		for c := range r.conns {
			_ = c.Close() // it is dropped by its own goroutine
		}
	}
}

func (r *relay) close() {
	_ = r.listener.Close() // it fails where it is closed already
	r.set(refusing)
	r.wg.Wait()
}
