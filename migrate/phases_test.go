package migrate

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"segue/proxy"
	"segue/rewrite/lens"
)

const zapLevel = zap.WarnLevel

func TestAllPhases(t *testing.T) {
	e := newEnv(t, usersTable)
	p, q := e.proxy(0), e.proxy(0)
	p.start()
	p.at(lens.DualWrite, lens.NoStep, false)
	e.want("SELECT count(*) FROM users WHERE full_name IS NULL", "1000")
	if q.host.current().Epoch != p.host.current().Epoch || !q.host.current().HasMigration("users_full_name") {
		t.Fatal("the other proxy does not have the migration")
	}
	q.advance(lens.Backfilling)
	q.at(lens.Backfilling, lens.NoStep, true)
	e.want("SELECT count(*) FROM users WHERE full_name IS DISTINCT FROM name", "0")
	m := q.migration()
	if m.Backfill.RowsTotal != 1000 || m.Backfill.RowsDone != 1000 || m.Verify.Rows != 1000 || m.Verify.Apart != 0 {
		t.Fatalf("progress: %+v %+v", m.Backfill, m.Verify)
	}
	if !m.Gate.Ready || m.Gate.Phase != "switch-reads" {
		t.Fatalf("gate: %+v", m.Gate)
	}
	p.advance(lens.SwitchReads)
	p.at(lens.SwitchReads, lens.NoStep, true)
	p.advance(lens.Contract)
	p.at(lens.Contract, lens.NoStep, true)

	q.host.use("shop")
	e.exec("NOTIFY segue_epoch") // all renew
	until(t, "q to tell its counts", func() bool { return len(p.migration().OldNames) == 1 })
	contract := lens.Complete
	err := p.Advance(context.Background(), "users_full_name", proxy.AdvanceOptions{To: &contract})
	var gate *proxy.GateError
	if !errors.As(err, &gate) || gate.Gate != "complete" || !strings.Contains(err.Error(), "old code is at work, and is served on from complete: shop (web, old) used the old names 3 times") {
		t.Fatalf("without yes: %v", err)
	}
	p.advance(lens.Complete)
	p.at(lens.Complete, lens.NoStep, true)
	e.fails("SELECT name FROM users", "42703")
	e.want("SELECT pg_get_indexdef('users_name_idx'::regclass)", "CREATE INDEX users_name_idx ON public.users USING btree (full_name)")
	e.want("SELECT pg_get_indexdef('users_lower_idx'::regclass)", "CREATE INDEX users_lower_idx ON public.users USING btree (lower((full_name)::text) text_pattern_ops) INCLUDE (email) WHERE ((full_name)::text <> 'name'::text)")
	e.fails("INSERT INTO users (email) VALUES ('x')", "23502")
	e.want("SELECT count(*) FROM pg_constraint WHERE conrelid = 'users'::regclass AND contype = 'c'", "0")
	e.want("SELECT count(*) FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname NOT IN ('fit', 'formless')", "0")

	q.host.use("shop") // q tells it when it is asked
	if err := p.Retire(context.Background(), "users_full_name", proxy.RetireOptions{QuietFor: time.Minute}); !errors.As(err, &gate) || gate.Gate != "retired" || !strings.Contains(err.Error(), "shop") {
		t.Fatalf("not quiet yet: %v", err)
	}
	// Or it waits, and says for whom.
	if err := p.Retire(context.Background(), "users_full_name", proxy.RetireOptions{QuietFor: time.Minute, Wait: true}); err != nil {
		t.Fatal(err)
	}
	p.working("waiting for quiet: shop (web, old) used the old names 6 times")
	if o := p.migration().OldNames; len(o) != 1 || o[0].Application != "shop" || o[0].Count != 6 {
		t.Fatalf("old names: %+v", o)
	}
	if err := p.Rollback(context.Background(), "users_full_name", proxy.AdvanceOptions{}); !errors.Is(err, proxy.ErrConflict) {
		t.Fatalf("rollback of complete: %v", err)
	}
	p.hooks.on("written retire", die)
	if err := p.Retire(context.Background(), "users_full_name", proxy.RetireOptions{}); err != nil {
		t.Fatal(err)
	}
	if text := p.finished(); !strings.Contains(text, "is gone") || p.migration().Settled {
		t.Fatalf("after a crash: %q", text)
	}
	q.ok(q.Retire(context.Background(), "users_full_name", proxy.RetireOptions{}))
	if err := p.Retire(context.Background(), "users_full_name", proxy.RetireOptions{}); !errors.Is(err, proxy.ErrConflict) {
		t.Fatalf("retired twice: %v", err)
	}
	p.at(lens.Retired, lens.NoStep, true)
	if p.host.current().HasMigration("users_full_name") {
		t.Fatal("a retired migration is still with the proxies")
	}
	p.drop()
	if m := p.migration(); m.Name != "" {
		t.Fatalf("after drop: %+v", m)
	}
}

