package session

import (
	"bytes"
	"encoding/binary"
)

// TLSOffer is what a listener does about TLS.
type TLSOffer int

// What listeners do about TLS.
const (
	NoTLS       TLSOffer = iota // an SSLRequest is answered with N
	OptionalTLS                 // clients may use it
	RequiredTLS                 // no client gets further than its startup packet without it; cancel requests, which libpq before 17 sends in the clear, do
)

// tlsHandshake is the first byte of a TLS hello (RFC 8446, section 5.1), with which no startup packet that has a sane length begins.
const tlsHandshake = 0x16

// Secured says that the client speaks TLS from here on: the handshake that OnTLS waited for is done.
func (s *Session) Secured() {
	if s.block == OnTLS {
		s.block, s.secure = NotBlocked, true
	}
}

// ChannelBinding says whether what the client's SCRAM would bind to is what the server's would: the same certificate. It is called before the
// server's first byte; until then it cannot hold.
func (s *Session) ChannelBinding(holds bool) { s.binds = holds }

// startTLS answers an SSLRequest and leaves the handshake to the owner.
func (s *Session) startTLS() error {
	// What came with the request was not encrypted, though it would be taken for what is: PostgreSQL calls it a man in the middle (CVE-2021-23214).
	if s.client.n < len(s.client.in) || len(s.client.held) > 0 {
		return s.violation("08P01", "received unencrypted data after SSL request")
	}
	s.toClient.add([]byte{'S'})
	s.block = OnTLS
	return nil
}

// directTLS leaves the handshake of a client that began with it to the owner, with all that came.
func (s *Session) directTLS() error {
	if s.tls == NoTLS { // no answer would be understood
		s.phase = over
		s.err = &FatalError{Code: "08P01", Message: "the client began with TLS (sslnegotiation=direct), which this listener does not speak"}
		return s.err
	}
	s.block = OnTLS
	return nil
}

const (
	sasl = 10 // AuthenticationSASL
	plus = "SCRAM-SHA-256-PLUS"
)

// authentication passes a request for authentication on, without the mechanism that binds it to the client's TLS connection where that ends at the proxy: the
// server's certificate is another, so that it would be taken for a man in the middle.
func (s *Session) authentication(m []byte) {
	body := m[headerLen:]
	if s.binds || len(body) < 4 || binary.BigEndian.Uint32(body) != sasl || !bytes.Contains(body, []byte(plus)) {
		s.unbound = false
		s.toClient.add(m)
		return
	}
	s.unbound = true
	at := s.toClient.begin('R')
	s.toClient.buf = append(s.toClient.buf, body[:4]...)
	for rest := body[4:]; len(rest) > 0 && rest[0] != 0; {
		name, after, ok := cut(rest)
		if !ok {
			break
		}
		if view(name) != plus {
			s.toClient.text(view(name))
		}
		rest = after
	}
	s.toClient.buf = append(s.toClient.buf, 0)
	s.toClient.end(at)
}

// maxSASL is how long a client's first message of SCRAM may be, in bytes: PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH.
const maxSASL = 1024

// authenticate deals with a client's answer to a request for authentication. Where channel binding was taken out of the request, the first message of a SCRAM client
// on TLS tells whether it would have used it (gs2 flag y, RFC 5802 section 6): the server, which did offer it, then takes the proxy for a man in
// the middle. The flag is part of what the password signs, so that nobody can change it on the way; that there is a way out is said here.
func (s *Session) authenticate(size int) (bool, error) {
	if !s.unbound || size > maxSASL+headerLen {
		s.client.stream(size, false)
		return true, nil
	}
	m := s.client.peek(size)
	if m == nil {
		return false, nil
	}
	s.unbound = false
	_, rest, ok := cut(m[headerLen:])
	if ok && len(rest) > 4 && rest[4] == 'y' {
		return false, s.fail("28000",
			"SCRAM authentication would fail: the client supports channel binding, and so does the server, but the proxy between them has another certificate than the server",
			"Give the proxy the server's own certificate and key ([listen] cert and key), or let it reach the server without TLS ([server] tls), or connect with channel_binding=disable.")
	}
	s.client.stream(size, false)
	return true, nil
}
