package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/zap"

	"segue/internal/pgtest"
	"segue/session"
)

// authority is a certification authority of the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
	dir  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(a.dir, "ca.crt")
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// issue makes a certificate with a common name, for hosts and addresses, and gives the files of it and of its key.
func (a *authority) issue(t *testing.T, name string, hosts ...string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(a.dir, serial.String()+".crt"), filepath.Join(a.dir, serial.String()+".key")
	writePEM(t, cert, "CERTIFICATE", der)
	writePEM(t, key, "PRIVATE KEY", keyDER)
	return cert, key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// server is the tests' server with TLS.
type tlsServer struct {
	*authority
	cert, key string // the server's own
}

// serverWithTLS turns TLS on in the tests' server, with a certificate for its address, and off again when the test ends.
func serverWithTLS(t *testing.T) *tlsServer {
	t.Helper()
	s := &tlsServer{authority: newAuthority(t, "the server's authority")}
	s.cert, s.key = s.issue(t, "server", "127.0.0.1")
	data := filepath.Join(pgtest.Shared().Dir, "data")
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	for from, to := range map[string]string{s.cert: "server.crt", s.key: "server.key", s.file: "root.crt"} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(data, to)
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(to, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	direct := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
	set := func(ssl string) {
		pgtest.Exec(t, direct, "ALTER SYSTEM SET ssl_ca_file = 'root.crt'", "ALTER SYSTEM SET ssl = "+ssl, "SELECT pg_reload_conf()")
		eventually(t, "the server's TLS is "+ssl, func() bool {
			conn, err := pgx.Connect(context.Background(), fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=require", pgtest.Shared().Addr()))
			if err == nil {
				err = conn.Close(context.Background())
			}
			return (err == nil) == (ssl == "on")
		})
	}
	set("on")
	t.Cleanup(func() { set("off") })
	return s
}

// withRole makes a role with a password for the length of a test.
func withRole(t *testing.T, name string) {
	t.Helper()
	direct := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
	pgtest.Exec(t, direct, "SET password_encryption = 'scram-sha-256'", "CREATE ROLE "+name+" LOGIN PASSWORD 'right'")
	t.Cleanup(func() { pgtest.Exec(t, pgtest.Connect(t, pgtest.Shared().DSN("postgres")), "DROP ROLE "+name) })
}

// psql runs a query through the proxy by libpq, and gives the output, of the error too.
func (r *running) psql(t *testing.T, conninfo, sql string) string {
	t.Helper()
	path, err := pgtest.FindProgram("psql")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(r.Addr().String(), ":")
	cmd := exec.Command(path, "-XAtw", "host="+host+" port="+port+" dbname=postgres gssencmode=disable "+conninfo, "-c", sql)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "failed: " + string(out)
	}
	return strings.TrimSpace(string(out))
}

const sslOf = "SELECT CASE WHEN ssl THEN 'ssl' ELSE 'plain' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

// SCRAM passes in every combination of TLS on both sides, but for the one that it was made to find out: two ends with different certificates and a
// client that would have bound to the server's.
func TestScramInEveryCombination(t *testing.T) {
	server := serverWithTLS(t)
	withRole(t, "scramuser")
	own := newAuthority(t, "the proxy's authority")
	ownCert, ownKey := own.issue(t, "proxy", "127.0.0.1")
	const differs = "SCRAM authentication would fail"
	for name, c := range map[string]struct {
		cert, key string
		mode      SSLMode
		plain     string // what a client without TLS sees of its server connection
		secure    string // and one with TLS
		required  string // and one that requires channel binding
	}{
		"no TLS to the server":            {ownCert, ownKey, SSLDisable, "plain", "plain", "did not offer"},
		"TLS with another certificate":    {ownCert, ownKey, SSLRequire, "ssl", differs, "did not offer"},
		"TLS with the server's":           {server.cert, server.key, SSLRequire, "ssl", "ssl", "ssl"},
		"prefer, another certificate":     {ownCert, ownKey, SSLPrefer, "ssl", "plain", "did not offer"},
		"prefer, the server's":            {server.cert, server.key, SSLPrefer, "ssl", "ssl", "ssl"},
		"allow":                           {ownCert, ownKey, SSLAllow, "plain", "plain", "did not offer"},
		"verify-full, the server's":       {server.cert, server.key, SSLVerifyFull, "ssl", "ssl", "ssl"},
		"verify-ca, another certificate":  {ownCert, ownKey, SSLVerifyCA, "ssl", differs, "did not offer"},
		"no TLS at all (see the clients)": {"", "", SSLDisable, "plain", "", ""},
	} {
		r := start(t, newControl(noMigrations(t)), func(o *Options) {
			if c.cert != "" {
				o.TLS = ListenTLS{Offer: session.OptionalTLS, Cert: c.cert, Key: c.key}
			}
			o.ServerTLS = ServerTLS{Mode: c.mode, RootCert: server.file}
			o.Log = zap.NewNop()
		})
		const who = "user=scramuser password=right "
		if got := r.psql(t, who+"sslmode=disable", sslOf); got != c.plain {
			t.Errorf("%s: a client without TLS: %s", name, got)
		}
		if got := r.psql(t, who+"sslmode=prefer", sslOf); c.secure == "" && got != c.plain {
			t.Errorf("%s: a client that prefers TLS: %s", name, got)
		}
		if c.secure == "" {
			continue
		}
		if got := r.psql(t, who+"sslmode=require", sslOf); !strings.Contains(got, c.secure) {
			t.Errorf("%s: a client with TLS: %s", name, got)
		}
		if got := r.psql(t, who+"sslmode=require channel_binding=require", sslOf); !strings.Contains(got, c.required) {
			t.Errorf("%s: a client that requires channel binding: %s", name, got)
		}
		if got := r.psql(t, who+"sslmode=require channel_binding=disable", sslOf); strings.Contains(got, "failed") {
			t.Errorf("%s: a client that does without: %s", name, got)
		}
		if got := r.psql(t, "user=scramuser password=wrong sslmode=require channel_binding=disable", sslOf); !strings.Contains(got, "password authentication failed") {
			t.Errorf("%s: a wrong password: %s", name, got)
		}
		conn, err := pgx.Connect(context.Background(), strings.Replace(r.dsn("scramuser:right", "postgres"), "disable", "require", 1))
		switch {
		case c.secure == differs:
			wantCode(t, err, "28000")
		case err != nil:
			t.Errorf("%s: pgx: %v", name, err)
		default:
			if got := query(t, conn, sslOf); got != c.secure {
				t.Errorf("%s: pgx: %s", name, got)
			}
			if err := conn.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
}

// What pg_hba.conf says of TLS is about the way from the proxy to the server.
func TestModesOfTheServersTLS(t *testing.T) {
	server := serverWithTLS(t)
	for _, role := range []string{"tlsonly", "plainonly"} {
		withRole(t, role)
	}
	stranger := newAuthority(t, "a stranger")
	for _, c := range []struct {
		mode SSLMode
		host string
		root string
		user string
		want string // of the connection, or of its error
	}{
		{SSLDisable, "127.0.0.1", "", "tlsonly", "no encryption"},
		{SSLAllow, "127.0.0.1", "", "tlsonly", "ssl"},
		{SSLAllow, "127.0.0.1", "", "plainonly", "plain"},
		{SSLPrefer, "127.0.0.1", "", "tlsonly", "ssl"},
		{SSLPrefer, "127.0.0.1", "", "plainonly", "plain"},
		{SSLRequire, "127.0.0.1", "", "tlsonly", "ssl"},
		{SSLRequire, "127.0.0.1", "", "plainonly", "SSL encryption"},
		{SSLRequire, "127.0.0.1", stranger.file, "tlsonly", "not vouched for"},
		{SSLVerifyCA, "127.0.0.1", stranger.file, "tlsonly", "not vouched for"},
		{SSLVerifyCA, "localhost", server.file, "tlsonly", "ssl"},
		{SSLVerifyFull, "localhost", server.file, "tlsonly", `not for the host "localhost"`},
		{SSLVerifyFull, "127.0.0.1", server.file, "tlsonly", "ssl"},
	} {
		_, port, _ := strings.Cut(pgtest.Shared().Addr(), ":")
		r := start(t, newControl(noMigrations(t)), func(o *Options) {
			o.Server, o.ServerTLS, o.Log = []string{net.JoinHostPort(c.host, port)}, ServerTLS{Mode: c.mode, RootCert: c.root}, zap.NewNop()
		})
		got := r.psql(t, "sslmode=disable user="+c.user, sslOf)
		if len(c.want) > 5 && !strings.Contains(got, c.want) || len(c.want) <= 5 && got != c.want {
			t.Errorf("%s to %s as %s: %s; want %s", c.mode, c.host, c.user, got, c.want)
		}
	}
}

func TestServerWithoutTLS(t *testing.T) {
	for mode, want := range map[SSLMode]string{SSLPrefer: "plain", SSLAllow: "plain", SSLRequire: "does not support TLS"} {
		r := start(t, newControl(noMigrations(t)), func(o *Options) { o.ServerTLS.Mode, o.Log = mode, zap.NewNop() })
		if got := r.psql(t, "user=postgres", sslOf); !strings.Contains(got, want) {
			t.Errorf("%s: %s", mode, got)
		}
	}
}

// The proxy shows the server its own certificate; a cancel request goes the same way as its session.
func TestCertificateForTheServerAndCancel(t *testing.T) {
	server := serverWithTLS(t)
	withRole(t, "certuser")
	cert, key := server.issue(t, "certuser")
	own := newAuthority(t, "the proxy's authority")
	ownCert, ownKey := own.issue(t, "proxy", "127.0.0.1")
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.TLS = ListenTLS{Offer: session.RequiredTLS, Cert: ownCert, Key: ownKey}
		o.ServerTLS = ServerTLS{Mode: SSLVerifyFull, RootCert: server.file, Cert: cert, Key: key}
	})
	dsn := fmt.Sprintf("postgres://certuser@%s/postgres?sslmode=verify-full&sslrootcert=%s", r.Addr(), own.file)
	conn := pgtest.Connect(t, dsn)
	if got := query(t, conn, "SELECT ssl::text || ' ' || client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != "true /CN=certuser" {
		t.Error(got)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT pg_sleep(100) AS cancelled")
		failed <- err
	}()
	direct := pgtest.Connect(t, pgtest.Shared().DSN("postgres"))
	eventually(t, "the statement runs", func() bool {
		return query(t, direct, "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%AS cancelled' AND state = 'active' AND pid <> pg_backend_pid()") == "1"
	})
	if err := conn.PgConn().CancelRequest(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-failed, "57014")
	_, err := pgx.Connect(context.Background(), r.dsn("postgres", "postgres"))
	if pg := wantCode(t, err, "28000"); !strings.Contains(pg.Message, "TLS only") || pg.Hint == "" {
		t.Error(pg)
	}
}

func TestCertificatesOfClients(t *testing.T) {
	own, stranger := newAuthority(t, "the proxy's authority"), newAuthority(t, "a stranger")
	cert, key := own.issue(t, "proxy", "127.0.0.1")
	good, goodKey := own.issue(t, "postgres")
	other, otherKey := own.issue(t, "somebody else")
	bad, badKey := stranger.issue(t, "postgres")
	for need, want := range map[ClientCert][4]bool{
		ClientCertOptional:   {true, true, true, false},
		ClientCertVerifyCA:   {false, true, true, false},
		ClientCertVerifyFull: {false, true, false, false},
	} {
		r := start(t, newControl(noMigrations(t)), func(o *Options) {
			o.TLS = ListenTLS{Offer: session.RequiredTLS, Cert: cert, Key: key, ClientCA: own.file, ClientCert: need}
			o.Log = zap.NewNop()
		})
		for i, files := range [4][2]string{{"", ""}, {good, goodKey}, {other, otherKey}, {bad, badKey}} {
			info := "user=postgres sslmode=require"
			if files[0] != "" {
				info += " sslcert=" + files[0] + " sslkey=" + files[1]
			} else {
				info += " sslcert=/nowhere"
			}
			if got := r.psql(t, info, "SELECT 'in'"); (got == "in") != want[i] {
				t.Errorf("%s, client %d: %s", need, i, got)
			}
		}
	}
}

// Clients of PostgreSQL 17 may begin with TLS.
func TestDirectTLS(t *testing.T) {
	own := newAuthority(t, "the proxy's authority")
	cert, key := own.issue(t, "proxy", "127.0.0.1")
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.TLS, o.Log = ListenTLS{Offer: session.OptionalTLS, Cert: cert, Key: key}, zap.NewNop()
	})
	conn := pgtest.Connect(t, fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=verify-full&sslnegotiation=direct&sslrootcert=%s", r.Addr(), own.file))
	if got := query(t, conn, "SELECT 'in'"); got != "in" {
		t.Error(got)
	}
	// Without ALPN another protocol's client could be meant.
	plain, err := tls.Dial("tcp", r.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		_, err = plain.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("direct TLS without ALPN is taken")
	}
	if _, err := tls.Dial("tcp", r.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}); err == nil {
		t.Error("direct TLS for another protocol is taken")
	}
	// A hello whose bytes come one at a time.
	slow := &slowConn{Conn: r.raw(t)}
	c := tls.Client(slow, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpnProtocol}})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	front := pgproto3.NewFrontend(c, c)
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": "postgres"}})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	if m, err := front.Receive(); err != nil {
		t.Error(err)
	} else if _, ok := m.(*pgproto3.AuthenticationOk); !ok {
		t.Errorf("%#v", m)
	}
}

