package oracle

import (
	"fmt"
	"slices"
	"strings"

	"segue/rewrite/catalog"
)

// gen makes one script of choices. Its results have one order, or their rows are compared as a set; it calls nothing whose result depends on the
// order in which a plan evaluates; otherwise it may be anything, an error too.
type gen struct {
	*choices
	world  *World
	script *Script
	tables []*genTable
	step   *scriptStep
	params bool // values may be parameters of this step
	beside int  // of the relations that can be named, those that the scope at hand leaves out
	root   bool // partitions are not named
	names  int  // aliases given so far
	ctes   []rel
}

// genTable is a table as the script's code sees it.
type genTable struct {
	table *worldTable
	rel
}

// genColumn is a column of something in FROM.
type genColumn struct {
	name   string // as it is
	family family
	typ    *sqlType
	words  []string
	change *change // nil for one that stays
	col    *worldColumn
	index  int
	strict bool // NOT NULL
	preset bool // has a default
}

// rel is something that columns can be taken from.
type rel struct {
	alias string // as it is written before a column
	cols  []genColumn
	whole bool     // the alias is a table's, or a sub-select's: it can be named as a whole
	keyed bool     // its first column is unique
	key   []string // its primary key, where it is a table
	call  bool     // a function's result, of which the planner may not know how many columns it has
}

// scope is what names can mean at some place: the innermost level first.
type scope []rel

// newGen begins a script of some code.
func newGen(ch *choices, w *World) *gen {
	codes := w.codes()
	code := codes[ch.of(len(codes))]
	g := &gen{choices: ch, world: w, script: &Script{Code: code}}
	for _, t := range w.tables(code.reference()) {
		own := &genTable{table: t, rel: rel{whole: true, keyed: true, key: t.key()}}
		for _, c := range w.columns(t, code.reference()) {
			gc := genColumn{name: c.Name, col: c.worldColumn, index: c.index}
			switch {
			case c.new != nil:
				h, col := c.new.halves[NewSide][c.index], c.new.Columns[NewSide][c.index]
				gc.typ, gc.words, gc.change, gc.strict, gc.preset = h.typ, h.words, c.new, col.NotNull, col.Default != ""
			case c.change != nil:
				h := c.change.halves[OldSide][c.worldColumn.index]
				gc.typ, gc.words, gc.change, gc.strict, gc.preset = h.typ, h.words, c.change, c.NotNull, c.Default != ""
				gc.index = c.worldColumn.index
			default:
				gc.typ, gc.words, gc.strict, gc.preset = c.typ, c.typ.words, c.NotNull, c.Default != "" || c.identity != ""
			}
			gc.family = gc.typ.family
			own.cols = append(own.cols, gc)
		}
		g.tables = append(g.tables, own)
	}
	return g
}

// begin begins a text.
func (g *gen) begin() {
	g.step = &scriptStep{Ordered: true}
	g.params = g.often(3)
	g.ctes = nil
}

// end ends it.
func (g *gen) end(text string) {
	g.step.Text = text
	switch {
	case g.step.Copy != nil:
	case len(g.step.Params) > 0:
		g.step.Protocol = Extended
	case g.often(3):
		g.step.Protocol = Extended
	}
	g.script.Steps = append(g.script.Steps, *g.step)
}

// plain adds a text that is no statement of the generator's own.
func (g *gen) plain(text string) {
	g.script.Steps = append(g.script.Steps, scriptStep{Step: Step{Text: text}, Ordered: true})
}

func (g *gen) alias() string {
	g.names++
	return fmt.Sprintf("%s%d", g.pick("u", "a", "x"), g.names)
}

// ident writes a name, in one of the ways in which it can be written.
func (g *gen) ident(name string) string {
	q := catalog.QuoteIdent(name)
	if q != name {
		return q
	}
	switch g.of(24) {
	case 22:
		return `"` + name + `"`
	case 23:
		return strings.ToUpper(name)
	}
	return name
}

// tableName writes a table's name, or that of one of its partitions.
func (g *gen) tableName(t *genTable) string {
	g.script.Early = g.script.Early || t.table.of != nil
	if t.table.Parts > 0 && !g.root && g.often(6) {
		return g.ident(t.table.part(g.of(t.table.Parts)))
	}
	if g.often(8) {
		return "public." + g.ident(t.table.Name)
	}
	return g.ident(t.table.Name)
}

