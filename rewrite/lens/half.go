package lens

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
)

// Half says how the code of one side uses a table that is one of the two of a split, beside its columns.
type Half struct {
	Migration string
	New       bool              // the code was written for the schema after the migration
	Key       []string          // the table's columns of the key, in the order of the parameters of LockFunction and AloneFunction
	Other     *catalog.Relation // the other table; nil where it does not stand
	OtherKey  []string

	// Of the table that the columns move to.
	Target bool
	Refuse string // why the code, which knows the table, cannot use it now; "" where it can
	Going  bool   // columns of the other table may go at any moment
	Lock   string // the function that is called with the key before a row is locked, so that the other table's row comes first; "" where there is no need

	// Of the table that the columns leave.
	OnDelete, OnUpdate Alone
	// Both says that the other table is emptied with this one.
	Both bool
}

// Alone says what becomes of a row of the key in the new table when new code deletes a row of the other, or changes its key.
type Alone struct {
	Function string // raises where there is one, as the new schema would; "" where there is nothing to ask
	Refuse   string // why that cannot be told now, and the statement is to be refused; "" where it can
}

// Serves says whether code of the new side is given the new table of a split.
func (s Stage) Serves() bool {
	return s.Phase == SwitchReads || s.Phase == Contract || s.Phase == Complete
}

// Drops says whether the next step takes columns away, perhaps before it is known that it has.
func (s Stage) Drops() bool { return s.Step == WriteNew || s.Step == WriteOld }

// Splits says whether a split is something that statements are to know of: once the columns have gone, both tables are what they are.
func (s Stage) Splits() bool { return s.Phase < Complete || s.Step == WriteNew }

const fromSwitchReads = "the rows of the new table are not all there before switch-reads"

// Half gives what the lens of one of the two tables of a split says of it: of the one that the columns leave or, where target is set, of the one that they move to; other is
// the other of the two, nil where it does not stand.
func (m *Applied) Half(other *catalog.Relation, target bool) Half {
	h := Half{Migration: m.Name, New: m.New, Other: other, Target: target}
	for _, p := range m.Split.KeyPairs() {
		if target {
			p.From, p.To = p.To, p.From
		}
		h.Key, h.OtherKey = append(h.Key, p.From), append(h.OtherKey, p.To)
	}
	switch {
	case target:
		if m.Stage.Serves() {
			h.Lock = LockFunction(m.Name)
		} else {
			h.Refuse = fromSwitchReads
		}
	case !m.New:
		h.Both = other != nil
	default:
		fk := m.Foreign
		if !m.Known {
			fk = m.Split.Reference(m.Table)
		}
		h.OnDelete = m.alone(fk == nil || fk.OnDelete != Cascade)
		h.OnUpdate = m.alone(fk == nil || fk.OnUpdate != Cascade)
		h.Both = other != nil && fk == nil
	}
	return h
}

func (m *Applied) alone(asks bool) Alone {
	switch {
	case !asks:
		return Alone{}
	case !m.Stage.Serves():
		return Alone{Refuse: fromSwitchReads}
	}
	return Alone{Function: AloneFunction(m.Name)}
}

// Reference gives the foreign key that Create declares from the key of the new table to the one that the columns leave; nil where there is none.
func (s *SplitTable) Reference(table TableName) *ForeignKey {
	tree, err := pg.Parse(s.Create)
	if err != nil || len(tree.Stmts) == 0 {
		return nil // ParseCreate has said so
	}
	for _, n := range tree.Stmts[0].Stmt.GetCreateStmt().GetTableElts() {
		if c := s.reference(table, n.GetConstraint(), ""); c != nil {
			return c
		}
		for _, x := range n.GetColumnDef().GetConstraints() {
			if c := s.reference(table, x.GetConstraint(), n.GetColumnDef().GetColname()); c != nil {
				return c
			}
		}
	}
	return nil
}

// Created gives the names of the columns that Create declares, in order.
func (s *SplitTable) Created() []string {
	tree, err := pg.Parse(s.Create)
	if err != nil || len(tree.Stmts) == 0 {
		return nil // ParseCreate has said so
	}
	var names []string
	for _, n := range tree.Stmts[0].Stmt.GetCreateStmt().GetTableElts() {
		if c := n.GetColumnDef(); c != nil {
			names = append(names, c.Colname)
		}
	}
	return names
}

// reference gives a constraint's foreign key, where it is one from the key to the table. column is the one that it stands behind.
func (s *SplitTable) reference(table TableName, c *pg.Constraint, column string) *ForeignKey {
	if c.GetContype() != pg.ConstrType_CONSTR_FOREIGN || c.Pktable.GetRelname() != table.Name || c.Pktable.GetSchemaname() != "" && c.Pktable.GetSchemaname() != table.Schema {
		return nil
	}
	own := []string{column}
	if column == "" {
		own = nil
		for _, a := range c.FkAttrs {
			own = append(own, a.GetString_().GetSval())
		}
	}
	if len(own) != len(s.Key) {
		return nil
	}
	for i, name := range own {
		from := ""
		for _, p := range s.KeyPairs() {
			if p.To == name {
				from = p.From
			}
		}
		if from == "" || len(c.PkAttrs) > 0 && (i >= len(c.PkAttrs) || c.PkAttrs[i].GetString_().GetSval() != from) {
			return nil
		}
	}
	return &ForeignKey{Name: c.Conname, OnDelete: Action(c.FkDelAction), OnUpdate: Action(c.FkUpdAction)}
}

const aboutToGo = "the column is about to go, so old code is served no more"

// leavesOld says whether old code of a split is served no more.
func (s Stage) leavesOld() bool { return s.Step == NewOnly || s.written() == newOnly }

// splitTie says how old code writes the columns that move: as they are, and the guard brings them to the new table.
func (m *Applied) splitTie() *Tie {
	t := &Tie{Migration: m.Name, Same: true, Own: true, OldSide: true}
	for _, o := range m.Group.Old {
		t.Columns = append(t.Columns, o.Name)
	}
	if m.Stage.leavesOld() {
		t.Refuse = aboutToGo
	}
	return t
}

// splitFills are the columns that move and that new code's INSERT, which does not know them, has to leave NULL: there is no row of the new table yet.
func (m *Applied) splitFills(rel *catalog.Relation) []Fill {
	if !m.New || m.Stage.written() == newOnly {
		return nil
	}
	said := false
	var out []Fill
	for _, o := range m.Group.Old {
		c := rel.Column(o.Name)
		if c == nil {
			continue
		}
		required := c.NotNull || contains(m.Required, o.Name)
		f := Fill{Column: o.Name, SQL: "NULL"}
		switch {
		case required && !m.Stage.Serves():
			f.Refuse = "the column " + catalog.QuoteIdent(o.Name) + " takes no row without it before switch-reads"
		case required && !said:
			f.SQL, said = "CASE WHEN "+AbsentFunction(m.Name)+"() THEN NULL::"+c.Type.SQL+" END", true
		case !required && c.Default == "":
			continue
		}
		out = append(out, f)
	}
	return out
}
