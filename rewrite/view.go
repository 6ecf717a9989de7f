package rewrite

import (
	"cmp"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// TableView is a migrating table as the statement's code sees it.
type TableView struct {
	Table      string          `json:"table"`
	Migrations []MigrationView `json:"migrations"`
	Columns    []ColumnView    `json:"columns"` // in the order of *
	// Locks are the functions by which statements that change or lock rows take the other table's row of a split first.
	Locks []string `json:"locks,omitempty"`
	// Alone are the functions that statements of new code ask before they delete a row of a split's table, or change its key.
	Alone []string `json:"alone,omitempty"`
	// Fills are the assignments that an INSERT makes to columns that the code does not know.
	Fills []string `json:"fills,omitempty"`
}

// MigrationView is where a migration stands, and for which of its sides the statement was written.
type MigrationView struct {
	Name string `json:"name"`
	lens.Stage
	Side lens.Version `json:"side"` // old, new
}

// ColumnView is how one column is read and written.
type ColumnView struct {
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

func tableName(r *catalog.Relation) string { return catalog.QuoteQualified(r.Schema, r.Name) }

// viewOf describes a lens.
func (s *State) viewOf(l *lens.Lens) TableView {
	t := TableView{Table: tableName(l.Relation)}
	sides := map[string]lens.Version{}
	for i := range l.Columns {
		c := &l.Columns[i]
		col := ColumnView{Name: c.Name, Type: c.Type.SQL, Migration: c.Migration()}
		if c.Migrates() {
			sides[c.Migration()] = lens.New
			if c.Tie.OldSide {
				sides[c.Migration()] = lens.Old
			}
			col.describe(c)
		}
		t.Columns = append(t.Columns, col)
	}
	for i := range s.migrations {
		// The side that knows none of the columns.
		name := s.migrations[i].Definition.Name
		switch _, known := sides[name]; {
		case known:
		case s.migrations[i].group.Adding:
			sides[name] = lens.Old
		case s.migrations[i].group.Dropping, s.migrations[i].group.Splitting:
			sides[name] = lens.New
		}
	}
	for _, name := range l.Migrations {
		m := MigrationView{Name: name, Side: sides[name]}
		m.Stage, _ = s.stage(name)
		t.Migrations = append(t.Migrations, m)
	}
	for _, f := range l.Fills {
		t.Fills = append(t.Fills, catalog.QuoteIdent(f.Column)+" = "+f.SQL)
	}
	for _, h := range l.Halves {
		if h.Target && h.Lock != "" {
			t.Locks = append(t.Locks, h.Lock+"("+joinIdents(h.Key)+")")
		}
		if f := cmp.Or(h.OnDelete.Function, h.OnUpdate.Function); f != "" {
			t.Alone = append(t.Alone, f+"("+joinIdents(h.Key)+")")
		}
	}
	return t
}

func joinIdents(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = catalog.QuoteIdent(n)
	}
	return strings.Join(quoted, ", ")
}

// describe fills in how a column that migrates is read and written.
func (v *ColumnView) describe(c *lens.Column) {
	switch {
	case c.Unreadable != "":
		v.Unreadable = c.Unreadable
	default:
		v.Reads = c.Read.Expand(catalog.QuoteIdent)
	}
	if c.Tie.Refuse != "" {
		v.Unwritable = c.Tie.Refuse
		return
	}
	if c.Tie.Own || len(c.Tie.Others) == 0 {
		v.Writes = append(v.Writes, catalog.QuoteIdent(c.Physical)+" = value")
	}
	for _, o := range c.Tie.Others {
		v.Writes = append(v.Writes, catalog.QuoteIdent(o.Target)+" = "+o.Form.Expand(func(name string) string {
			if name == c.Name {
				return "value"
			}
			return catalog.QuoteIdent(name)
		}))
	}
}
