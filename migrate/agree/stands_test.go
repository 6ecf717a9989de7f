package agree

import "fmt"

// stand is where the model's migration stands: the steps of a rename that differ in what a statement names, what is read, or what the table has. migrate's steps.go goes the
// same ways.
type stand int8

const (
	pending stand = iota
	expand
	dualWrite
	proved
	switchReads
	writeNew
	complete
	writeOld // on the way back to pending
	stands
	none stand = -1
)

func (s stand) String() string {
	if s == none {
		return "nothing"
	}
	return [stands]string{"pending", "expand", "dual-write", "backfill, proved", "switch-reads", "write-new", "complete", "write-old"}[s]
}

// Columns of the model's table.
const (
	oldColumn = 1 << iota
	newColumn
)

// names is what the statements of a stand's lens name; reads says that they read the new column, which has to be filled then.
func (s stand) names() int8 {
	switch s {
	case pending, expand, writeOld:
		return oldColumn
	case dualWrite, proved, switchReads:
		return oldColumn | newColumn
	default:
		return newColumn
	}
}

func (s stand) reads() bool { return s >= switchReads && s <= complete }

// way is a change from one stand to another. ddl is what it makes of the table in the same transaction, under a lock that waits out who has touched it; fixed says that it cannot be given up.
type way struct {
	from, to   stand
	add, drop  int8
	fixed      bool
	back       bool
	proves     bool
	needsProof bool
}

var ways = []way{
	{from: pending, to: expand, add: newColumn},
	{from: expand, to: dualWrite},
	{from: dualWrite, to: proved, proves: true},
	{from: proved, to: switchReads, needsProof: true},
	{from: switchReads, to: writeNew},
	{from: writeNew, to: complete, drop: oldColumn, fixed: true},
	{from: writeNew, to: switchReads, back: true},
	{from: switchReads, to: proved, back: true},
	{from: proved, to: writeOld, back: true},
	{from: dualWrite, to: writeOld, back: true},
	{from: expand, to: writeOld, back: true},
	{from: writeOld, to: pending, drop: newColumn, fixed: true, back: true},
}

// adjacent says whether statements of both stands may be under way at once.
func adjacent(a, b stand) bool {
	if a == b {
		return true
	}
	for _, w := range ways {
		if w.from == a && w.to == b || w.from == b && w.to == a {
			return true
		}
	}
	return false
}

func columns(c int8) string { return fmt.Sprint([]string{"none", "old", "new", "old and new"}[c]) }
