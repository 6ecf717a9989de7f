package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// binaryHeader writes a header of version 2.
func binaryHeader(command, family byte, body string) string {
	return proxySignature + string([]byte{0x20 | command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)))) + body
}

const (
	fromTCP4 = "\xcb\x00\x71\x07\x0a\x00\x00\x01\x04\xd2\x19\x20" // 203.0.113.7:1234, to 10.0.0.1:6432
	fromTCP6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x04\xd2\x19\x20"
)

func TestReadProxyHeader(t *testing.T) {
	unixPath := "/run/app.sock" + strings.Repeat("\x00", 108-13) + strings.Repeat("\x00", 108)
	for header, want := range map[string]string{
		"PROXY TCP4 203.0.113.7 10.0.0.1 1234 6432\r\n":    "203.0.113.7:1234",
		"PROXY TCP6 2001:db8::7 2001:db8::1 1234 6432\r\n": "[2001:db8::7]:1234",
		"PROXY UNKNOWN\r\n":                                      "",
		"PROXY UNKNOWN ffff::1 whatever 1 2\r\n":                 "",
		binaryHeader(1, proxyTCP4, fromTCP4):                     "203.0.113.7:1234",
		binaryHeader(1, proxyTCP6, fromTCP6):                     "[2001:db8::7]:1234",
		binaryHeader(1, proxyTCP4, fromTCP4+"\x04\x00\x02no"):    "203.0.113.7:1234", // a TLV
		binaryHeader(1, proxyUnix, unixPath):                     "unix:/run/app.sock",
		binaryHeader(1, proxyNone, ""):                           "",
		binaryHeader(0, proxyNone, ""):                           "",
		binaryHeader(0, proxyTCP4, fromTCP4):                     "", // the balancer's own
		binaryHeader(1, proxyNone, strings.Repeat("x", 1<<16-1)): "",
	} {
		r := strings.NewReader(header + "rest")
		got, err := readProxyHeader(r)
		rest, _ := io.ReadAll(r)
		if got != want || err != nil || string(rest) != "rest" {
			t.Errorf("%.60q: %q, %v, and %d bytes are left; want %q and 4", header, got, err, len(rest), want)
		}
	}
	for _, header := range []string{
		"PROXY TCP4 203.0.113.7 10.0.0.1 1234\r\n", "PROXY TCP4 203.0.113.7 10.0.0.1 1234 6432 1\r\n", "PROXY TCP4 203.0.113.7  10.0.0.1 1234 6432\r\n",
		"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", "PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n", "PROXY TCP4 203.0.113.7 10.0.0.1 01234 6432\r\n",
		"PROXY TCP4 203.0.113.7 10.0.0.1 65536 1\r\n", "PROXY TCP4 203.0.113.7 10.0.0.1 -1 1\r\n", "PROXY UDP4 203.0.113.7 10.0.0.1 1 1\r\n",
		"PROXY TCP6 fe80::1%eth0 fe80::2 1 1\r\n", "PROXY TCP4 203.0.113.7 10.0.0.1 1234 6432\n", "PROXY " + strings.Repeat("x", 200) + "\r\n", "PROXY  \r\n  \r\n",
		"proxy TCP4 203.0.113.7 10.0.0.1 1234 6432\r\n", "PROXY", "P", "\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x00",
		binaryHeader(2, proxyTCP4, fromTCP4), binaryHeader(1, 0x12, fromTCP4), binaryHeader(1, proxyTCP4, fromTCP4[:11]), binaryHeader(1, proxyTCP6, fromTCP4),
		binaryHeader(1, proxyTCP4, fromTCP4)[:20], binaryHeader(1, proxyNone, "abc")[:17], proxySignature, proxySignature + "\x11\x11\x00\x00",
	} {
		if got, err := readProxyHeader(strings.NewReader(header)); err == nil || errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "ends") {
			t.Errorf("%q is taken for %q (%v)", header, got, err)
		}
	}
	if _, err := readProxyHeader(strings.NewReader("")); err != io.EOF { //nolint:errorlint // nothing is wrapped around it
		t.Error(err)
	}
}