// slowConn writes a byte at a time.
type slowConn struct{ net.Conn }

func (s *slowConn) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// To a server that does not agree to the protocol within TLS, nothing is said.
func TestDirectTLSToTheServer(t *testing.T) {
	own := newAuthority(t, "an authority")
	certFile, keyFile := own.issue(t, "server", "127.0.0.1")
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, protocols := range [][]string{{alpnProtocol}, nil} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols})
		if err != nil {
			t.Fatal(err)
		}
		var served sync.WaitGroup
		served.Go(func() { // a server that takes everybody
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			back := pgproto3.NewBackend(conn, conn)
			if _, err := back.ReceiveStartupMessage(); err != nil {
				return
			}
			back.Send(&pgproto3.AuthenticationOk{})
			back.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			_ = back.Flush()
			_, _ = io.Copy(io.Discard, conn)
		})
		r := start(t, newControl(noMigrations(t)), func(o *Options) {
			o.Server, o.Log = []string{l.Addr().String()}, zap.NewNop()
			o.ServerTLS = ServerTLS{Mode: SSLVerifyFull, Direct: true, RootCert: own.file}
		})
		conn, err := pgconn.Connect(context.Background(), r.dsn("postgres", "postgres"))
		if (err == nil) != (protocols != nil) {
			t.Errorf("%v: %v", protocols, err)
		}
		if err == nil {
			if err := conn.Close(context.Background()); err != nil {
				t.Error(err)
			}
		} else if !strings.Contains(err.Error(), "PostgreSQL 17") {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		served.Wait()
	}
}

