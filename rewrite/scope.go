package rewrite

import (
	"slices"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// column is a column of a sub-select, a CTE or a relation that does not migrate, as an outer query sees it.
type column struct {
	name string
	typ  catalog.Type // no OID where it is not known
	// origin is the migrating column that the value comes from unchanged, where the server cannot tell it any more.
	origin *Origin
	// was is the type of origin's column, as format_type writes it; "" where it is not known.
	was string
	// row is set where the value is a whole row of that table, put together from the columns that the code knows.
	row *catalog.Relation
}

// shape is what a query or a relation gives.
type shape struct {
	cols []column
	open bool // there may be other columns, or other names
	// hidden are the names that migrations give or take of the tables whose columns were spread out here: code that uses one that is not there was
	// written for the other side.
	hidden map[string]*lens.Lens
}

// hide takes over what another shape hides.
func (s *shape) hide(hidden map[string]*lens.Lens) {
	for n, l := range hidden {
		if s.hidden == nil {
			s.hidden = map[string]*lens.Lens{}
		}
		s.hidden[n] = l
	}
}

// item is one name in a FROM clause.
type item struct {
	alias  string      // what references are qualified with; "" where nothing can be
	schema string      // may stand before alias, where the table has no alias of its own
	lens   *lens.Lens  // set for migrating tables
	halves []lens.Half // of the splits of which the table is one of the two
	table  bool        // a table or view of the catalog
	shape              // for all others
	// unordered says that the columns are known by name only: not in which order they stand, nor whether all do.
	unordered bool
	maybe     []string // names of columns that it may have besides
	// covers are the migrating tables under a join's alias, whose columns are reached through it.
	covers []*lens.Lens
	place  *int32 // of a table in FROM, in the text
	// nullable says that an outer join may put NULLs in the place of the row, or that there may be none: RETURNING's old and new.
	nullable bool
	// apart says that unqualified names do not see it.
	apart bool
}

func (it *item) column(name string) *column {
	for i := range it.cols {
		if it.cols[i].name == name {
			return &it.cols[i]
		}
	}
	return nil
}

// scope is the names that an expression sees at one level of a query.
type scope struct {
	items  []*item
	merged map[string]*column // names that USING or NATURAL made one of two
	parent *scope
}

// cte is a chain of common table expressions, the innermost first.
type cte struct {
	name string
	shape
	parent *cte
}

func (c *cte) find(name string) *cte {
	for ; c != nil; c = c.parent {
		if c.name == name {
			return c
		}
	}
	return nil
}

// ref is what a column reference means.
type ref struct {
	item    *item
	lens    *lens.Column // a column of a migrating table
	column  *column      // a column of another thing
	scope   *scope       // the level that has it
	merged  bool         // a column that a join made of two
	unsure  bool         // something in scope has columns that are not known, and one of them could be meant
	several bool         // ambiguous
}

// lookup resolves an unqualified name as PostgreSQL does: the innermost level that has it. It gives nil where no level has
// it for certain; unsure then says whether one could.
func lookup(sc *scope, name string) (r *ref, unsure bool) {
	for ; sc != nil; sc = sc.parent {
		var found *ref
		n := 0
		for _, it := range sc.items {
			if it.apart {
				continue
			}
			if it.lens != nil {
				if c := it.lens.Column(name); c != nil {
					found = &ref{item: it, lens: c, scope: sc}
					n++
				}
				continue
			}
			if c := it.column(name); c != nil {
				found = &ref{item: it, column: c, scope: sc}
				n++
			} else if it.open || slices.Contains(it.maybe, name) {
				unsure = true
			}
		}
		switch {
		case sc.merged[name] != nil:
			return &ref{scope: sc, column: sc.merged[name], merged: true, unsure: unsure}, unsure
		case n > 1:
			return &ref{scope: sc, several: true}, unsure
		case n == 1:
			found.unsure = unsure
			return found, unsure
		}
	}
	return nil, unsure
}

// findItem resolves a qualifier.
func findItem(sc *scope, schema, alias string) *item {
	for ; sc != nil; sc = sc.parent {
		for _, it := range sc.items {
			if it.alias == alias && alias != "" && (schema == "" || it.schema == schema) {
				return it
			}
		}
	}
	return nil
}

// migrating says whether a name means something on a migrating table that the scope sees down to (and with) level `to`:
// such a name can be taken, physically, by a column that the code does not know of.
func capturable(sc, to *scope, name string, but *item) bool {
	for ; sc != nil; sc = sc.parent {
		for _, it := range sc.items {
			if it == but || it.apart {
				continue
			}
			if it.lens != nil && it.lens.Names[name] {
				return true
			}
			for _, l := range it.covers {
				if l.Names[name] {
					return true
				}
			}
		}
		if sc == to {
			return false
		}
	}
	return false
}

// wholeRow gives the migrating item that an unqualified name means as a whole row.
func wholeRow(sc *scope, name string) *item {
	if it := findItem(sc, "", name); it != nil && (it.lens != nil || len(it.covers) > 0) {
		return it
	}
	return nil
}

// qualifier gives what a column of the item can be qualified with, seen from sc; "" where another item of a nearer level
// has the same name.
func (r *ref) qualifier(sc *scope) string {
	if r.item == nil || r.item.alias == "" {
		return ""
	}
	if findItem(sc, "", r.item.alias) == r.item {
		n := 0
		for _, it := range r.scope.items {
			if it.alias == r.item.alias {
				n++
			}
		}
		if n == 1 {
			return catalog.QuoteIdent(r.item.alias)
		}
	}
	if r.item.schema != "" && findItem(sc, r.item.schema, r.item.alias) == r.item {
		return catalog.QuoteQualified(r.item.schema, r.item.alias)
	}
	return ""
}

// isTemp says whether a schema of the path is a session's temporary one.
func isTemp(schema string) bool { return strings.HasPrefix(schema, "pg_temp") }
