package agree

import "time"

// Place is a proxy's place among the proxies, from joining until it leaves or is struck off. One goroutine uses it.
type Place struct {
	Lease   time.Duration
	Mark    Mark          // of the state that the host has been handed last
	Sent    time.Duration // when the last renewal that arrived was sent, on the proxy's clock
	Acked   int64         // the epoch that the database has been told
	Reached int64         // the last epoch that the host has applied under this place; 0: none

	// Follows says that the sessions are a standby's. Mark is then where the primary stands, as far as is known, and the state comes from the standby.
	Follows bool
	Floor   Mark // where the primary stood when the place was taken: what the standby shows from before it is not served
	Shown   Mark // of the state that the host has been handed last: where the standby stood
}

// Next is what a proxy has to do.
type Next int

// Stay: nothing. Load: read the state anew and hand it to the host. Rejoin: hold all statements, join anew, and go on only when no session runs under
// what was known before.
const (
	Stay Next = iota
	Load
	Rejoin
)

// Join begins a place. Its lease was inserted and the state read in one transaction that held the epoch's row against writers, so that there is no
// epoch that this proxy serves and a coordinator did not wait for it at. sent is from before that transaction.
func Join(m Mark, sent, lease time.Duration) Place { return Place{Lease: lease, Mark: m, Sent: sent} }

// Follow begins a place whose sessions are at a standby. It is joined at the primary; nothing is sent before the standby has replayed where the primary stood then, since the epoch after
// that one may have been written, with nobody having waited for this place.
func Follow(floor Mark, sent, lease time.Duration) Place {
	p := Join(floor, sent, lease)
	p.Follows, p.Floor = true, floor
	return p
}

// Renewed takes what a renewal found that was sent at a time: found, whether the place is there still; acked, what the database has of its acknowledgements,
// which a crash of a server that does not wait for its disk may have taken back; now, where the database stands.
func (p *Place) Renewed(sent time.Duration, found bool, acked int64, now Mark) Next {
	if !found || p.Mark.Forked(now) {
		return Rejoin
	}
	p.Sent, p.Acked = sent, min(p.Acked, acked)
	if p.Follows { // what there is to load is what the standby shows
		p.Mark = now
		return Stay
	}
	if now != p.Mark {
		return Load
	}
	return Stay
}

// Loaded says that the host has been handed the state of a mark.
func (p *Place) Loaded(m Mark) {
	if p.Follows {
		p.Shown = m
		return
	}
	p.Mark = m
}

// Applied says that no session runs under other stages than those of the state with that mark. What is told of any other state is of the past.
func (p *Place) Applied(m Mark) {
	switch {
	case p.Follows && m == p.Shown && !p.Floor.Forked(m), !p.Follows && m == p.Mark:
		p.Reached = m.Epoch
	}
}

// Due gives the epoch that is to be acknowledged, and false where none is. Of a standby, that is one which it shows, and which the primary is known to have: a standby that replays
// at once shows an epoch a moment earlier than the primary does.
func (p *Place) Due() (epoch int64, due bool) {
	if p.Behind() {
		return 0, false
	}
	return p.Mark.Epoch, p.Reached == p.Mark.Epoch && p.Acked != p.Mark.Epoch
}

// Behind says that the standby whose sessions these are does not stand where the primary does.
func (p *Place) Behind() bool { return p.Follows && p.Shown != p.Mark }

// Acknowledged says that the database was told; found, whether the place was there still.
func (p *Place) Acknowledged(epoch int64, found bool) Next {
	if !found {
		return Rejoin
	}
	p.Acked = epoch
	return Stay
}

// Until says until when, on the proxy's clock, statements on migrating tables may be sent; 0: they may not. A new place has to be acted on by the host
// before it is worth anything.
func (p *Place) Until() time.Duration {
	if p.Reached == 0 {
		return 0
	}
	return p.Sent + p.Lease
}
