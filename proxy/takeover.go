package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// A new process takes over the sockets of one that runs, on a connection to its admin socket that HTTP has given up (POST /v1/takeover). Each side waits for the other's word:
//
//	old: HTTP/1.1 101
//	new: send
//	old: {"clients":[...],"metrics":"..."} with the descriptors: the admin socket's lock, the admin socket, the clients' and the metrics'
//	new: ready, once it has joined the proxies
//	old: yours, once it accepts nobody any more
//
// Both have the same open sockets, not two of the same address: a client that connects meanwhile is in their one queue, and whichever accepts next takes it. Where
// the new one goes before it is ready, nothing has changed.
const (
	takeoverProtocol = "segue-takeover"
	wordSend         = "send\n"
	wordReady        = "ready\n"
	wordYours        = "yours\n"

	// takeoverTimeout bounds the wait for each word: a new process has to join the proxies before it is ready.
	takeoverTimeout = time.Minute
	// maxSockets bounds what is handed over; it is the kernel's own limit for one message.
	maxSockets = 250
)

// inventory says what the descriptors are for: the addresses as they are in the settings, by which a new process finds those that it has, too.
type inventory struct {
	Clients []string `json:"clients"`
	Metrics string   `json:"metrics,omitempty"`
}

// handOver answers a process that takes over. It runs until that has done so, or has gone.
func (p *Proxy) handOver(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != takeoverProtocol {
		p.answerError(w, r, invalid{errors.New("a takeover is for segue serve --takeover")})
		return
	}
	if uid, ok := uidOf(r.Context()); !ok || uid != 0 && int(uid) != os.Geteuid() {
		p.answer(w, r, http.StatusForbidden, ErrorAnswer{Error: "only the proxy's own user, and root, may take it over"})
		return
	}
	if !p.handing.TryLock() {
		p.answerError(w, r, fmt.Errorf("another process is taking this proxy over: %w", ErrConflict))
		return
	}
	defer p.handing.Unlock()
	if p.isStopping() {
		p.answerError(w, r, fmt.Errorf("this proxy is shutting down: %w", ErrConflict))
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.answerError(w, r, err)
		return
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(p.stopping, func() { _ = conn.Close() }) // its words fail then
	defer stop()
	if err := p.handOverOn(conn); err != nil {
		p.log.Warn("a process that was to take over failed", zap.Error(err), zap.Bool("this_one_goes_on", !p.HandedOver()))
		return
	}
	p.log.Info("another process has taken over; clients that are here may stay a while")
}

func (p *Proxy) handOverOn(conn net.Conn) error {
	to, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("the admin socket's connection is a %T", conn)
	}
	if err := say(to, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+takeoverProtocol+"\r\n\r\n"); err != nil {
		return err
	}
	if err := await(to, wordSend); err != nil {
		return err
	}
	if err := p.sendSockets(to); err != nil {
		return err
	}
	if err := await(to, wordReady); err != nil {
		return err
	}
	close(p.handedOver)
	if err := p.closeForSuccessor(); err != nil { // there is no way back
		p.log.Warn("closing what another process has taken over", zap.Error(err))
	}
	return say(to, wordYours)
}

// sendSockets sends what the proxy listens on. The descriptors are copies of the same open sockets.
func (p *Proxy) sendSockets(to *net.UnixConn) (err error) {
	inv := inventory{Clients: []string{}}
	files := []unixFile{p.admin.lock, p.admin.Listener}
	for _, l := range p.clients {
		inv.Clients = append(inv.Clients, l.addr)
		files = append(files, l.Listener)
	}
	if p.metrics != nil {
		inv.Metrics = p.opt.Metrics
		files = append(files, p.metrics)
	}
	var fds []int
	defer func() {
		for _, fd := range fds {
			err = errors.Join(err, unix.Close(fd))
		}
	}()
	for _, f := range files {
		fd, err := copyDescriptor(f)
		if err != nil {
			return fmt.Errorf("copying a descriptor: %w", err)
		}
		fds = append(fds, fd)
	}
	text, err := json.Marshal(inv)
	if err != nil {
		return err
	}
	if _, _, err := to.WriteMsgUnix(append(text, '\n'), unix.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("sending the sockets: %w", err)
	}
	return nil
}

// closeForSuccessor stops accepting, and leaves the files of unix sockets to the process that has them now.
func (p *Proxy) closeForSuccessor() error {
	keepFile(p.admin.Listener, true)
	for _, l := range p.clients {
		keepFile(l.Listener, true)
	}
	err := p.closeListeners()
	if p.metrics != nil {
		err = errors.Join(err, p.metrics.Close())
	}
	return errors.Join(err, p.admin.Close())
}

// keepFile says whether a unix socket's file stays when the listener is closed.
func keepFile(l net.Listener, keep bool) {
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(!keep)
	}
}

// Inheritance is what a process takes over from another one: its sockets, and the connection on which it is told that they are in use. Open uses up what it needs, Proxy.Claim or Close ends it.
type Inheritance struct {
	conn    *net.UnixConn
	lock    *os.File
	admin   net.Listener
	clients map[string][]net.Listener // by the address in the settings
	metrics map[string][]net.Listener
}

