// Package lens says how a logical column is read and written while its migration is under way: the phase table of the
// design, compiled for one table and one side. It leaves the SQL of statements to package rewrite, and where migrations stand to
// package migrate.
package lens

import (
	"sort"

	"segue/rewrite/catalog"
)

// Part is a piece of a form. Exactly one of its fields is set.
type Part struct {
	Text   string // SQL as it is
	Column string // a physical column of the table, to be qualified with the table's alias
}

// Form is an SQL expression over a table's columns.
type Form []Part

// Plain gives the column's name where the form is one column and nothing else, and "" where it is more.
func (f Form) Plain() string {
	if len(f) == 1 {
		return f[0].Column
	}
	return ""
}

// Column is one column of the table as one side's code sees it.
type Column struct {
	Name     string // as the code calls it
	Physical string // the side's own column; it may not be there
	Num      int16  // attribute number that a result column reports as its origin; 0 where the table has no such column now
	Type     catalog.Type

	Read Form
	// Either is set where Read is COALESCE(first, second): a comparison `Read op x` may then, where NULL counts as false, be
	// written `(first op x OR (first IS NULL AND second op x))`, which keeps both columns' indexes.
	Either []Form
	// Loose says that Read, where it is no plain column, may make something of NULLs: where there is no row, it must not be asked.
	Loose bool
	// Unreadable says why the column cannot be read; "" where it can.
	Unreadable string

	// Hides is the physical column of the other side that this column stands for alone; "" where there is none.
	Hides string
	// Infer is the physical column whose unique index ON CONFLICT infers; "" where there is none that stands for this column alone.
	Infer string

	Tie       *Tie   // how it is written; nil for columns that do not migrate
	Default   string // the column's default as SQL; "" where there is none
	Generated bool
	// Given is the function, as SQL, that an INSERT's value goes through where the guard would take a NULL for a column that was left out, and the column takes
	// no NULL: it gives back what it is given and raises what the column does. "" where the column itself tells.
	Given string

	// What the system catalogs are to say of a column that migrates.
	Attribute
}

// Migrates says whether the column belongs to a migration.
func (c *Column) Migrates() bool { return c.Tie != nil }

// Migration is the migration that the column belongs to; "" for none.
func (c *Column) Migration() string {
	if c.Tie == nil {
		return ""
	}
	return c.Tie.Migration
}

// Tie says what a write to any of one migration's columns writes: the group is written whole, on both sides where both stand.
type Tie struct {
	Migration string
	Columns   []string // of this side, as the code calls them
	OldSide   bool
	Own       bool    // the side's own columns are written
	Others    []Other // the other side's columns that are written beside, or instead
	Same      bool    // the values are the same on both sides
	Lossy     bool
	// Unfilled says that rows may be there whose own columns are not filled yet, so that columns which a statement does not assign
	// must be written, too.
	Unfilled bool
	// Back is what the other side's columns say of this side's: a value that is written on the other side only is held against its way back.
	Back []Other
	// Moving says that the defaults may be on their way from the old columns to the new ones: one side written alone, with the other left out, would not
	// be told from both left out.
	Moving bool
	// Arbiter are the physical columns whose unique index ON CONFLICT infers where it names all of Columns; nil where none stands for them.
	Arbiter []string
	// Contested are the physical columns of both sides while the unique indexes of both may stand, and nil else.
	Contested []string
	// Refuse says why the columns cannot be written now; "" where they can.
	Refuse string
}

// Both says that both sides stand and the guard fills the one that is not written.
func (t *Tie) Both() bool { return t.Own && len(t.Others) > 0 }

// OneWay says that some column of this side cannot be told from the other side's.
func (t *Tie) OneWay() bool {
	for _, b := range t.Back {
		if b.Form == nil {
			return true
		}
	}
	return false
}

// Other is a column and its form over the columns of the other side.
type Other struct {
	Target string // physical; in Back, as the code calls it
	Type   string // as SQL
	Form   Form   // over the other columns' Targets, as Others and Back call them
}

