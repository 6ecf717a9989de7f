package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// Statements that define things pass where they have nothing to do with a migrating column, as seen by the names in them; a name that could be one of its columns
// is taken for it. Those that would capture, drop or retype a migrating column, move the table, or store a query in the table's physical shape are refused.

// definition plans a statement that defines something. It errs on the side of refusal: kinds that are not known to be harmless are not.
func (a *attempt) definition(n *pg.Node) {
	a.utility = true
	defer func() { a.utility = false }()
	rel := a.defined
	named := func(o *pg.Node) *lens.Lens {
		schema, name := lastNames(o)
		return a.defined(&pg.RangeVar{Schemaname: schema, Relname: name})
	}
	var l *lens.Lens
	harmless := false
	switch x := n.Node.(type) {
	case *pg.Node_AlterTableStmt:
		l = rel(x.AlterTableStmt.Relation)
		harmless = !slices.ContainsFunc(x.AlterTableStmt.Cmds, func(c *pg.Node) bool { return !harmlessAlter(c.GetAlterTableCmd(), l) })
	case *pg.Node_IndexStmt:
		l, harmless = rel(x.IndexStmt.Relation), true
	case *pg.Node_CreateStatsStmt:
		harmless = true
	case *pg.Node_RenameStmt:
		s := x.RenameStmt
		l = rel(s.Relation)
		harmless = l == nil || s.RenameType == pg.ObjectType_OBJECT_POLICY || s.RenameType == pg.ObjectType_OBJECT_TABCONSTRAINT && apartFromKey(l, s.Subname) || s.RenameType == pg.ObjectType_OBJECT_COLUMN && !slices.Contains(l.Relation.PrimaryKey, s.Subname) && !isKey(l, s.Subname)
	case *pg.Node_CommentStmt:
		switch s := x.CommentStmt; s.Objtype {
		case pg.ObjectType_OBJECT_TABLE:
			l = named(s.Object)
			if l != nil {
				return // a comment's text is nobody's name
			}
		case pg.ObjectType_OBJECT_COLUMN:
			items := s.Object.GetList().GetItems()
			if len(items) < 2 {
				break
			}
			l = named(&pg.Node{Node: &pg.Node_List{List: &pg.List{Items: items[:len(items)-1]}}})
			if l != nil && !l.Names[strOf(items[len(items)-1])] {
				return
			}
		default:
			// Of other things: an index, a constraint, a trigger. Their comments change nothing.
			return
		}
	case *pg.Node_GrantStmt:
		harmless = x.GrantStmt.Objtype == pg.ObjectType_OBJECT_TABLE
	case *pg.Node_CreatePolicyStmt:
		l, harmless = rel(x.CreatePolicyStmt.Table), true
	case *pg.Node_AlterPolicyStmt:
		l, harmless = rel(x.AlterPolicyStmt.Table), true
	case *pg.Node_CreateTrigStmt:
		// A BEFORE ROW trigger could fire after the guard, and edit what it has seen.
		l = rel(x.CreateTrigStmt.Relation)
		harmless = l == nil || x.CreateTrigStmt.Timing != triggerBefore || !x.CreateTrigStmt.Row
	case *pg.Node_CreateFunctionStmt, *pg.Node_DoStmt:
		harmless = a.harmlessBody(n)
		if harmless {
			return
		}
	}
	if !harmless {
		a.anyOther(n)
		return
	}
	a.onColumns(n, l)
}

// triggerBefore is TRIGGER_TYPE_BEFORE of pg_trigger.h.
const triggerBefore = 2

// onColumns refuses a statement where a name in it is one that a migration gives or takes of a table in it, or where it takes a row as a whole.
func (a *attempt) onColumns(n *pg.Node, l *lens.Lens) {
	lenses := map[*lens.Lens]bool{}
	if l != nil {
		lenses[l] = true
	}
	a.eachTable(n, func(rv *pg.RangeVar) {
		if l := a.defined(rv); l != nil {
			lenses[l] = true
		}
	})
	_, isTrigger := n.Node.(*pg.Node_CreateTrigStmt)
	for l := range lenses {
		if isTarget(l) && leavesTarget(n) {
			continue
		}
		a.eachString(n, func(s string) {
			if l.Names[s] {
				hint := hintDirect
				if n.GetIndexStmt() != nil {
					hint = hintIndex
				}
				a.uncovered(0, l, statementName(n)+", which names the migrating column "+catalog.QuoteIdent(s)+",", hint)
			}
		})
		a.eachReference(n, func(c *pg.ColumnRef) {
			if !isTrigger && (isStar(c) || len(c.Fields) == 1 && strOf(c.Fields[0]) == l.Relation.Name) {
				a.uncovered(int(c.Location), l, statementName(n)+", which takes a whole row,", hintWholeRow)
			}
		})
	}
}

