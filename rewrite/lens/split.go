package lens

import (
	"errors"
	"fmt"
	"sort"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// SplitTable is pattern 3: columns move to a table of their own. The table that they leave keeps the key and all else.
type SplitTable struct {
	To      TableName         `toml:"to" json:"to"`           // the table that comes
	Key     map[string]string `toml:"key" json:"key"`         // a column of the key -> the column of To that has its value
	Columns map[string]string `toml:"columns" json:"columns"` // a column that moves -> its column of To
	Create  string            `toml:"create" json:"create"`   // CREATE TABLE of To, and CREATE INDEX on it, as SQL
}

// Pair is a column of the table that migrates and the column of the split's new table that has the same value.
type Pair struct{ From, To string }

// KeyPairs gives the key, in the order of the names in the table that migrates. It is the order of the parameters of LockFunction and AloneFunction.
func (s *SplitTable) KeyPairs() []Pair { return pairs(s.Key) }

// ColumnPairs gives the columns that move, in the order of their names in the table that migrates.
func (s *SplitTable) ColumnPairs() []Pair { return pairs(s.Columns) }

func pairs(m map[string]string) []Pair {
	out := make([]Pair, 0, len(m))
	for from, to := range m {
		out = append(out, Pair{from, to})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].From < out[j].From })
	return out
}

// Target is the new table of a split as the database has it.
type Target struct {
	OID uint32 `json:"oid"`
	// Foreign is the foreign key from the new table's key to the table that migrates; nil where `create` declares none.
	Foreign *ForeignKey `json:"foreign,omitempty"`
	// Required are the columns that move and were NOT NULL in the table that migrates: new code's INSERT leaves them NULL there until its row in the new table
	// comes, which AbsentFunction has to tell the guard.
	Required []string `json:"required,omitempty"`
}

// ForeignKey is a foreign key from the new table of a split to the table that migrates.
type ForeignKey struct {
	Name     string `json:"name"`
	OnDelete Action `json:"on_delete"`
	OnUpdate Action `json:"on_update"`
}

// Action is what a foreign key does, as pg_constraint has it.
type Action string

// The actions that a split carries.
const (
	NoAction Action = "a"
	Restrict Action = "r"
	Cascade  Action = "c"
)

// LockFunction names, as SQL, the function that locks the row of a key in the table that migrates FOR NO KEY UPDATE, and gives true, also where there is none.
func LockFunction(migration string) string { return splitFunction("lock", migration) }

// AloneFunction names, as SQL, the function that gives true where the new table has no row of a key, and raises otherwise: what the foreign key would, or a refusal
// where there is none.
func AloneFunction(migration string) string { return splitFunction("alone", migration) }

// AbsentFunction names, as SQL, the function without parameters by which new code's INSERT into the table that migrates says that the values of moved columns are
// still to come, within the transaction. It gives true.
func AbsentFunction(migration string) string { return splitFunction("absent", migration) }

func splitFunction(what, migration string) string { return `segue."` + what + "_" + migration + `"` }

// ParseCreate demands that Create is a CREATE TABLE of To, perhaps with CREATE INDEX on it behind, and nothing else that Segue would have to carry. What the table is like, the server says.
func (s *SplitTable) ParseCreate() error {
	tree, err := pg.Parse(s.Create)
	if err != nil {
		return fmt.Errorf("is no SQL: %w", err)
	}
	if len(tree.Stmts) == 0 {
		return fmt.Errorf("has no statement: it takes CREATE TABLE %s (...), and CREATE INDEX on it", s.To)
	}
	for _, more := range tree.Stmts[1:] {
		i := more.Stmt.GetIndexStmt()
		switch {
		case i == nil || i.Relation.Schemaname != s.To.Schema || i.Relation.Relname != s.To.Name:
			return fmt.Errorf("has another statement than CREATE TABLE %s (...) and CREATE INDEX on it, with its schema: run that yourself", s.To)
		case i.Concurrent:
			return errors.New("has CREATE INDEX CONCURRENTLY: the table is empty when the index is made, so leave CONCURRENTLY out")
		}
	}
	c := tree.Stmts[0].Stmt.GetCreateStmt()
	switch {
	case c == nil:
		return fmt.Errorf("does not begin with CREATE TABLE %s (...)", s.To)
	case c.Relation.Schemaname == "":
		return fmt.Errorf("names the table without its schema: write CREATE TABLE %s (...)", s.To)
	case c.Relation.Catalogname != "":
		return errors.New("names a database before the schema: leave it out")
	case c.Relation.Schemaname != s.To.Schema || c.Relation.Relname != s.To.Name:
		return fmt.Errorf("makes the table %s, and `to` is %s", TableName{c.Relation.Schemaname, c.Relation.Relname}, s.To)
	case c.Relation.Relpersistence != "p":
		return errors.New("makes a table that is not kept as the one that it takes columns from: leave TEMPORARY and UNLOGGED out")
	case c.IfNotExists:
		return errors.New("takes a table that is there already: leave IF NOT EXISTS out")
	case c.Partspec != nil || c.Partbound != nil:
		return errors.New("makes a partitioned table or a partition, which this build does not split into")
	case len(c.InhRelations) > 0:
		return errors.New("has INHERITS, which this build does not split into")
	case c.OfTypename != nil:
		return errors.New("makes a typed table: write its columns out")
	}
	return nil
}
