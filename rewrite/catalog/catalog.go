// Package catalog is an immutable snapshot of what PostgreSQL's system catalogs say about relations, functions and
// operators, as far as rewriting needs it. Reading it from a server, and noticing that it went stale, is left to others
// (package migrate).
package catalog

import (
	"maps"
	"strings"
)

// Type is a column's type: what RowDescription calls it and what SQL calls it.
type Type struct {
	OID uint32 `json:"oid"`
	Mod int32  `json:"mod"` // atttypmod; -1 where the type has none
	SQL string `json:"sql"` // format_type(atttypid, atttypmod): "character varying(40)"
}

// Column is one live (not dropped) column of a relation.
type Column struct {
	Name      string
	Num       int16 // attnum, counted from 1
	Type      Type
	NotNull   bool
	Default   string // pg_get_expr of the default; "" where there is none
	Generated bool   // GENERATED ALWAYS AS (...) STORED: cannot be written
	Identity  bool   // GENERATED ... AS IDENTITY
}

// Kind is a relation's kind, pg_class.relkind.
type Kind byte

// The kinds of relation that a statement can name in FROM.
const (
	Table            Kind = 'r'
	PartitionedTable Kind = 'p'
	View             Kind = 'v'
	MaterializedView Kind = 'm'
	ForeignTable     Kind = 'f'
	CompositeType    Kind = 'c'
)

// Relation is a table, a view or another thing with columns.
type Relation struct {
	OID        uint32
	RowType    uint32 // OID of the type of its rows; 0 where it is not known
	Schema     string
	Name       string
	Kind       Kind
	Columns    []Column // in attnum order
	PrimaryKey []string // in key order; nil where there is none
	Parents    []uint32 // OIDs of the relations that it is a partition or an inheritance child of, in order
	// ByColumn says that somebody has privileges on single columns: a statement must not name more of them than it has to.
	ByColumn bool
	// Constraints are the columns of each constraint by its name, "" among them for what is more than columns: an expression, a whole row, the primary key.
	// One that is not there may have come since. nil where they are not known.
	Constraints map[string][]string
}

// Column gives the live column of that name, or nil.
func (r *Relation) Column(name string) *Column {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return &r.Columns[i]
		}
	}
	return nil
}

// Function is all functions of one schema and name taken together: a statement names them without telling which.
type Function struct {
	Schema   string
	Name     string
	Volatile bool     // some overload is VOLATILE, or returns a set: it is not to be computed twice
	Columns  []string // names that any overload gives its result columns by OUT, TABLE or INOUT arguments; nil for scalars
	Row      bool     // some overload returns a composite or anonymous record
	Open     bool     // some overload returns one without naming its columns
	Scalar   bool     // some overload returns another type, and does not name it
	Dear     bool     // some overload has a COST of more than 10,000: the planner puts what costs less before it
}

// Catalog is the snapshot. It is never changed after New; all methods may be called at once from many goroutines.
type Catalog struct {
	// Database is the name of the database that it is of; "" where it is any. Set it before the catalog is used.
	Database string

	relations map[name]*Relation
	byOID     map[uint32]*Relation
	children  map[uint32][]*Relation // by the parent's OID
	functions map[name]*Function
	operators map[string]bool
}

type name struct{ schema, name string }

// New makes a snapshot of the given relations and functions; volatileOperators are the names of operators of which some
// overload is carried out by a VOLATILE function. The catalog keeps the slices and takes over what they point to.
func New(relations []*Relation, functions []*Function, volatileOperators []string) *Catalog {
	c := &Catalog{
		relations: make(map[name]*Relation, len(relations)),
		byOID:     make(map[uint32]*Relation, len(relations)),
		children:  map[uint32][]*Relation{},
		functions: make(map[name]*Function, len(functions)),
		operators: make(map[string]bool, len(volatileOperators)),
	}
	for _, r := range relations {
		c.relations[name{r.Schema, r.Name}] = r
		c.byOID[r.OID] = r
		for _, parent := range r.Parents {
			c.children[parent] = append(c.children[parent], r)
		}
	}
	for _, f := range functions {
		c.functions[name{f.Schema, f.Name}] = f
	}
	for _, o := range volatileOperators {
		c.operators[o] = true
	}
	return c
}

// With gives a catalog that has one more relation.
func (c *Catalog) With(r *Relation) *Catalog {
	out := *c
	out.relations, out.byOID = maps.Clone(c.relations), maps.Clone(c.byOID)
	out.relations[name{r.Schema, r.Name}], out.byOID[r.OID] = r, r
	return &out
}

// Relation gives the relation of that schema and name, or nil.
func (c *Catalog) Relation(schema, rel string) *Relation { return c.relations[name{schema, rel}] }

// ByOID gives the relation of that OID, or nil.
func (c *Catalog) ByOID(oid uint32) *Relation { return c.byOID[oid] }

// Descendants gives the partitions and inheritance children of a relation, at any depth, each once and behind some parent of its own.
func (c *Catalog) Descendants(oid uint32) []*Relation {
	var all []*Relation
	seen := map[uint32]bool{oid: true}
	for next := []uint32{oid}; len(next) > 0; {
		var below []uint32
		for _, parent := range next {
			for _, r := range c.children[parent] {
				if !seen[r.OID] {
					seen[r.OID] = true
					all, below = append(all, r), append(below, r.OID)
				}
			}
		}
		next = below
	}
	return all
}

// Find looks an unqualified relation name up along a search path as PostgreSQL does, pg_catalog first where the path
// does not name it. It gives nil where no schema of the path has it.
func (c *Catalog) Find(path []string, rel string) *Relation {
	for _, s := range effective(path) {
		if r := c.relations[name{s, rel}]; r != nil {
			return r
		}
	}
	return nil
}

// Function looks a function name up: in one schema, or along the path where schema is "". The overloads of all schemas on the
// path are taken together, since which one a call means depends on types that are not known here. It gives nil where
// nobody knows the name.
func (c *Catalog) Function(path []string, schema, fn string) *Function {
	if schema != "" {
		return c.functions[name{schema, fn}]
	}
	var all *Function
	for _, s := range effective(path) {
		f := c.functions[name{s, fn}]
		if f == nil {
			continue
		}
		if all == nil {
			all = f
			continue
		}
		all = &Function{
			Schema: all.Schema, Name: fn, Volatile: all.Volatile || f.Volatile,
			Columns: append(append([]string(nil), all.Columns...), f.Columns...), Row: all.Row || f.Row,
			Open: all.Open || f.Open, Scalar: all.Scalar || f.Scalar, Dear: all.Dear || f.Dear,
		}
	}
	return all
}

// VolatileOperator says whether some operator of that name runs a VOLATILE function.
func (c *Catalog) VolatileOperator(op string) bool { return c.operators[op] }

func effective(path []string) []string {
	for _, s := range path {
		if s == "pg_catalog" {
			return path
		}
	}
	return append([]string{"pg_catalog"}, path...)
}

// QuoteIdent writes an identifier as SQL, in quotes only where it needs them.
func QuoteIdent(s string) string {
	if plainIdent(s) && !reserved[s] {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// QuoteQualified writes schema.name as SQL.
func QuoteQualified(schema, rel string) string { return QuoteIdent(schema) + "." + QuoteIdent(rel) }

func plainIdent(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '_' || c >= 'a' && c <= 'z':
		case i > 0 && (c >= '0' && c <= '9'):
		default:
			return false
		}
	}
	return true
}
