package proxy

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"segue/rewrite"
	"segue/rewrite/lens"
)

// maxExplainBody bounds the body of POST /v1/explain, in bytes: it has a statement in it, with JSON's escapes.
const maxExplainBody = 32 << 20

// parserMajor is the major version of PostgreSQL whose grammar the parser knows.
const parserMajor = 16

// serverMajor gives the server's major version as some session of this moment has it; 0 where there is none that is not busy.
func (h *hub) serverMajor() int {
	for _, c := range h.all() {
		if !c.mu.TryLock() {
			continue
		}
		major := c.session.ServerMajor()
		c.mu.Unlock()
		if major > 0 {
			return major
		}
	}
	return 0
}

// ExplainRequest is the body of POST /v1/explain.
type ExplainRequest struct {
	SQL     string       `json:"sql"`
	Version lens.Version `json:"version,omitempty"` // "": the listener's
	Path    []string     `json:"path,omitempty"`    // the search path; nil: public
	// ServerMajor is the server's major version; 0: the one whose grammar the parser knows.
	ServerMajor int `json:"server_major,omitempty"`
}

// Explanation is the answer of POST /v1/explain: what the server would get, and why.
type Explanation struct {
	Kind       string              `json:"kind"` // pass, rewrite, refuse
	SQL        string              `json:"sql,omitempty"`
	Migrations []string            `json:"migrations,omitempty"`
	OldNames   []string            `json:"old_names,omitempty"` // migrations of which it uses the old names or shape
	Refusal    *RefusalAnswer      `json:"refusal,omitempty"`
	Tables     []rewrite.TableView `json:"tables,omitempty"`  // the migrating tables that it uses, as this code sees them
	Indexes    []IndexNote         `json:"indexes,omitempty"` // where the column's own index does not serve
	Epoch      int64               `json:"epoch"`
	Version    lens.Version        `json:"version"`
}

// RefusalAnswer is what the client would get instead of the statement's outcome.
type RefusalAnswer struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	Detail   string `json:"detail,omitempty"`
	Hint     string `json:"hint,omitempty"`
	Position int    `json:"position,omitempty"` // in characters of the statement, from 1
	Line     int    `json:"line,omitempty"`     // of the position, from 1
	Column   int    `json:"column,omitempty"`   // of the position in its line, in characters from 1
}

// IndexNote is a place where the statement looks for rows by a column, and an index on that column alone does not serve.
type IndexNote struct {
	Table    string `json:"table"`
	Column   string `json:"column"`
	Position int    `json:"position"` // in characters of the statement, from 1
	Reads    string `json:"reads"`    // what stands there instead
	// Index is the index that would serve; "" where none would, until all rows are proved to agree.
	Index string `json:"index,omitempty"`
}

// Explain plans a statement for a session with the usual settings, as the state has it. An error wraps ErrInvalid.
func Explain(state *rewrite.State, req ExplainRequest) (*Explanation, error) {
	switch req.Version {
	case lens.Old, lens.New, lens.Auto:
	default:
		if !state.HasMigration(string(req.Version)) {
			return nil, invalid{fmt.Errorf("%q is no version: use old, new, auto or the name of a migration that is under way", req.Version)}
		}
	}
	path := req.Path
	if path == nil {
		path = []string{"public"}
	}
	major := req.ServerMajor
	if major == 0 {
		major = parserMajor
	}
	x := state.Explain(req.SQL, rewrite.Settings{Version: req.Version, Path: path, ServerMajor: major, Encoding: "UTF8"})
	e := &Explanation{Migrations: x.Migrations, OldNames: x.OldNames, Epoch: state.Epoch, Version: req.Version}
	switch x.Kind {
	case rewrite.Pass:
		e.Kind, e.SQL = "pass", x.SQL
	case rewrite.Rewrite:
		e.Kind, e.SQL = "rewrite", x.SQL
	case rewrite.Refuse:
		r := x.Refusal
		e.Kind, e.Refusal = "refuse", &RefusalAnswer{Code: r.Code, Message: r.Message, Detail: r.Detail, Hint: r.Hint, Position: r.Position}
		e.Refusal.Line, e.Refusal.Column = lineOf(req.SQL, r.Position)
	}
	e.Tables = x.Tables
	for _, n := range x.Indexes {
		note := IndexNote{Table: n.Table, Column: n.Column, Position: n.Position, Reads: n.Read}
		if n.Needs != "" {
			note.Index = fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s ((%s))", note.Table, n.Needs)
		}
		e.Indexes = append(e.Indexes, note)
	}
	return e, nil
}

// lineOf gives the line of a position and the place in it, all from 1; nothing for no position.
func lineOf(text string, position int) (line, column int) {
	if position < 1 {
		return 0, 0
	}
	line, column = 1, 1
	for i := 0; position > 1 && i < len(text); position-- {
		_, n := utf8.DecodeRuneInString(text[i:])
		column++
		if text[i] == '\n' || text[i] == '\r' && !strings.HasPrefix(text[i:], "\r\n") {
			line, column = line+1, 1
		}
		i += n
	}
	return line, column
}
