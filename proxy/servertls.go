package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"go.uber.org/zap"
)

// SSLMode is how much TLS the way to the server must have, in libpq's words.
type SSLMode string

// libpq's modes. An empty one is disable.
const (
	SSLDisable    SSLMode = "disable"
	SSLAllow      SSLMode = "allow"       // where the server takes no connection without
	SSLPrefer     SSLMode = "prefer"      // where the server can
	SSLRequire    SSLMode = "require"     // always; where roots are given, as verify-ca
	SSLVerifyCA   SSLMode = "verify-ca"   // and one of the roots vouches for the server's certificate
	SSLVerifyFull SSLMode = "verify-full" // and it is for the host that was dialled
)

// ServerTLS is what the proxy does about TLS on the way to the server, for sessions and for cancel requests. The control connection's is in its connection string.
type ServerTLS struct {
	Mode      SSLMode
	Direct    bool   // begin with TLS, without asking by an SSLRequest (sslnegotiation=direct; servers from 17 on)
	RootCert  string // a file in PEM form, or "system"
	Cert, Key string // files in PEM form; "": the proxy has no certificate for the server
}

// serverTLS makes connections to the server secure.
type serverTLS struct {
	opt   ServerTLS
	files *tlsFiles
}

func openServerTLS(opt ServerTLS, log *zap.Logger) (*serverTLS, error) {
	if opt.Mode == "" {
		opt.Mode = SSLDisable
	}
	s := &serverTLS{opt: opt, files: &tlsFiles{cert: opt.Cert, key: opt.Key, roots: opt.RootCert, log: log}}
	if opt.Mode == SSLDisable {
		return s, nil
	}
	if err := s.files.open(); err != nil {
		return nil, fmt.Errorf("preparing TLS for the server: %w", err)
	}
	return s, nil
}

// first says whether TLS is tried first.
func (s *serverTLS) first() bool { return s.opt.Mode != SSLDisable && s.opt.Mode != SSLAllow }

// errNoTLS says that the server does not speak TLS.
var errNoTLS = errors.New("the server does not support TLS, and server.tls demands it")

// secure does the handshake with the server at host, on a connection that has just been made, while ctx lasts. It gives the connection as it came where the server has no TLS
// and need not.
func (s *serverTLS) secure(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	if !s.opt.Direct {
		release := until(ctx, conn)
		var answer [1]byte                                               // one byte and no more: what is behind it would not be encrypted
		_, err := conn.Write([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}) // SSLRequest
		if err == nil {
			_, err = io.ReadFull(conn, answer[:])
		}
		if err := errors.Join(err, release()); err != nil {
			return nil, fmt.Errorf("asking the server for TLS: %w", err)
		}
		switch {
		case answer[0] == 'S':
		case answer[0] == 'N' && (s.opt.Mode == SSLPrefer || s.opt.Mode == SSLAllow):
			return conn, nil
		case answer[0] == 'N':
			return nil, errNoTLS
		default:
			return nil, fmt.Errorf("the server answered the request for TLS with %q", answer)
		}
	}
	m := s.files.current()
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, NextProtos: []string{alpnProtocol}}
	if m.cert != nil {
		cfg.Certificates = []tls.Certificate{*m.cert}
	}
	// The verification is our own, since TLS's is of the host, too, and knows no common names.
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(state tls.ConnectionState) error { return s.verify(m, host, state) }
	if net.ParseIP(host) != nil {
		cfg.ServerName = "" // RFC 6066 has no addresses
	}
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with the server: %w", err)
	}
	if s.opt.Direct && t.ConnectionState().NegotiatedProtocol != alpnProtocol {
		return nil, errors.Join(errors.New("the server began TLS without agreeing to the protocol postgresql in it (ALPN): direct TLS needs PostgreSQL 17 or later"), t.Close())
	}
	return &secured{Conn: t, leaf: t.ConnectionState().PeerCertificates[0].Raw}, nil
}

// verify judges the server's certificate, as far as the mode demands.
func (s *serverTLS) verify(m *tlsMaterial, host string, state tls.ConnectionState) error {
	mode := s.opt.Mode
	switch {
	case mode == SSLVerifyFull, mode == SSLVerifyCA:
	case mode == SSLRequire && m.roots != nil: // as libpq has it
	default:
		return nil
	}
	leaf := state.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: m.roots, Intermediates: between}); err != nil {
		return fmt.Errorf("the server's certificate is not vouched for by %s: %w", s.opt.RootCert, err)
	}
	if mode != SSLVerifyFull || named(leaf, host) {
		return nil
	}
	return fmt.Errorf("the server's certificate is not for the host %q", host)
}

// named says whether a certificate is for a host. As for libpq, its common name counts where it has no other names.
func named(cert *x509.Certificate, host string) bool {
	if cert.VerifyHostname(host) == nil {
		return true
	}
	if len(cert.DNSNames) > 0 || len(cert.IPAddresses) > 0 {
		return false
	}
	name := cert.Subject.CommonName
	if strings.EqualFold(name, host) {
		return name != ""
	}
	rest, wild := strings.CutPrefix(name, "*.")
	_, domain, ok := strings.Cut(host, ".")
	return wild && ok && strings.EqualFold(rest, domain) && net.ParseIP(host) == nil
}
