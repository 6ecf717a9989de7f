package migrate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"segue/proxy"
	"segue/rewrite/lens"
)

// Two operators change the phases of two migrations, and of one: who comes second waits, or is told so, as it chose.
func TestBusy(t *testing.T) {
	e := newEnv(t, smallTable+"CREATE TABLE notes (id int PRIMARY KEY, body text);")
	ctx := context.Background()
	waits, fails := proxy.WithOnBusy(ctx, proxy.BusyWait), proxy.WithOnBusy(ctx, proxy.BusyFail)
	p, q, slow := e.proxy(0), e.proxy(0), e.proxy(0)
	p.start()
	other := &lens.Definition{
		Name: "note_text", Table: lens.TableName{Schema: "public", Name: "notes"}, RenameColumn: &lens.RenameColumn{From: "body", To: "text"},
	}
	work := func(name string) MigrationStatus {
		t.Helper()
		for _, m := range p.status().Migrations {
			if m.Name == name {
				return m
			}
		}
		t.Fatalf("there is no migration %s", name)
		return MigrationStatus{}
	}
	q.ok(q.Start(ctx, other, proxy.StartOptions{}))
	until(t, "its end", func() bool { return work("note_text").Working == "" })
	slow.host.holdBack()
	if err := p.goTo(lens.Backfilling); err != nil {
		t.Fatal(err)
	}
	until(t, "the change", func() bool { return strings.Contains(work("users_full_name").Working, "settling") })

	var busy *proxy.BusyError
	to := proxy.AdvanceOptions{}
	if err := q.Advance(fails, "note_text", to); !errors.As(err, &busy) || !strings.Contains(busy.Text, "for migration users_full_name (settling epoch") {
		t.Errorf("a change of another migration, which does not want to wait: %v", err)
	}
	if err := q.Advance(fails, "users_full_name", to); !errors.As(err, &busy) || !errors.Is(err, proxy.ErrConflict) {
		t.Errorf("a change of the same migration, which does not want to wait: %v", err)
	}
	to.MaxWait = 100 * time.Millisecond
	if err := q.Advance(waits, "users_full_name", to); !errors.As(err, &busy) {
		t.Errorf("a change of the same migration, which has waited: %v", err)
	}
	if err := q.Advance(ctx, "note_text", to); err != nil {
		t.Fatal(err)
	}
	until(t, "its end", func() bool { return work("note_text").Working == "" })
	if got := proxy.ParseBusy(work("note_text").Error); got == nil || !strings.HasPrefix(got.Text, "waited 100ms, and the epoch is being changed") {
		t.Errorf("a change of another migration, which has waited: %q", work("note_text").Error)
	}
	// What waits goes on once the change is over.
	same := make(chan error, 1)
	go func() { same <- q.Advance(waits, "users_full_name", proxy.AdvanceOptions{}) }()
	if err := slow.Advance(waits, "note_text", proxy.AdvanceOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "it to wait", func() bool {
		return strings.Contains(work("note_text").Working, "waiting for the change of another migration")
	})
	slow.host.release()
	if err := <-same; err != nil {
		t.Error(err)
	}
	for _, name := range []string{"users_full_name", "note_text"} {
		until(t, "the end of "+name, func() bool { return work(name).Working == "" })
	}
	if a, b := work("users_full_name"), work("note_text"); a.Phase != lens.SwitchReads || b.Phase != lens.Backfilling || a.Error+b.Error != "" {
		t.Errorf("%s %q and %s %q", a.Phase, a.Error, b.Phase, b.Error)
	}
}