// harmlessAlter says whether a part of ALTER TABLE leaves what the migration depends on as it is, as long as it names no migrating column.
func harmlessAlter(c *pg.AlterTableCmd, l *lens.Lens) bool {
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_AddColumn, pg.AlterTableType_AT_ColumnDefault, pg.AlterTableType_AT_SetNotNull, pg.AlterTableType_AT_SetStatistics,
		pg.AlterTableType_AT_SetOptions, pg.AlterTableType_AT_ResetOptions, pg.AlterTableType_AT_SetStorage, pg.AlterTableType_AT_SetCompression,
		pg.AlterTableType_AT_ValidateConstraint, pg.AlterTableType_AT_AddIdentity, pg.AlterTableType_AT_SetIdentity, pg.AlterTableType_AT_DropIdentity,
		pg.AlterTableType_AT_DropExpression, pg.AlterTableType_AT_ClusterOn, pg.AlterTableType_AT_DropCluster, pg.AlterTableType_AT_SetRelOptions,
		pg.AlterTableType_AT_ResetRelOptions, pg.AlterTableType_AT_EnableRowSecurity, pg.AlterTableType_AT_DisableRowSecurity,
		pg.AlterTableType_AT_NoForceRowSecurity:
		return true
	case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_DropNotNull:
		return l == nil || !slices.Contains(l.Relation.PrimaryKey, c.Name) && !isKey(l, c.Name) // by which the backfill goes
	case pg.AlterTableType_AT_DropConstraint:
		return l == nil || apartFromKey(l, c.Name)
	case pg.AlterTableType_AT_AlterConstraint:
		return l == nil || apartFromKey(l, c.Def.GetConstraint().GetConname())
	case pg.AlterTableType_AT_AddConstraint:
		return c.Def.GetConstraint().GetIndexname() == "" // which may be one on a migrating column
	}
	return false
}

// apartFromKey says whether a constraint is known, and has nothing to do with a migrating column, the primary key, or a split: where the new table's rows are held to the old ones'.
func apartFromKey(l *lens.Lens, constraint string) bool {
	columns, known := l.Relation.Constraints[constraint]
	return known && !isTarget(l) && !slices.ContainsFunc(columns, func(c string) bool { return c == "" || l.Names[c] || isKey(l, c) })
}

// createTable plans CREATE TABLE: what it is made like, or refers to, may migrate. Its own name is no matter: where the table is there, that is the server's to say.
func (a *attempt) createTable(s *pg.CreateStmt) {
	if a.createPartition(s) {
		return
	}
	if s.Partbound != nil || len(s.InhRelations) > 0 {
		a.anyOther(&pg.Node{Node: &pg.Node_List{List: &pg.List{Items: s.InhRelations}}})
	}
	elements := &pg.Node{Node: &pg.Node_List{List: &pg.List{Items: append(append([]*pg.Node(nil), s.TableElts...), s.Constraints...)}}}
	referred := map[*pg.RangeVar]bool{}
	a.eachConstraint(elements, func(c *pg.Constraint) {
		if c.Pktable == nil {
			return
		}
		referred[c.Pktable] = true
		_, _, l := a.relation(c.Pktable, nil)
		if l == nil {
			return
		}
		for _, k := range c.PkAttrs {
			if l.Names[strOf(k)] {
				a.uncovered(int(c.Pktable.Location), l, "a foreign key to a migrating column", hintDirect)
			}
		}
	})
	a.eachTable(elements, func(rv *pg.RangeVar) {
		if referred[rv] {
			return
		}
		if _, _, l := a.relation(rv, nil); l != nil {
			a.uncovered(int(rv.Location), l, "CREATE TABLE like the table", "Name the columns and their types.")
		}
	})
	a.eachType(elements, a.rowType)
}

// createView plans CREATE [MATERIALIZED] VIEW: its query is stored as it is, so it must not be one that depends on the phase.
func (a *attempt) createView(n, query *pg.Node) {
	edits, uses := len(a.list), a.uses
	a.kept = true
	a.query(query, nil, nil)
	a.kept = false
	if len(a.list) > edits || a.uses > uses {
		a.anyOther(n)
	}
}

// drop plans DROP. Of a migrating table's own things, policies and triggers that are not Segue's may go.
func (a *attempt) drop(n *pg.Node, d *pg.DropStmt) {
	switch d.RemoveType {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW:
		// Not where it names tables that are others, such as a temporary one of the same name.
		for _, o := range d.Objects {
			schema, name := lastNames(o)
			rel := a.find(schema, name)
			if name == "" || rel != nil && a.lensOf(rel) != nil && !a.memberOnly(rel) {
				a.anyOther(n)
			} else if rel != nil && len(a.targetHalves(rel)) > 0 {
				a.uncovered(0, a.targetLens(rel), "DROP of the new table", hintDirect)
			}
		}
		return
	case pg.ObjectType_OBJECT_POLICY, pg.ObjectType_OBJECT_TRIGGER:
		for _, o := range d.Objects {
			items := o.GetList().GetItems()
			if len(items) == 0 || strings.HasPrefix(strOf(items[len(items)-1]), "~segue_") {
				a.anyOther(n)
			}
		}
		return
	}
	a.anyOther(n)
}

