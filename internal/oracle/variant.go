package oracle

import (
	"fmt"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// Side is the schema that code was written for.
type Side int

// The two sides of a migration.
const (
	OldSide Side = iota
	NewSide
)

// String names the side.
func (s Side) String() string { return [...]string{"old", "new"}[s] }

// Column is a column that a migration takes away or brings.
type Column struct {
	Name    string // as it is in the migrating table
	As      string // what its side's code calls it, and the reference of that side; "" for Name
	Type    string // as SQL
	NotNull bool
	Default string // as SQL; "" for none
}

func (c *Column) as() string {
	if c.As != "" {
		return c.As
	}
	return c.Name
}

// Variant is one migration of one table: what the columns are called, and what they may hold. The rest of the table is the same in all.
type Variant struct {
	Name  string
	Table string // as it is, not quoted
	// Migration is the migration's name, and Suffix makes the names of its guard its own; where both are empty, it is the only one.
	Migration, Suffix string
	Columns           [2][]Column // of each side, in the order in which they stand in the table
	// Pattern is the migration's definition, but for its name and its table.
	Pattern lens.Definition
	// Seed is what the old columns hold in the rows that every case begins with, as SQL; NULL becomes the default where a column does not take it.
	Seed [][]string
	// Folder has the variant's cases, in testdata.
	Folder string
	// Catalogs says that the cases of testdata/columns are the variant's, too: they ask the catalogs of its columns.
	Catalogs bool
	// Unique says that each side's columns are UNIQUE, by a constraint called one_value and the suffix; the new side has one column then.
	Unique bool
	// Parted says that the table is partitioned.
	Parted bool
}

// rename makes a variant that renames a column.
func rename(name, table, from, to string, strict bool) Variant {
	c := Column{Type: "varchar(40)", NotNull: strict}
	if strict {
		c.Default = "'anon'"
	}
	o, n := c, c
	o.Name, n.Name = from, to
	return Variant{
		Name: name, Table: table, Columns: [2][]Column{{o}, {n}}, Seed: seedNames, Folder: ".",
		Pattern: lens.Definition{RenameColumn: &lens.RenameColumn{From: from, To: to}},
	}
}

// The renames that every case of testdata itself is run over, those with a file of their own aside.
var (
	Plain    = rename("plain", "users", "name", "full_name", false)
	Required = rename("required", "users", "name", "full_name", true)
	Quoted   = rename("quoted", "User Table", "User Name", "order", false)
)

// Parted is Plain on a table with two partitions.
var Parted = func() Variant {
	v := Plain
	v.Name, v.Parted = "parted", true
	return v
}()

// parted says how the table is partitioned, and makes the partitions.
func (v *Variant) parted() string {
	if !v.Parted {
		return ""
	}
	return fmt.Sprintf(` PARTITION BY HASH (id); CREATE TABLE users_even PARTITION OF %s FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE users_odd PARTITION OF %[1]s FOR VALUES WITH (MODULUS 2, REMAINDER 1)`, v.table())
}

// Definition is the variant's migration.
func (v *Variant) Definition() *lens.Definition {
	d := v.Pattern
	d.Name = v.Migration
	if d.Name == "" {
		d.Name = "users_full_name"
	}
	d.Table = lens.TableName{Schema: "public", Name: v.Table}
	return &d
}

// single says that one column takes the place of one.
func (v *Variant) single() bool { return len(v.Columns[OldSide]) == 1 && len(v.Columns[NewSide]) == 1 }

// sameName says that both sides call their columns by the same name, so that only the version can tell which is meant.
func (v *Variant) sameName() bool {
	return v.Columns[OldSide][0].as() == v.Columns[NewSide][0].as() && !v.splits()
}

// view is the side as which the contents are looked at for code of a side: a rename's look the same from both.
func (v *Variant) view(s Side) Side {
	if v.Pattern.RenameColumn != nil {
		return OldSide
	}
	return s
}

// table is the table's name as SQL.
func (v *Variant) table() string { return catalog.QuoteIdent(v.Table) }

// column is the name of a side's first column in the migrating table, as SQL.
func (v *Variant) column(s Side) string { return catalog.QuoteIdent(v.Columns[s][0].Name) }

// Expand puts the names of one side in the place of a text's tokens: {c} is the side's first migrating column, {d} its last, {q} the first in quotes,
// {C} in capitals (not for quoted variants), {other} what the other side calls its own, {t} the table.
func (v *Variant) Expand(text string, s Side) string {
	cols := v.Columns[s]
	first := cols[0].as()
	return strings.NewReplacer(
		"{c}", catalog.QuoteIdent(first),
		"{d}", catalog.QuoteIdent(cols[len(cols)-1].as()),
		"{q}", `"`+first+`"`,
		"{C}", strings.ToUpper(first),
		"{other}", catalog.QuoteIdent(v.Columns[1-s][0].as()),
		"{t}", v.table(),
	).Replace(text)
}
