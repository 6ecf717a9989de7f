package oracle

import "segue/rewrite/lens"

// Stand is one point of a migration at which statements may meet the database: the stage that a proxy plans with, the form that
// its catalog knows, and the form that the table really has, which may be a step further.
type Stand struct {
	Name     string
	Stage    lens.Stage
	Catalog  Form
	Physical Form
}

// Stands are all of them, in the order of a migration, then those of a rollback.
var Stands = []Stand{
	{"pending", lens.Stage{Phase: lens.Pending}, OldOnly, OldOnly},
	{"pending, expanded unseen", lens.Stage{Phase: lens.Pending}, OldOnly, Unfilled},
	{"pending, expanded", lens.Stage{Phase: lens.Pending}, Unfilled, Unfilled},
	{"expand", lens.Stage{Phase: lens.Expand}, Unfilled, Unfilled},
	{"dual-write", lens.Stage{Phase: lens.DualWrite}, Unfilled, Unfilled},
	{"backfill", lens.Stage{Phase: lens.Backfilling}, Unfilled, Unfilled},
	{"backfill, proved", lens.Stage{Phase: lens.Backfilling, Proved: true}, Filled, Filled},
	{"switch-reads, unproved", lens.Stage{Phase: lens.SwitchReads}, Unfilled, Unfilled},
	{"switch-reads, proved", lens.Stage{Phase: lens.SwitchReads, Proved: true}, Filled, Filled},
	{"contract", lens.Stage{Phase: lens.Contract, Proved: true}, Filled, Filled},
	{"contract/infer-new", lens.Stage{Phase: lens.Contract, Step: lens.InferNew, Proved: true}, Filled, Filled},
	{"contract/infer-new, released unseen", lens.Stage{Phase: lens.Contract, Step: lens.InferNew, Proved: true}, Filled, Released},
	{"contract/infer-new, released", lens.Stage{Phase: lens.Contract, Step: lens.InferNew, Proved: true}, Released, Released},
	{"complete/write-new", lens.Stage{Phase: lens.Complete, Step: lens.WriteNew, Proved: true}, Released, Released},
	{"complete/write-new, dropped unseen", lens.Stage{Phase: lens.Complete, Step: lens.WriteNew, Proved: true}, Released, NewOnly},
	{"complete", lens.Stage{Phase: lens.Complete, Proved: true}, NewOnly, NewOnly},
	{"pending/write-old", lens.Stage{Phase: lens.Pending, Step: lens.WriteOld}, Unfilled, Unfilled},
	{"pending/write-old, dropped unseen", lens.Stage{Phase: lens.Pending, Step: lens.WriteOld}, Unfilled, OldOnly},
}

// keeps says whether the side's own column is there to stay, as far as a proxy at the stand knows: then results name it as their origin. Where it
// is not there, or goes with the next step, they may name the other one.
func (s *Stand) keeps(side Side) bool {
	return s.Catalog.has(side) && s.Stage.Step != lens.WriteNew && s.Stage.Step != lens.WriteOld
}

// Client is a version that a session may have, with the side that its code was written for.
type Client struct {
	Version lens.Version
	Side    Side
}

// Clients are all of them.
var Clients = []Client{{lens.Old, OldSide}, {lens.New, NewSide}, {lens.Auto, OldSide}, {lens.Auto, NewSide}}

// String is for messages: "auto, old code".
func (c Client) String() string {
	if c.Version != lens.Auto {
		return string(c.Version)
	}
	return "auto, " + [...]string{"old", "new"}[c.Side] + " code"
}
