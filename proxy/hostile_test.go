package proxy

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"segue/internal/pgtest"
	"segue/session"
)

// Clients that stop in the middle of what they say, whatever it is, are gone after the time to log in; nobody else notices.
func TestClientsThatStopInTheMiddle(t *testing.T) {
	own := newAuthority(t, "the proxy's authority")
	cert, key := own.issue(t, "proxy", "127.0.0.1")
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.TLS, o.Log = ListenTLS{Offer: session.OptionalTLS, Cert: cert, Key: key}, zap.NewNop()
		o.Limits.ClientLoginTimeout = 500 * time.Millisecond
	})
	const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	other := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	var silent []net.Conn
	for _, begun := range []string{
		"", "\x00", "\x00\x00\x27\x10\x00\x03\x00\x00user\x00", sslRequest, "\x16", "\x16\x03\x01\x40\x00\x01", "\x16\x03\x01\x00\x05\x01\x00\xff\xff\xff",
		"\x00\x00\x00\x10\x04\xd2\x16.", "\x7f\xff\xff\xff\x00\x03\x00\x00",
	} {
		for range 3 {
			c := r.raw(t)
			if _, err := io.WriteString(c, begun); err != nil {
				t.Fatal(err)
			}
			silent = append(silent, c)
		}
	}
	tls := r.raw(t)
	if _, err := io.WriteString(tls, sslRequest); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(tls, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(tls, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"); err != nil { // a part of a hello
		t.Fatal(err)
	}
	silent = append(silent, tls)
	query(t, other, "SELECT 'notices nothing'")
	for i, c := range silent {
		if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("client %d is still there", i)
		}
	}
	eventually(t, "they are forgotten", func() bool { return len(r.hub.all()) == 1 })
	query(t, other, "SELECT 'notices nothing'")
}

// FuzzAnswer: whatever a server says first, and in whatever pieces, the verdict is that on the whole, or none yet.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("v\x00\x00\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00R\x00\x00\x00\x2a\x00\x00\x00\x0aSCRAM-SHA-256-PLUS\x00SCRAM-SHA-256\x00\x00"))
	f.Add([]byte("E\x00\x00\x00\x14SFATAL\x00C28000\x00\x00"))
	f.Add([]byte("E\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		said, known := judge(b)
		for i := range b {
			if part, early := judge(b[:i]); early && (!known || part != said) {
				t.Fatalf("%q of %q: %v, and then %v, %v", b[:i], b, part, said, known)
			}
		}
		if known && said == offersBinding && !bytes.Contains(b, []byte("PLUS")) {
			t.Fatalf("%q offers no binding", b)
		}
	})
}
