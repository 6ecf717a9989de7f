package proxy

import (
	"context"
	"encoding/json"
	"time"

	"segue/rewrite"
	"segue/rewrite/lens"
)

// Control is what a proxy needs of the migrated database beside its clients' connections: its place among the proxies, and the
// carrying out of migrations. Package migrate implements it over the control connection; cmd joins the two.
type Control interface {
	// Join joins the proxies (it inserts the lease and reads the epoch in one transaction) and gives the state to begin with. It is called once,
	// before the proxy accepts; after it, Run keeps the place.
	Join(ctx context.Context) (*rewrite.State, error)

	// Run keeps the lease, follows the epochs and hands each state to the host, until ctx ends; then it hands the lease
	// back, so that nobody waits for it. It returns nil after that; a lost control connection is its own business and ends nothing.
	Run(ctx context.Context, host Host) error

	// Register stores the PIDs of server sessions, before the first statement of each on a migrating table is sent.
	Register(ctx context.Context, pids []uint32) error
	// Unregister forgets the PIDs of server sessions that have ended. It does not block.
	Unregister(pid uint32)

	// Server asks what a server is that sessions may be opened at, as the control role: at addr, an IP address and port or the path of a unix socket, which host is the name of.
	Server(ctx context.Context, host, addr string) (ServerState, error)

	// Follow gives what keeps a place of its own among the proxies for sessions at a standby. It does nothing yet.
	Follow(host, addr string) Follower

	// Look has all proxies look at the catalog soon: a session has made something that statements of others may name. It does not block.
	Look()

	// Start, Advance and Rollback check what is asked for and give an error at once where it cannot be; the work goes on after they return,
	// also when ctx ends, and is followed through Status.
	Start(ctx context.Context, def *lens.Definition, opt StartOptions) error
	// Check says what Start would refuse, and what else is to be known before, as JSON; it changes nothing.
	Check(ctx context.Context, def *lens.Definition) (json.RawMessage, error)
	// Carry starts a definition where it is not, and takes it to a phase, contract where none is said; it does nothing where it has arrived.
	Carry(ctx context.Context, def *lens.Definition, opt AdvanceOptions) error
	Advance(ctx context.Context, name string, opt AdvanceOptions) error
	Rollback(ctx context.Context, name string, opt AdvanceOptions) error
	Retire(ctx context.Context, name string, opt RetireOptions) error
	Drop(ctx context.Context, name string) error
	Verify(ctx context.Context, name string, repair bool) error
	// Backfill changes how fast rows are filled and scanned, also while they are, and gives what holds then, as JSON.
	Backfill(ctx context.Context, name string, opt BackfillOptions) (json.RawMessage, error)
	// Status is the answer of GET /v1/status as JSON (design section 10).
	Status(ctx context.Context) (json.RawMessage, error)
}

// Follower keeps a place among the proxies for the sessions at one standby: its states are those that the standby shows, since they fit what it has replayed of the tables.
type Follower interface {
	// Join joins the proxies for sessions there, and gives the state that the standby shows. Run has to follow, unless it fails.
	Join(ctx context.Context) (*rewrite.State, error)
	// Run is Control's, but that it ends with an error when there is no standby to follow any more: it was promoted, or a change waits for it and it cannot be looked at for a lease.
	// The place stays until Leave.
	Run(ctx context.Context, host Host) error
	// Leave hands the place back, so that nobody waits for it: no session may be left. It is called once, after Run.
	Leave() error

	sessionKeeper
}

// sessionKeeper is what a session needs of the place that it belongs to: Control's Register, Unregister and Look.
type sessionKeeper interface {
	Register(ctx context.Context, pids []uint32) error
	Unregister(pid uint32)
	Look()
}

// StartOptions are the options of start.
type StartOptions struct {
	MaxWait   time.Duration // give a change up, back to the settled epoch, after that time; 0: wait on
	Terminate bool          // end the transactions that keep a change waiting
}

// AdvanceOptions are the options of advance and rollback.
type AdvanceOptions struct {
	To        *lens.Phase   // nil: one phase further (or back)
	MaxWait   time.Duration // give a change up, back to the settled epoch, after that time; 0: wait on
	Terminate bool          // end the transactions that keep the change waiting
	Yes       bool          // data may go: leave is given to drop the old columns
	Unproved  bool          // enter switch-reads with coalesced reads, before the proof
	// QuietFor is how long old code must not have been heard of where a phase takes what it needs away; nil: 24h.
	QuietFor *time.Duration
}

// RetireOptions are the options of retire.
type RetireOptions struct {
	QuietFor time.Duration // how long nobody may have used the old names
	Wait     bool          // wait until that is so, instead of being refused by the gate
	MaxWait  time.Duration // give the change up, back to the settled epoch, after that time; 0: wait on
	// Terminate ends the transactions that keep the change waiting.
	Terminate bool
}

// BackfillOptions change how rows are filled and scanned; nil leaves a thing as it is.
type BackfillOptions struct {
	Paused  *bool  `json:"paused,omitempty"`
	MaxRows *int64 `json:"max_rows,omitempty"` // rows a second at most; 0: no limit
}

// Host is what Control calls in the proxy.
type Host interface {
	// Apply hands a state to all sessions, each at its next transaction boundary, and returns. Once no session runs under a state with other
	// stages (rewrite.State.SameStages), applied is called with the epoch, from any goroutine; a later Apply takes the place of an earlier one that is not
	// through.
	Apply(state *rewrite.State, applied func(epoch int64))
	// Lease says until when (on the clock of Boottime) statements on migrating tables may be sent to the server; after it they are
	// held. The zero time means now: hold at once.
	Lease(until time.Duration)
	// Ended says that server sessions, of those that Usage named as behind, are over. Who has not noticed, since his client does not read what it was sent,
	// is ended.
	Ended(pids []uint32)
	// Usage takes what has been counted since the last call.
	Usage() Usage
}

// Usage is what a proxy counted since it was last asked.
type Usage struct {
	Sessions int      // clients connected now
	PIDs     []uint32 // their server sessions, those of which that are known already
	Latency  Latency
	// Behind are the PIDs of the server sessions that keep the state handed over last from being applied.
	Behind []uint32
	// OldNames counts statements that used the old names or shape of a migration.
	OldNames []OldNames
}

// Latency is what clients waited for replies, from the first message after the last reply until nothing is outstanding, over a window of a second at least that ends with a
// call of Usage; the same one is told until the next is over. The quantiles are within an eighth.
type Latency struct {
	Window     int64   `json:"window"` // grows by one with each
	Statements int64   `json:"statements"`
	Seconds    float64 `json:"seconds"` // that the counting went on for
	P50        float64 `json:"p50"`     // seconds, as are the others; 0 where there was nothing
	P95        float64 `json:"p95"`
	P99        float64 `json:"p99"`
}

// OldNames is the use of a migration's old names by one kind of client.
type OldNames struct {
	Migration   string `json:"migration"`
	Application string `json:"application"`
	User        string `json:"user"`
	Version     string `json:"version"`
	Count       int64  `json:"count"`
}

// GateError is a gate that refuses: nothing is wrong, but the time has not come. Exit code 3.
type GateError struct {
	Gate    string   // the phase whose gate it is
	Missing []string // what is missing, each with the way on
}

// Error names what is missing.
func (e *GateError) Error() string {
	s := gateText + e.Gate + " refuses: "
	for i, m := range e.Missing {
		if i > 0 {
			s += "; "
		}
		s += m
	}
	return s
}
