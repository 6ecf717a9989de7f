package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"segue/rewrite/lens"
)

// Settings are the proxy's own settings. Flags go over the file, the file over the environment, the environment over Default.
type Settings struct {
	Listen  Listen  `toml:"listen"`
	Server  Server  `toml:"server"`
	Control Control `toml:"control"`
	Admin   Admin   `toml:"admin"`
	Metrics Metrics `toml:"metrics"`
	Log     Log     `toml:"log"`
	Limits  Limits  `toml:"limits"`

	HoldTimeout  lens.Duration `toml:"hold_timeout"`  // how long a statement is held while the proxy has no lease
	DrainTimeout lens.Duration `toml:"drain_timeout"` // how long a stopping proxy waits for transactions to end
	Lease        lens.Duration `toml:"lease"`         // how long the proxy's place among the proxies holds without renewal
}

// Listen is where clients connect.
type Listen struct {
	Addr    string       `toml:"addr"`
	Version lens.Version `toml:"version"` // of clients that do not say theirs

	TLS        string `toml:"tls"`         // off, optional, required
	Cert       string `toml:"cert"`        // files in PEM form, read again when they change
	Key        string `toml:"key"`         //
	ClientCA   string `toml:"client_ca"`   // who vouches for clients' certificates; "": they are asked for none
	ClientCert string `toml:"client_cert"` // optional, verify-ca, verify-full
}

// Server is the PostgreSQL server that clients are carried to.
type Server struct {
	Addr string `toml:"addr"` // host:port[,host:port]: the first that can be reached

	TLS         string `toml:"tls"`         // libpq's sslmode
	Negotiation string `toml:"negotiation"` // libpq's sslnegotiation: postgres, direct
	RootCert    string `toml:"root_cert"`   // who vouches for the server's certificate: a file in PEM form, or system
	Cert        string `toml:"cert"`        // the proxy's own certificate for the server
	Key         string `toml:"key"`
}

// Control is the control connection: a role that owns the migrating tables.
type Control struct {
	DSN string `toml:"dsn"`
}

// Admin is the admin socket.
type Admin struct {
	Socket string `toml:"socket"`
}

// Metrics is where metrics are served; nowhere without an address.
type Metrics struct {
	Addr string `toml:"addr"`
}

// Log is what is logged and how.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn, error
	Format string `toml:"format"` // json, console
}

// Limits bound what clients can take.
type Limits struct {
	MaxConnections int `toml:"max_connections"`
}

// DefaultAdmin is the admin socket where nothing else is said.
const DefaultAdmin = "/run/segue/admin.sock"

// Default gives the settings where nothing is said, with what the environment says over them: SEGUE_CONTROL_DSN and SEGUE_ADMIN.
func Default(getenv func(string) string) *Settings {
	s := &Settings{
		Listen:       Listen{Addr: "127.0.0.1:6432", Version: lens.Auto, TLS: "off", ClientCert: "optional"},
		Server:       Server{Addr: "127.0.0.1:5432", TLS: "prefer", Negotiation: "postgres"},
		Control:      Control{DSN: getenv("SEGUE_CONTROL_DSN")},
		Admin:        Admin{Socket: DefaultAdmin},
		Log:          Log{Level: "info", Format: "json"},
		Limits:       Limits{MaxConnections: 10000},
		HoldTimeout:  lens.Duration(10 * time.Second),
		DrainTimeout: lens.Duration(30 * time.Second),
		Lease:        lens.Duration(10 * time.Second),
	}
	if socket := getenv("SEGUE_ADMIN"); socket != "" {
		s.Admin.Socket = socket
	}
	return s
}

// ReadSettings reads a file over s. Errors are *Error and name the file and line.
func (s *Settings) ReadSettings(path string) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	return s.ParseSettings(path, text)
}

// ParseSettings reads TOML text over s; file is what errors call it.
func (s *Settings) ParseSettings(file, text string) error {
	doc, err := decode(file, text, s, nil)
	if err != nil {
		return err
	}
	if err := s.validateSet(); err != nil {
		return doc.locate(err)
	}
	return nil
}

