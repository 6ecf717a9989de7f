package session

import "segue/rewrite"

// maxQueue is how many replies may be outstanding; at it, the client's bytes wait. It must be larger than what a server can keep unsent in its
// output buffer (8 KiB, of replies of 5 bytes at least), or both would wait for each other.
const maxQueue = 16384

// entry is one message that the server got, with what its replies need. Its kind is the message's type; copyEnd stands for CopyDone or
// CopyFail, which have no reply of their own.
type entry struct {
	kind byte
	// own messages are the session's: the client does not see their replies, but for errors.
	own   bool
	part  bool // a Query that is a part of the client's: its ReadyForQuery is not for the client, unless it fails
	probe probeMark
	// maybe marks a Sync that the server may have eaten as a part of a COPY that failed: it has a ReadyForQuery, or none.
	maybe  bool
	copyIn bool // the server is reading COPY data
	again  bool // the client waits to see whether it must be sent again

	count     int   // copyEnd: how many of them
	hidden    int   // Query: command tags of a staged COPY that have come
	piece     piece // of a staged COPY, that a message of the session's own runs
	statement int   // Query: index of the statement in the text that is being answered

	plan     *rewrite.Plan    // maps error positions and patches results; nil: nothing to patch
	shift    int              // how many characters later than in plan a position is
	tag      string           // the number of rows of the staged COPY, once it is known
	executed []executed       // by EXECUTE: for what the plans say of results and of columns in errors
	refusal  *rewrite.Refusal // the client gets it in the place of the poison's error
	always   bool             // or in the place of any error

	changes []change // what becomes of statements and portals if it succeeds, in order
	tags    int      // how many PREPARE, DEALLOCATE and DISCARD ALL have been confirmed by their command tags
}

// minRing is the length of a queue that is used at all: it stays with an idle session, and is enough for a Query or for Bind, Describe, Execute and Sync.
const minRing = 4

// copyEnd is the kind of the entry of a CopyDone or CopyFail.
const copyEnd = 'c'

// firm says whether a reply must come.
func (e *entry) firm() bool { return e.kind != copyEnd && !e.maybe }

// cycle says whether the message's last reply is ReadyForQuery.
func (e *entry) cycle() bool { return e.kind == 'Q' || e.kind == 'S' || e.kind == 'F' }

// queue is the entries in the order of their messages: a ring that grows as needed.
type queue struct {
	ring  []entry // a power of two in length
	first int
	n     int
	firm  int // entries whose reply must come
}

func (q *queue) at(i int) *entry { return &q.ring[(q.first+i)&(len(q.ring)-1)] }

// push appends an entry of that kind. The pointer is good until the next push.
func (q *queue) push(kind byte) *entry {
	if q.n == len(q.ring) {
		ring := make([]entry, max(minRing, 2*len(q.ring)))
		for i := range q.n {
			ring[i] = *q.at(i)
		}
		q.ring, q.first = ring, 0
	}
	e := q.at(q.n) // pop, and make, have left it empty but for the memory of its changes
	e.kind = kind
	q.n++
	if e.firm() {
		q.firm++
	}
	return e
}

func (q *queue) pop() {
	e := q.at(0)
	if e.firm() {
		q.firm--
	}
	clear(e.changes)
	*e = entry{changes: e.changes[:0]}
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.n--
	if q.n == 0 && len(q.ring) > 1024 {
		q.ring, q.first = nil, 0
	}
}

// doubt marks a Sync as one that may have no reply.
func (q *queue) doubt(e *entry) {
	if e.firm() {
		q.firm--
		e.maybe = true
	}
}

// settle drops entries at the front that await nothing: the ends of COPYs, and, where the server said something that no Sync is answered by,
// the Syncs that may have had no reply.
func (q *queue) settle(maybe bool) {
	for q.n > 0 {
		if e := q.at(0); e.kind != copyEnd && (!e.maybe || !maybe) {
			return
		}
		q.pop()
	}
}

// head is the entry that the server is answering, or nil.
func (q *queue) head() *entry {
	if q.n == 0 {
		return nil
	}
	return q.at(0)
}

// copyDone drops what stands for the data of a COPY that succeeded, behind the entry at the front: the Syncs that the server ate, up to the
// copy's end. It gives whether there were any. PostgreSQL's CopyGetData ignores Flush and Sync. The front entry may move in memory.
func (q *queue) copyDone() (ate bool) {
	k := 1
	for k < q.n && q.at(k).kind == 'S' {
		ate = true
		k++
	}
	if k < q.n && q.at(k).kind == copyEnd {
		if e := q.at(k); e.count > 1 {
			e.count--
		} else {
			k++
		}
	}
	for ; k > 1; k-- {
		a, b := q.at(0), q.at(1)
		*a, *b = *b, *a
		q.pop()
	}
	return ate
}

// copyFailed doubts the Syncs that the server may have eaten as a part of a COPY that failed, that of the entry at the front. It cannot have read
// on behind any other message.
func (q *queue) copyFailed() {
	for i := 1; i < q.n && q.at(i).kind == 'S'; i++ {
		q.doubt(q.at(i))
	}
}

// again says whether an entry is there that may have to be sent again.
func (q *queue) again() bool {
	for i := range q.n {
		if q.at(i).again {
			return true
		}
	}
	return false
}

// cycles says whether an entry is there that ReadyForQuery answers.
func (q *queue) cycles() bool {
	for i := range q.n {
		if q.at(i).cycle() {
			return true
		}
	}
	return false
}
