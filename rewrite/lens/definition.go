package lens

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
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
	ChangeType   *ChangeType   `toml:"change_type" json:"change_type,omitempty"`
	Columns      *Columns      `toml:"columns" json:"columns,omitempty"`
	SplitTable   *SplitTable   `toml:"split_table" json:"split_table,omitempty"`
	Backfill     Backfill      `toml:"backfill" json:"backfill,omitzero"`
	// LookupIndexes asks for indexes on what new code reads before reads switch, for as long as the old columns are there.
	LookupIndexes bool `toml:"lookup_indexes" json:"lookup_indexes,omitempty"`
	// Proof says what proves that every row agrees: "scan" (the default), or "check" for a CHECK constraint besides, for as long as both sides stand.
	Proof string `toml:"proof" json:"proof,omitempty"`
	// Allow names hazards that are taken knowingly: "lossy".
	Allow []string `toml:"allow" json:"allow,omitempty"`
}

// RenameColumn is pattern 1: the column gets another name and nothing else changes.
type RenameColumn struct {
	From string `toml:"from" json:"from"`
	To   string `toml:"to" json:"to"`
}

// ChangeType is pattern 2: a new column of another type takes the old one's place.
type ChangeType struct {
	Column string `toml:"column" json:"column"`
	To     string `toml:"to" json:"to"`     // the new physical column
	Type   string `toml:"type" json:"type"` // its type, as SQL
	Up     string `toml:"up" json:"up"`     // over the old column
	Down   string `toml:"down" json:"down"` // over the new column
	// OnError says what becomes of a value that Up cannot convert: "fail" (the default) or "null".
	OnError string `toml:"on_error" json:"on_error,omitempty"`
	NotNull bool   `toml:"not_null" json:"not_null,omitempty"` // enforced from expand on
	Check   string `toml:"check" json:"check,omitempty"`       // a condition on the new column, enforced from expand on
	Default string `toml:"default" json:"default,omitempty"`   // the new column's, from complete on; what the old one's comes to where it is empty
	// AppName is what version new calls the new column; To where it is empty.
	AppName string `toml:"app_name" json:"app_name,omitempty"`
}

// Columns is the general form: some columns take the place of others, or come beside those that stay, or go and leave nothing.
type Columns struct {
	Drop []string    `toml:"drop" json:"drop"`
	Add  []AddColumn `toml:"add" json:"add"`
	// Down has an old column's value from the new ones, or where none come, from those that stay; without it, there is no way back.
	Down    map[string]string `toml:"down" json:"down,omitempty"`
	OnError string            `toml:"on_error" json:"on_error,omitempty"`
}

// AddColumn is a column that comes.
type AddColumn struct {
	Name    string `toml:"name" json:"name"`
	Type    string `toml:"type" json:"type"`
	Up      string `toml:"up" json:"up"` // over the old columns, or where none go, over those that stay
	NotNull bool   `toml:"not_null" json:"not_null,omitempty"`
	Check   string `toml:"check" json:"check,omitempty"`       // a condition on the new columns
	Default string `toml:"default" json:"default,omitempty"`   // as SQL
	AppName string `toml:"app_name" json:"app_name,omitempty"` // what version new calls the column: the name of one that goes
}

// Backfill bounds the work of filling the new columns. Zero values mean the defaults.
type Backfill struct {
	BatchTarget       Duration `toml:"batch_target" json:"batch_target,omitzero"`               // a batch's aimed-at time; default 100ms
	MaxReplicationLag Duration `toml:"max_replication_lag" json:"max_replication_lag,omitzero"` // wait while a standby is further behind; 0: not asked for
	MaxRowsPerSecond  int64    `toml:"max_rows_per_second" json:"max_rows_per_second,omitzero"` // 0: no limit
	MaxWALRate        Size     `toml:"max_wal_rate" json:"max_wal_rate,omitzero"`               // that the whole server writes a second; 0: not asked for
	// MaxLatencyGrowth is by which factor the clients' statements may become slower before the work holds itself back; 0: 1.2.
	MaxLatencyGrowth float64 `toml:"max_latency_growth" json:"max_latency_growth,omitzero"`
}

// Size is a number of bytes that is written as text ("20MB") in TOML and JSON, with PostgreSQL's units, each 1024 times the one before.
type Size int64

var sizeUnits = []string{"B", "kB", "MB", "GB", "TB"}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	number := strings.TrimRight(text, "BkMGT")
	v, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	unit := text[len(number):]
	if unit == "" {
		unit = "B"
	}
	i := slices.Index(sizeUnits, unit)
	if err != nil || i < 0 || v < 0 || v > math.MaxInt64>>(10*i) {
		return fmt.Errorf("%q is no size such as \"20MB\": a number and one of %s", b, strings.Join(sizeUnits, ", "))
	}
	*s = Size(v << (10 * i))
	return nil
}