// A certificate is renewed while the proxy runs; while its files do not fit each other, the old one stays.
func TestCertificatesAreReadAgain(t *testing.T) {
	own := newAuthority(t, "the proxy's authority")
	cert, key := own.issue(t, "first", "127.0.0.1")
	next, nextKey := own.issue(t, "second", "127.0.0.1")
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.TLS, o.Log = ListenTLS{Offer: session.OptionalTLS, Cert: cert, Key: key}, zap.NewNop()
	})
	shown := func() string {
		c, err := tls.Dial("tcp", r.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpnProtocol}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	old := pgtest.Connect(t, strings.Replace(r.dsn("postgres", "postgres"), "disable", "require", 1))
	for _, step := range []struct{ from, to, want string }{{"", "", "first"}, {next, cert, "first"}, {nextKey, key, "second"}} {
		if step.from != "" {
			if err := os.Rename(step.from, step.to); err != nil {
				t.Fatal(err)
			}
		}
		if got := shown(); got != step.want {
			t.Errorf("after %s: %s", step.to, got)
		}
	}
	query(t, old, "SELECT 'goes on'")
}

func TestKeysMustBePrivate(t *testing.T) {
	own := newAuthority(t, "an authority")
	cert, key := own.issue(t, "proxy")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	opt := options(t)
	opt.TLS = ListenTLS{Offer: session.OptionalTLS, Cert: cert, Key: key}
	if _, err := Open(context.Background(), opt); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
		t.Error(err)
	}
}

// What came with an SSLRequest was not encrypted, and is not taken for what is.
func TestNothingBeforeTLS(t *testing.T) {
	own := newAuthority(t, "the proxy's authority")
	cert, key := own.issue(t, "proxy", "127.0.0.1")
	r := start(t, newControl(noMigrations(t)), func(o *Options) {
		o.TLS, o.Log = ListenTLS{Offer: session.OptionalTLS, Cert: cert, Key: key}, zap.NewNop()
	})
	conn := r.raw(t)
	if _, err := conn.Write([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x10\x00\x03\x00\x00user\x00u\x00\x00")); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "E") || !strings.Contains(string(answer), "unencrypted data after SSL request") {
		t.Errorf("%q, %v", answer, err)
	}
}
