package proxy

import "errors"

// What an error of Control's operations is about, for errors.Is; the admin socket answers each with a status of its own. A GateError is told
// apart by its type. Anything else is a failure (500).
var (
	ErrUnknown  = errors.New("unknown migration")     // 404: there is no migration of that name
	ErrConflict = errors.New("not in this state")     // 409: the migration, or the work under way on it, does not allow it now
	ErrInvalid  = errors.New("cannot be carried out") // 400: the request or the definition is wrong, whenever it comes
)
