package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"go.uber.org/zap"

	"segue/session"
)

// ClientCert says what a listener asks of certificates of clients, in the words of pg_hba.conf's clientcert.
type ClientCert string

// The kinds of demands on certificates of clients.
const (
	ClientCertOptional   ClientCert = "optional"    // one that is given must be good
	ClientCertVerifyCA   ClientCert = "verify-ca"   // there must be a good one
	ClientCertVerifyFull ClientCert = "verify-full" // and its common name must be the user's
)

// ListenTLS is what a listener does about TLS.
type ListenTLS struct {
	Offer      session.TLSOffer
	Cert, Key  string // files in PEM form; set unless Offer is NoTLS
	ClientCA   string // "": clients are asked for no certificates
	ClientCert ClientCert
}

// alpnProtocol is what PostgreSQL's protocol is called in TLS (RFC 7301), from version 17 on.
const alpnProtocol = "postgresql"

// listenTLS makes connections of clients secure.
type listenTLS struct {
	files *tlsFiles
	need  ClientCert
}

// openListenTLS gives nil for a listener without TLS.
func openListenTLS(opt ListenTLS, log *zap.Logger) (*listenTLS, error) {
	if opt.Offer == session.NoTLS {
		return nil, nil
	}
	l := &listenTLS{files: &tlsFiles{cert: opt.Cert, key: opt.Key, roots: opt.ClientCA, log: log}, need: opt.ClientCert}
	if err := l.files.open(); err != nil {
		return nil, fmt.Errorf("preparing TLS for clients: %w", err)
	}
	return l, nil
}

// secured is a client's connection with TLS.
type secured struct {
	*tls.Conn
	leaf []byte // the proxy's certificate that it was made with
}

// CloseWrite ends what is written in TLS, and in TCP for peers that look at that alone.
func (s *secured) CloseWrite() error {
	return errors.Join(s.Conn.CloseWrite(), closeWrite(s.NetConn()))
}

// accept does a client's handshake. begun are the bytes that have been read of it; direct says that no SSLRequest came before it.
func (l *listenTLS) accept(ctx context.Context, client net.Conn, begun []byte, direct bool) (*secured, error) {
	m := l.files.current()
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*m.cert}, NextProtos: []string{alpnProtocol},
		SessionTicketsDisabled: true, // as PostgreSQL has it: who resumed a session would not be looked at again
	}
	if m.roots != nil {
		cfg.ClientCAs, cfg.ClientAuth = m.roots, tls.VerifyClientCertIfGiven
		if l.need == ClientCertVerifyCA || l.need == ClientCertVerifyFull {
			cfg.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	if len(begun) > 0 {
		client = &resumed{Conn: client, first: bytes.Clone(begun)}
	}
	s := &secured{Conn: tls.Server(client, cfg), leaf: m.cert.Certificate[0]}
	ctx, cancel := context.WithTimeout(ctx, startupTimeout)
	defer cancel()
	if err := s.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if direct && s.ConnectionState().NegotiatedProtocol != alpnProtocol {
		return nil, errors.New("the client began with TLS and did not ask for the protocol postgresql in it (ALPN)")
	}
	return s, nil
}

// admits says whether the client's certificate lets it in as that user.
func (l *listenTLS) admits(client net.Conn, user string) *fatal {
	s, ok := client.(*secured)
	if !ok || l == nil || l.need != ClientCertVerifyFull {
		return nil
	}
	var cert *x509.Certificate
	if peers := s.ConnectionState().PeerCertificates; len(peers) > 0 {
		cert = peers[0]
	}
	if cert != nil && cert.Subject.CommonName == user {
		return nil
	}
	return &fatal{
		"28000", fmt.Sprintf("certificate authentication failed for user %q: the client's certificate is for another", user),
		"Connect with a certificate whose common name is the user's.",
	}
}

// resumed is a connection of which some bytes have been read already.
type resumed struct {
	net.Conn
	first []byte
}

// Read gives the bytes that have been read before those that come.
func (r *resumed) Read(b []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(b, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(b)
}

// CloseWrite is the connection's own.
func (r *resumed) CloseWrite() error { return closeWrite(r.Conn) }
