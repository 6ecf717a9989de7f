package main

import (
	"segue/config"
	"segue/proxy"
	"segue/session"
)

// listenTLS gives a listener's TLS as package proxy has it; settings are valid.
func listenTLS(l *config.Listen) proxy.ListenTLS {
	offers := map[string]session.TLSOffer{"off": session.NoTLS, "optional": session.OptionalTLS, "required": session.RequiredTLS}
	return proxy.ListenTLS{Offer: offers[l.TLS], Cert: l.Cert, Key: l.Key, ClientCA: l.ClientCA, ClientCert: proxy.ClientCert(l.ClientCert)}
}

func serverTLS(s *config.Server) proxy.ServerTLS {
	return proxy.ServerTLS{Mode: proxy.SSLMode(s.TLS), Direct: s.Negotiation == "direct", RootCert: s.RootCert, Cert: s.Cert, Key: s.Key}
}