// Validate checks the settings as a whole, once flags are in. Errors are *Error without a file.
func (s *Settings) Validate() error {
	if err := s.validateSet(); err != nil {
		return err
	}
	if s.Control.DSN == "" {
		return &Error{Key: "control.dsn", Problem: "is not set: give --control, or SEGUE_CONTROL_DSN, or [control] dsn in the file; " +
			"it is the connection string of a role that owns the migrating tables"}
	}
	return nil
}

// validateSet checks all but whether the control connection, which a flag may still give, is set.
func (s *Settings) validateSet() error {
	if err := listenAddr("listen.addr", s.Listen.Addr); err != nil {
		return err
	}
	if v := s.Listen.Version; !reservedVersion(string(v)) && !migrationName.MatchString(string(v)) {
		return &Error{Key: "listen.version", Problem: fmt.Sprintf("%q is no version: use old, new, auto or a migration's name", v)}
	}
	if _, err := s.Server.Addrs(); err != nil {
		return err
	}
	if err := s.Listen.validateTLS(); err != nil {
		return err
	}
	if err := s.Server.validateTLS(); err != nil {
		return err
	}
	if s.Admin.Socket == "" {
		return &Error{Key: "admin.socket", Problem: "is empty: give the path of a unix socket, such as " + DefaultAdmin}
	}
	if n := len(s.Admin.Socket); n > 100 {
		return &Error{Key: "admin.socket", Problem: fmt.Sprintf("has %d bytes; the path of a unix socket can have 100", n)}
	}
	if s.Metrics.Addr != "" {
		if err := listenAddr("metrics.addr", s.Metrics.Addr); err != nil {
			return err
		}
	}
	switch s.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		return &Error{Key: "log.level", Problem: fmt.Sprintf("%q is no level: use debug, info, warn or error", s.Log.Level)}
	}
	switch s.Log.Format {
	case "json", "console":
	default:
		return &Error{Key: "log.format", Problem: fmt.Sprintf("%q is no format: use json or console", s.Log.Format)}
	}
	if s.Limits.MaxConnections < 1 {
		return &Error{Key: "limits.max_connections", Problem: fmt.Sprintf("is %d; it must be at least 1", s.Limits.MaxConnections)}
	}
	for _, d := range []struct {
		key      string
		value    lens.Duration
		min, max time.Duration
	}{
		{"hold_timeout", s.HoldTimeout, 0, time.Hour},
		{"drain_timeout", s.DrainTimeout, 0, 24 * time.Hour},
		{"lease", s.Lease, time.Second, 10 * time.Minute},
	} {
		if v := time.Duration(d.value); v < d.min || v > d.max {
			return &Error{Key: d.key, Problem: fmt.Sprintf("is %v; it must be between %v and %v", v, d.min, d.max)}
		}
	}
	return nil
}

// Addrs gives the server's addresses, each host:port.
func (s *Server) Addrs() ([]string, error) {
	var addrs []string
	for addr := range strings.SplitSeq(s.Addr, ",") {
		addr = strings.TrimSpace(addr)
		if addr == "" {
			return nil, &Error{Key: "server.addr", Problem: fmt.Sprintf("%q has an empty address: write host:port[,host:port]", s.Addr)}
		}
		if strings.HasSuffix(addr, "]") || !strings.Contains(addr, ":") {
			addr += ":5432"
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil || host == "" || strings.Contains(host, "/") || !portNumber(port, 1) {
			return nil, &Error{Key: "server.addr", Problem: fmt.Sprintf("%q is no address: write host:port, such as 127.0.0.1:5432", addr)}
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

func listenAddr(key, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || !portNumber(port, 0) {
		return &Error{Key: key, Problem: fmt.Sprintf("%q is no address to listen on: write host:port, such as 127.0.0.1:6432", addr)}
	}
	return nil
}

func portNumber(s string, least int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= least && n <= 65535
}
