package proxy

import (
	"errors"
	"strings"
)

// What an error of Control's operations is about, for errors.Is; the admin socket answers each with a status of its own. A GateError is told
// apart by its type. Anything else is a failure (500).
var (
	ErrUnknown  = errors.New("unknown migration")     // 404: there is no migration of that name
	ErrConflict = errors.New("not in this state")     // 409: the migration, or the work under way on it, does not allow it now
	ErrInvalid  = errors.New("cannot be carried out") // 400: the request or the definition is wrong, whenever it comes
)

// gateText is what GateError.Error begins with.
const gateText = "the gate of "

// ParseGate reads back what GateError.Error wrote, as a migration's status has it of work that a gate ended; nil where the text is no such
// error.
func ParseGate(text string) *GateError {
	rest, ok := strings.CutPrefix(text, gateText)
	if !ok {
		return nil
	}
	gate, missing, ok := strings.Cut(rest, " refuses: ")
	if !ok {
		return nil
	}
	return &GateError{Gate: gate, Missing: strings.Split(missing, "; ")}
}
