package agree

// History names the history that a database has: after a promotion its timeline is another one, and what the former primary had not sent is not in it.
type History struct {
	System   string // the cluster's system identifier
	Timeline int64
}

// Known says whether it has been read at all: a state of before histories were noted has none.
func (h History) Known() bool { return h != History{} }

// Mark is a point in a database's history: an epoch, and who wrote it. Numbers alone do not tell two histories apart, since both go on counting from
// where they parted.
type Mark struct {
	History
	Branch int64 // the epoch by which it was last noted that the database had gone back; 0: never
	Epoch  int64
	Writer string // the work, or the place, that wrote the epoch; "" for the first one
}

// Forked says whether a database that stands at now has lost what it once had at m, or may have: it is another's history, or an older state of its own, or somebody has noted
// since that it went back.
func (m Mark) Forked(now Mark) bool {
	return now.History != m.History || now.Branch != m.Branch || now.Epoch < m.Epoch || now.Epoch == m.Epoch && now.Writer != m.Writer
}
