package session

import (
	"slices"

	"segue/rewrite"
	"segue/rewrite/copydata"
	"segue/rewrite/lens"
)

// Gate is what a session asks its owner, with the owner's lock on the session held: it must not block and must not call the session.
type Gate interface {
	// Admit is asked before a message that plans or runs a statement on a migrating table goes to the server. pid is the server
	// session's. false: the message is held, and with it all that the client sends after it, until Resume or Expire.
	Admit(pid uint32) bool
	// Leased is asked before a statement that names no migrating table but reads catalogs which tell of one. false: it goes as it came, since what a
	// catalog says of columns is not worth a wait.
	Leased() bool
	// Used counts a statement that was sent, as a Query or by a Bind, under a plan that touches a migration.
	Used(s *Session, p *rewrite.Plan)
}

// Options are what a session begins with.
type Options struct {
	State   *rewrite.State // never nil
	Version lens.Version   // the listener's: for sessions that do not say theirs
	Gate    Gate           // never nil
	TLS     TLSOffer
	// Long is called by Client, with the owner's lock held, before what may take more than some hundred microseconds: planning a statement for the first time, or
	// reading one that is very large. nil: nobody minds.
	Long func()
	// MaxStatement bounds, in bytes, each message that is held whole, and the texts of a session's prepared statements all together. Larger
	// statements are refused with 54000. 0: 64 MiB.
	MaxStatement int
	// MaxMessage bounds, in bytes, each message of the client, whose connection ends at it. 0: PostgreSQL's own limit, 1 GiB.
	MaxMessage int
}

// Block says whether and for what a session has stopped consuming the client's bytes.
type Block int

// What a session waits for.
const (
	NotBlocked Block = iota
	OnServer         // a reply of the server: Server ends it
	OnGate           // the gate: Resume or Expire end it
	OnTLS            // a TLS handshake, which the owner sees to: Secured ends it
)

// String is for logs and tests.
func (b Block) String() string {
	return [...]string{"not blocked", "on server", "on gate", "on TLS"}[b]
}

// waiting is what a reply of the server must bring before the client's next message can be dealt with.
type waiting int

const (
	forReady    waiting = iota // the end of authentication
	forQueue                   // fewer outstanding replies
	forSwitch                  // a ReadyForQuery, at which a new State may take effect
	forPipeline                // whether a Query ended the pipeline that it came in
	forProbe                   // the session's settings
	forRecord                  // whether a statement that an earlier pipeline made is there
	forQuiet                   // the end of what was sent before the pipeline under way
	forFront                   // the end of a failed transaction
	forOutcome                 // whether a statement must be sent again
	forCopy                    // which COPY the data belongs to
	forCopied                  // the outcome of a COPY whose rows are then put into the table
)

type phase int

const (
	starting       phase = iota // until the client's startup packet
	authenticating              // until the first ReadyForQuery
	serving
	over // nothing is consumed any more but to be dropped
)

// planner is what a session needs of package rewrite, so that tests can plan otherwise.
type planner interface {
	plan(st *rewrite.State, sql string, set rewrite.Settings, long func()) *rewrite.Plan
	kept(st *rewrite.State, sql string, set *rewrite.Settings) *rewrite.Plan
	keep(st *rewrite.State, sql string, set *rewrite.Settings, p *rewrite.Plan)
	position(p *rewrite.Plan, server int) int
}

type rewriter struct{}

func (rewriter) plan(st *rewrite.State, sql string, set rewrite.Settings, long func()) *rewrite.Plan {
	return st.PlanAside(sql, set, long)
}

func (rewriter) kept(st *rewrite.State, sql string, set *rewrite.Settings) *rewrite.Plan {
	return st.Kept(sql, set)
}

func (rewriter) keep(st *rewrite.State, sql string, set *rewrite.Settings, p *rewrite.Plan) {
	st.Keep(sql, set, p)
}

func (rewriter) position(p *rewrite.Plan, server int) int { return p.ClientPosition(server) }

