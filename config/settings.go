package config

import (
	"fmt"
	"io/fs"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"segue/rewrite/lens"
)

// Settings are the proxy's own settings. Flags go over the file, the file over the environment, the environment over Default.
type Settings struct {
	Listen Listen `toml:"listen"`
	// Listeners are beside Listen; what one leaves out is as Listen has it.
	Listeners []Listen `toml:"listeners"`
	Server    Server   `toml:"server"`
	Control   Control  `toml:"control"`
	Admin     Admin    `toml:"admin"`
	Metrics   Metrics  `toml:"metrics"`
	Log       Log      `toml:"log"`
	Limits    Limits   `toml:"limits"`
	IO        IO       `toml:"io"`

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

	UnixSocketGroup       string `toml:"unix_socket_group"`       // of a unix socket; "": the process's
	UnixSocketPermissions string `toml:"unix_socket_permissions"` // octal, as PostgreSQL's; "": 0777

	// ProxyProtocolNetworks are the addresses whose connections begin with a PROXY protocol header: 10.0.0.0/8, 10.1.2.3, unix. None: nobody's do.
	ProxyProtocolNetworks []string `toml:"proxy_protocol_networks"`

	TCP
}

// Server is the PostgreSQL server that clients are carried to.
type Server struct {
	Addr string `toml:"addr"` // host:port[,host:port]: the first that can be reached, and is as TargetSessionAttrs has it

	TargetSessionAttrs string        `toml:"target_session_attrs"` // libpq's: any, read-write, read-only, primary, standby, prefer-standby
	LoadBalanceHosts   string        `toml:"load_balance_hosts"`   // libpq's: disable, random
	ConnectTimeout     lens.Duration `toml:"connect_timeout"`      // for one address; 0: none

	TLS         string `toml:"tls"`         // libpq's sslmode
	Negotiation string `toml:"negotiation"` // libpq's sslnegotiation: postgres, direct
	RootCert    string `toml:"root_cert"`   // who vouches for the server's certificate: a file in PEM form, or system
	Cert        string `toml:"cert"`        // the proxy's own certificate for the server
	Key         string `toml:"key"`

	TCP
}

// Control is the control connection: a role that owns the migrating tables.
type Control struct {
	DSN string `toml:"dsn"`
}