// harmlessBody says whether the code in a DO block or a function names no migrating column, nor can depend on a migrating table's shape.
func (a *attempt) harmlessBody(n *pg.Node) bool {
	ok := true
	a.eachTable(n, func(rv *pg.RangeVar) {
		if a.defined(rv) != nil {
			ok = false // a body that is parsed, and stored
		}
	})
	a.eachType(n, func(t *pg.TypeName) {
		if rel := a.find(lastTypeNames(t)); rel != nil && a.lensOf(rel) != nil {
			ok = false
		}
	})
	a.eachString(n, func(s string) {
		if !ok || !a.state.names.in(s) {
			return
		}
		words := []string{"insert", "rowtype", "execute", "copy", "natural"}
		for _, rel := range a.state.involved() {
			if newWordSet([]string{rel.Name}).in(s) {
				for name := range a.targetLens(rel).Names {
					words = append(words, name)
				}
			}
		}
		ok = !newWordSet(words).in(s) && !strings.Contains(strings.ReplaceAll(s, "(*)", ""), "*") && ascii(s) && !strings.Contains(s, `U&"`)
	})
	return ok
}

// defined gives the lens of a table that a statement defines something of; nil where the table has to do with no migration.
func (a *attempt) defined(rv *pg.RangeVar) *lens.Lens {
	_, rel, l := a.relation(rv, nil)
	if l == nil && rel != nil {
		l = a.targetLens(rel)
	}
	return l
}

func isTarget(l *lens.Lens) bool {
	return slices.ContainsFunc(l.Halves, func(h lens.Half) bool { return h.Target })
}

// leavesTarget says whether a statement that names columns of the new table of a split leaves them, their types and the guard as they are.
func leavesTarget(n *pg.Node) bool {
	switch n.Node.(type) {
	case *pg.Node_IndexStmt, *pg.Node_CreateStatsStmt, *pg.Node_CommentStmt, *pg.Node_GrantStmt, *pg.Node_CreateTrigStmt:
		return true
	}
	return false
}

const hintDirect = "Run it on a connection of its own to the server if you are sure, or once the migration is over."

// hintIndex is hintDirect for an index: migrate mirrors those of the old columns.
const hintIndex = "Until reads switch, create it on the old column on a connection of its own to the server: the backfill mirrors it on the new one, and `segue verify` does once that is through."

// anyOther refuses a statement that is not planned where it has to do with a migrating table. It errs on the side of refusal: a
// table's name in a string list (DROP TABLE, COMMENT ON) or in a function's body counts.
func (a *attempt) anyOther(n *pg.Node) {
	a.eachTable(n, func(rv *pg.RangeVar) {
		if l := a.defined(rv); l != nil {
			a.uncovered(int(rv.Location), l, statementName(n), hintDirect)
		}
	})
	if a.refusal != nil {
		return
	}
	a.eachString(n, func(s string) {
		if l := a.lensNamed(s); l != nil {
			a.uncovered(0, l, statementName(n), hintDirect)
		}
	})
}

func statementName(n *pg.Node) string {
	switch kind := strings.TrimSuffix(nodeKind(n), "Stmt"); kind {
	case "Do":
		return "a DO block that names the table"
	case "CreateFunction":
		return "CREATE FUNCTION with the table in its body"
	case "View":
		return "CREATE VIEW over the table"
	case "Create", "List":
		return "CREATE TABLE that names the table"
	case "AlterTable", "Rename", "AlterObjectSchema", "AlterOwner":
		return "ALTER of the table"
	case "Drop":
		return "DROP of something by the table's name"
	case "Index":
		return "CREATE INDEX on the table"
	case "CreateTrig":
		return "CREATE TRIGGER on the table"
	case "CreatePolicy", "AlterPolicy":
		return "a policy on the table"
	case "Grant":
		return "GRANT or REVOKE"
	case "Comment":
		return "COMMENT"
	default:
		return "a statement of kind " + kind
	}
}

// lastNames gives the schema and the name of an object that is named by a list of names.
func lastNames(o *pg.Node) (schema, name string) {
	items := o.GetList().GetItems()
	if len(items) == 0 {
		return "", strOf(o)
	}
	if len(items) > 1 {
		schema = strOf(items[len(items)-2])
	}
	return schema, strOf(items[len(items)-1])
}

func lastTypeNames(t *pg.TypeName) (schema, name string) {
	return lastNames(&pg.Node{Node: &pg.Node_List{List: &pg.List{Items: t.Names}}})
}
