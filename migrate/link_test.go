package migrate

import (
	"io"
	"net"
	"testing"
)

// A connection that the server has ended is seen to be broken before anything is sent on it.
func TestIsBroken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, c := range []struct {
		says   string
		closes bool
		broken bool
	}{{"", false, false}, {"N\x00\x00\x00\x05\x00", false, false}, {"E\x00\x00\x00\x05\x00", false, true}, {"", true, true}, {"N\x00\x00\x00\x05\x00", true, true}} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(peer, c.says); err != nil {
			t.Fatal(err)
		}
		if c.closes {
			if err := peer.Close(); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "the peer's word", func() bool { return isBroken(conn) == c.broken })
		if c.says != "" { // it is still to be read
			if b, err := io.ReadAll(io.LimitReader(conn, int64(len(c.says)))); err != nil || string(b) != c.says {
				t.Errorf("%q, %v is left of %q", b, err, c.says)
			}
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if !isBroken(conn) {
			t.Error("a closed connection is not broken")
		}
		_ = peer.Close() // it may be closed already
	}
}
