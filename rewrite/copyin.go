package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/copydata"
	"segue/rewrite/lens"
)

// targets says what the columns of a COPY FROM go into, and what is put in besides.
type targets struct {
	physical []string // for each column
	added    []string // columns that the data gets fields for
	fields   []copydata.Added
}

// in plans a COPY FROM.
func (c *copying) in() {
	for _, col := range c.cols {
		if col.Tie != nil && !c.mayWrite(c.off(), c.lens, col.Tie) {
			return
		}
	}
	stream := c.stmt.Filename == "" && !c.stmt.IsProgram
	encoding := c.options.encoding
	if encoding == "" {
		encoding = c.set.Encoding
	}
	plainBytes, utf8 := bytewise(encoding)
	editable := stream && !c.options.odd && (plainBytes || c.options.format == copydata.Binary)
	mayAdd := editable && c.options.header != matchHeader && !c.options.forceAll
	t, ok := c.targets(mayAdd)
	for _, f := range c.lens.Fills {
		ok = ok && mayAdd && f.SQL == "NULL"
		t.add(f.Column, copydata.Added{Kind: copydata.Null})
	}
	spec := c.spec(utf8)
	spec.Added = t.fields
	if ok && c.options.header == matchHeader {
		differs := false
		for i, col := range c.cols {
			spec.Names = append(spec.Names, copydata.Name{Client: col.Name, Server: t.physical[i]})
			differs = differs || col.Name != t.physical[i]
		}
		ok = !differs || editable
		if !differs {
			spec.Names = nil
		}
	}
	if !ok || !c.where(&t, false) {
		if c.refusal == nil {
			c.stage(editable && c.options.header != matchHeader, spec)
		}
		return
	}
	c.where(&t, true)
	if !c.force(false, func(name string) (string, bool) {
		i := c.column(name)
		if i < 0 {
			return "", false
		}
		return t.physical[i], true
	}, func(option, name string) (also []string) {
		for k, f := range t.fields {
			if option == "force_null" && f.Kind == copydata.Copied && f.Field == c.column(name) {
				also = append(also, t.added[k])
			}
		}
		return also
	}) {
		return
	}
	c.put(t.physical, t.added)
	in := CopyIn{Statement: c.attempt.stmt, Table: c.lens.Relation.Name, Guarded: c.guarded()}
	if len(spec.Added) > 0 || spec.Names != nil {
		in.Spec = spec
	}
	c.copies = append(c.copies, in)
}

// column gives the index of a column that is copied; -1 where it is not.
func (c *copying) column(name string) int {
	return slices.IndexFunc(c.cols, func(x *lens.Column) bool { return x.Name == name })
}

// spec says how the data is written.
func (c *copying) spec(utf8 bool) *copydata.Spec {
	o := &c.options
	s := &copydata.Spec{
		Format: o.format, Delimiter: o.delimiter, Quote: o.quote, Escape: o.escape, Null: o.null, Columns: len(c.cols), UTF8: utf8,
		Marked: o.format == copydata.CSV && c.set.ServerMajor < 18,
	}
	switch o.header {
	case noHeader:
	case anyHeader:
		s.Header = copydata.SkipHeader
	case matchHeader:
		s.Header = copydata.MatchHeader
	}
	return s
}

// guarded says whether a guard may stand on the table, which is a BEFORE ROW trigger: then the server puts rows in one by one.
func (c *copying) guarded() bool {
	return slices.ContainsFunc(c.lens.Columns, func(x lens.Column) bool {
		t := x.Tie
		return t != nil && (t.Both() || x.Hides != "" && c.lens.Relation.Column(x.Physical) != nil && c.lens.Relation.Column(x.Hides) != nil)
	})
}

// targets finds what the columns go into as they are; ok is false where the rows must be staged. mayAdd says that fields can be put into the data.
func (c *copying) targets(mayAdd bool) (t targets, ok bool) {
	t.physical = make([]string, len(c.cols))
	ok = true
	var done []*lens.Tie
	for i, col := range c.cols {
		switch {
		case col.Tie == nil:
			t.physical[i] = col.Physical
		case col.Tie.Same:
			ok = c.sameTarget(&t, i, mayAdd) && ok
		case !col.Tie.Own:
			ok = false
		default:
			t.physical[i] = col.Physical
			if !slices.Contains(done, col.Tie) {
				done = append(done, col.Tie)
				ok = c.filled(&t, col.Tie, mayAdd) && ok
			}
		}
	}
	return t, ok
}