// Lens is one table as one side's code sees it.
type Lens struct {
	Relation *catalog.Relation // the physical table
	Columns  []Column          // in the order of `*`
	// Names are all names that some migration of the table gives or takes, visible here or not: an unqualified reference to one of
	// them can mean another thing physically than it does logically.
	Names map[string]bool
	// Migrations that are under way on the table, by name.
	Migrations []string
	// Fills are columns that the code does not know and that an INSERT has to give a value to.
	Fills []Fill
	// Trusting says that rows are read on one side alone, since all of them agree: rows must not come in past the guard.
	Trusting bool
	// Plain says that the code sees the table as it is, so that a row as a whole is what the code takes it for.
	Plain bool
	// Halves say of which splits the table is one of the two tables.
	Halves []Half
}

// Fill is a physical column and what an INSERT puts into it, as SQL.
type Fill struct {
	Column, SQL string
	Refuse      string // why that cannot be now, so that there can be no INSERT; "" where it can
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
	Name      string
	Group     *Group
	Stage     Stage
	OldNums   map[string]int16        // attribute numbers of the old columns when the migration was started
	TableNums map[string]int16        // the same in the table itself, where the relation is a partition or a child of it; nil for the table
	OldTypes  map[string]catalog.Type // their types then; may be nil where the types of both sides are the same
	New       bool                    // the code was written for the schema after the migration
	Required  []string                // the old columns that take no NULL, where their own NOT NULL may have been taken off; nil where that is not known
	Defaults  map[string]string       // the old columns' defaults as SQL, where they have been taken off; nil where they have not, or that is not known

	// Of a split only.
	Split   *SplitTable
	Table   TableName   // the table that the columns leave
	Known   bool        // the new table stands, so that Required and what follows are known
	Foreign *ForeignKey // the new table's, to that; nil where there is none
}

type placed struct {
	Column
	place int
	// before is set for a column that a partition does not have: it comes before the one that is at its place, and among others by their number in the table.
	before int
}

// Compile makes the lens of a table under the migrations that are under way on it, all but retired ones. The relation is the
// table as the catalog has it now, which may already be a step further than the stage.
func Compile(rel *catalog.Relation, migrations []Applied) *Lens {
	l := &Lens{Relation: rel, Names: map[string]bool{}, Plain: true}
	var cols []placed
	migrating := map[string]bool{}
	for i := range migrations {
		m := &migrations[i]
		l.Migrations = append(l.Migrations, m.Name)
		for _, o := range m.Group.Old {
			migrating[o.Name], l.Names[o.Name] = true, true
		}
		for _, n := range m.Group.New {
			migrating[n.Name], l.Names[n.Name], l.Names[n.As] = true, true, true
		}
		cols = append(cols, m.columns(rel, i)...)
		l.Fills = append(l.Fills, m.fills(rel)...)
		l.Trusting = l.Trusting || m.Stage.trusting()
		l.Plain = l.Plain && m.Group.Splitting && !m.New && !m.Stage.leavesOld()
	}
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if migrating[c.Name] {
			continue
		}
		cols = append(cols, placed{Column: Column{
			Name: c.Name, Physical: c.Name, Num: c.Num, Type: c.Type, Read: Form{{Column: c.Name}}, Default: c.Default, Generated: c.Generated,
		}, place: int(c.Num)})
	}
	sort.SliceStable(cols, func(i, j int) bool {
		a, b := &cols[i], &cols[j]
		switch {
		case a.place != b.place:
			return a.place < b.place
		case a.before != 0 && b.before != 0:
			return a.before < b.before
		}
		return a.before != 0 && b.before == 0
	})
	for _, c := range cols {
		l.Columns = append(l.Columns, c.Column)
	}
	return l
}

// sidesWritten says which of the columns a stage writes: between expand and the last step of complete both stand, with the guard
// between them.
type sidesWritten int