func TestRollbackFromEveryPhase(t *testing.T) {
	e := newEnv(t, usersTable+`
		ALTER TABLE users ALTER name SET DEFAULT 'nobody', ALTER name SET STATISTICS 50, ALTER name SET STORAGE EXTERNAL;
		COMMENT ON COLUMN users.name IS 'a \ name''s comment';
		GRANT SELECT (name), UPDATE (name) ON users TO web;`)
	before := e.dump()
	p := e.proxy(0)
	for _, phase := range []lens.Phase{lens.DualWrite, lens.Backfilling, lens.SwitchReads, lens.Contract} {
		p.start()
		if phase > lens.DualWrite {
			p.advance(phase)
		}
		e.exec("INSERT INTO users (name, full_name) VALUES (DEFAULT, 'nobody')", "INSERT INTO users (name, full_name) VALUES ('new one', 'new one')", "INSERT INTO users (email) VALUES ('of nobody')")
		p.rollback(lens.Pending)
		p.at(lens.Pending, lens.NoStep, false)
		p.drop()
		if after := e.dump(); after != before {
			t.Fatalf("after rolling back from %s:\n%s", phase, after)
		}
		e.want("SELECT count(*) FROM users WHERE name IS NULL", "0")
	}
	e.want("SELECT count(*) FROM users WHERE name = 'new one'", "4")
	e.want("SELECT count(*) FROM users WHERE name = 'nobody'", "8")

	// From write-new, in the middle of complete.
	p.start()
	p.advance(lens.Contract)
	p.hooks.on("settled write-new", die)
	if err := p.goTo(lens.Complete); err != nil {
		t.Fatal(err)
	}
	if p.finished() == "" {
		t.Fatal("the work was to be killed")
	}
	p.at(lens.Complete, lens.WriteNew, true)
	e.exec("INSERT INTO users (full_name) VALUES ('at the end')", "INSERT INTO users (name) VALUES ('at the end')", "INSERT INTO users (email) VALUES ('of nobody')")
	e.want("SELECT count(*) FROM users WHERE name = 'at the end' AND full_name = 'at the end'", "2")
	e.want("SELECT count(*) FROM users WHERE name = 'nobody' AND full_name = 'nobody'", "9")
	p.rollback(lens.Contract)
	p.at(lens.Contract, lens.NoStep, true)
	e.exec("INSERT INTO users (email) VALUES ('of nobody')")
	p.rollback(lens.SwitchReads)
	p.at(lens.SwitchReads, lens.NoStep, true)
	p.rollback(lens.Backfilling)
	p.at(lens.Backfilling, lens.NoStep, true)
	p.rollback(lens.Pending)
	p.drop()
	if after := e.dump(); after != before {
		t.Fatalf("after rolling back from write-new:\n%s", after)
	}
	e.want("SELECT count(*) FROM users WHERE name = 'nobody'", "10")
}
