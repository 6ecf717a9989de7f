// Package lens says how a logical column is read and written while its migration is under way: the phase table of the
// design, compiled for one table and one side. It leaves the SQL of statements to package rewrite, and where migrations stand to
// package migrate.
package lens

import (
	"sort"
	"strings"

	"segue/rewrite/catalog"
)

// Part is a piece of a form. Exactly one of its fields is set.
type Part struct {
	Text   string // SQL as it is
	Column string // a physical column of the table, to be qualified with the table's alias
	Value  bool   // the value that is written or converted
}

// Form is an SQL expression over a table's physical columns and, in writes, the value that is written.
type Form []Part

// SQL writes the form with columns qualified by qualifier (SQL already, such as "NEW" or an alias) and value in the place of
// Value parts. The caller puts value in parentheses where it needs them.
func (f Form) SQL(qualifier, value string) string {
	var b strings.Builder
	for _, p := range f {
		switch {
		case p.Value:
			b.WriteString(value)
		case p.Column != "":
			b.WriteString(qualifier)
			b.WriteByte('.')
			b.WriteString(catalog.QuoteIdent(p.Column))
		default:
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// of puts a form in the place of this one's value.
func (f Form) of(value Form) Form {
	var out Form
	for _, p := range f {
		if p.Value {
			out = append(out, value...)
			continue
		}
		out = append(out, p)
	}
	return out
}

// Plain gives the column's name where the form is one column and nothing else, and "" where it is more.
func (f Form) Plain() string {
	if len(f) == 1 {
		return f[0].Column
	}
	return ""
}

// Write is one physical column that a write to a logical column sets.
type Write struct {
	Target string // physical column
	Form   Form   // over Value
}

// Column is one column of the table as one side's code sees it.
type Column struct {
	Name string // as the code calls it
	Num  int16  // attribute number that a result column reports as its origin; 0 where the table has no such column now
	Type catalog.Type

	Read Form
	// Either is set where Read is COALESCE(first, second): a comparison `Read op x` may then be written
	// `(first op x OR (first IS NULL AND second op x))`, which keeps both columns' indexes.
	Either []Form

	Writes []Write // all that a write sets; the first is the client's own side where it exists
	// Alone is the one write that suffices where the value must not be computed twice: the guard fills the other side. It is
	// always the first of Writes or its equivalent on the old side.
	Alone Write

	Migration string // the migration that the column belongs to; "" for columns that do not migrate
	Default   string // the column's default as SQL; "" where there is none
	Generated bool
}

// Migrates says whether the column belongs to a migration.
func (c *Column) Migrates() bool { return c.Migration != "" }

// Lens is one table as one side's code sees it.
type Lens struct {
	Relation *catalog.Relation // the physical table
	Columns  []Column          // in the order of `*`
	// Names are all names that some migration of the table gives or takes, visible here or not: an unqualified reference to one of
	// them can mean another thing physically than it does logically.
	Names map[string]bool
	// Migrations that are under way on the table, by name.
	Migrations []string
}

// Column gives the logical column of that name, or nil.
func (l *Lens) Column(name string) *Column {
	for i := range l.Columns {
		if l.Columns[i].Name == name {
			return &l.Columns[i]
		}
	}
	return nil
}

// Applied is one migration as it applies to a table for one side.
type Applied struct {
	Definition *Definition
	Stage      Stage
	OldNums    map[string]int16 // attribute numbers of the old columns when the migration was started
	New        bool             // the code was written for the schema after the migration
}

// Compile makes the lens of a table under the migrations that are under way on it, all but retired ones. The relation is the
// table as the catalog has it now, which may already be a step further than the stage.
func Compile(rel *catalog.Relation, migrations []Applied) *Lens {
	l := &Lens{Relation: rel, Names: map[string]bool{}}
	type placed struct {
		Column
		place int
	}
	var cols []placed
	migrating := map[string]bool{}
	const end = 1 << 16 // after every attribute number
	for i, m := range migrations {
		l.Migrations = append(l.Migrations, m.Definition.Name)
		for j, p := range m.Definition.Pairs() {
			migrating[p.Old], migrating[p.New] = true, true
			l.Names[p.Old], l.Names[p.New] = true, true
			o, n := rel.Column(p.Old), rel.Column(p.New)
			c := column(p, m.Stage, m.New)
			c.Migration = m.Definition.Name
			own, other, place := o, n, int(m.OldNums[p.Old])
			if m.New {
				own, other, place = n, o, end+i*64+j
				if n != nil {
					place = int(n.Num)
				}
			}
			// A column that is about to go is no origin: it may be gone before the next epoch says so.
			going := m.Stage.Phase >= Complete && !m.New || m.Stage.Step == WriteOld && m.New
			if own == nil || going && other != nil {
				own = other
			}
			if own != nil {
				c.Num, c.Type = own.Num, own.Type
			}
			// Until (a3) the default is the old column's, from then on the new one's.
			for _, d := range []*catalog.Column{o, n} {
				if d != nil && d.Default != "" {
					c.Default = d.Default
				}
			}
			cols = append(cols, placed{c, place})
		}
	}
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if migrating[c.Name] {
			continue
		}
		w := Write{c.Name, Form{{Value: true}}}
		cols = append(cols, placed{Column{
			Name: c.Name, Num: c.Num, Type: c.Type, Read: Form{{Column: c.Name}},
			Writes: []Write{w}, Alone: w, Default: c.Default, Generated: c.Generated,
		}, int(c.Num)})
	}
	sort.SliceStable(cols, func(i, j int) bool { return cols[i].place < cols[j].place })
	for _, c := range cols {
		l.Columns = append(l.Columns, c.Column)
	}
	return l
}

// column is the phase table of design section 4, for one pair and one side.
func column(p Pair, s Stage, isNew bool) Column {
	o, n := Form{{Column: p.Old}}, Form{{Column: p.New}}
	value := Form{{Value: true}}
	up, down := p.Up.of(o), p.Down.of(n)

	// Which of the columns the form may name: between expand and the last step of complete both stand, with the guard between them.
	const (
		oldOnly = iota // write the old side only: the new one is not there, or the guard fills it
		both
		newOnly
	)
	var read Form
	var either []Form
	writes := both
	switch s.Phase {
	case Pending, Expand:
		writes = oldOnly
		read = pick(isNew, o, up)
	case DualWrite, Backfilling:
		read = pick(isNew, o, up)
	case SwitchReads:
		switch {
		case s.Proved:
			read = pick(isNew, down, n)
		case isNew:
			read, either = coalesce(n, up), []Form{n, up}
		default:
			read, either = coalesce(down, o), []Form{down, o}
		}
	case Contract:
		read = pick(isNew, down, n)
	case Complete, Retired:
		writes = newOnly
		read = pick(isNew, down, n)
	}
	if s.Step == WriteOld {
		writes, read, either = oldOnly, pick(isNew, o, up), nil
	}

	name := p.Old
	toOld, toNew := Write{p.Old, value}, Write{p.New, p.Up}
	if isNew {
		name = p.New
		toOld, toNew = Write{p.Old, p.Down}, Write{p.New, value}
	}
	c := Column{Name: name, Read: read, Either: either}
	switch writes {
	case oldOnly:
		c.Writes, c.Alone = []Write{toOld}, toOld
	case both:
		c.Writes, c.Alone = []Write{toOld, toNew}, toOld
		if isNew {
			c.Writes = []Write{toNew, toOld}
		}
	case newOnly:
		c.Writes, c.Alone = []Write{toNew}, toNew
	}
	return c
}

func pick(isNew bool, old, new Form) Form {
	if isNew {
		return new
	}
	return old
}

func coalesce(a, b Form) Form {
	f := Form{{Text: "COALESCE("}}
	f = append(f, a...)
	f = append(f, Part{Text: ", "})
	f = append(f, b...)
	return append(f, Part{Text: ")"})
}
