package proxy

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"segue/internal/pgtest"
)

// One process takes over at a time; a proxy that is told to stop meanwhile does not wait for it.
func TestTakeoverThatDoesNotComeToItsEnd(t *testing.T) {
	ctx := context.Background()
	r := start(t, newControl(noMigrations(t)))
	in, err := TakeOver(ctx, r.opt.Admin)
	if err != nil || in == nil {
		t.Fatal(in, err)
	}
	if _, err := TakeOver(ctx, r.opt.Admin); err == nil || !strings.Contains(err.Error(), "another process is taking this proxy over") {
		t.Errorf("a second one: %v", err)
	}
	query(t, pgtest.Connect(t, r.dsn("postgres", "postgres")), "SELECT 'goes on'")
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	var again *Inheritance
	eventually(t, "another may take over", func() bool {
		again, err = TakeOver(ctx, r.opt.Admin)
		return err == nil
	})
	begun := time.Now()
	r.end(t)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if err := say(again.conn, wordReady); err == nil {
		err = await(again.conn, wordYours)
		if err == nil {
			t.Error("one that has stopped hands over")
		}
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if none, err := TakeOver(ctx, filepath.Join(t.TempDir(), "none.sock")); none != nil || err != nil {
		t.Errorf("from nobody: %v, %v", none, err)
	}
}

// Clients that stay in the process that was taken over are ended at a transaction's boundary when the time to drain has gone by.
func TestClientsOfAProxyThatWasTakenOver(t *testing.T) {
	ctx := context.Background()
	r := start(t, newControl(noMigrations(t)), func(o *Options) { o.DrainTimeout = 300 * time.Millisecond })
	idle := pgtest.Connect(t, r.dsn("postgres", "postgres"))
	next := start(t, newControl(noMigrations(t)), func(o *Options) {
		var err error
		o.Listen, o.Admin = r.opt.Listen, r.opt.Admin
		if o.Inherit, err = TakeOver(ctx, o.Admin); err != nil {
			t.Fatal(err)
		}
	})
	if next.Addr().String() != r.Addr().String() {
		t.Errorf("it listens on %s; want %s", next.Addr(), r.Addr())
	}
	if err := next.Claim(); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, idle, "SELECT 1")
	if in, err := TakeOver(ctx, r.opt.Admin); err != nil || in.Close() != nil { // it is the next one's socket
		t.Error(err)
	}
	pgtest.Connect(t, next.dsn("postgres", "postgres"))
	if r.hub.sessions.Load() != 1 || next.hub.sessions.Load() != 1 {
		t.Errorf("%d and %d clients", r.hub.sessions.Load(), next.hub.sessions.Load())
	}
	_, err := idle.WaitForNotification(ctx) // what it is told at the end
	wantCode(t, err, "57P01")
	if err := <-r.served; err != nil {
		t.Error(err)
	}
	r.served <- nil // for the clean-up
}
