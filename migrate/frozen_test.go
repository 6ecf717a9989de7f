package migrate

import (
	"context"
	"testing"
	"time"

	"segue/proxy"
	"segue/rewrite/lens"
)

// A coordinator that is stopped with the epoch in its hand, as by SIGSTOP, does not hold up the others for ever; when it wakes, it changes nothing any more.
func TestStoppedCoordinatorIsReplaced(t *testing.T) {
	e := newEnv(t, smallTable)
	p, q := e.proxy(0), e.proxy(0)
	p.bring(lens.Backfilling)
	p.opt.Silence = time.Second // before its next work begins
	stopped, wake := make(chan struct{}), make(chan struct{})
	p.hooks.on("written switch-reads", func() error {
		close(stopped)
		<-wake
		return nil
	})
	if err := p.goTo(lens.SwitchReads); err != nil {
		t.Fatal(err)
	}
	<-stopped
	to := lens.Backfilling
	if err := q.Rollback(proxy.WithOnBusy(context.Background(), proxy.BusyWait), "users_full_name", proxy.AdvanceOptions{To: &to}); err != nil {
		t.Fatal(err)
	}
	if text := q.finished(); text != "" {
		t.Fatal(text)
	}
	q.at(lens.Backfilling, lens.NoStep, true)
	epoch := e.value("SELECT current FROM segue.epoch")
	close(wake)
	p.workers.Wait()
	q.at(lens.Backfilling, lens.NoStep, true)
	e.want("SELECT current FROM segue.epoch", epoch)
	q.advance(lens.SwitchReads)
}