// TakeOver asks the proxy whose admin socket that is for its sockets. It gives nil where no proxy runs there.
func TakeOver(ctx context.Context, admin string) (_ *Inheritance, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", admin)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, nil
	}
	fail := func(err error) (*Inheritance, error) {
		return nil, fmt.Errorf("taking over from the proxy at %s: %w", admin, err)
	}
	if err != nil {
		return fail(err)
	}
	in := &Inheritance{conn: conn.(*net.UnixConn), clients: map[string][]net.Listener{}, metrics: map[string][]net.Listener{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.Close())
		}
	}()
	if err := say(in.conn, "POST /v1/takeover HTTP/1.1\r\nHost: segue\r\nConnection: Upgrade\r\nUpgrade: "+takeoverProtocol+"\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return fail(err)
	}
	if err := in.conn.SetReadDeadline(time.Now().Add(takeoverTimeout)); err != nil {
		return fail(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(in.conn), nil) // nothing follows it before the next word
	if err != nil {
		return fail(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		var e ErrorAnswer
		if err = errors.Join(err, resp.Body.Close(), json.Unmarshal(body, &e)); err != nil || e.Error == "" {
			return fail(fmt.Errorf("it answers %s", resp.Status))
		}
		return fail(errors.New(e.Error))
	}
	if err := say(in.conn, wordSend); err != nil {
		return fail(err)
	}
	if err := in.receive(); err != nil {
		return fail(err)
	}
	return in, nil
}

// receive takes the sockets in.
func (in *Inheritance) receive() (err error) {
	if err := in.conn.SetReadDeadline(time.Now().Add(takeoverTimeout)); err != nil {
		return err
	}
	text, oob := make([]byte, maxBody), make([]byte, unix.CmsgSpace(maxSockets*4))
	n, oobn, flags, _, err := in.conn.ReadMsgUnix(text, oob)
	if err != nil {
		return fmt.Errorf("receiving the sockets: %w", err)
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return errors.New("receiving the sockets: there are more than can be taken over at once")
	}
	var files []*os.File
	defer func() {
		for _, f := range files {
			if f != in.lock {
				err = errors.Join(err, f.Close()) // listeners are copies
			}
		}
	}()
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return fmt.Errorf("receiving the sockets: %w", err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fmt.Errorf("receiving the sockets: %w", err)
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "taken over"))
		}
	}
	text = text[:n]
	for !bytes.HasSuffix(text, []byte("\n")) && len(text) < cap(text) {
		n, err := in.conn.Read(text[len(text):cap(text)])
		if err != nil {
			return fmt.Errorf("receiving the sockets: %w", err)
		}
		text = text[:len(text)+n]
	}
	var inv inventory
	if err := json.Unmarshal(text, &inv); err != nil {
		return fmt.Errorf("receiving the sockets: %w", err)
	}
	want := 2 + len(inv.Clients)
	if inv.Metrics != "" {
		want++
	}
	if len(files) != want {
		return fmt.Errorf("receiving the sockets: %d came, and %d were announced", len(files), want)
	}
	in.lock = files[0]
	if in.admin, err = net.FileListener(files[1]); err != nil {
		return err
	}
	for i, addr := range inv.Clients {
		l, err := net.FileListener(files[2+i])
		if err != nil {
			return err
		}
		in.clients[addr] = append(in.clients[addr], l)
	}
	if inv.Metrics != "" {
		l, err := net.FileListener(files[want-1])
		if err != nil {
			return err
		}
		in.metrics[inv.Metrics] = append(in.metrics[inv.Metrics], l)
	}
	return nil
}

// take gives a listener of an address, once; nil where there is none. It may be called on nil.
func take(from map[string][]net.Listener, addr string) net.Listener {
	of := from[addr]
	if len(of) == 0 {
		return nil
	}
	from[addr] = of[1:]
	return of[0]
}

// Close gives up what has not been taken. The other process goes on.
func (in *Inheritance) Close() error {
	if in == nil {
		return nil
	}
	err := in.conn.Close()
	if in.admin != nil {
		err = errors.Join(err, in.admin.Close())
	}
	if in.lock != nil {
		err = errors.Join(err, in.lock.Close())
	}
	return errors.Join(err, in.closeRest())
}

func (in *Inheritance) closeRest() (err error) {
	for _, m := range []map[string][]net.Listener{in.clients, in.metrics} {
		for _, of := range m {
			for _, l := range of {
				err = errors.Join(err, l.Close())
			}
		}
		clear(m)
	}
	return err
}

// Claim tells the process that is taken over to stop accepting, and waits until it has. It follows Join; where it fails, Serve must still follow, with a context that is over. It does nothing for a proxy that takes over
// from nobody.
func (p *Proxy) Claim() (err error) {
	in := p.opt.Inherit
	if in == nil {
		return nil
	}
	defer func() { err = errors.Join(err, in.conn.Close(), in.closeRest()) }()
	if err := say(in.conn, wordReady); err != nil {
		return fmt.Errorf("taking over from another process: %w", err)
	}
	if err := await(in.conn, wordYours); err != nil {
		return fmt.Errorf("taking over from another process: %w", err)
	}
	keepFile(p.admin.Listener, false)
	for _, l := range p.clients {
		keepFile(l.Listener, false)
	}
	for _, of := range in.clients { // nobody listens there any more
		for _, l := range of {
			keepFile(l, false)
		}
	}
	return nil
}

// HandedOver says that another process has taken over.
func (p *Proxy) HandedOver() bool {
	select {
	case <-p.handedOver:
		return true
	default:
		return false
	}
}

func say(conn *net.UnixConn, word string) error {
	if err := conn.SetWriteDeadline(time.Now().Add(takeoverTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(conn, word)
	return err
}

func await(conn *net.UnixConn, word string) error {
	if err := conn.SetReadDeadline(time.Now().Add(takeoverTimeout)); err != nil {
		return err
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("waiting for the word %q: %w", word, err)
	}
	if string(got) != word {
		return fmt.Errorf("%q came in the place of the word %q", got, word)
	}
	return nil
}