const (
	oldOnly sidesWritten = iota // the new side is not there, or the guard fills it
	bothSides
	newOnly
)

func (s Stage) written() sidesWritten {
	switch {
	case s.Step == WriteOld || s.Phase <= Expand:
		return oldOnly
	case s.Phase <= Contract:
		return bothSides
	}
	return newOnly
}

// trusting says whether some side reads the other's columns without a look at its own, while both stand.
func (s Stage) trusting() bool {
	both := s.written() == bothSides || s.Step == WriteNew
	return both && (s.Phase > SwitchReads || s.Phase == SwitchReads && s.Proved)
}

// columns gives the side's columns of a migration's group: the phase table of design section 4.
func (m *Applied) columns(rel *catalog.Relation, index int) []placed {
	const end = 1 << 16 // after every attribute number
	tie := m.tie(rel)
	var out []placed
	if !m.New {
		for _, o := range m.Group.Old {
			c := Column{Name: o.Name, Physical: o.Name, Tie: tie, Type: m.oldType(rel, o.Name)}
			m.readOld(rel, o, &c)
			c.Loose = m.Group.Dropping
			m.describe(rel, &c, o.Name)
			if m.Group.Splitting {
				c.Infer = o.Name
			}
			c.Attribute = m.oldAttribute(rel, o, c.Default)
			p := placed{Column: c, place: int(m.OldNums[o.Name])}
			if rel.Column(o.Name) == nil {
				p.before = int(m.TableNums[o.Name])
			}
			out = append(out, p)
		}
		return out
	}
	for j, n := range m.Group.New {
		c := Column{Name: n.As, Physical: n.Name, Tie: tie, Type: m.newType(rel, n)}
		m.readNew(rel, n, &c)
		c.Loose = m.Group.Adding || n.NotNull
		if n.NotNull && (m.Stage.Step == WriteNew || m.Group.Adding && m.Stage.written() != oldOnly) {
			c.Given = GivenFunction(m.Name, n.Name)
		}
		m.describe(rel, &c, n.Name)
		c.Attribute = m.newAttribute(rel, n, index*maxAdded+j)
		c.SaidDefault = c.Default
		place := end + index*maxAdded + j
		if p := rel.Column(n.Name); p != nil {
			place = int(p.Num)
		}
		out = append(out, placed{Column: c, place: place})
	}
	return out
}

// describe fills in what the catalog says of a column: its origin and its default.
func (m *Applied) describe(rel *catalog.Relation, c *Column, own string) {
	other := ""
	if len(m.Group.Old) == 1 && len(m.Group.New) == 1 {
		other = m.Group.New[0].Name
		if m.New {
			other = m.Group.Old[0].Name
		}
	}
	c.Hides = other
	// While the old column's unique index stands, its mirror is not unique, and the arbiter is the old one, whichever is named.
	switch {
	case m.Group.Adding:
		c.Infer = own
	case other == "":
	case m.Stage.written() == newOnly || m.Stage.Step == InferNew:
		c.Infer = m.Group.New[0].Name
	default:
		c.Infer = m.Group.Old[0].Name
	}
	o, x := rel.Column(own), rel.Column(other)
	// A column that is about to go is no origin: it may be gone before the next epoch says so.
	going := m.Stage.Phase >= Complete && !m.New || m.Stage.Step == WriteOld && m.New
	switch {
	case going && m.Group.Dropping:
	case x != nil && (o == nil || going):
		c.Num = x.Num
	case o != nil:
		c.Num = o.Num
	}
	if m.Group.Same {
		// Until (a3) the default is the old column's, from then on the new one's.
		for _, d := range []*catalog.Column{o, x} {
			if d != nil && d.Default != "" {
				c.Default = d.Default
			}
		}
		return
	}
	c.Default = m.defaultOf(rel, own)
}

