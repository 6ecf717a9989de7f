package lens

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"segue/rewrite/catalog"
)

// Definition is one declared change of one table: what a migration's TOML file says, and what is stored as JSON in the
// database that it migrates. Exactly one pattern is set.
type Definition struct {
	Name         string        `toml:"name" json:"name"`   // unique; [a-z0-9_]+
	Table        TableName     `toml:"table" json:"table"` // always with its schema
	RenameColumn *RenameColumn `toml:"rename_column" json:"rename_column,omitempty"`
	Backfill     Backfill      `toml:"backfill" json:"backfill,omitzero"`
}

// RenameColumn is pattern 1: the column gets another name and nothing else changes.
type RenameColumn struct {
	From string `toml:"from" json:"from"`
	To   string `toml:"to" json:"to"`
}

// Backfill bounds the work of filling the new columns. Zero values mean the defaults.
type Backfill struct {
	BatchTarget       Duration `toml:"batch_target" json:"batch_target,omitzero"`               // a batch's aimed-at time; default 100ms
	MaxReplicationLag Duration `toml:"max_replication_lag" json:"max_replication_lag,omitzero"` // wait while a standby is further behind; 0: not asked for
	MaxRowsPerSecond  int64    `toml:"max_rows_per_second" json:"max_rows_per_second,omitzero"` // 0: no limit
}

// Duration is a time.Duration that is written as text ("100ms") in TOML and JSON.
type Duration time.Duration

// UnmarshalText reads Go's form of a duration; negative ones are errors.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no duration such as \"100ms\" or \"10s\"", b)
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", b)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes Go's form of a duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// TableName is a table's qualified name: "public.users" in TOML, with SQL's quotes where the names need them.
type TableName struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
}

// UnmarshalText reads schema.table as SQL does: unquoted names are folded to lower case, quoted ones kept.
func (t *TableName) UnmarshalText(b []byte) error {
	parts, err := splitQualified(string(b))
	if err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("%q needs its schema: write \"public.%s\"", b, parts[len(parts)-1])
	}
	t.Schema, t.Name = parts[0], parts[1]
	return nil
}

// MarshalText writes the name as SQL: schema.table.
func (t TableName) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String is the name as SQL: schema.table.
func (t TableName) String() string { return catalog.QuoteQualified(t.Schema, t.Name) }

func splitQualified(s string) ([]string, error) {
	var parts []string
	rest := s
	for {
		var part string
		if strings.HasPrefix(rest, `"`) {
			i := 1
			for {
				j := strings.IndexByte(rest[i:], '"')
				if j < 0 {
					return nil, fmt.Errorf("%q has an unfinished quoted name", s)
				}
				part += rest[i : i+j]
				i += j + 1
				if !strings.HasPrefix(rest[i:], `"`) {
					break
				}
				part += `"`
				i++
			}
			rest = rest[i:]
		} else {
			i := strings.IndexByte(rest, '.')
			if i < 0 {
				i = len(rest)
			}
			part, rest = strings.ToLower(rest[:i]), rest[i:]
			if strings.ContainsAny(part, " \t\n\"';") {
				return nil, fmt.Errorf("%q is no table name such as \"public.users\"", s)
			}
		}
		if part == "" {
			return nil, fmt.Errorf("%q is no table name such as \"public.users\"", s)
		}
		parts = append(parts, part)
		if rest == "" {
			return parts, nil
		}
		if rest[0] != '.' {
			return nil, fmt.Errorf("%q is no table name such as \"public.users\"", s)
		}
		rest = rest[1:]
	}
}

// Pair is an old column with the new column that takes its place, and the expressions between them. Value forms (Part.Value)
// stand for the other side's value.
type Pair struct {
	Old, New string
	Up, Down Form // over Value
}

// Pairs gives the groups of columns that the definition ties together.
func (d *Definition) Pairs() []Pair {
	if r := d.RenameColumn; r != nil {
		return []Pair{{Old: r.From, New: r.To, Up: Form{{Value: true}}, Down: Form{{Value: true}}}}
	}
	return nil
}

// Pattern names the pattern as the definition's TOML does.
func (d *Definition) Pattern() string {
	if d.RenameColumn != nil {
		return "rename_column"
	}
	return ""
}

// Marshal writes the definition as it is stored in the migrated database.
func (d *Definition) Marshal() ([]byte, error) { return json.Marshal(d) }