// id is the table's unique column.
func (r *rel) id() string { return r.alias + "." + catalog.QuoteIdent(r.key[0]) }

// as gives a table under a new alias.
func (t *genTable) as(alias string) rel {
	r := t.rel
	r.alias = alias
	return r
}

// any is one of the tables: a migrating one three times in four.
func (g *gen) anyTable() *genTable {
	if g.often(4) {
		return g.tables[1]
	}
	if len(g.tables) > 2 && g.often(2) {
		return g.tables[2]
	}
	if len(g.world.Changes) > 1 && g.world.Changes[1].Table == g.tables[1].table.Name && g.often(2) {
		return g.tables[1]
	}
	return g.tables[0]
}

// column writes a reference to a column of the family; false where the scope has none.
func (g *gen) column(s scope, f family) (string, bool) {
	return g.columnWhere(s, func(c *genColumn) bool { return c.family == f })
}

func (g *gen) columnWhere(s scope, fits func(*genColumn) bool) (string, bool) {
	type found struct {
		r *rel
		c *genColumn
	}
	var all []found
	for i := range s {
		for j := range s[i].cols {
			if c := &s[i].cols[j]; fits(c) {
				all = append(all, found{&s[i], c})
				if c.change != nil { // what migrates is what it is about
					all = append(all, found{&s[i], c}, found{&s[i], c})
				}
			}
		}
	}
	if len(all) == 0 {
		return "", false
	}
	f := all[g.of(len(all))]
	return g.ref(s, f.r, f.c), true
}

// ref writes a reference to a column: qualified, or not where no other has its name.
func (g *gen) ref(s scope, r *rel, c *genColumn) string {
	same := 0
	for i := range s {
		for j := range s[i].cols {
			if s[i].cols[j].name == c.name {
				same++
			}
		}
	}
	if same == 1 && g.beside == 0 && g.often(2) {
		return g.ident(c.name)
	}
	return r.alias + "." + g.ident(c.name)
}

// word writes a value of a type. loose says that its place gives it the type, so that it can go without one.
func (g *gen) word(t *sqlType, words []string, loose bool) string {
	if g.often(20) {
		if loose {
			return sqlNull
		}
		return sqlNull + "::" + t.SQL
	}
	v := words[g.of(len(words))]
	if g.params && g.often(2) {
		p := &v
		if g.often(8) {
			p = nil
		}
		g.step.Params = append(g.step.Params, p)
		n := fmt.Sprintf("$%d", len(g.step.Params))
		switch {
		case g.often(4): // Parse says the type
			for len(g.step.Types) < len(g.step.Params) {
				g.step.Types = append(g.step.Types, 0)
			}
			g.step.Types[len(g.step.Params)-1] = t.oid
			return n
		case loose && g.often(2):
			return n
		}
		return n + "::" + t.SQL
	}
	switch {
	case t.family.number() && g.of(3) < 2:
		if strings.HasPrefix(v, "-") {
			return "(" + v + ")"
		}
		return v
	case t.family == bools && g.often(2):
		return map[string]string{"t": "true", "f": "false"}[v]
	case loose && g.of(4) < 3 || t.family == texts && g.of(4) < 3:
		return quoteText(v)
	case t.family == dates && g.often(2):
		return "DATE " + quoteText(v)
	}
	return quoteText(v) + "::" + t.SQL
}

// literal writes a value of the family.
func (g *gen) literal(f family, loose bool) string {
	t := ofFamily[f]
	return g.word(t, t.words, loose)
}

func (g *gen) blank() string {
	return g.pick(" ", " ", " ", " ", " ", " ", "\n", "  ", " /* a 'comment' */ ", " -- and one more\n")
}

// families are those that a scope has columns of.
func (s scope) families() []family {
	var out []family
	for _, r := range s {
		for _, c := range r.cols {
			out = append(out, c.family)
			if c.change != nil {
				out = append(out, c.family, c.family)
			}
		}
	}
	if len(out) == 0 {
		out = []family{texts, ints}
	}
	return out
}

// family chooses one that the scope has columns of.
func (g *gen) family(s scope) family {
	f := s.families()
	return f[g.of(len(f))]
}

// aggregates says that min and max are there for the family.
func (f family) aggregates() bool {
	return !slices.Contains([]family{bools, uuids, jsons, blobs}, f)
}
