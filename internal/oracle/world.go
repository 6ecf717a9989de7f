package oracle

import (
	"fmt"
	"slices"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// World is a random schema with the migrations that are under way in it, and the rows that everything begins with.
type World struct {
	Name    string
	Tables  []*worldTable
	Changes []*change // in the order in which they were started
	way     int       // chooses how two of them go on beside each other
}

// worldTable is a table as it was before any migration. Its first column is its primary key.
type worldTable struct {
	Name    string
	Columns []*worldColumn
	Parts   int        // it is partitioned, by its primary key, into so many
	Rows    [][]string // by column: values in text, "NULL" for NULL
	second  string     // a column that the primary key has beside the first, which is unique all the same; "" for none
	of      *change    // the split whose new table it is; nil for others
}

// worldColumn is a column of a table: one that stays, or the i-th old column of a change.
type worldColumn struct {
	Column
	typ       *sqlType
	change    *change // nil for one that stays
	index     int
	identity  string // ALWAYS or BY DEFAULT
	generated string // as SQL
	unique    bool
	ref       *worldTable // a foreign key to its primary key
}

// Code is the schema that code was written for: the side of each of the world's changes.
type Code []Side

// Version is what a session of that code says it is.
func (c Code) Version(w *World) lens.Version {
	last := -1
	for i, s := range c {
		if s == NewSide {
			last = i
		}
	}
	switch last {
	case -1:
		return lens.Old
	case len(c) - 1:
		return lens.New
	}
	return lens.Version(w.Changes[last].Definition().Name)
}

func (c Code) String() string {
	var out []string
	for _, s := range c {
		out = append(out, s.String())
	}
	return strings.Join(out, "/")
}

// codes are the schemas that code can be written for: each has the changes up to one of them.
func (w *World) codes() []Code {
	var out []Code
	for n := range len(w.Changes) + 1 {
		c := make(Code, len(w.Changes))
		for i := range n {
			c[i] = NewSide
		}
		out = append(out, c)
	}
	return out
}

var (
	plainNames = []string{"name", "full_name", "note", "price", "qty", "code", "label", "kind", "title", "status", "info", "value_v2", "a", "key", "total", "x"}
	oddNames   = []string{"User Name", "order", "Größe", `a"b`, "select", "名前", "CamelCase", "x.y", "group", "a_name_that_is_as_long_as_PostgreSQL_lets_a_name_be_sixty_three", "user", "$1", "it's"}
	tableNames = []string{"users", "products", "items", "orders"}
	oddTables  = []string{"User Table", "Ünits", "order", "Table"}
)

// namer gives names that one table has not had yet.
type namer struct {
	ch   *choices
	odd  bool
	used []string
}

func (n *namer) next() string {
	for {
		list := plainNames
		if n.odd && n.ch.often(2) {
			list = oddNames
		}
		at := n.ch.of(len(list))
		for range list {
			if name := list[at%len(list)]; !slices.Contains(n.used, name) {
				n.used = append(n.used, name)
				return name
			}
			at++
		}
	}
}

// newWorld makes a world of choices, where 0 is always the plainest.
func newWorld(ch *choices) *World {
	w := &World{}
	odd := ch.often(3)
	two := ch.of(4) // 2: two changes of one table; 3: of two tables
	first, firstNames := w.table(ch, odd, 0, 12, func() int { return 2 + ch.of(3) })
	if ch.often(5) {
		first.Parts = 2
	}
	// A UNIQUE column of a partitioned table would have to have the key beside it.
	first.Columns = slices.Insert(first.Columns, 1+ch.of(len(first.Columns)), &worldColumn{Column: Column{Name: "email", Type: "text"}, typ: typeText, unique: first.Parts == 0})
	second, secondNames := w.table(ch, odd, 1, 8, func() int { return 1 + ch.of(3) })
	second.Columns = append(second.Columns, &worldColumn{Column: Column{Name: "ref", Type: first.Columns[0].Type}, typ: first.Columns[0].typ, ref: first})
	w.change(ch, first, firstNames)
	switch two {
	case 2:
		w.change(ch, first, firstNames)
	case 3:
		w.change(ch, second, secondNames)
	}
	w.way = ch.of(1 << 30)
	for _, t := range w.Tables {
		t.fill(ch)
	}
	return w
}

// table adds the i-th table, with an id and some more columns.
func (w *World) table(ch *choices, odd bool, i, rows int, more func() int) (*worldTable, *namer) {
	t := &worldTable{Name: tableNames[i]}
	if odd && ch.often(2) {
		t.Name = oddTables[i]
	}
	count := more()
	names := &namer{ch: ch, odd: odd, used: []string{"id", "email", "created_at", "ref"}}
	w.Tables = append(w.Tables, t)
	id := &worldColumn{Column: Column{Name: "id", Type: "bigint", NotNull: true}, typ: typeBig}
	switch ch.of(5) {
	case 0, 1, 2:
		id.identity = "BY DEFAULT"
	case 3:
		id.Column.Type, id.typ = "integer", typeInt
		id.identity = "BY DEFAULT"
	case 4:
		id.identity = "ALWAYS"
	}
	t.Columns = append(t.Columns, id)
	for i := range count {
		typ := keepingTypes[ch.of(len(keepingTypes))]
		c := &worldColumn{Column: Column{Name: names.next(), Type: typ.SQL}, typ: typ}
		switch ch.of(8) {
		case 4, 5:
			c.Default = quoteText(typ.words[0]) + "::" + typ.SQL
		case 6:
			c.Default, c.NotNull = quoteText(typ.words[0])+"::"+typ.SQL, true
		case 7:
			if typ.family == texts && i > 0 && t.Columns[i].typ.family == texts {
				c.generated = "upper(" + catalog.QuoteIdent(t.Columns[i].Name) + ")"
			}
		}
		t.Columns = append(t.Columns, c)
	}
	for range rows {
		t.Rows = append(t.Rows, nil)
	}
	return t, names
}

// change adds a migration of a table.
func (w *World) change(ch *choices, t *worldTable, n *namer) {
	strict := [2]bool{ch.often(3), ch.often(3)}
	if strict[0] {
		strict[1] = strict[1] || ch.often(2)
	}
	var c *change
	if at := ch.of(len(kinds) * 3 / 2); at < len(kinds) {
		k := kinds[at]
		var names [2][]string
		for range k.old {
			names[0] = append(names[0], n.next())
		}
		for range k.new {
			names[1] = append(names[1], n.next())
		}
		c = k.change(t.Name, names, strict)
		if k.keys != nil && t.Parts == 0 && ch.often(3) {
			c.unify(k.keys)
		}
		if ct := c.Pattern.ChangeType; ct != nil && ch.often(3) {
			ct.AppName = ct.Column
			c.Columns[NewSide][0].As = ct.AppName
		}
	} else {
		typ := allTypes[ch.of(len(allTypes))]
		c = renaming(t.Name, n.next(), n.next(), typ, strict)
		if slices.Contains([]family{texts, ints, numbers}, typ.family) && t.Parts == 0 && ch.often(3) {
			c.unify(same)
		}
	}
	number := len(w.Changes) + 1
	c.Migration, c.Suffix = fmt.Sprintf("change_%d", number), fmt.Sprint("_", number)
	for i, o := range c.Columns[OldSide] {
		col := &worldColumn{Column: o, typ: c.halves[OldSide][i].typ, change: c, index: i}
		t.Columns = slices.Insert(t.Columns, 1+ch.of(len(t.Columns)), col)
	}
	w.Changes = append(w.Changes, c)
}

// fill makes the rows.
func (t *worldTable) fill(ch *choices) {
	for r := range t.Rows {
		empty := map[*change]bool{}
		row := make([]string, len(t.Columns))
		for i, c := range t.Columns {
			words := c.words()
			switch null := !c.NotNull && ch.often(5); {
			case i == 0:
				row[i] = fmt.Sprint(r + 1)
				continue
			case c.change != nil:
				if _, decided := empty[c.change]; !decided { // all of a change's columns, or none
					empty[c.change] = null
				}
				null = empty[c.change] && !c.NotNull
				row[i] = words[ch.of(len(words))]
				if c.change.Unique {
					row[i] = words[r]
				}
				if null {
					row[i] = sqlNull
				}
			case c.generated != "":
				row[i] = "DEFAULT"
			case null:
				row[i] = sqlNull
			case c.unique:
				row[i] = fmt.Sprintf("u%d@x", r+1)
			case c.ref != nil:
				row[i] = fmt.Sprint(1 + ch.of(len(c.ref.Rows)))
			default:
				row[i] = words[ch.of(len(words))]
			}
		}
		t.Rows[r] = row
	}
}

// part is the name of a partition.
func (t *worldTable) part(i int) string { return fmt.Sprintf("%s_%d", t.Name, i) }

// relations are the names of the table and of its partitions.
func (t *worldTable) relations() []string {
	names := []string{t.Name}
	for i := range t.Parts {
		names = append(names, t.part(i))
	}
	return names
}

const sqlNull = "NULL"

// words are values of the column.
func (c *worldColumn) words() []string {
	if c.change != nil {
		return c.change.halves[OldSide][c.index].words
	}
	return c.typ.words
}
