package migrate

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"segue/rewrite/lens"
)

// A database that went back to an earlier state: what epochs its proxies have are not in it, or are others under the same numbers.
func TestDatabaseWentBack(t *testing.T) {
	back := map[string]string{
		"a promotion":               "UPDATE segue.epoch SET timeline = timeline - 1", // as if the state were from before it
		"an older state":            "UPDATE segue.epoch SET current = current - 2, settled = settled - 2",
		"another under a number":    "UPDATE segue.epoch SET writer = '00000000-0000-0000-0000-000000000000'",
		"a place that is not there": "DELETE FROM segue.proxy",
	}
	for name, sql := range back {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, smallTable)
			p, q := e.proxy(shortLease), e.proxy(shortLease)
			p.bring(lens.Backfilling)
			ids := p.self() + q.self()
			before := p.host.current().Epoch
			e.exec(sql)
			if name == "a promotion" { // which ends all connections
				e.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'segue control'")
				p.advance(lens.SwitchReads)
				e.want("SELECT count(*) FROM segue.event WHERE action = 'database went back'", "1")
				return
			}
			until(t, "both to join anew", func() bool {
				return p.self() != "" && q.self() != "" && !strings.Contains(ids, p.self()) && !strings.Contains(ids, q.self())
			})
			e.want("SELECT count(*) FROM segue.proxy", "2")
			until(t, "leases", func() bool { return p.host.leased() && q.host.leased() })
			noted := "0"
			if name != "a place that is not there" {
				noted = e.value("SELECT count(*) FROM segue.event WHERE action = 'database went back'")
				if noted == "0" || p.host.current().Epoch <= before-2 {
					t.Errorf("noted %s times; at epoch %d, it was %d", noted, p.host.current().Epoch, before)
				}
				e.want("SELECT moved_at IS NOT NULL FROM segue.epoch", "true")
			}
			p.advance(lens.SwitchReads)
			e.want("SELECT moved_at IS NULL FROM segue.epoch", "true")
			e.want("SELECT count(*) FROM segue.event WHERE action = 'database went back'", noted)
		})
	}
}

// What a crash of a server that does not wait for its disk takes back is told again.
func TestAcknowledgementIsTakenBack(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(shortLease)
	p.bring(lens.Backfilling)
	epoch := fmt.Sprint(p.host.current().Epoch)
	e.exec("UPDATE segue.proxy SET ack = 0")
	until(t, "the acknowledgement", func() bool { return e.value("SELECT ack FROM segue.proxy") == epoch })
}

// The state of the build before is brought up to date, by whoever comes first; that of another is refused.
func TestFormats(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	p.bring(lens.DualWrite)
	p.end()
	made := e.value("SELECT string_agg(table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER BY table_name, column_name) FROM information_schema.columns WHERE table_schema = 'segue'")
	e.exec("ALTER TABLE segue.epoch DROP writer, DROP system, DROP timeline, DROP branch, DROP moved_at", "ALTER TABLE segue.proxy DROP format, DROP pids, DROP latency, DROP standby, DROP standby_host, DROP keeps", "ALTER TABLE segue.migration DROP paused, DROP max_rows, DROP scanned", "ALTER TABLE segue.session DROP behind",
		"ALTER TABLE segue.event DROP actor", "UPDATE segue.epoch SET format = 4")
	q := e.proxy(0)
	e.want("SELECT format FROM segue.epoch", fmt.Sprint(format))
	e.want("SELECT string_agg(table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER BY table_name, column_name) FROM information_schema.columns WHERE table_schema = 'segue'", made)
	q.advance(lens.Backfilling)
	for f, text := range map[int]string{format + 1: "a newer build", oldest - 1: "DROP SCHEMA segue"} {
		e.exec(fmt.Sprintf("UPDATE segue.epoch SET format = %d", f))
		if _, err := Open(t.Context(), Options{DSN: e.dsn, Log: zaptest.NewLogger(t)}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("format %d: %v", f, err)
		}
	}
}
