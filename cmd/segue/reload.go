package main

import (
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"segue/config"
	"segue/proxy"
)

// reloadable are the settings that SIGHUP puts into force; the others are named, and wait for a restart. The files of certificates are read again by themselves.
var reloadable = []string{"listen.version", "limits.max_connections", "limits.max_user_connections", "limits.client_login_timeout", "limits.client_idle_timeout", "limits.max_packet_size", "limits.max_statement_size", "hold_timeout", "drain_timeout", "log.level"}

// live gives those of the proxy.
func live(s *config.Settings) proxy.Live {
	return proxy.Live{
		Version: s.Listen.Version, MaxConnections: s.Limits.MaxConnections, HoldTimeout: time.Duration(s.HoldTimeout), DrainTimeout: time.Duration(s.DrainTimeout),
		MaxUserConnections: s.Limits.MaxUserConnections, ClientLoginTimeout: time.Duration(s.Limits.ClientLoginTimeout), ClientIdleTimeout: time.Duration(s.Limits.ClientIdleTimeout),
		MaxPacketSize: s.Limits.MaxPacketSize, MaxStatementSize: s.Limits.MaxStatementSize,
	}
}

// reloader reads the settings again.
type reloader struct {
	inForce *config.Settings
	read    func() (*config.Settings, error)
	apply   func(*config.Settings)
	log     *zap.Logger
}

// reload puts into force what can be. Settings that are wrong leave all as it is.
func (r *reloader) reload() {
	next, err := r.read()
	if err != nil {
		r.log.Error("the settings could not be read again; those in force stay", zap.Error(err))
		return
	}
	var done, later []string
	for _, key := range config.Changed(r.inForce, next) {
		if slices.Contains(reloadable, key) {
			done = append(done, key)
		} else {
			later = append(later, key)
		}
	}
	r.apply(next)
	// What waits for a restart is named again by the next reload.
	r.inForce.Listen.Version, r.inForce.Limits, r.inForce.Log.Level = next.Listen.Version, next.Limits, next.Log.Level
	r.inForce.HoldTimeout, r.inForce.DrainTimeout = next.HoldTimeout, next.DrainTimeout
	r.log.Info("the settings were read again", zap.Strings("changed", done))
	if later != nil {
		r.log.Warn("some settings that have changed wait for a restart", zap.Strings("settings", later))
	}
}

// on reloads at each signal, until it is stopped.
func (r *reloader) on(hangups <-chan os.Signal) (stop func()) {
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stopped:
				return
			case <-hangups:
				r.reload()
			}
		}
	}()
	return func() {
		close(stopped)
		<-done
	}
}
