package rewrite

import (
	"fmt"
	"slices"
	"sort"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// attempt plans one text with each migration's side settled.
type attempt struct {
	edits
	state *State
	set   Settings
	// isNew says, by migration, whether the code was written for the schema after it.
	isNew map[string]bool

	lenses     map[uint32]*lens.Lens
	touched    map[string]bool
	oldNames   map[string]bool
	renamed    map[*pg.ColumnRef]bool // references whose text now has, or may have, another output name
	resolved   []string               // what each name that a migration gives or takes was resolved to
	results    []Result
	copies     []CopyIn
	stmt       int // index of the statement
	start      int // where it begins in the text, behind the semicolon before it
	uses       int // how often it names a migrating column, or depends on a migrating table's shape
	prepares   []string
	again      map[string]bool // physical columns of both sides whose unique indexes both may stand, where ON CONFLICT infers one
	partitions []string        // that are made, attached or detached

	// derived are the tables, by their place in the text, for which a sub-select in the code's own shape stands in. It is the way out where columns cannot be
	// replaced one by one; needs asks for one more, and the text is planned anew.
	derived map[int32]bool
	needs   *int32
	// doomed says that a name that no migration knows means several things, so that the server will refuse the statement.
	doomed bool
	// rowsShow says that whole rows may be results here: their type is put right in the result's description.
	rowsShow bool
	// frame is the query that is planned, as far as it locks rows; below says that the next one gives rows to one that locks them.
	frame *lockFrame
	below bool
	// halved has the splits of which the statement that is planned takes rows of the new table away, or asks whether there are any.
	halved map[halfUse]bool
	// utility says that the statement is one whose errors about tables have no position.
	utility bool
	// kept says that a query is stored and not run: it reads the system catalogs as they are.
	kept bool
	// locks and groups count the queries around that lock or group rows: a sub-select would change what they do.
	locks, groups int

	refusal *Refusal
	// blame is the migration of which the other side has the name that was not found.
	blame   string
	dear    []int32 // places of calls of functions that cost more than most
	outward []int32 // places of references that may be to what the statement itself is about, and not to something of a sub-select's own
}

// halfUse is what a statement does about a split: it takes rows of the new table away, or asks whether there are any.
type halfUse struct {
	migration string
	asks      bool
}

func (a *attempt) refuse(r *Refusal) {
	if a.refusal == nil {
		a.refusal = r
	}
}

// position gives a byte offset as an error position.
func (a *attempt) position(off int) int {
	return countChars(a.text[:min(max(off, 0), len(a.text))], singleByte(a.set.Encoding)) + 1
}

// uncovered refuses what is not carried out.
func (a *attempt) uncovered(off int, l *lens.Lens, what, hint string) {
	m := "under way"
	if l != nil && len(l.Migrations) > 0 {
		m = fmt.Sprintf("%q of %s", l.Migrations[0], catalog.QuoteQualified(l.Relation.Schema, l.Relation.Name))
	}
	a.refuse(&Refusal{
		Code:     "0A000",
		Message:  fmt.Sprintf("segue: %s cannot be carried through migration %s", what, m),
		Hint:     hint,
		Position: a.position(off),
	})
}

// unknownColumn refuses a name that the code's own schema does not have, in PostgreSQL's words.
func (a *attempt) unknownColumn(off int, l *lens.Lens, name, message string) {
	m := a.otherSide(l, name)
	if a.refusal == nil {
		a.blame = m
	}
	a.refuse(&Refusal{Code: "42703", Message: message, Hint: a.sideHint(m, name), Position: a.position(off)})
}

// sideHint says why a column that stands in the table is not there for the code.
func (a *attempt) sideHint(migration, name string) string {
	if migration == "" {
		return ""
	}
	side, has := "old", "new"
	if a.isNew[migration] {
		side, has = has, side
	}
	return fmt.Sprintf("Migration %q is under way: the %s schema has %q, and this statement is read as one for the %s schema.", migration, has, name, side)
}

// otherSide gives the migration of which name is a column on the other side.
func (a *attempt) otherSide(l *lens.Lens, name string) string {
	for i := range a.state.migrations {
		m := &a.state.migrations[i]
		if !slices.Contains(l.Migrations, m.Definition.Name) {
			continue
		}
		if side := a.isNew[m.Definition.Name]; m.group.Has(name, !side) && !m.group.Has(name, side) {
			return m.Definition.Name
		}
	}
	return ""
}

// lensOf gives a migrating table's lens, nil for other tables.
func (a *attempt) lensOf(rel *catalog.Relation) *lens.Lens {
	idx := a.migrationsOf(rel)
	if len(idx) == 0 {
		return nil
	}
	if l := a.lenses[rel.OID]; l != nil {
		return l
	}
	applied := make([]lens.Applied, 0, len(idx))
	var halves []lens.Half
	for _, i := range idx {
		m := &a.state.migrations[i]
		a.touched[m.Definition.Name] = true
		x := a.applied(i)
		x.OldNums, x.TableNums = m.oldNums(a.state.Catalog.ByOID(a.state.roots[i]), rel), m.tableNums(rel, a.state.roots[i])
		applied = append(applied, x)
		if x.Split != nil {
			halves = append(halves, x.Half(a.state.targetOf(m), false))
		}
	}
	l := lens.Compile(rel, applied)
	l.Halves = append(halves, a.targetHalves(rel)...)
	a.lenses[rel.OID] = l
	return l
}

// applied gives a migration as it applies to its table, but for the numbers of its columns there.
func (a *attempt) applied(i int) lens.Applied {
	m := &a.state.migrations[i]
	x := lens.Applied{Name: m.Definition.Name, Group: m.group, Stage: m.Stage, OldTypes: m.OldTypes, New: a.isNew[m.Definition.Name], Required: m.OldRequired, Defaults: m.OldDefaults, Split: m.Definition.SplitTable, Table: m.Definition.Table}
	if m.Target != nil {
		x.Foreign, x.Required = m.Target.Foreign, m.Target.Required
		x.Known = true
	}
	return x
}

// usesShape notes that the statement depends on the order and number of the table's columns.
func (a *attempt) usesShape(l *lens.Lens) {
	a.uses++
	for _, m := range l.Migrations {
		if !a.isNew[m] {
			a.oldNames[m] = true
		}
	}
}

// usesColumn notes that the statement names a migrating column.
func (a *attempt) usesColumn(c *lens.Column) {
	if c.Migrates() {
		a.uses++
	}
	if c.Migrates() && !a.isNew[c.Migration()] {
		a.oldNames[c.Migration()] = true
	}
}

// relation resolves a table's name: to a CTE, a relation of the catalog, or nothing that is known. The lens is set for migrating tables.
func (a *attempt) relation(rv *pg.RangeVar, ctes *cte) (*cte, *catalog.Relation, *lens.Lens) {
	if rv.Schemaname == "" {
		if c := ctes.find(rv.Relname); c != nil {
			return c, nil, nil
		}
	}
	rel := a.find(rv.Schemaname, rv.Relname)
	if rel == nil {
		a.comingTable(rv)
		return nil, nil, nil
	}
	l := a.lensOf(rel)
	a.enter(rv, rel)
	return nil, rel, l
}

func (a *attempt) find(schema, name string) *catalog.Relation {
	if schema != "" {
		if isTemp(schema) {
			if schema == "pg_temp" || slices.Contains(a.set.Path, schema) { // else it is another session's
				return a.tempTable(name)
			}
			return nil
		}
		return a.relationIn(schema, name)
	}
	if oid, asked := a.set.Means[name]; asked {
		if r := a.tempTable(name); r != nil && r.OID == oid {
			return r
		}
		return a.state.Catalog.ByOID(oid) // nil also where the table is newer than the catalog: it is another one then
	}
	if !slices.ContainsFunc(a.set.Path, isTemp) && slices.Contains(a.set.Temp, name) {
		return a.tempTable(name)
	}
	path := a.set.Path
	if !slices.Contains(path, "pg_catalog") {
		path = append([]string{"pg_catalog"}, path...)
	}
	for _, s := range path {
		if isTemp(s) {
			if slices.Contains(a.set.Temp, name) {
				return a.tempTable(name)
			}
			continue
		}
		if r := a.relationIn(s, name); r != nil {
			return r
		}
	}
	return nil
}

// tempTable gives one of the session's temporary tables; nil where its columns are not known.
func (a *attempt) tempTable(name string) *catalog.Relation {
	for _, r := range a.set.TempTables {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// tokenAt gives the index of the token that begins at a byte offset; -1 where none does.
func (a *attempt) tokenAt(off int32) int {
	i := sort.Search(len(a.toks), func(i int) bool { return a.toks[i].start >= int(off) })
	if i < len(a.toks) && a.toks[i].start == int(off) {
		return i
	}
	return -1
}

func (a *attempt) tokText(i int) string {
	if i < 0 || i >= len(a.toks) {
		return ""
	}
	return a.text[a.toks[i].start:a.toks[i].end]
}

// isWord says whether token i is the key word, given in lower case.
func (a *attempt) isWord(i int, word string) bool {
	return i >= 0 && i < len(a.toks) && a.toks[i].kind == tokIdent && len(word) == a.toks[i].end-a.toks[i].start && equalFold(a.tokText(i), word)
}

func (a *attempt) isPunct(i int, c byte) bool {
	return i >= 0 && i < len(a.toks) && a.toks[i].kind == tokPunct && a.text[a.toks[i].start] == c
}

func (a *attempt) isName(i int) bool {
	return i >= 0 && i < len(a.toks) && a.toks[i].kind <= tokUQuoted
}

// lost refuses where the tokens are not as the tree says: a defect, or a form that this code does not know.
func (a *attempt) lost(off int32, what string) {
	a.uncovered(int(off), nil, "this way of writing "+what, "Write it without Unicode escapes and unusual punctuation.")
}

// refTokens gives the first and last token of a column reference.
func (a *attempt) refTokens(c *pg.ColumnRef) (from, to int, ok bool) {
	from = a.tokenAt(c.Location)
	to = from + 2*(len(c.Fields)-1)
	if from < 0 || to >= len(a.toks) {
		a.lost(c.Location, "a column's name")
		return 0, 0, false
	}
	for i := from; i < to; i += 2 {
		if !a.isName(i) || !a.isPunct(i+1, '.') {
			a.lost(c.Location, "a column's name")
			return 0, 0, false
		}
	}
	if a.toks[to].kind == tokUQuoted && a.isWord(to+1, "uescape") || a.toks[from].kind == tokUQuoted && a.isWord(from+1, "uescape") {
		a.lost(c.Location, "a column's name")
		return 0, 0, false
	}
	return from, to, true
}

// nesting gives by how much a token changes the depth in brackets.
func (a *attempt) nesting(i int) int {
	switch {
	case a.isPunct(i, '('), a.isPunct(i, '['):
		return 1
	case a.isPunct(i, ')'), a.isPunct(i, ']'):
		return -1
	}
	return 0
}

// caseNesting is the same of the depth in brackets and in CASE ... END.
func (a *attempt) caseNesting(i int) int {
	switch {
	case a.isPunct(i-1, '.'), a.isWord(i-1, "as"):
	case a.isWord(i, "case"):
		return 1
	case a.isWord(i, "end"):
		return -1
	}
	return a.nesting(i)
}

// closing gives the token that closes the bracket at token i; -1 where none does.
func (a *attempt) closing(i int) int {
	depth := 0
	for ; i < len(a.toks); i++ {
		n := a.nesting(i)
		if depth += n; n < 0 && depth == 0 {
			return i
		}
	}
	return -1
}

// clauseWords end the last target of a list, where they stand outside brackets and are no part of an expression. All are reserved.
var clauseWords = map[string]bool{
	"from": true, "into": true, "where": true, "group": true, "having": true, "window": true, "union": true, "intersect": true,
	"except": true, "order": true, "limit": true, "offset": true, "fetch": true, "for": true, "returning": true, "on": true, "with": true,
	"when": true,
}

// exprEnd gives the last token of the expression that begins at token i and is ended by a comma, a closing bracket, a semicolon, a
// clause's key word or the end of the text.
func (a *attempt) exprEnd(i int) int {
	depth := 0
	start := i
	for ; i < len(a.toks); i++ {
		t := a.toks[i]
		if t.kind == tokPunct {
			switch a.text[t.start] {
			case '(', '[':
				depth++
			case ')', ']':
				depth--
				if depth < 0 {
					return i - 1
				}
			case ',', ';':
				if depth == 0 {
					return i - 1
				}
			}
			continue
		}
		if t.kind == tokIdent && !a.isPunct(i-1, '.') && !a.isWord(i-1, "as") {
			if a.isWord(i, "case") {
				depth++
				continue
			}
			if a.isWord(i, "end") && depth > 0 {
				depth--
				continue
			}
		}
		if depth == 0 && i > start && t.kind == tokIdent && t.end-t.start <= len("intersect") && clauseWords[lower(a.tokText(i))] {
			switch {
			case a.isPunct(i-1, '.'):
			case a.isWord(i, "from") && a.isWord(i-1, "distinct"):
			case a.isWord(i, "group") && a.isWord(i-1, "within"):
			case a.isWord(i, "with") && (a.isWord(i+1, "time") || a.isWord(i+1, "ordinality")):
			case a.isWord(i-1, "as"):
			default:
				return i - 1
			}
		}
	}
	return i - 1
}

func singleByte(encoding string) bool {
	switch encoding {
	case "", "UTF8", "UNICODE", "EUC_JP", "EUC_CN", "EUC_KR", "EUC_TW", "EUC_JIS_2004", "SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004", "MULE_INTERNAL":
		return false
	}
	return true
}

func strOf(n *pg.Node) string { return n.GetString_().GetSval() }
