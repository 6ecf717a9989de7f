package config

import (
	"fmt"
	"slices"
	"strings"
)

// oneOf checks a word.
func oneOf(key, word, what string, words ...string) error {
	if slices.Contains(words, word) {
		return nil
	}
	last := len(words) - 1
	return &Error{Key: key, Problem: fmt.Sprintf("%q is no %s: use %s or %s", word, what, strings.Join(words[:last], ", "), words[last])}
}

func (l *Listen) validateTLS(key string) error {
	if err := oneOf(key+".tls", l.TLS, "use of TLS", "off", "optional", "required"); err != nil {
		return err
	}
	if err := oneOf(key+".client_cert", l.ClientCert, "demand on clients' certificates", "optional", "verify-ca", "verify-full"); err != nil {
		return err
	}
	switch {
	case l.TLS != "off" && l.Cert == "":
		return &Error{Key: key + ".cert", Problem: fmt.Sprintf("is not set, and tls is %q: name the file of the certificate that clients are shown, in PEM form", l.TLS)}
	case l.TLS != "off" && l.Key == "":
		return &Error{Key: key + ".key", Problem: fmt.Sprintf("is not set, and tls is %q: name the file of the certificate's private key, in PEM form", l.TLS)}
	case l.ClientCert != "optional" && l.ClientCA == "":
		return &Error{Key: key + ".client_ca", Problem: fmt.Sprintf("is not set, and client_cert is %q: name the file of the root certificates that vouch for clients, in PEM form", l.ClientCert)}
	case l.ClientCA != "" && l.TLS == "off":
		return &Error{Key: key + ".client_ca", Problem: "is set, and tls is \"off\": certificates of clients need TLS; write tls = \"required\""}
	case l.ClientCert != "optional" && l.TLS != "required":
		return &Error{Key: key + ".client_cert", Problem: fmt.Sprintf("is %q, and tls is %q: a client without TLS would need no certificate; write tls = \"required\"", l.ClientCert, l.TLS)}
	}
	return nil
}

func (s *Server) validateTLS() error {
	if err := oneOf("server.tls", s.TLS, "mode of TLS", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"); err != nil {
		return err
	}
	if err := oneOf("server.negotiation", s.Negotiation, "way to begin TLS", "postgres", "direct"); err != nil {
		return err
	}
	weak := s.TLS == "disable" || s.TLS == "allow" || s.TLS == "prefer"
	switch {
	case s.Negotiation == "direct" && weak: // as libpq has it
		return &Error{Key: "server.negotiation", Problem: fmt.Sprintf("is \"direct\", and server.tls is %q: direct TLS has no way back; write tls = \"require\" or stronger", s.TLS)}
	case s.RootCert == "" && (s.TLS == "verify-ca" || s.TLS == "verify-full"):
		return &Error{Key: "server.root_cert", Problem: fmt.Sprintf("is not set, and server.tls is %q: name the file of the root certificates that vouch for the server, in PEM form, or \"system\"", s.TLS)}
	case s.RootCert == "system" && s.TLS != "verify-full": // as libpq has it
		return &Error{Key: "server.root_cert", Problem: fmt.Sprintf("is \"system\", and server.tls is %q: the system's roots vouch for anybody's certificate; write tls = \"verify-full\"", s.TLS)}
	case s.Cert != "" && s.Key == "":
		return &Error{Key: "server.key", Problem: "is not set, and server.cert is: name the file of the certificate's private key, in PEM form"}
	case s.Key != "" && s.Cert == "":
		return &Error{Key: "server.cert", Problem: "is not set, and server.key is: name the file of the key's certificate, in PEM form"}
	}
	return nil
}