// sameTarget finds the target of a column that has the same values on both sides. While both stand, both are written: the guard's function, which the server would
// have to call for each row, costs more than the row itself.
func (c *copying) sameTarget(t *targets, i int, mayAdd bool) bool {
	col := c.cols[i]
	tie := col.Tie
	switch {
	case !tie.Own:
		t.physical[i] = tie.Others[0].Target
		return true
	case len(tie.Others) == 0:
		t.physical[i] = col.Physical
		return true
	}
	o, n := col.Physical, tie.Others[0].Target
	if !tie.OldSide {
		o, n = n, o
	}
	t.physical[i] = o
	if !mayAdd {
		return !tie.Moving || col.Default == ""
	}
	t.add(n, copydata.Added{Kind: copydata.Copied, Field: i})
	return true
}

func (t *targets) add(column string, f copydata.Added) {
	t.added, t.fields = append(t.added, column), append(t.fields, f)
}

// filled says whether the guard makes the other side of what a tie's own columns are given. It takes a side that is left out for one that is to be filled, so where
// that side has a default, NULL has to be said.
func (c *copying) filled(t *targets, tie *lens.Tie, mayAdd bool) bool {
	switch {
	case slices.ContainsFunc(c.cols, func(x *lens.Column) bool { return x.Tie == tie && x.Given != "" }):
		return false
	case len(tie.Others) == 0 || !tie.Moving && tie.OldSide:
		return true
	case c.tightens(tie):
		return false // the guard would make of a NULL what stands for it, where there is to be an error
	}
	byDefault := false
	for _, name := range tie.Columns {
		if c.lens.Column(name).Default == "" {
			continue
		}
		if byDefault = true; c.column(name) < 0 {
			return false // it takes part in what the other side is
		}
	}
	if !byDefault {
		return true
	}
	if mayAdd {
		for _, o := range tie.Others {
			t.add(o.Target, copydata.Added{Kind: copydata.Null})
		}
	}
	return mayAdd
}

// tightens says whether new code may not write a NULL to some column, where old code's rows may hold one.
func (c *copying) tightens(tie *lens.Tie) bool {
	if tie.OldSide || !slices.ContainsFunc(tie.Columns, func(name string) bool { return c.lens.Column(name).NotNull }) {
		return false
	}
	return slices.ContainsFunc(tie.Others, func(o lens.Other) bool {
		p := c.lens.Relation.Column(o.Target)
		return p == nil || !p.NotNull
	})
}

// where puts physical names into the WHERE clause, where change is set; it says whether that can be.
func (c *copying) where(t *targets, change bool) bool {
	if c.stmt.WhereClause == nil {
		return true
	}
	ok := true
	c.eachReference(c.stmt.WhereClause, func(r *pg.ColumnRef) {
		name := strOf(r.Fields[len(r.Fields)-1])
		col := c.lens.Column(name)
		if col == nil && c.lens.Names[name] {
			if !change {
				c.unknownColumn(int(r.Location), c.lens, name, `column "`+name+`" does not exist`)
			}
			ok = false
			return
		}
		if col == nil || !col.Migrates() {
			return
		}
		to := c.omitted(col)
		if i := c.column(name); i >= 0 {
			to = t.physical[i]
		}
		if to == "" {
			ok = false
			return
		}
		if change {
			c.wrote(int(r.Location), col)
			if _, tok, found := c.refTokens(r); found {
				c.rename(tok, name, to)
			}
		}
	})
	return ok
}

// omitted gives the physical column that has what a column becomes which is left out; "" where there is none. It is the origin of what is read of the column, which is
// not about to go.
func (c *copying) omitted(col *lens.Column) string {
	for i := range c.lens.Relation.Columns {
		p := &c.lens.Relation.Columns[i]
		if p.Num == col.Num && p.Default == col.Default && !col.Tie.Moving && (col.Tie.Same || p.Name == col.Physical) {
			return p.Name
		}
	}
	return ""
}

// namedByWhere gives the columns that a COPY leaves out and its WHERE clause names: they are staged, too. ok is false where one cannot be.
func (c *copying) namedByWhere() (cols []*lens.Column, ok bool) {
	ok = true
	if c.stmt.WhereClause == nil {
		return nil, true
	}
	c.eachReference(c.stmt.WhereClause, func(r *pg.ColumnRef) {
		name := strOf(r.Fields[len(r.Fields)-1])
		col := c.lens.Column(name)
		if len(r.Fields) > 2 || slices.Contains(systemColumns, name) || name == c.stmt.Relation.Relname {
			ok = false
			return
		}
		if col == nil {
			return // the server has the error
		}
		if col.Migrates() {
			c.wrote(int(r.Location), col)
		}
		if c.column(name) >= 0 || slices.Contains(cols, col) {
			return
		}
		p := c.lens.Relation.Column(col.Physical)
		if col.Generated || p != nil && p.Identity {
			ok = false
			return
		}
		cols = append(cols, col)
	})
	return cols, ok
}

// quoted gives names as SQL.
func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = catalog.QuoteIdent(n)
	}
	return out
}
