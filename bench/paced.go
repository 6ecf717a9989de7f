package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// paced is a load at a rate that does not depend on how fast the answers come: sessions that each send a statement at fixed times, unless the last one is still
// outstanding. A statement's time is counted from when it was due, so that one that is held up by the one before does not hide it.
type paced struct {
	sessions []session
	every    time.Duration

	mu    sync.Mutex
	times []timed
}

// session is one of a paced load's.
type session struct {
	conn *wire
	send func(c *wire, rng *rand.Rand) error
}

// timed is what one statement took.
type timed struct {
	due  time.Time
	took time.Duration
}

// open adds a session.
func (l *paced) open(ctx context.Context, addr, database string, begin func(*wire) error, send func(*wire, *rand.Rand) error) error {
	c, err := dial(ctx, addr, database, 1024)
	if err != nil {
		return err
	}
	l.sessions = append(l.sessions, session{c, send})
	return begin(c)
}

func (l *paced) close() {
	for _, s := range l.sessions {
		_ = s.conn.conn.Close() // nothing is outstanding
	}
}

// run sends statements until ctx ends, which is no error.
func (l *paced) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	begun := time.Now()
	for i, s := range l.sessions {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			due := begun.Add(l.every * time.Duration(i) / time.Duration(len(l.sessions)))
			timer := time.NewTimer(time.Until(due))
			defer timer.Stop()
			var mine []timed
			defer func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.times = append(l.times, mine...)
			}()
			for {
				select {
				case <-ctx.Done():
					return
				case <-timer.C:
				}
				if err := s.send(s.conn, rng); err != nil {
					cancel(fmt.Errorf("session %d: %w", i, err))
					return
				}
				mine = append(mine, timed{due, time.Since(due)})
				for due = due.Add(l.every); time.Until(due) < -l.every; due = due.Add(l.every) { // what it is too late for
				}
				timer.Reset(time.Until(due))
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// during runs the load while f is at work, and gives the times of the statements that were due meanwhile.
func (l *paced) during(ctx context.Context, f func(context.Context) error) ([]timed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.times = nil
	failed := make(chan error, 1)
	go func() {
		err := l.run(ctx)
		cancel() // f need not go on
		failed <- err
	}()
	err := f(ctx)
	cancel()
	if lost := <-failed; lost != nil {
		return nil, lost
	}
	slices.SortFunc(l.times, func(a, b timed) int { return a.due.Compare(b.due) })
	return l.times, err
}

func millis(t []timed) []float64 {
	v := make([]float64, len(t))
	for i := range t {
		v[i] = float64(t[i].took.Microseconds()) / 1000
	}
	return v
}
