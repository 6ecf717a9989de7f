package rewrite

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// statement plans one statement of a text.
func (a *attempt) statement(n *pg.Node) {
	switch x := n.Node.(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt:
		a.rowsShow = true
		a.result(a.query(n, nil, nil))
		a.rowsShow = false
	case *pg.Node_MergeStmt:
		a.merge(x.MergeStmt, nil)
	case *pg.Node_ExplainStmt:
		if nested(x.ExplainStmt.Query) {
			a.statement(x.ExplainStmt.Query)
			a.results = nil // EXPLAIN's own rows
			return
		}
		a.anyOther(n)
	case *pg.Node_PrepareStmt:
		for _, t := range x.PrepareStmt.Argtypes {
			a.rowType(t.GetTypeName())
		}
		a.rowsShow = true
		a.result(a.query(x.PrepareStmt.Query, nil, nil)) // what EXECUTE gives
		a.rowsShow = false
		a.prepares = append(a.prepares, x.PrepareStmt.Name)
	case *pg.Node_DeclareCursorStmt:
		a.query(x.DeclareCursorStmt.Query, nil, nil)
	case *pg.Node_CreateTableAsStmt:
		switch {
		case !nested(x.CreateTableAsStmt.Query):
			a.anyOther(n)
		case x.CreateTableAsStmt.Objtype == pg.ObjectType_OBJECT_TABLE:
			a.query(x.CreateTableAsStmt.Query, nil, nil)
		default:
			a.createView(n, x.CreateTableAsStmt.Query)
		}
	case *pg.Node_CopyStmt:
		a.copyStmt(x.CopyStmt)
	case *pg.Node_CreateStmt:
		a.createTable(x.CreateStmt)
	case *pg.Node_ViewStmt:
		a.createView(n, x.ViewStmt.Query)
	case *pg.Node_AlterTableStmt:
		if !a.movesPartition(x.AlterTableStmt) {
			a.definition(n)
		}
	case *pg.Node_DropStmt:
		a.drop(n, x.DropStmt)
	case *pg.Node_TruncateStmt:
		a.truncate(x.TruncateStmt)
	case *pg.Node_LockStmt:
		a.utility = true // it names no column
		a.touchAll(n)
		a.utility = false
	case *pg.Node_VacuumStmt:
		a.utility = true
		a.touchAll(n)
		a.utility = false
		a.analyzeWhole(x.VacuumStmt)
	case *pg.Node_TransactionStmt, *pg.Node_VariableSetStmt, *pg.Node_VariableShowStmt, *pg.Node_DeallocateStmt, *pg.Node_FetchStmt,
		*pg.Node_ClosePortalStmt, *pg.Node_ListenStmt, *pg.Node_UnlistenStmt, *pg.Node_NotifyStmt, *pg.Node_DiscardStmt, *pg.Node_ConstraintsSetStmt,
		*pg.Node_CheckPointStmt:
	default:
		a.definition(n)
	}
}

// analyzeWhole takes the list of columns of ANALYZE out where it names a migrating one: which of its columns has the statistics is nobody's matter.
func (a *attempt) analyzeWhole(s *pg.VacuumStmt) {
	for _, n := range s.Rels {
		r := n.GetVacuumRelation()
		_, _, l := a.relation(r.GetRelation(), nil)
		if l == nil || !slices.ContainsFunc(r.GetVaCols(), func(c *pg.Node) bool { return l.Names[strOf(c)] }) {
			continue
		}
		for _, c := range r.VaCols {
			if l.Column(strOf(c)) == nil {
				a.unknownColumn(int(r.Relation.Location), l, strOf(c), fmt.Sprintf("column %q of relation %q does not exist", strOf(c), l.Relation.Name))
			}
		}
		open := a.tokenAt(r.Relation.Location) + 1
		for a.isPunct(open, '.') {
			open += 2
		}
		if end := a.closing(open); a.isPunct(open, '(') && end > 0 {
			a.add(replace, open, end, nil)
		} else {
			a.lost(r.Relation.Location, "ANALYZE")
		}
	}
}

// nested says whether the statement inside EXPLAIN or CREATE TABLE AS is one that is planned.
func nested(n *pg.Node) bool {
	switch n.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt, *pg.Node_DeclareCursorStmt, *pg.Node_CreateTableAsStmt:
		return true
	}
	return false
}

// result notes what the statement's RowDescription must be patched with.
func (a *attempt) result(s shape) {
	var origins []Origin
	for i, c := range s.cols {
		switch {
		case c.row != nil:
			o := Origin{Column: i, Type: c.row.RowType}
			if c.origin != nil {
				o.Table = c.origin.Table
			}
			origins = append(origins, o)
		case c.origin != nil:
			o := *c.origin
			o.Column = i
			origins = append(origins, o)
		}
	}
	if len(origins) > 0 && !s.open {
		a.results = append(a.results, Result{Statement: a.stmt, Origins: origins})
	}
}

// touchAll notes the migrations of the tables that a statement names.
func (a *attempt) touchAll(n *pg.Node) {
	a.eachTable(n, func(rv *pg.RangeVar) { a.relation(rv, nil) })
}

// eachTable calls f for each table name at any depth of a statement.
func (a *attempt) eachTable(n *pg.Node, f func(*pg.RangeVar)) {
	eachMessage(n.ProtoReflect(), func(m protoreflect.Message) {
		if rv, ok := m.Interface().(*pg.RangeVar); ok {
			f(rv)
		}
	})
}

// eachReference, eachConstraint and eachType do so for column references, constraints and types.
func (a *attempt) eachReference(n *pg.Node, f func(*pg.ColumnRef)) {
	eachMessage(n.ProtoReflect(), func(m protoreflect.Message) {
		if c, ok := m.Interface().(*pg.ColumnRef); ok {
			f(c)
		}
	})
}

func (a *attempt) eachConstraint(n *pg.Node, f func(*pg.Constraint)) {
	eachMessage(n.ProtoReflect(), func(m protoreflect.Message) {
		if c, ok := m.Interface().(*pg.Constraint); ok {
			f(c)
		}
	})
}

func (a *attempt) eachType(n *pg.Node, f func(*pg.TypeName)) {
	eachMessage(n.ProtoReflect(), func(m protoreflect.Message) {
		if t, ok := m.Interface().(*pg.TypeName); ok {
			f(t)
		}
	})
}

func (a *attempt) eachString(n *pg.Node, f func(string)) {
	eachMessage(n.ProtoReflect(), func(m protoreflect.Message) {
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if fd.Kind() == protoreflect.StringKind && !fd.IsList() {
				f(v.String())
			}
			return true
		})
	})
}

func eachMessage(m protoreflect.Message, f func(protoreflect.Message)) {
	f(m)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				eachMessage(v.List().Get(i).Message(), f)
			}
		default:
			eachMessage(v.Message(), f)
		}
		return true
	})
}