// Session is the state machine of one client. It is not safe for use by several goroutines at once.
type Session struct {
	gate    Gate
	planner planner
	long    func()       // never nil
	version lens.Version // the listener's, or what the startup packet says instead
	limit   int
	largest int   // message of the client
	err     error // why the session ended; given again by every later call

	client, server     flow
	toServer, toClient output

	phase          phase
	startup        *Startup
	sslNo, gssNo   bool // an SSLRequest, a GSSENCRequest has been answered with N
	tls            TLSOffer
	secure         bool // the client speaks TLS
	binds          bool // SCRAM's channel binding can hold
	unbound        bool // it was taken out of the server's last request for authentication
	foreign        bool // the session is in another database than the one that migrates
	replication    bool // the server session is a walsender, which knows no extended protocol
	pid            uint32
	key            []byte
	major          int
	standby        string // what it says of in_hot_standby; "" of servers before 14
	application    string // what ParameterStatus says of application_name
	encoding, scs  string // of client_encoding and standard_conforming_strings
	path           string // and of search_path, where the server says so
	tx             byte   // the last ReadyForQuery's status
	state, pending *rewrite.State

	block   Block
	wait    waiting
	awaited *record  // forRecord
	denied  *refusal // why the message that the gate held is to be refused; nil: it is not
	resumed bool     // the gate is to be asked again for the message that it held, by the next call of Client

	queue queue
	// pipeline says that extended-protocol messages were sent after the last Sync or Query: an implicit transaction may be open. unsure says that
	// a Query came in the middle of them: it ended the pipeline, unless an error before it made the server skip it.
	pipeline, unsure bool
	// skip says that the server skips all messages up to the next Sync, which the client has not sent yet. murky says that it may: a COPY failed
	// and it is not known whether the server had read the Sync that came after it.
	skip, murky bool
	segment     int // counts the client's Syncs
	// ran says that something was executed since the last Sync; bound counts the portals that were made since.
	ran   bool
	bound int
	again again
	front front
	held  []*record // the portals whose Binds are kept, in order

	statements, portals map[string]*record // by name; what later messages of the client will meet
	texts               int                // bytes of the clients' texts that are kept

	copying *copydata.Stream // what becomes of the data of the COPY that the server reads, or read last; nil: it goes on as it comes
	staged  *rewrite.Plan    // of a COPY whose rows are there and are to be put into the table before anything else

	settings   *rewrite.Settings // nil until they are asked for
	badVersion string            // what segue.version was set to where that is no version
	dirty      bool              // settings must be asked for before they are used
	// unsettled says that the transaction under way may have changed the settings, so that its end may change them back; ending, that
	// messages which may end it were sent since the last ReadyForQuery.
	unsettled, ending bool
	probe             probe
	partitions        []string // of migrating tables, that the session has made or attached and the catalog may not know
}

// New makes a session that awaits a client's startup packet.
func New(o Options) *Session {
	s := &Session{
		gate: o.Gate, planner: rewriter{}, version: o.Version, limit: o.MaxStatement, state: o.State, tls: o.TLS, dirty: true,
		statements: map[string]*record{}, portals: map[string]*record{},
	}
	if s.largest = o.MaxMessage; s.largest == 0 {
		s.largest = largeFrame
	}
	if s.limit == 0 {
		s.limit = 64 << 20
	}
	if s.version == "" {
		s.version = lens.Auto
	}
	if s.long = o.Long; s.long == nil {
		s.long = func() {}
	}
	return s
}

// ToServer takes the bytes that are to be written to the server, or nil. They are the caller's, who gives them to Recycle when they are written.
func (s *Session) ToServer() []byte { return s.toServer.take() }

// ToClient takes the bytes that are to be written to the client, or nil. They are the caller's, who gives them to Recycle when they are written.
func (s *Session) ToClient() []byte { return s.toClient.take() }

// Blocked says whether and for what the client's bytes wait. While it is not NotBlocked, Client consumes nothing.
func (s *Session) Blocked() Block { return s.block }

// Resume lets the next call of Client ask the gate again.
func (s *Session) Resume() {
	if s.block == OnGate {
		s.block, s.resumed = NotBlocked, true
	}
}

// Expire refuses the message that the gate holds, with 57P03 in its place, by the next call of Client.
func (s *Session) Expire() {
	if s.block == OnGate {
		s.block, s.denied = NotBlocked, refuseExpired()
	}
}

// Cancel deals with a request to cancel what the session does. It says whether the request is for the server, too: where the gate holds a message, that is refused as the server
// would have cancelled it, by the next call of Client; where nothing is outstanding, there is nothing to cancel, and the request must not meet what comes next.
func (s *Session) Cancel() bool {
	if s.block == OnGate || s.resumed {
		s.block, s.denied = NotBlocked, refuseCancelled()
	}
	return s.phase != serving || s.queue.n > 0
}

// Key is what a request to cancel has to know of the server session: its PID and its secret, as they came; nil before. The secret's length depends on the
// protocol's version.
func (s *Session) Key() []byte { return s.key }

