package rewrite

import (
	"hash/maphash"

	"segue/rewrite/catalog"
	"segue/rewrite/copydata"
	"segue/rewrite/lens"
)

// Kind is the outcome of planning.
type Kind int

// The three outcomes: pass, rewrite rightly, or refuse; never guess.
const (
	Pass    Kind = iota // the text goes to the server as it came
	Rewrite             // Plan.SQL goes instead
	Refuse              // nothing goes; the client gets Plan.Refusal as an ErrorResponse
)

// Plan is the outcome of planning one Query or Parse text. It is immutable and may be shared by sessions.
type Plan struct {
	Kind    Kind
	SQL     string   // the text to send; for Pass the client's own
	Refusal *Refusal // set for Refuse only
	// Before is set where the refusal is PostgreSQL's own error about a later statement of the text: the plan for those before it, which the server carries out
	// before it comes to that one.
	Before *Plan
	// Migrations that the text touches, by name; nil where it names no migrating table.
	Migrations []string
	// OldNames are the migrations of which the text uses the old columns by name, or the old shape by `*`, a list-less
	// INSERT or COPY, or a whole row: what `retired` waits for the end of.
	OldNames []string
	// Results has, for each statement of the text that gives rows and needs it, what RowDescription must be patched with.
	Results []Result
	// Copies are the COPY FROMs of the text that need something of the session.
	Copies []CopyIn
	// Prepares is the name of the statement that the text, an SQL-level PREPARE, makes; "" for any other text.
	Prepares string
	// Made are the names of partitions of migrating tables that the text makes, attaches or detaches, which the catalog is to learn of.
	Made []string

	again map[string]bool        // the columns whose unique indexes the statement may meet beside its arbiter; nil: none
	names map[tableColumn]string // what the code calls columns of the other side, where one stands for one
	rows  map[string]*rowShape   // by table: how rows in errors become the code's own
	edits []edit                 // sorted
	spans []span                 // how SQL came from the client's text, for ClientPosition
	text  string                 // the client's text
	sent  string                 // SQL in UTF-8, where the client's encoding is another
	// bytesOnly says that positions count bytes: the encoding has one byte a character.
	bytesOnly bool
	lenses    []*lens.Lens // of the tables that the text uses
	unparsed  bool         // the parser does not understand the text, which may be for a constant in it
}

// ClientText is the text that was planned, in UTF-8 where the client's encoding could be taken for that.
func (p *Plan) ClientText() string { return p.text }

type tableColumn struct{ table, column string }

// ClientName gives the name by which the client's code calls a column that an error of the server names: the column itself, unless it is
// the other side's.
func (p *Plan) ClientName(table, column string) string {
	if name, ok := p.names[tableColumn{table, column}]; ok {
		return name
	}
	return column
}

// ClientNames calls f with each column that may be named in an error and that the client's code calls by another name.
func (p *Plan) ClientNames(f func(table, column, name string)) {
	for k, name := range p.names {
		f(k.table, k.column, name)
	}
}

// Result is what a result's RowDescription must say instead of what the server says.
type Result struct {
	Statement int      // index of the statement in the text, from 0
	Origins   []Origin // columns whose origin, or type, the rewriting hid
}

// CopyIn is a COPY FROM into a migrating table.
type CopyIn struct {
	Statement int            // index of the statement in the client's text, from 0
	Table     string         // the table's bare name
	Spec      *copydata.Spec // what becomes of the data; nil: it goes on as it comes, or comes from a file of the server's
	// Guarded says that the server puts the rows in one by one, for the guard's sake: then it shows a row in errors that it would show without.
	Guarded bool
	Staged  *Staged // nil: the rows go right into the table
}

// Staged says what stands in for a COPY whose rows cannot go into the table as they are. In a Query, Before, the COPY, After and Count are four statements of the text;
// by the extended protocol each goes by itself. The client is to see one COPY, of as many rows as Count gives.
type Staged struct {
	Before, After, Count string
	Insert               string // the statement inside of After: errors in it have it in their context
	From, To             int    // where the COPY is in the plan's SQL, in bytes
	File                 bool   // the data comes from a file or a program of the server's
}

// Origin is a result column's origin: RowDescription's table OID and attribute number.
type Origin struct {
	Column int // index in the result, from 0
	Table  uint32
	Num    int16
	// Type is set where the column is a table's whole row, by the OID of the type. Num is 0 then, and Table where the row is no table's as it is.
	Type uint32
}

// Refusal is an error in the server's terms, in the place of the statement's own outcome.
type Refusal struct {
	Code     string // SQLSTATE
	Message  string
	Detail   string
	Hint     string
	Position int // in characters of the client's text, from 1; 0 where there is none
}

// Settings are what a session's statements are resolved under.
type Settings struct {
	Version lens.Version
	// Path is current_schemas(true) of the session: the effective search path with pg_catalog and, where the session has one, its temporary schema.
	Path []string
	// Temp are the names of the relations in the session's temporary schema.
	Temp []string
	// TempTables are those of them that have columns, as far as they are known; the others are of unknown shape.
	TempTables []*catalog.Relation
	// Members are partitions of migrating tables that have come since the catalog was read: their own columns, and Parents.
	Members []*catalog.Relation
	// Means says which relation each migrating table's bare name means in the session, by OID; 0 where it means none. Nil where nobody asked.
	Means map[string]uint32
	// ServerMajor is the server's major version: 15.
	ServerMajor int
	// Encoding is client_encoding as PostgreSQL spells it: "UTF8".
	Encoding string
	// Backslash says that standard_conforming_strings is off.
	Backslash bool

	made string // what key gives, where Keyed has worked it out
	hash uint64 // of made
}

// Keyed gives settings that plan faster: what tells them apart from others is worked out once. None of their fields may be changed from then on.
func (set Settings) Keyed() Settings {
	set.made = ""
	set.made = set.key()
	set.hash = maphash.String(textSeed, set.made)
	return set
}
