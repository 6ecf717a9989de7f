package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"segue/config"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite/lens"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the proxy",
		Args:  usageArgs(cobra.NoArgs),
	}
	flags := newSettingsFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		read := func() (*config.Settings, error) { return flags.settings(os.Getenv) }
		settings, err := read()
		if err != nil {
			return err
		}
		return serve(cmd.Context(), settings, read, flags.takeover, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// settingsFlags are the flags of serve; those that are given go over the file.
type settingsFlags struct {
	cmd    *cobra.Command
	file   string
	values config.Settings
	lease  time.Duration
	hold   time.Duration
	drain  time.Duration
	ver    string

	takeover bool
}

func newSettingsFlags(cmd *cobra.Command) *settingsFlags {
	s := &settingsFlags{cmd: cmd}
	d := config.Default(os.Getenv)
	f := cmd.Flags()
	f.StringVarP(&s.file, "config", "c", "", "the settings' file, such as segue.toml")
	f.BoolVar(&s.takeover, "takeover", false, "take the sockets over from the proxy that runs with the same admin socket, if there is one; no client is refused meanwhile")
	f.StringVar(&s.values.Listen.Addr, "listen", d.Listen.Addr, "where clients connect")
	f.StringVar(&s.ver, "version", string(d.Listen.Version), "version of clients that do not say theirs: old, new, auto or a migration's name")
	f.StringVar(&s.values.Listen.TLS, "listen-tls", d.Listen.TLS, "TLS with clients: off, optional or required")
	f.StringVar(&s.values.Listen.Cert, "listen-cert", "", "file of the certificate that clients are shown")
	f.StringVar(&s.values.Listen.Key, "listen-key", "", "file of that certificate's private key")
	f.StringVar(&s.values.Server.TLS, "server-tls", d.Server.TLS, "TLS with the server, libpq's sslmode: disable, allow, prefer, require, verify-ca or verify-full")
	f.StringVar(&s.values.Server.RootCert, "server-root-cert", "", "file of the root certificates that vouch for the server, or system")
	f.StringVar(&s.values.Server.Addr, "server", d.Server.Addr, "the PostgreSQL server: host:port[,host:port]")
	f.StringVar(&s.values.Server.TargetSessionAttrs, "target-session-attrs", d.Server.TargetSessionAttrs, "which of several servers, libpq's words: any, read-write, read-only, primary, standby or prefer-standby")
	f.StringVar(&s.values.Control.DSN, "control", "", "connection string of the role that owns the migrating tables (or SEGUE_CONTROL_DSN)")
	f.StringVar(&s.values.Admin.Socket, "admin", d.Admin.Socket, "the admin socket (or SEGUE_ADMIN)")
	f.StringVar(&s.values.Metrics.Addr, "metrics", "", "where metrics are served")
	f.StringVar(&s.values.Log.Level, "log-level", d.Log.Level, "debug, info, warn or error")
	f.StringVar(&s.values.Log.Format, "log-format", d.Log.Format, "json or console")
	f.IntVar(&s.values.Limits.MaxConnections, "max-connections", d.Limits.MaxConnections, "how many clients may be connected")
	f.DurationVar(&s.hold, "hold-timeout", time.Duration(d.HoldTimeout), "how long a statement is held while the proxy has no lease")
	f.DurationVar(&s.drain, "drain-timeout", time.Duration(d.DrainTimeout), "how long a stopping proxy waits for transactions to end")
	f.DurationVar(&s.lease, "lease", time.Duration(d.Lease), "how long the proxy's place holds without renewal")
	return s
}

// settings gives the flags over the file over the environment over the defaults.
func (s *settingsFlags) settings(getenv func(string) string) (*config.Settings, error) {
	out := config.Default(getenv)
	if s.file != "" {
		if err := out.ReadSettings(s.file); err != nil {
			return nil, err
		}
	}
	v := &s.values
	for name, set := range map[string]func(){
		"listen":               func() { out.Listen.Addr = v.Listen.Addr },
		"version":              func() { out.Listen.Version = lens.Version(s.ver) },
		"listen-tls":           func() { out.Listen.TLS = v.Listen.TLS },
		"listen-cert":          func() { out.Listen.Cert = v.Listen.Cert },
		"listen-key":           func() { out.Listen.Key = v.Listen.Key },
		"server-tls":           func() { out.Server.TLS = v.Server.TLS },
		"server-root-cert":     func() { out.Server.RootCert = v.Server.RootCert },
		"server":               func() { out.Server.Addr = v.Server.Addr },
		"target-session-attrs": func() { out.Server.TargetSessionAttrs = v.Server.TargetSessionAttrs },
		"control":              func() { out.Control.DSN = v.Control.DSN },
		"admin":                func() { out.Admin.Socket = v.Admin.Socket },
		"metrics":              func() { out.Metrics.Addr = v.Metrics.Addr },
		"log-level":            func() { out.Log.Level = v.Log.Level },
		"log-format":           func() { out.Log.Format = v.Log.Format },
		"max-connections":      func() { out.Limits.MaxConnections = v.Limits.MaxConnections },
		"hold-timeout":         func() { out.HoldTimeout = lens.Duration(s.hold) },
		"drain-timeout":        func() { out.DrainTimeout = lens.Duration(s.drain) },
		"lease":                func() { out.Lease = lens.Duration(s.lease) },
	} {
		if s.cmd.Flags().Changed(name) {
			set()
		}
	}
	return out, out.Validate()
}

// serve runs a proxy until an interrupt, or until ctx ends. A second interrupt ends it at once; SIGHUP has it read its settings again.
func serve(ctx context.Context, settings *config.Settings, read func() (*config.Settings, error), takeover bool, stdout, stderr io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	hangups := make(chan os.Signal, 1) // one that comes early waits until there is something to reload
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	log, level := newLogger(settings, stderr)
	defer func() { _ = log.Sync() }() // standard error that is a terminal or pipe cannot be synced, and need not be
	servers, err := settings.Server.Addrs()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("asking for the host's name: %w", err)
	}
	sockets, err := handedOver(os.Getenv)
	if err != nil {
		return err
	}
	var inherit *proxy.Inheritance
	if takeover {
		if inherit, err = proxy.TakeOver(ctx, settings.Admin.Socket); err != nil {
			return err
		}
	}
	p, err := proxy.Open(ctx, proxy.Options{
		Listen: settings.Listen.Addr, Version: settings.Listen.Version, TLS: listenTLS(&settings.Listen), Server: servers, ServerTLS: serverTLS(&settings.Server),
		SessionAttrs: proxy.SessionAttrs(settings.Server.TargetSessionAttrs), LoadBalance: settings.Server.LoadBalanceHosts == "random", ConnectTimeout: time.Duration(settings.Server.ConnectTimeout),
		TCP: keepAlive(&settings.Listen.TCP), Trusted: trusted(&settings.Listen), ServerKeepAlive: keepAlive(&settings.Server.TCP),
		Listeners: listeners(settings), Sockets: sockets, Inherit: inherit, Limits: live(settings),
		Access: access(settings.Listen.UnixSocketGroup, settings.Listen.UnixSocketPermissions),
		Admin:  settings.Admin.Socket, AdminAccess: access(settings.Admin.UnixSocketGroup, settings.Admin.UnixSocketPermissions), Metrics: settings.Metrics.Addr, MaxConnections: settings.Limits.MaxConnections,
		HoldTimeout: time.Duration(settings.HoldTimeout), DrainTimeout: time.Duration(settings.DrainTimeout),
		CheckDefinition: config.ValidateDefinition, Driver: proxy.Driver(settings.IO.Driver), Log: log,
	})
	if err != nil {
		return err
	}
	stop := onSignals(signals, cancel, p.Kill)
	defer stop()
	control, err := join(ctx, p, migrate.Options{
		DSN: settings.Control.DSN, Servers: servers, Primaries: settings.Server.TargetSessionAttrs == "primary" || settings.Server.TargetSessionAttrs == "read-write", Host: host, Build: build(), Lease: time.Duration(settings.Lease), Log: log, Hooks: hooks(),
	})
	if err != nil {
		return errors.Join(err, p.Close())
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	if err := p.Claim(); err != nil {
		cancel()
		return errors.Join(err, p.Serve(ctx)) // it leaves the proxies
	}
	r := &reloader{inForce: settings, read: read, log: log, apply: func(s *config.Settings) {
		p.Reload(live(s))
		level.SetLevel(logLevel(s))
	}}
	defer r.on(hangups)()
	if _, err := fmt.Fprintf(stdout, "segue: listening on %s, server %s, admin %s\n", addresses(p.Addrs()), strings.Join(servers, ","), settings.Admin.Socket); err != nil {
		log.Warn("telling that the proxy accepts failed", zap.Error(err))
	}
	ready := "READY=1"
	if inherit != nil {
		ready += fmt.Sprintf("\nMAINPID=%d", os.Getpid())
	}
	if err := notify(os.Getenv, ready); err != nil {
		log.Warn("telling the service manager that the proxy accepts failed", zap.Error(err))
	}
	defer func() {
		if !p.HandedOver() { // the service goes on in another process
			_ = notify(os.Getenv, "STOPPING=1") // nobody minds
		}
	}()
	return p.Serve(ctx)
}

// openTimeout bounds the time until a proxy that is started accepts.
const openTimeout = 30 * time.Second

// join opens the control connection and joins the proxies. The caller closes the controller.
func join(ctx context.Context, p *proxy.Proxy, opt migrate.Options) (*migrate.Controller, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	control, err := migrate.Open(ctx, opt)
	if err != nil {
		return nil, err
	}
	if err := p.Join(ctx, control); err != nil {
		return nil, errors.Join(err, control.Close())
	}
	return control, nil
}

// onSignals calls cancel at the first signal and kill at each further one, until it is stopped.
func onSignals(signals <-chan os.Signal, cancel, kill func()) (stop func()) {
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for first := true; ; first = false {
			select {
			case <-stopped:
				return
			case <-signals:
				if first {
					cancel()
				} else {
					kill()
				}
			}
		}
	}()
	return func() {
		close(stopped)
		<-done
	}
}

// newLogger logs to standard error; settings are valid. The level can be changed while it is in use.
func newLogger(settings *config.Settings, stderr io.Writer) (*zap.Logger, zap.AtomicLevel) {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	var encoder zapcore.Encoder
	switch settings.Log.Format {
	case "console":
		encoder = zapcore.NewConsoleEncoder(encoding)
	default:
		encoder = zapcore.NewJSONEncoder(encoding)
	}
	level := zap.NewAtomicLevelAt(logLevel(settings))
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(stderr)), level)), level
}

func logLevel(settings *config.Settings) zapcore.Level {
	level, err := zapcore.ParseLevel(settings.Log.Level)
	if err != nil { // valid settings have one
		return zapcore.InfoLevel
	}
	return level
}
