package lens

import (
	"regexp"
	"strings"

	"segue/rewrite/catalog"
)

// Attribute is what the system catalogs say of a column in a database that has just the side's own schema, as far as Column does not say it.
type Attribute struct {
	// Slot is the attribute number that the column has where no column of the table stands for it: an old column's own one, which stays
	// taken when the column is dropped, or one that no column can have.
	Slot    int16
	NotNull bool
	// DefaultOf is the physical column whose default is the column's default, written as a literal of another type perhaps; "" where there is none.
	DefaultOf string
	// SaidDefault is the default as SQL; "" where there is none.
	SaidDefault string
}

// MaxAttributes is how many columns a table can have in PostgreSQL.
const MaxAttributes = 1600

const maxAdded = 64 // columns that one migration adds

// oldAttribute describes an old column. Once its NOT NULL has gone, Required tells whether it had one; where that was not noted down, the new columns do: a NULL stands for a
// NULL, unless the column is tightened. written is the default that writes take.
func (m *Applied) oldAttribute(rel *catalog.Relation, o OldColumn, written string) Attribute {
	at := Attribute{Slot: m.OldNums[o.Name], NotNull: m.notNull(rel, o.Name), DefaultOf: m.defaultFrom(rel, o.Name), SaidDefault: written}
	if own := m.ownDefault(rel, o.Name); own != nil {
		at.SaidDefault = *own
		if *own == "" {
			at.DefaultOf = ""
		}
	}
	at.NotNull = at.NotNull || contains(m.Required, o.Name)
	if m.Required == nil && m.Stage.Phase == Complete {
		for _, n := range m.Group.New {
			at.NotNull = at.NotNull || m.notNull(rel, n.Name)
		}
	}
	return at
}

// newAttribute describes a new column, the index-th of all that migrations add. One that takes the place of one without a loss takes its NOT NULL, too, in the end.
func (m *Applied) newAttribute(rel *catalog.Relation, n NewColumn, index int) Attribute {
	at := Attribute{Slot: int16(MaxAttributes + 1 + index), NotNull: n.NotNull || m.notNull(rel, n.Name), DefaultOf: m.defaultFrom(rel, n.Name)}
	if g := m.Group; len(g.Old) == 1 && len(g.New) == 1 && !g.Lossy && !g.OneWay() {
		at.NotNull = at.NotNull || m.notNull(rel, g.Old[0].Name) || contains(m.Required, g.Old[0].Name)
	}
	return at
}

// ownDefault gives an old column's default as its own schema has it, while the column has it or once that was noted down; nil where neither is so. A column
// that is renamed only has whatever default stands.
func (m *Applied) ownDefault(rel *catalog.Relation, name string) *string {
	if m.Group.Same {
		return nil
	}
	if m.Defaults != nil {
		d := m.Defaults[name]
		return &d
	}
	if c := rel.Column(name); c != nil && m.Stage.Phase < Complete {
		return &c.Default
	}
	return nil
}

func (m *Applied) notNull(rel *catalog.Relation, name string) bool {
	c := rel.Column(name)
	return c != nil && c.NotNull
}

// defaultFrom gives the physical column that has a column's default: itself, or the one that it stands for where a cast alone makes one of the other.
func (m *Applied) defaultFrom(rel *catalog.Relation, name string) string {
	if c := rel.Column(name); c != nil && c.Default != "" {
		return name
	}
	if len(m.Group.Old) != 1 || len(m.Group.New) != 1 {
		return ""
	}
	other, form := m.Group.New[0].Name, m.Group.Old[0].Down
	if name == other {
		other, form = m.Group.Old[0].Name, m.Group.New[0].Up
	}
	if c := rel.Column(other); c != nil && c.Default != "" && (m.Group.Same || form.castOnly()) {
		return other
	}
	return ""
}

var onlyCast = regexp.MustCompile(`^\(*\x00\)*(::[a-z0-9_. ()]+)*$`)

// castOnly says that the form is one column, cast or not.
func (f Form) castOnly() bool {
	text := f.Expand(func(string) string { return "\x00" })
	return strings.Count(text, "\x00") == 1 && onlyCast.MatchString(text)
}