// SetState gives the session another state to plan with. It takes effect at the next transaction boundary, at once where the session is at
// one; until then no further transaction of the client is begun.
func (s *Session) SetState(st *rewrite.State) {
	s.pending = st
	s.boundary()
	s.wake()
}

// State is the state in force, which is not the last SetState's before the next transaction boundary.
func (s *Session) State() *rewrite.State { return s.state }

// boundary puts a pending state in force where the session is at a transaction boundary.
func (s *Session) boundary() {
	if s.pending != nil && s.AtBoundary() {
		// A name can mean another table than it did, and other names are asked for.
		if s.state.Catalog != s.pending.Catalog || !slices.Equal(s.state.TableNames(), s.pending.TableNames()) {
			s.dirty = true
		}
		s.state, s.pending = s.pending, nil
		known := s.state.TableNames()
		s.partitions = slices.DeleteFunc(s.partitions, func(name string) bool { return slices.Contains(known, name) })
	}
}

// AtBoundary says whether no reply is outstanding and the server idles outside a transaction. It is true before the first statement.
func (s *Session) AtBoundary() bool {
	return s.phase != serving || s.tx == 'I' && s.queue.firm == 0 && !s.pipeline && !s.skip && !s.murky && s.again.stage == notAgain
}

// Outstanding says whether the server has yet to answer something that it was sent.
func (s *Session) Outstanding() bool { return s.phase == serving && s.queue.firm > 0 }

// InTransaction says whether the server's last ReadyForQuery was inside a transaction block, a failed one included.
func (s *Session) InTransaction() bool { return s.tx == 'T' || s.tx == 'E' }

// ServerMajor is the server's major version, as it has reported; 0 before.
func (s *Session) ServerMajor() int { return s.major }

// HotStandby says whether the server has reported that it is a standby; servers before 14 do not say, and known is false.
func (s *Session) HotStandby() (standby, known bool) { return s.standby == "on", s.standby != "" }

// PID is the server session's, from BackendKeyData; 0 before it.
func (s *Session) PID() uint32 { return s.pid }

// Application is the client's application_name, as the server reported it last; "" where it has none.
func (s *Session) Application() string { return s.application }

// VersionName is the version in force: what the session set last, as far as that is known, or the startup packet's, or the listener's.
func (s *Session) VersionName() lens.Version {
	if s.settings != nil {
		return s.settings.Version
	}
	return s.version
}

// await stops the client's side until the server has brought what is waited for.
func (s *Session) await(w waiting) { s.block, s.wait = OnServer, w }

// wake ends a wait for the server where what was waited for is there.
func (s *Session) wake() {
	if s.block != OnServer {
		return
	}
	var waits bool
	switch s.wait {
	case forReady:
		waits = s.phase == authenticating
	case forQueue:
		waits = s.queue.n >= maxQueue
	case forSwitch:
		waits = s.switching()
	case forPipeline:
		waits = s.unsure
	case forProbe:
		waits = s.probe.running
	case forRecord:
		waits = s.awaited.pending
	case forQuiet:
		waits = s.queue.cycles() && !s.queue.head().copyIn
	case forFront:
		waits = s.front.running
	case forOutcome:
		waits = s.queue.again()
	case forCopy:
		waits = s.copyUnknown()
	case forCopied:
		waits = s.queue.head() != nil && s.queue.head().copyIn
	}
	if !waits {
		s.block, s.awaited = NotBlocked, nil
	}
}

// switching says whether the client's next message must wait, since a state is pending and what was sent last may have ended a
// transaction. During COPY FROM it need not, since the server is waiting for the client: in the simple protocol until the client has
// sent CopyDone, in the extended one until the server has answered a Sync, before which it need not send anything.
func (s *Session) switching() bool {
	if s.pending == nil || s.pipeline && !s.unsure || s.queue.firm == 0 {
		return false
	}
	e := s.queue.head()
	return !e.copyIn || e.kind == 'Q' && s.queue.at(s.queue.n-1).kind == copyEnd
}

// Fail ends the session with a FATAL error for the client, whose bytes the owner writes before it closes both sides. In the middle of a
// frame that is being streamed to the client nothing can be said, and nothing is.
func (s *Session) Fail(code, message, hint string) {
	if s.server.left == 0 || s.server.drop {
		s.toClient.fatal(code, message, hint)
	}
	s.phase = over
	s.server.left, s.server.drop = 0, false
}
