package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// Explained is a plan with what a person wants to know of it.
type Explained struct {
	*Plan
	Tables []TableView // the migrating tables that the text uses, as its code sees them, by name
	// Indexes are the places where the text compares, joins or sorts by a column and an index on that column alone does not serve.
	Indexes []IndexNote
}

// IndexNote is one such place.
type IndexNote struct {
	Column   string
	Table    string // as SQL
	Position int    // in characters of the text, from 1
	// Read is the SQL that stands there instead of the column, over the table's own.
	Read string
	// Needs is the expression of which an index would serve; "" where none would, since two columns are read at once.
	Needs string
}

// Explain plans a text as Plan does, without a look into the caches.
func (s *State) Explain(sql string, set Settings) *Explained {
	if !s.Mentions(sql) {
		return &Explained{Plan: &Plan{Kind: Pass, SQL: sql}}
	}
	p := s.plan(sql, set)
	x := &Explained{Plan: p}
	slices.SortFunc(p.lenses, func(a, b *lens.Lens) int { return strings.Compare(tableName(a.Relation), tableName(b.Relation)) })
	for _, l := range p.lenses {
		x.Tables = append(x.Tables, s.viewOf(l))
	}
	if p.Kind == Rewrite {
		x.indexes()
	}
	return x
}

// indexes finds the columns that are used for more than being given back or written.
func (x *Explained) indexes() {
	if len(x.text) > largeText {
		return // it would have to be parsed once more
	}
	tree, err := pg.Parse(x.text)
	if err != nil {
		return // it cannot be, since it was parsed before
	}
	toks, _, _ := lex(x.text)
	var walk func(m protoreflect.Message, finds bool)
	walk = func(m protoreflect.Message, finds bool) {
		switch n := m.Interface().(type) {
		case *pg.SortBy:
			if c := n.Node.GetColumnRef(); c != nil && finds {
				x.index(c, toks, true)
				return
			}
		case *pg.ColumnRef:
			if finds {
				x.index(n, toks, false)
			}
			return
		case *pg.SelectStmt:
			finds = true
		}
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			finds := finds && !findsNothing[string(fd.Name())]
			switch {
			case fd.Message() == nil:
			case fd.IsList():
				for i := range v.List().Len() {
					walk(v.List().Get(i).Message(), finds)
				}
			default:
				walk(v.Message(), finds)
			}
			return true
		})
	}
	walk(tree.ProtoReflect(), true)
}

// findsNothing are the fields of the tree's nodes whose expressions are given back, written or grouped by, and for which no rows are looked up.
var findsNothing = map[string]bool{"target_list": true, "returning_list": true, "values_lists": true, "distinct_clause": true, "having_clause": true, "group_clause": true, "window_clause": true}

// stage gives where a migration that is under way stands.
func (s *State) stage(migration string) (stage lens.Stage, ok bool) {
	for i := range s.migrations {
		if s.migrations[i].Definition.Name == migration {
			return s.migrations[i].Stage, true
		}
	}
	return stage, false
}

// index notes a reference to a column which no index of that column alone serves. Where it sorts, it may be a name of the output, and is left as it is.
func (x *Explained) index(c *pg.ColumnRef, toks []token, sorts bool) {
	name := strOf(c.Fields[len(c.Fields)-1])
	a := &attempt{edits: edits{text: x.text, toks: toks}}
	from := a.tokenAt(c.Location)
	i := slices.IndexFunc(x.edits, func(e edit) bool { return e.kind == replace && e.from == from })
	if i < 0 && (!sorts || len(c.Fields) > 1) {
		return
	}
	split := i >= 0 && x.edits[i].to >= from+2*len(c.Fields)-1 // with the operator and what it compares with
	for _, l := range x.lenses {
		col := l.Column(name)
		if col == nil || col.Tie == nil || col.Read == nil {
			continue
		}
		plain := func(f lens.Form) string { return f.Expand(catalog.QuoteIdent) }
		note := IndexNote{Column: col.Name, Table: tableName(l.Relation), Read: plain(col.Read), Position: x.chars(int(c.Location)) + 1}
		switch {
		case col.Read.Plain() != "":
			continue
		case col.Either == nil:
			note.Needs = note.Read
		case split:
			i := slices.IndexFunc(col.Either, func(f lens.Form) bool { return f.Plain() == "" })
			if i < 0 {
				continue // both columns' indexes serve
			}
			note.Needs = plain(col.Either[i])
		}
		x.Indexes = append(x.Indexes, note)
		return
	}
}
