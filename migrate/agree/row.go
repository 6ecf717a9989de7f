package agree

import (
	"errors"
	"time"
)

// ErrReplaced says that the right to change the epoch has gone to somebody else.
var ErrReplaced = errors.New("another proxy has taken over the changing of the epoch: see `segue status`")

// Row is the epoch's row as it was read, which whoever writes it has locked.
type Row struct {
	Mark           // of the current epoch
	Settled int64  // the last epoch that every live proxy had acknowledged
	Holder  string // the work that may write
	// Moved says that the database went back to an earlier state, in a failover or a restore, and that it is not sure yet that no proxy runs under what was lost;
	// Ago is how long ago that was noted, by the server's clock.
	Moved bool
	Ago   time.Duration
}

// IsSettled says whether the next epoch may be written.
func (r Row) IsSettled() bool { return r.Settled == r.Epoch && !r.Moved }

// Rest is how long nothing may be settled nor given up yet after the database went back: who was a live proxy in what was lost need not be one in what is left, but has
// lost its lease by then. lease is the longest that a proxy has.
func (r Row) Rest(lease time.Duration) time.Duration {
	if !r.Moved {
		return 0
	}
	return max(lease+Margin-r.Ago, 0)
}

// MayWrite is the comparison of the compare-and-swap that writes an epoch. A change is given up by an epoch, too: the one that starts from an unsettled one.
func (r Row) MayWrite(me string, giveUp bool) error {
	if r.Holder != me || giveUp == (r.Settled == r.Epoch) || !giveUp && r.Moved {
		return ErrReplaced
	}
	return nil
}

// MaySettle is the comparison of the compare-and-swap that settles an epoch.
func (r Row) MaySettle(me string, epoch int64) error {
	if r.Holder != me || r.Epoch != epoch {
		return ErrReplaced
	}
	return nil
}

// Arrived gives the row as whoever comes to a database has to leave it: here is the history that the connection is on, lost the mark of the state
// that the comer had, or the zero value. Where the database went back, the same stands go on under an epoch that no proxy has ever
// known, so that each has to load and acknowledge it. It says false where there is nothing to write.
func (r Row) Arrived(me string, here History, lost Mark) (Row, bool) {
	if !r.Known() {
		r.History = here
		return r, true
	}
	if r.History == here && (lost.History != here || lost.Branch < r.Branch || !lost.Forked(r.Mark)) {
		return r, false // nothing was lost, or somebody has noted it already
	}
	epoch := max(r.Epoch, lost.Epoch) + 1
	next := Row{Mark: Mark{History: here, Branch: epoch, Epoch: epoch, Writer: me}, Settled: r.Settled, Holder: r.Holder, Moved: true}
	if r.Settled == r.Epoch {
		next.Settled = next.Epoch
	}
	return next, true
}

// Outcome is what becomes of a change that has been waited for long enough.
type Outcome int

// WaitOn: it cannot be given up. GiveUp: the stand from before is written. Foreign: it is another migration's.
const (
	WaitOn Outcome = iota
	GiveUp
	Foreign
)

// Late decides for a migration whose last change was written as that epoch, and can be given up or not.
func (r Row) Late(changed int64, canGiveUp bool) Outcome {
	switch {
	case changed != r.Epoch:
		return Foreign
	case !canGiveUp || r.Settled == r.Epoch:
		return WaitOn
	}
	return GiveUp
}

// Settling is one wait for an epoch to be settled. The zero value, but for Me, begins one.
type Settling struct {
	Me       string          // the work that waits
	prepared map[string]bool // the prepared transactions that there were when all proxies had acknowledged; nil before
}

// Look says whether it is settled already, or that it is somebody else's to settle.
func (s *Settling) Look(r Row) (settled bool, err error) {
	if r.IsSettled() {
		return true, nil
	}
	return false, r.MaySettle(s.Me, r.Epoch)
}

// Prepared takes the prepared transactions that hold locks on the table, once no proxy is behind, and gives those that are still to be waited for. Later ones were made under
// this epoch.
func (s *Settling) Prepared(now []string) []string {
	if s.prepared == nil {
		s.prepared = make(map[string]bool, len(now))
		for _, x := range now {
			s.prepared[x] = true
		}
	}
	var left []string
	for _, x := range now {
		if s.prepared[x] {
			left = append(left, x)
		}
	}
	return left
}
