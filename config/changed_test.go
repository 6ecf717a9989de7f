package config

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"segue/rewrite/lens"
)

func TestChanged(t *testing.T) {
	getenv := func(string) string { return "" }
	a, b := Default(getenv), Default(getenv)
	if got := Changed(a, b); got != nil {
		t.Errorf("%v have changed", got)
	}
	b.Limits.MaxConnections++
	b.HoldTimeout = lens.Duration(time.Hour)
	b.Listen.Version = "old"
	*b.Server.KeepalivesCount++
	if got, want := Changed(a, b), []string{"hold_timeout", "limits.max_connections", "listen.version", "server.keepalives_count"}; !slices.Equal(got, want) {
		t.Errorf("%v have changed; want %v", got, want)
	}
	// Every setting has a key, or it could not be named.
	for f := range reflect.TypeFor[Settings]().NumField() {
		if f := reflect.TypeFor[Settings]().Field(f); f.Tag.Get("toml") == "" {
			t.Errorf("%s has no key", f.Name)
		}
	}
}