// Admin is the admin socket.
type Admin struct {
	Socket string `toml:"socket"`

	UnixSocketGroup       string `toml:"unix_socket_group"`       // who may use it, beside the proxy's own user and root
	UnixSocketPermissions string `toml:"unix_socket_permissions"` // octal; "": 0600, and 0660 where a group is named
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

// IO is how clients are carried.
type IO struct {
	Driver string `toml:"driver"` // auto, goroutine, epoll
}

// Limits bound what clients can take.
type Limits struct {
	MaxConnections     int           `toml:"max_connections"`
	MaxUserConnections int           `toml:"max_user_connections"` // 0: no limit for one user
	ClientLoginTimeout lens.Duration `toml:"client_login_timeout"` // how long a client may take to say who it is
	ClientIdleTimeout  lens.Duration `toml:"client_idle_timeout"`  // how long it may be idle outside of a transaction; 0: for ever
	MaxPacketSize      int           `toml:"max_packet_size"`      // bytes of a client's message
	MaxStatementSize   int           `toml:"max_statement_size"`   // bytes of a statement that is held whole
}

// DefaultAdmin is the admin socket where nothing else is said.
const DefaultAdmin = "/run/segue/admin.sock"

// Default gives the settings where nothing is said, with what the environment says over them: SEGUE_CONTROL_DSN, SEGUE_ADMIN and SEGUE_DRIVER.
func Default(getenv func(string) string) *Settings {
	s := &Settings{
		Listen: Listen{Addr: "127.0.0.1:6432", Version: lens.Auto, TLS: "off", ClientCert: "optional", TCP: defaultTCP()},
		Server: Server{
			Addr: "127.0.0.1:5432", TargetSessionAttrs: "any", LoadBalanceHosts: "disable", ConnectTimeout: lens.Duration(10 * time.Second),
			TLS: "prefer", Negotiation: "postgres", TCP: defaultTCP(),
		},
		Control:      Control{DSN: getenv("SEGUE_CONTROL_DSN")},
		Admin:        Admin{Socket: DefaultAdmin},
		Log:          Log{Level: "info", Format: "json"},
		Limits:       Limits{MaxConnections: 10000, ClientLoginTimeout: lens.Duration(time.Minute), MaxPacketSize: 0x3fffffff, MaxStatementSize: 64 << 20},
		IO:           IO{Driver: "auto"},
		HoldTimeout:  lens.Duration(10 * time.Second),
		DrainTimeout: lens.Duration(30 * time.Second),
		Lease:        lens.Duration(10 * time.Second),
	}
	if socket := getenv("SEGUE_ADMIN"); socket != "" {
		s.Admin.Socket = socket
	}
	if driver := getenv("SEGUE_DRIVER"); driver != "" {
		s.IO.Driver = driver
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
	if err := s.Listen.validate("listen"); err != nil {
		return err
	}
	for i, l := range s.AllListeners()[1:] {
		key := fmt.Sprintf("listeners[%d]", i)
		if s.Listeners[i].Addr == "" {
			return &Error{Key: key + ".addr", Problem: "is not set: write host:port, or the path of a unix socket"}
		}
		if err := l.validate(key); err != nil {
			return err
		}
	}
	if _, err := s.Server.Addrs(); err != nil {
		return err
	}
	if err := oneOf("server.target_session_attrs", s.Server.TargetSessionAttrs, "kind of session", "any", "read-write", "read-only", "primary", "standby", "prefer-standby"); err != nil {
		return err
	}
	if err := oneOf("server.load_balance_hosts", s.Server.LoadBalanceHosts, "way to balance load", "disable", "random"); err != nil {
		return err
	}
	if err := s.Server.validateTLS(); err != nil {
		return err
	}
	if err := s.Server.TCP.validate("server"); err != nil {
		return err
	}
	if s.Admin.Socket == "" {
		return &Error{Key: "admin.socket", Problem: "is empty: give the path of a unix socket, such as " + DefaultAdmin}
	}
	if n := len(s.Admin.Socket); n > 100 {
		return &Error{Key: "admin.socket", Problem: fmt.Sprintf("has %d bytes; the path of a unix socket can have 100", n)}
	}
	switch mode, err := Permissions(s.Admin.UnixSocketPermissions); {
	case err != nil:
		return &Error{Key: "admin.unix_socket_permissions", Problem: err.Error()}
	case mode&0o007 != 0:
		return &Error{Key: "admin.unix_socket_permissions", Problem: fmt.Sprintf("is %q, which lets in everybody: whoever may use the admin socket changes the schema with the control role's rights; write 0660 and name a unix_socket_group", s.Admin.UnixSocketPermissions)}
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
	switch s.IO.Driver {
	case "auto", "goroutine", "epoll":
	default:
		return &Error{Key: "io.driver", Problem: fmt.Sprintf("%q is no driver: use auto, goroutine or epoll", s.IO.Driver)}
	}
	if s.Limits.MaxConnections < 1 {
		return &Error{Key: "limits.max_connections", Problem: fmt.Sprintf("is %d; it must be at least 1", s.Limits.MaxConnections)}
	}
	for _, n := range []struct {
		key             string
		value, min, max int
	}{
		{"limits.max_user_connections", s.Limits.MaxUserConnections, 0, 1 << 30},
		{"limits.max_packet_size", s.Limits.MaxPacketSize, 1 << 10, 0x3fffffff},
		{"limits.max_statement_size", s.Limits.MaxStatementSize, 1 << 10, 0x3fffffff},
	} {
		if n.value < n.min || n.value > n.max {
			return &Error{Key: n.key, Problem: fmt.Sprintf("is %d; it must be between %d and %d", n.value, n.min, n.max)}
		}
	}
	for _, d := range []struct {
		key      string
		value    lens.Duration
		min, max time.Duration
	}{
		{"limits.client_login_timeout", s.Limits.ClientLoginTimeout, time.Millisecond, time.Hour},
		{"limits.client_idle_timeout", s.Limits.ClientIdleTimeout, 0, 365 * 24 * time.Hour},
		{"server.connect_timeout", s.Server.ConnectTimeout, 0, time.Hour},
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

// Addrs gives the server's addresses, each host:port or the path of a unix socket.
func (s *Server) Addrs() ([]string, error) {
	var addrs []string
	for addr := range strings.SplitSeq(s.Addr, ",") {
		addr = strings.TrimSpace(addr)
		if addr == "" {
			return nil, &Error{Key: "server.addr", Problem: fmt.Sprintf("%q has an empty address: write host:port[,host:port]", s.Addr)}
		}
		if strings.HasPrefix(addr, "/") {
			if port, ok := strings.CutPrefix(path.Base(addr), ".s.PGSQL."); !ok || !portNumber(port, 1) {
				return nil, &Error{Key: "server.addr", Problem: fmt.Sprintf("%q is no unix socket of a server: write its whole path, such as /run/postgresql/.s.PGSQL.5432", addr)}
			}
			addrs = append(addrs, addr)
			continue
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

// AllListeners gives the listeners with what each leaves out, the first one in front.
func (s *Settings) AllListeners() []Listen {
	all := []Listen{s.Listen}
	for _, l := range s.Listeners {
		for _, word := range []struct{ own, first *string }{
			{&l.TLS, &s.Listen.TLS},
			{&l.Cert, &s.Listen.Cert},
			{&l.Key, &s.Listen.Key},
			{&l.ClientCA, &s.Listen.ClientCA},
			{&l.ClientCert, &s.Listen.ClientCert},
			{&l.UnixSocketGroup, &s.Listen.UnixSocketGroup},
			{&l.UnixSocketPermissions, &s.Listen.UnixSocketPermissions},
			{(*string)(&l.Version), (*string)(&s.Listen.Version)},
		} {
			if *word.own == "" {
				*word.own = *word.first
			}
		}
		if l.ProxyProtocolNetworks == nil {
			l.ProxyProtocolNetworks = s.Listen.ProxyProtocolNetworks
		}
		l.TCP = l.TCP.or(s.Listen.TCP)
		all = append(all, l)
	}
	return all
}

func (l *Listen) validate(key string) error {
	if strings.HasPrefix(l.Addr, "/") {
		if n := len(l.Addr); n > 100 {
			return &Error{Key: key + ".addr", Problem: fmt.Sprintf("has %d bytes; the path of a unix socket can have 100", n)}
		}
	} else if err := listenAddr(key+".addr", l.Addr); err != nil {
		return err
	}
	if _, err := Permissions(l.UnixSocketPermissions); err != nil {
		return &Error{Key: key + ".unix_socket_permissions", Problem: err.Error()}
	}
	if v := l.Version; !reservedVersion(string(v)) && !migrationName.MatchString(string(v)) {
		return &Error{Key: key + ".version", Problem: fmt.Sprintf("%q is no version: use old, new, auto or a migration's name", v)}
	}
	if _, _, err := l.Trusted(); err != nil {
		return &Error{Key: key + ".proxy_protocol_networks", Problem: err.Error()}
	}
	if err := l.TCP.validate(key); err != nil {
		return err
	}
	return l.validateTLS(key)
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

// Permissions reads a file's permissions as they are written, octal; "" gives 0.
func Permissions(s string) (fs.FileMode, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return 0, fmt.Errorf("%q are no permissions: write them in octal and in quotes, such as \"0660\"", s)
	}
	return fs.FileMode(n), nil
}
