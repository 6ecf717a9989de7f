package agree

import "time"

// Margin is how long past its lease a proxy is still taken for alive: for clocks that run at different speeds, and for what it sent at the last
// moment. It covers a lease of ten minutes, the longest, on clocks that differ by one in six hundred.
const Margin = time.Second

// Admit says whether a statement on a migrating table may be sent now: the lease holds until then, on the same clock, and the server session's PID is in the
// database, so that whoever takes this proxy for dead can end it. A session without a PID (keyless) cannot be found by it; it has the margin alone.
func Admit(now, until time.Duration, registered, keyless bool) bool {
	return (registered || keyless) && Leased(now, until)
}

// Leased says whether a lease holds; until is 0 where there is none.
func Leased(now, until time.Duration) bool { return until > 0 && now <= until }

// Sighting is what an observer knows of a proxy's renewals. The zero value knows nothing.
type Sighting struct {
	Known    bool
	Renewals int64
	Since    time.Duration // when the counter was first seen at this value, on the observer's clock
}

// See takes note of a counter as it has just been read, and says for how long at least it has not moved.
func (s Sighting) See(renewals int64, now time.Duration) (next Sighting, silent time.Duration) {
	if !s.Known || s.Renewals != renewals {
		s = Sighting{true, renewals, now}
	}
	return s, now - s.Since
}

// Health is how a proxy looks by the time for which it has been silent.
type Health int

// A proxy renews four times in a lease's time. Quiet is one that has missed a renewal; Dead, one whose lease has run out by any clock.
const (
	Lively Health = iota
	Quiet
	Dead
)

// Judge says how a proxy is that has been silent for so long.
func Judge(silent, lease time.Duration) Health {
	switch {
	case silent > lease+Margin:
		return Dead
	case silent > lease/2:
		return Quiet
	}
	return Lively
}

// Fate is what becomes of a proxy that was judged dead.
type Fate int

// Spare: it lives after all. Wait: its server sessions are still there. Strike: it is no longer one of the proxies.
const (
	Spare Fate = iota
	Wait
	Strike
)

// Fence decides, with the proxy's row locked so that it can neither renew nor register a session meanwhile. judged is the counter of renewals that it was
// judged by, renewals what it is now, and sessions says how many of its server sessions have not ended. What such a session was sent, and
// has not read yet, would be carried out: that it is idle does not help.
func Fence(judged, renewals int64, sessions int) Fate {
	switch {
	case judged != renewals:
		return Spare
	case sessions > 0:
		return Wait
	}
	return Strike
}
