package migrate

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/proxy"
	"segue/rewrite/lens"
)

// Who asked for a change, and why it failed, is kept with it.
func TestHistory(t *testing.T) {
	e := newEnv(t, smallTable)
	p, q := e.proxy(0), e.proxy(0)
	ctx := proxy.WithActor(context.Background(), "ann (uid 7, pid 8)")
	p.bring(lens.Backfilling)
	q.host.holdBack()
	if err := p.Advance(ctx, "users_full_name", proxy.AdvanceOptions{MaxWait: 100 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	until(t, "the change to be given up", func() bool { return e.value("SELECT count(*) FROM segue.event WHERE action = 'give up'") == "1" })
	q.host.release()
	p.finished()
	var got []string
	until(t, "the failure to be noted", func() bool {
		got = nil
		for _, x := range p.migration().History {
			if x.Actor != "" {
				got = append(got, x.Action)
			}
			if x.Actor != "" && (x.Actor != "ann (uid 7, pid 8)" || x.Migration != "users_full_name" || x.Proxy != p.self() || x.Host != p.opt.Host) {
				t.Fatalf("%+v", x)
			}
			if x.Action == "give up" && !strings.Contains(string(x.Detail), q.opt.Host) {
				t.Fatalf("what was waited for is not in %s", x.Detail)
			}
		}
		return len(got) > 0 && got[0] == "advance failed"
	})
	if want := "[advance failed give up switch-reads advance]"; fmt.Sprint(got) != want {
		t.Fatalf("%q, not %s", got, want)
	}
	// Old events go.
	e.exec("INSERT INTO segue.event (host, action) SELECT 'h', 'many' FROM generate_series(1, 10100)")
	p.rollback(lens.Pending)
	e.want(fmt.Sprintf("SELECT count(*) BETWEEN %d - 50 AND %d FROM segue.event", keepEvents, keepEvents), "true")
	e.want("SELECT count(*) > 0 FROM segue.event WHERE action = 'write-old'", "true")
}

// A proxy of an older build is named, and no migration is started while it is there.
func TestOtherFormats(t *testing.T) {
	e := newEnv(t, smallTable)
	p := e.proxy(0)
	e.exec("INSERT INTO segue.proxy (id, host, build, ack, lease) VALUES ('00000000-0000-0000-0000-000000000001', 'elsewhere', 'ancient', 1, 10)")
	err := p.Start(context.Background(), renameUsers(), proxy.StartOptions{})
	if err == nil || !strings.Contains(err.Error(), "on elsewhere (build ancient, format 4)") {
		t.Fatal(err)
	}
	if notes := strings.Join(p.status().Notes, "; "); !strings.Contains(notes, "on elsewhere (build ancient) knows format 4") || !strings.Contains(notes, "several builds: ancient, test") {
		t.Fatal(notes)
	}
	e.exec("DELETE FROM segue.proxy WHERE host = 'elsewhere'")
	p.start()
}
