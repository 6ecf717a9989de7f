package lens

import "fmt"

// Phase is where a migration stands. The order is the order in which a migration goes through them.
type Phase int

// The phases of design section 4.
const (
	Pending Phase = iota
	Expand
	DualWrite
	Backfilling
	SwitchReads
	Contract
	Complete
	Retired
)

var phaseNames = [...]string{"pending", "expand", "dual-write", "backfill", "switch-reads", "contract", "complete", "retired"}

// String is the phase's name as users write it.
func (p Phase) String() string { return phaseNames[p] }

// ParsePhase reads a phase's name.
func ParsePhase(s string) (Phase, error) {
	for i, n := range phaseNames {
		if n == s {
			return Phase(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no phase; the phases are pending, expand, dual-write, backfill, switch-reads, contract, complete, retired", s)
}

// MarshalText writes the phase's name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the phase's name.
func (p *Phase) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePhase(string(b))
	return err
}

// Step is a settled step inside a phase.
type Step int

// The steps of design section 4.
const (
	NoStep     Step = iota
	InferNew        // contract (a2): ON CONFLICT infers on the new column
	WriteNew        // complete (b): the proxies write the new side only, the guard fills the old one
	WriteOld        // rollback: the proxies write the old side only, the guard fills the new one
	BothUnique      // contract (a1): the new column's unique index comes to stand beside the old one's
	NewOnly         // contract, of a split: old code is served no more, and nothing has gone yet
)

var stepNames = [...]string{"", "infer-new", "write-new", "write-old", "both-unique", "new-only"}

// String is the step's name; "" for none.
func (s Step) String() string { return stepNames[s] }

// MarshalText writes the step's name.
func (s Step) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the step's name.
func (s *Step) UnmarshalText(b []byte) error {
	for i, n := range stepNames {
		if n == string(b) {
			*s = Step(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no step of a phase", b)
}

// Stage is all of an epoch that the forms depend on.
type Stage struct {
	Phase  Phase `json:"phase"`
	Step   Step  `json:"step"`
	Proved bool  `json:"proved"` // every row was found in agreement, with the guard in place all the while
}

// String is for people: "contract/infer-new", "backfill, proved".
func (s Stage) String() string {
	t := s.Phase.String()
	if s.Step != NoStep {
		t += "/" + s.Step.String()
	}
	if s.Proved {
		t += ", proved"
	}
	return t
}

// Version is the schema that a session's code was written for: "old", "new", "auto" or a migration's name.
type Version string

// The versions that are no migration's name.
const (
	Old  Version = "old"
	New  Version = "new"
	Auto Version = "auto"
)
