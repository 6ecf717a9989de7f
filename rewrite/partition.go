package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// createPartition plans CREATE TABLE ... PARTITION OF a migrating table, and CREATE TABLE x (LIKE a partitioned one); it says whether it was one of them. Partitions are
// made as a matter of course, by jobs that know of no migration; they have the guard from the beginning, since PostgreSQL gives them the table's
// triggers. Inheritance children do not.
func (a *attempt) createPartition(s *pg.CreateStmt) bool {
	if s.Relation.GetRelpersistence() == "t" {
		return false
	}
	if s.Partbound == nil || len(s.InhRelations) != 1 {
		return a.likePartitioned(s)
	}
	parent := s.InhRelations[0].GetRangeVar()
	_, _, l := a.relation(parent, nil)
	if l == nil {
		return false
	}
	if a.names(partitionParts(s), l) {
		a.uncovered(int(parent.Location), l, "CREATE TABLE ... PARTITION OF that names a migrating column", hintDirect)
	}
	a.partitions = append(a.partitions, s.Relation.Relname)
	return true
}

// partitionParts are the parts of CREATE TABLE ... PARTITION OF that can name a column.
func partitionParts(s *pg.CreateStmt) []*pg.Node {
	parts := append(slices.Clone(s.TableElts), s.Constraints...)
	if s.Partspec != nil {
		parts = append(parts, &pg.Node{Node: &pg.Node_PartitionSpec{PartitionSpec: s.Partspec}})
	}
	return parts
}

// names says whether any of a migrating table's names that come or go stands in the nodes, as whatever.
func (a *attempt) names(nodes []*pg.Node, l *lens.Lens) (found bool) {
	for _, n := range nodes {
		a.eachString(n, func(s string) { found = found || l.Names[s] })
	}
	return found
}

// likePartitioned says whether a table is made like a partitioned one that migrates, and of nothing else: so that it can be attached, it has to have the
// columns of both sides.
func (a *attempt) likePartitioned(s *pg.CreateStmt) bool {
	if len(s.InhRelations) > 0 || s.Partspec != nil {
		return false
	}
	for _, n := range s.TableElts {
		like := n.GetTableLikeClause()
		if like == nil {
			return false
		}
		_, rel, l := a.relation(like.Relation, nil)
		if l == nil || rel.Kind != catalog.PartitionedTable {
			return false
		}
	}
	return len(s.TableElts) == 1
}

// movesPartition says whether the statement attaches or detaches a partition of a migrating table, and is settled. What comes in past the guard may have
// filled one side only, which is well as long as both are looked at.
func (a *attempt) movesPartition(s *pg.AlterTableStmt) bool {
	if s.Objtype != pg.ObjectType_OBJECT_TABLE || len(s.Cmds) != 1 {
		return false
	}
	c := s.Cmds[0].GetAlterTableCmd()
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_AttachPartition:
		_, _, l := a.relation(s.Relation, nil)
		if _, _, other := a.relation(c.Def.GetPartitionCmd().GetName(), nil); l == nil || other != nil {
			return false
		}
		if l.Trusting {
			a.uncovered(int(s.Relation.Location), l, "ATTACH PARTITION, whose rows no guard has seen,",
				"CREATE TABLE ... PARTITION OF and fill that, or attach the table before switch-reads or once the migration is complete.")
		}
		a.partitions = append(a.partitions, c.Def.GetPartitionCmd().GetName().GetRelname())
		return true
	case pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_DetachPartitionFinalize:
		_, _, l := a.relation(s.Relation, nil)
		if l != nil {
			a.partitions = append(a.partitions, c.Def.GetPartitionCmd().GetName().GetRelname())
		}
		return l != nil
	}
	return false
}

// memberOnly says whether the relation is a partition or a child of migrating tables, and none that migrates by its own name: it comes and goes.
func (a *attempt) memberOnly(rel *catalog.Relation) bool {
	return len(a.migrationsOf(rel)) > 0 && !slices.Contains(a.state.roots, rel.OID)
}

// lensNamed gives the lens of the first migrating table that a text names; nil where it names none.
func (a *attempt) lensNamed(text string) *lens.Lens {
	if !a.state.names.in(text) {
		return nil
	}
	for _, rel := range a.state.involved() {
		if newWordSet([]string{rel.Name}).in(text) {
			return a.targetLens(rel)
		}
	}
	return nil
}

// migrationsOf gives the migrations of a relation, by their places in the state. A partition that the catalog does not know has its parents'.
func (a *attempt) migrationsOf(rel *catalog.Relation) []int {
	if idx := a.state.tables[rel.OID]; len(idx) > 0 || !slices.Contains(a.set.Members, rel) {
		return idx
	}
	var all []int
	for _, oid := range rel.Parents {
		parent := &catalog.Relation{OID: oid}
		for _, m := range a.set.Members {
			if m.OID == oid {
				parent = m
			}
		}
		all = append(all, a.migrationsOf(parent)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// relationIn gives a schema's relation of a name.
func (a *attempt) relationIn(schema, name string) *catalog.Relation {
	for _, r := range a.set.Members {
		if r.Name == name && r.Schema == schema && a.state.Catalog.ByOID(r.OID) == nil {
			return r
		}
	}
	return a.state.Catalog.Relation(schema, name)
}

// mentionsMember says whether the text may name one of the partitions that have come.
func (set *Settings) mentionsMember(sql string) bool {
	if len(set.Members) == 0 {
		return false
	}
	var names []string
	for _, r := range set.Members {
		names = append(names, r.Name)
	}
	return MentionsAny(names, sql)
}