// defaultOf gives a column's default: its own where it has one, else what the other side's defaults come to.
func (m *Applied) defaultOf(rel *catalog.Relation, name string) string {
	if c := rel.Column(name); c != nil && c.Default != "" {
		return c.Default
	}
	if m.Group.Adding || m.Group.Dropping {
		return "" // what is on the other side is no default
	}
	var form Form
	var typ string
	for _, o := range m.Group.Old {
		if o.Name == name {
			form, typ = o.Down, m.oldType(rel, name).SQL
		}
	}
	any := false
	for _, n := range m.Group.New {
		if n.Name != name {
			continue
		}
		form, typ, any = n.Up, m.newType(rel, n).SQL, n.NotNull // which may make something of NULL
		if n.Default != "" {
			return "((" + n.Default + ")::" + typ + ")"
		}
	}
	text := form.Expand(func(col string) string {
		if c := rel.Column(col); c != nil && c.Default != "" {
			any = true
			return "(" + c.Default + ")"
		}
		return "NULL"
	})
	if !any {
		return ""
	}
	return "((" + text + ")::" + typ + ")"
}

func (m *Applied) oldType(rel *catalog.Relation, name string) catalog.Type {
	if c := rel.Column(name); c != nil {
		return c.Type
	}
	if t, ok := m.OldTypes[name]; ok {
		return t
	}
	if m.Group.Same {
		if c := rel.Column(m.Group.New[0].Name); c != nil {
			return c.Type
		}
	}
	return catalog.Type{Mod: -1}
}

func (m *Applied) newType(rel *catalog.Relation, n NewColumn) catalog.Type {
	if c := rel.Column(n.Name); c != nil {
		return c.Type
	}
	if n.Type == "" {
		return m.oldType(rel, m.Group.Old[0].Name)
	}
	return catalog.Type{Mod: -1, SQL: n.Type}
}

// up and down are what the other side's columns say of a column, as values of its type.
func (m *Applied) up(rel *catalog.Relation, n NewColumn) Form {
	return n.Up.cast(m.newType(rel, n).SQL)
}

func (m *Applied) down(rel *catalog.Relation, o OldColumn) Form {
	return o.Down.cast(m.oldType(rel, o.Name).SQL)
}

func (m *Applied) readOld(rel *catalog.Relation, o OldColumn, c *Column) {
	own := Form{{Column: o.Name}}
	s := m.Stage
	switch {
	case m.Group.Splitting && s.leavesOld():
		c.Unreadable = aboutToGo
	case m.Group.Splitting:
		c.Read = own
	case s.written() == oldOnly, s.Phase <= Backfilling, m.Group.Dropping && s.Phase <= Contract:
		c.Read = own
	case o.Down == nil && s.Phase <= Contract:
		c.Read = own // new code cannot write, so it is as good as ever
	case o.Down == nil:
		c.Unreadable = "the migration has no way back, so old code can no longer read the column"
	case s.Phase == SwitchReads && m.Group.Lossy:
		c.Read = own
	case s.Phase == SwitchReads && !s.Proved:
		down := m.down(rel, o)
		c.Read, c.Either = coalesce(down, own), []Form{down, own}
	default:
		c.Read = m.down(rel, o)
	}
}

func (m *Applied) readNew(rel *catalog.Relation, n NewColumn, c *Column) {
	own := Form{{Column: n.Name}}
	s := m.Stage
	switch {
	case s.written() == oldOnly, s.Phase <= Backfilling && !m.Group.Lossy:
		c.Read = m.up(rel, n)
	case s.Phase <= Backfilling, s.Phase == SwitchReads && !s.Proved:
		up := m.up(rel, n)
		c.Read, c.Either = coalesce(own, up), []Form{own, up}
	default:
		c.Read = own
	}
}