// MarshalText writes a size with the largest unit that leaves a whole number.
func (s Size) MarshalText() ([]byte, error) {
	v, i := int64(s), 0
	for v != 0 && v%1024 == 0 && i < len(sizeUnits)-1 {
		v, i = v/1024, i+1
	}
	return []byte(strconv.FormatInt(v, 10) + sizeUnits[i]), nil
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

// Group is the columns that one migration ties together: the three patterns are sugar over it.
type Group struct {
	Old []OldColumn
	New []NewColumn
	// Same says that both sides hold the same value, so that one name can stand for the other.
	Same bool
	// Lossy says that what went in need not come back: new code may write from switch-reads on only, and old code reads its own columns until
	// contract.
	Lossy bool
	// Adding and Dropping say that columns only come, or only go.
	Adding, Dropping bool
	// Splitting says that the columns that go move to a table of their own, of which Definition.SplitTable says more. Old has them, and New has none; Dropping
	// is false.
	Splitting bool
	// Stay are the columns that stay and that Up or Down mention, in a group that only adds or only drops.
	Stay []string
	// OnErrorNull says that a value that Up cannot convert becomes NULL.
	OnErrorNull bool
}

// OldColumn is a column that goes.
type OldColumn struct {
	Name string
	Down Form // over the new columns; nil where there is no way back
}

// NewColumn is a column that comes.
type NewColumn struct {
	Name    string
	As      string // what version new calls it
	Type    string // as SQL; "" for the old column's
	Up      Form   // over the old columns
	Convert Form   // Up as the definition has it: without the function that Up calls where a value that does not convert becomes NULL
	NotNull bool
	Check   Form   // over the new columns; nil for none
	Default string // as SQL; "" where it is what the old columns' defaults come to
}

// FormError says which key of a definition has an expression or a type that is none.
type FormError struct {
	Key string // dotted; an element of a list as in columns.add[0].up
	Err error
}

// Error is the key and what is wrong there.
func (e *FormError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap gives what is wrong.
func (e *FormError) Unwrap() error { return e.Err }

// Group gives the columns that the definition ties together. An error is a *FormError.
func (d *Definition) Group() (*Group, error) {
	g := &Group{Lossy: contains(d.Allow, "lossy")}
	switch {
	case d.RenameColumn != nil:
		r := d.RenameColumn
		g.Same = true
		g.Old = []OldColumn{{Name: r.From, Down: Form{{Column: r.To}}}}
		g.New = []NewColumn{{Name: r.To, As: r.To, Up: Form{{Column: r.From}}, Convert: Form{{Column: r.From}}}}
	case d.ChangeType != nil:
		c := d.ChangeType
		g.OnErrorNull = c.OnError == "null"
		n, err := d.newColumn("change_type", AddColumn{
			Name: c.To, Type: c.Type, Up: c.Up, NotNull: c.NotNull, Check: c.Check, Default: c.Default, AppName: c.AppName,
		}, []string{c.Column}, []string{c.To}, g.OnErrorNull)
		if err != nil {
			return nil, err
		}
		o := OldColumn{Name: c.Column}
		if c.Down != "" {
			if o.Down, err = valueForm("change_type.down", c.Down, []string{c.To}); err != nil {
				return nil, err
			}
		}
		g.Old, g.New = []OldColumn{o}, []NewColumn{n}
	case d.Columns != nil:
		c := d.Columns
		g.OnErrorNull = c.OnError == "null"
		added := make([]string, len(c.Add))
		for i, a := range c.Add {
			added[i] = a.Name
		}
		// A group that only adds or only drops is over columns that stay, which is seen when the table is.
		from, to := c.Drop, added
		if g.Adding = len(c.Drop) == 0; g.Adding {
			from = nil
		}
		if g.Dropping = len(c.Add) == 0; g.Dropping {
			to = nil
		}
		for i, a := range c.Add {
			n, err := d.newColumn(fmt.Sprintf("columns.add[%d]", i), a, from, added, g.OnErrorNull)
			if err != nil {
				return nil, err
			}
			g.New = append(g.New, n)
			g.stays(n.Convert)
		}
		for _, name := range c.Drop {
			o := OldColumn{Name: name}
			if down, ok := c.Down[name]; ok {
				var err error
				if o.Down, err = valueForm("columns.down."+name, down, to); err != nil {
					return nil, err
				}
				g.stays(o.Down)
			}
			g.Old = append(g.Old, o)
		}
		if err := g.apart(c); err != nil {
			return nil, err
		}
	case d.SplitTable != nil:
		g.Splitting = true
		for _, p := range d.SplitTable.ColumnPairs() {
			g.Old = append(g.Old, OldColumn{Name: p.From})
		}
	}
	return g, nil
}

// newColumn reads what a definition says of a column that comes; key is the table that says it.
func (d *Definition) newColumn(key string, a AddColumn, old, added []string, orNull bool) (NewColumn, error) {
	n := NewColumn{Name: a.Name, As: a.Name, Type: a.Type, NotNull: a.NotNull, Default: a.Default}
	if a.AppName != "" {
		n.As = a.AppName
	}
	if err := ParseType(a.Type); err != nil {
		return n, &FormError{Key: key + ".type", Err: err}
	}
	var err error
	if n.Convert, err = valueForm(key+".up", a.Up, old); err != nil {
		return n, err
	}
	if a.Check != "" {
		if n.Check, err = valueForm(key+".check", a.Check, added); err != nil {
			return n, err
		}
	}
	if a.Default != "" {
		if _, err = valueForm(key+".default", a.Default, []string{}); err != nil {
			return n, err
		}
	}
	n.Up = n.Convert
	if orNull {
		n.Up = n.Convert.call(UpFunction(d.Name, a.Name))
	}
	return n, nil
}

// stays notes the columns that a form of a group which only adds or only drops mentions.
func (g *Group) stays(f Form) {
	if !g.Adding && !g.Dropping {
		return
	}
	for _, c := range f.Columns() {
		if !contains(g.Stay, c) {
			g.Stay = append(g.Stay, c)
		}
	}
}

// apart demands that what stays neither comes nor goes.
func (g *Group) apart(c *Columns) error {
	for i, a := range c.Add {
		if contains(g.Stay, a.Name) {
			return &FormError{Key: fmt.Sprintf("columns.add[%d].up", i), Err: fmt.Errorf("%q is a column that comes itself: write it over columns that stay", a.Name)}
		}
	}
	for _, name := range c.Drop {
		if contains(g.Stay, name) {
			return &FormError{Key: "columns.down", Err: fmt.Errorf("%q is a column that goes itself: write `down` over columns that stay", name)}
		}
	}
	return nil
}

// valueForm reads an expression of a definition. One that is a column alone is put in brackets: its type may be another one than that of
// the column it is for, so it is to be cast as every other one is.
func valueForm(key, expr string, columns []string) (Form, error) {
	f, err := ParseForm(expr, columns)
	if err != nil {
		return nil, &FormError{Key: key, Err: err}
	}
	if f.Plain() != "" {
		f = Form{{Text: "("}, f[0], {Text: ")"}}
	}
	return f, nil
}

// UpFunction names, as SQL, the function by which a value that does not convert becomes NULL. Its parameters are those old columns that the
// expression names, in the order in which it names them first.
func UpFunction(migration, column string) string { return function("up", migration, column) }

// GivenFunction names, as SQL, the function that gives back what new code writes to a column that is not null, and raises where that is NULL.
func GivenFunction(migration, column string) string { return function("given", migration, column) }

func function(what, migration, column string) string {
	const longest = 63 // of PostgreSQL's names, in bytes
	name := what + "_" + migration + "_" + column
	if len(name) > longest {
		h := fnv.New32a()
		_, _ = h.Write([]byte(column)) // never fails, says hash.Hash
		name = fmt.Sprintf("%s_%s_%08x", what, migration, h.Sum32())
	}
	return catalog.QuoteQualified("segue", name)
}

// Has says whether a name is a column of one side as that side's code calls it.
func (g *Group) Has(name string, isNew bool) bool {
	if isNew {
		for _, n := range g.New {
			if n.As == name {
				return true
			}
		}
		return false
	}
	for _, o := range g.Old {
		if o.Name == name {
			return true
		}
	}
	return false
}

// Physical gives the names of the columns of both sides as they are in the table.
func (g *Group) Physical() []string {
	var names []string
	for _, o := range g.Old {
		names = append(names, o.Name)
	}
	for _, n := range g.New {
		names = append(names, n.Name)
	}
	return names
}

// Final says that what new code writes in the last step before complete cannot be taken back: old columns are not told of it, or there are none.
func (g *Group) Final() bool { return g.Adding || g.Dropping || g.OneWay() }

// OneWay says that some old column cannot be made from the new ones.
func (g *Group) OneWay() bool {
	if g.Splitting {
		return false // they come from the other table
	}
	for _, o := range g.Old {
		if o.Down == nil {
			return true
		}
	}
	return false
}

// Pattern names the pattern as the definition's TOML does.
func (d *Definition) Pattern() string {
	switch {
	case d.RenameColumn != nil:
		return "rename_column"
	case d.ChangeType != nil:
		return "change_type"
	case d.Columns != nil:
		return "columns"
	case d.SplitTable != nil:
		return "split_table"
	}
	return ""
}

// Marshal writes the definition as it is stored in the migrated database.
func (d *Definition) Marshal() ([]byte, error) { return json.Marshal(d) }
