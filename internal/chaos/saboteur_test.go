package chaos

import (
	"context"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// saboteur does something to one proxy after the other, and now and then to the server.
type saboteur struct {
	w   *world
	rnd *rand.Rand
	wg  sync.WaitGroup
}

// run goes on until stop is closed, and leaves all as it should be.
func (b *saboteur) run(ctx context.Context, stop <-chan struct{}, every time.Duration) {
	defer b.wg.Wait()
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(every/2 + upTo(b.rnd, every)):
		}
		if b.rnd.IntN(25) == 0 {
			b.restartServer(ctx)
			continue
		}
		s := b.w.slots[b.rnd.IntN(len(b.w.slots))]
		if s.safe || !s.turn.TryLock() {
			continue
		}
		kind, pause := b.rnd.IntN(5), upTo(b.rnd, 2*(lease+leaseMargin))
		b.wg.Go(func() {
			defer s.turn.Unlock()
			s.disturb()
			defer s.calm()
			b.disturb(ctx, s, kind, pause)
		})
	}
}

func (b *saboteur) disturb(ctx context.Context, s *slot, kind int, pause time.Duration) {
	p := s.process()
	switch kind {
	case 0:
		b.w.count("proxies killed")
		p.kill()
		sleep(ctx, pause)
	case 1:
		b.w.count("proxies stopped by SIGSTOP")
		p.signal(syscall.SIGSTOP)
		sleep(ctx, pause)
		p.signal(syscall.SIGCONT)
		return
	case 2, 3:
		mode := refusing
		if kind == 3 {
			mode = stalling
		}
		b.w.count("control connections cut")
		s.relay.set(mode)
		sleep(ctx, pause)
		s.relay.set(passing)
		return
	case 4:
		b.w.count("proxies drained")
		if err := p.stop(); err != nil {
			b.w.fail("%s, asked to drain: %v\n%s", s, err, p.tail())
		}
	}
	if err := s.start(ctx); err != nil && ctx.Err() == nil && !b.w.outage(time.Now().Add(-grace), time.Now()) {
		b.w.fail("starting %s again: %v", s, err)
	}
}

// restartServer ends the server, fast or at once, and starts it again.
func (b *saboteur) restartServer(ctx context.Context) {
	w := b.w
	for _, s := range w.slots { // so that none is being started
		if !s.safe {
			s.turn.Lock()
		}
	}
	defer func() {
		for _, s := range w.slots {
			if !s.safe {
				s.turn.Unlock()
			}
		}
	}()
	w.mu.Lock()
	w.outages = append(w.outages, window{from: time.Now()})
	w.counts["servers restarted"]++
	w.mu.Unlock()
	end := w.server.Halt
	if b.rnd.IntN(2) == 0 {
		end = w.server.Crash
	}
	err := end()
	if err == nil {
		sleep(ctx, upTo(b.rnd, time.Second))
		err = w.server.Restart(context.WithoutCancel(ctx))
	}
	if err != nil {
		w.fail("restarting the server: %v", err)
	}
	w.mu.Lock()
	w.outages[len(w.outages)-1].until = time.Now()
	w.mu.Unlock()
}

// failOver ends the primary at once and promotes the standby.
func (w *world) failOver(ctx context.Context) {
	w.mu.Lock()
	w.outages = append(w.outages, window{from: time.Now()})
	w.mu.Unlock()
	if err := w.server.Crash(); err != nil {
		w.fail("ending the primary: %v", err)
	}
	if err := w.standby.Promote(context.WithoutCancel(ctx)); err != nil {
		w.fail("%v", err)
	}
	w.mu.Lock()
	w.server = w.standby
	w.outages[len(w.outages)-1].until = time.Now()
	w.mu.Unlock()
}
