package proxy

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// maxExplainBody bounds the body of POST /v1/explain, in bytes: it has a statement in it, with JSON's escapes.
const maxExplainBody = 32 << 20

// ExplainRequest is the body of POST /v1/explain.
type ExplainRequest struct {
	SQL     string       `json:"sql"`
	Version lens.Version `json:"version,omitempty"` // "": the listener's
	Path    []string     `json:"path,omitempty"`    // the search path; nil: public
}

// Explanation is the answer of POST /v1/explain: what the server would get, and why.
type Explanation struct {
	Kind       string           `json:"kind"` // pass, rewrite, refuse
	SQL        string           `json:"sql,omitempty"`
	Migrations []string         `json:"migrations,omitempty"`
	OldNames   []string         `json:"old_names,omitempty"` // migrations of which it uses the old names or shape
	Refusal    *RefusalAnswer   `json:"refusal,omitempty"`
	Tables     []ExplainedTable `json:"tables,omitempty"`  // the migrating tables that it uses, as this code sees them
	Indexes    []IndexNote      `json:"indexes,omitempty"` // where the column's own index does not serve
	Epoch      int64            `json:"epoch"`
	Version    lens.Version     `json:"version"`
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

// ExplainedTable is a migrating table as the statement's code sees it.
type ExplainedTable struct {
	Table      string               `json:"table"`
	Migrations []ExplainedMigration `json:"migrations"`
	Columns    []ExplainedColumn    `json:"columns"` // in the order of *
}

// ExplainedMigration is where a migration stands, and for which of its sides the statement was written.
type ExplainedMigration struct {
	Name string `json:"name"`
	lens.Stage
	Side lens.Version `json:"side"` // old, new
}

// ExplainedColumn is how one column is read and written.
type ExplainedColumn struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Migration string `json:"migration,omitempty"` // "": it is read and written as it is
	Reads     string `json:"reads,omitempty"`     // SQL over the table's columns
	// Writes are the assignments that setting the column to `value` makes; the code's other columns stand for themselves.
	Writes []string `json:"writes,omitempty"`
	// Unreadable and Unwritable say why the column cannot be read or written now.
	Unreadable string `json:"unreadable,omitempty"`
	Unwritable string `json:"unwritable,omitempty"`
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
	x := state.Explain(req.SQL, rewrite.Settings{Version: req.Version, Path: path, ServerMajor: 16, Encoding: "UTF8"})
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
	for _, l := range x.Lenses {
		e.Tables = append(e.Tables, explainTable(state, l))
	}
	for _, n := range x.Indexes {
		note := IndexNote{Table: tableName(n.Table), Column: n.Column.Name, Position: n.Position, Reads: n.Read}
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

func tableName(r *catalog.Relation) string { return catalog.QuoteQualified(r.Schema, r.Name) }

func explainTable(state *rewrite.State, l *lens.Lens) ExplainedTable {
	t := ExplainedTable{Table: tableName(l.Relation)}
	sides := map[string]lens.Version{}
	for i := range l.Columns {
		c := &l.Columns[i]
		col := ExplainedColumn{Name: c.Name, Type: c.Type.SQL, Migration: c.Migration()}
		if c.Migrates() {
			sides[c.Migration()] = lens.New
			if c.Tie.OldSide {
				sides[c.Migration()] = lens.Old
			}
			explainColumn(&col, c)
		}
		t.Columns = append(t.Columns, col)
	}
	for _, name := range l.Migrations {
		m := ExplainedMigration{Name: name, Side: sides[name]}
		m.Stage, _ = state.Stage(name)
		t.Migrations = append(t.Migrations, m)
	}
	return t
}

func explainColumn(to *ExplainedColumn, c *lens.Column) {
	switch {
	case c.Unreadable != "":
		to.Unreadable = c.Unreadable
	default:
		to.Reads = c.Read.Expand(catalog.QuoteIdent)
	}
	if c.Tie.Refuse != "" {
		to.Unwritable = c.Tie.Refuse
		return
	}
	if c.Tie.Own || len(c.Tie.Others) == 0 {
		to.Writes = append(to.Writes, catalog.QuoteIdent(c.Physical)+" = value")
	}
	for _, o := range c.Tie.Others {
		to.Writes = append(to.Writes, catalog.QuoteIdent(o.Target)+" = "+o.Form.Expand(func(name string) string {
			if name == c.Name {
				return "value"
			}
			return catalog.QuoteIdent(name)
		}))
	}
}