// FuzzProxyHeader: whatever comes, no more is read than the header, which names an address or none.
func FuzzProxyHeader(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 203.0.113.7 10.0.0.1 1234 6432\r\nrest", "PROXY TCP6 2001:db8::7 ::ffff:1.2.3.4 1 2\r\n", "PROXY UNKNOWN\r\n", binaryHeader(1, proxyTCP4, fromTCP4) + "rest",
		binaryHeader(1, proxyTCP6, fromTCP6), binaryHeader(0, proxyNone, "tlv"), binaryHeader(1, proxyUnix, strings.Repeat("\xff", 216)), proxySignature + "\x21\x11\xff\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		from, err := readProxyHeader(r)
		if err != nil {
			if from != "" {
				t.Fatalf("%q beside %v", from, err)
			}
			return
		}
		header := b[:len(b)-r.Len()]
		if again, err := readProxyHeader(bytes.NewReader(header)); again != from || err != nil {
			t.Fatalf("%q alone is %q, %v; with what follows it was %q", header, again, err, from)
		}
		if _, err := netip.ParseAddrPort(from); from != "" && !strings.HasPrefix(from, "unix:") && err != nil {
			t.Fatal(err)
		}
		if len(header) > 16+1<<16 || header[0] == 'P' && len(header) > maxProxyLine {
			t.Fatalf("a header of %d bytes", len(header))
		}
	})
}

// Clients come through a balancer that says who they are, on the listeners and from the addresses that are set; from others a header is no beginning of a session.
func TestProxyProtocol(t *testing.T) {
	core, logged := observer.New(zap.DebugLevel)
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.Log = zap.New(core)
		o.Trusted = Trusted{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
		o.Listeners = []Listener{{Addr: "127.0.0.1:0", Trusted: Trusted{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Unix: true}}, {Addr: "127.0.0.1:0"}}
		o.Limits.ClientLoginTimeout = 300 * time.Millisecond
	})
	connect := func(listener int, header string) error {
		t.Helper()
		cfg, err := pgx.ParseConfig(r.dsn("postgres", "postgres"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", r.Addrs()[listener].String())
			if err == nil {
				_, err = io.WriteString(conn, header)
			}
			return conn, err
		}
		conn, err := pgx.ConnectConfig(context.Background(), cfg)
		if err != nil {
			return err
		}
		if got := query(t, conn, "SELECT 'there'"); got != "there" {
			t.Error(got)
		}
		return conn.Close(context.Background())
	}
	const line = "PROXY TCP4 203.0.113.7 10.0.0.1 1234 6432\r\n"
	for _, c := range []struct {
		listener int
		header   string
		client   string // as it is logged; "": it is not carried
	}{
		{0, line, "203.0.113.7:1234"},
		{0, binaryHeader(1, proxyTCP6, fromTCP6), "[2001:db8::7]:1234"},
		{0, binaryHeader(0, proxyNone, ""), "127.0.0.1:"},
		{0, "", ""}, // who is trusted must say
		{0, "PROXY nonsense\r\n", ""},
		{1, "", "127.0.0.1:"},
		{1, line, ""}, // who is not trusted cannot say
		{2, "", "127.0.0.1:"},
		{2, line, ""},
	} {
		logged.TakeAll()
		err := connect(c.listener, c.header)
		if (err == nil) != (c.client != "") {
			t.Errorf("listener %d, %q: %v", c.listener, c.header, err)
		}
		for _, e := range logged.FilterMessage("a client is carried").All() {
			if got, _ := e.ContextMap()["client"].(string); c.client == "" || !strings.HasPrefix(got, c.client) {
				t.Errorf("listener %d, %q: the log has %q", c.listener, c.header, got)
			}
		}
	}
	silent := r.raw(t)
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("one that sends no header is kept")
	}
	refused := r.counters.refused.Load()
	if err := r.raw(t).Close(); err != nil { // a look whether the port is open
		t.Fatal(err)
	}
	if err := connect(0, line); err != nil || r.counters.refused.Load() != refused {
		t.Errorf("%v, %d refused", err, r.counters.refused.Load()-refused)
	}
}

func TestTrusted(t *testing.T) {
	trusted := Trusted{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	for addr, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.ParseIP("10.1.2.3")}:        true,
		&net.TCPAddr{IP: net.ParseIP("::ffff:10.1.2.3")}: true,
		&net.TCPAddr{IP: net.ParseIP("::1")}:             true,
		&net.TCPAddr{IP: net.ParseIP("11.1.2.3")}:        false,
		&net.UnixAddr{Net: "unix"}:                       false,
	} {
		if trusted.trusts(addr) != want || (Trusted{}).trusts(addr) || (Trusted{Unix: true}).trusts(addr) != (addr.Network() == "unix") {
			t.Errorf("%v", addr)
		}
	}
}