// tie says how the group's columns of this side are written in the stage.
func (m *Applied) tie(rel *catalog.Relation) *Tie {
	g, s := m.Group, m.Stage
	if g.Splitting {
		return m.splitTie()
	}
	t := &Tie{Migration: m.Name, Same: g.Same, Lossy: g.Lossy, OldSide: !m.New, Moving: s.Step == InferNew}
	m.arbiter(t)
	w := s.written()
	others := w == bothSides
	if m.New {
		logical := map[string]Form{}
		for _, n := range g.New {
			t.Columns = append(t.Columns, n.As)
			logical[n.Name] = Form{{Column: n.As}}
			if n.NotNull { // what stands for it on the old side may be no NULL
				logical[n.Name] = append(append(Form{{Text: "("}}, logical[n.Name].call(GivenFunction(m.Name, n.Name))...), Part{Text: ")"})
			}
		}
		t.Own = w != oldOnly
		if others || w == oldOnly {
			for _, o := range g.Old {
				t.Others = append(t.Others, Other{o.Name, m.oldType(rel, o.Name).SQL, o.Down.fill(logical)})
			}
		}
		for _, n := range g.New {
			t.Back = append(t.Back, Other{n.As, m.newType(rel, n).SQL, n.Up})
		}
		t.Unfilled = w == bothSides && !s.Proved
		switch {
		case g.Adding && w == oldOnly:
			t.Refuse = "the new column is not there, or about to go, so it can be written from dual-write on"
		case w != newOnly && g.OneWay():
			t.Refuse = "the migration has no way back, so the new columns can be written from complete on"
		case w != newOnly && g.Lossy && s.Phase < SwitchReads:
			t.Refuse = "the migration is lossy, so the new columns can be written from switch-reads on"
		}
		return t
	}
	for _, o := range g.Old {
		t.Columns = append(t.Columns, o.Name)
	}
	t.Own = w != newOnly
	if g.Dropping && w == newOnly {
		t.Refuse = "the column has gone, so it can no longer be written"
	}
	if others || w == newOnly {
		for _, n := range g.New {
			t.Others = append(t.Others, Other{n.Name, m.newType(rel, n).SQL, n.Up})
		}
	}
	for _, o := range g.Old {
		t.Back = append(t.Back, Other{o.Name, m.oldType(rel, o.Name).SQL, o.Down})
	}
	return t
}

// fills are the old columns that new code does not know and that take no row without a value.
func (m *Applied) fills(rel *catalog.Relation) []Fill {
	if m.Group.Splitting {
		return m.splitFills(rel)
	}
	if !m.New || !m.Group.Dropping || m.Stage.written() == newOnly {
		return nil
	}
	var out []Fill
	for _, o := range m.Group.Old {
		if c := rel.Column(o.Name); c != nil && c.NotNull && c.Default == "" && !c.Generated && !c.Identity && o.Down != nil && len(o.Down.Columns()) == 0 {
			out = append(out, Fill{Column: o.Name, SQL: o.Down.cast(c.Type.SQL).Over("")})
		}
	}
	return out
}

// arbiter says which side's unique index stands for the group: while the old columns' does, its mirror is not unique, whichever is named.
func (m *Applied) arbiter(t *Tie) {
	if m.Group.Lossy || m.Group.OneWay() || len(m.Group.Old) == 0 || len(m.Group.New) == 0 {
		return
	}
	var old, added []string
	for _, o := range m.Group.Old {
		old = append(old, o.Name)
	}
	for _, n := range m.Group.New {
		added = append(added, n.Name)
	}
	t.Arbiter = old
	if m.Stage.written() == newOnly || m.Stage.Step == InferNew {
		t.Arbiter = added
	}
	if m.Stage.Step == BothUnique || m.Stage.Step == InferNew {
		t.Contested = append(old[:len(old):len(old)], added...)
	}
}

func coalesce(a, b Form) Form {
	f := Form{{Text: "COALESCE("}}
	f = append(f, a...)
	f = append(f, Part{Text: ", "})
	f = append(f, b...)
	return append(f, Part{Text: ")"})
}
