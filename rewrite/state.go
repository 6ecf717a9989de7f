// Package rewrite turns a statement that an application sends into the statement that the server should get, given a
// catalog snapshot and the lenses of the migrations under way. It does no I/O, has no clock, knows no protocol and no phase; those
// are left to packages session, proxy and migrate.
package rewrite

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// Migration is one migration as an epoch has it.
type Migration struct {
	Definition *lens.Definition
	Stage      lens.Stage
	OldNums    map[string]int16        // attribute numbers of the old columns when the migration was started
	OldTypes   map[string]catalog.Type // their types then; may be nil for a rename
	Seq        int64                   // the order in which migrations were started
	// OldRequired are the old columns whose NOT NULL was taken off for the last steps; nil where none has been taken off, or that was not noted down. Not of a split.
	OldRequired []string
	// OldDefaults are the old columns' defaults, as SQL, once they were taken off for the last steps, for columns that had one; nil as OldRequired is.
	OldDefaults map[string]string
	// Members are the attribute numbers of the old columns in the table's partitions and inheritance children, by their OIDs, where those are not as
	// in the table. One that is not there has its old columns where the table has them, among its other columns.
	Members map[uint32]map[string]int16
	// Target is the new table of a split, from expand on until the migration is complete; nil while it does not stand, and of other migrations.
	Target *lens.Target

	group *lens.Group
}

// State is everything that statements are planned with: the migrations as of one epoch, and the catalog. It is immutable but
// for its plan caches, and is shared by all sessions. Two states with the same epoch differ in their catalog only.
type State struct {
	Epoch   int64
	Catalog *catalog.Catalog

	migrations  []Migration      // in the order of Seq, all but retired ones
	tables      map[uint32][]int // by OID: the tables that migrate, and their partitions and inheritance children, which migrate with them
	roots       []uint32         // OIDs of the tables that are migrated by their own name, by place in migrations
	bare        []string         // names of all of them without their schemas, in order and each once
	targets     map[uint32][]int // by OID: the tables that columns of a split move to
	coming      []int            // the splits of which that table does not stand yet
	beyondASCII bool             // some of the names has characters beyond ASCII
	names       *wordSet         // byte patterns of the names
	templates   *cache[*template]
	plans       *cache[*Plan] // of texts without a template, refusals among them
	texts       *texts
}

// NewState makes the state of an epoch. A migration whose table the catalog does not have is an error.
func NewState(epoch int64, cat *catalog.Catalog, migrations []Migration) (*State, error) {
	s := &State{Epoch: epoch, Catalog: cat, tables: map[uint32][]int{}, targets: map[uint32][]int{}, templates: newCache[*template](cacheBytes), plans: newCache[*Plan](cacheBytes), texts: new(texts)}
	for _, m := range migrations {
		if m.Stage.Phase == lens.Retired {
			continue
		}
		t := m.Definition.Table
		rel := cat.Relation(t.Schema, t.Name)
		if rel == nil {
			return nil, fmt.Errorf("migration %s: there is no table %s", m.Definition.Name, t)
		}
		group, err := m.Definition.Group()
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", m.Definition.Name, err)
		}
		m.group = group
		if m.Definition.SplitTable != nil {
			if !m.Stage.Splits() {
				s.migrations, s.roots = append(s.migrations, m), append(s.roots, rel.OID)
				continue
			}
			s.target(&m)
		}
		for _, r := range append([]*catalog.Relation{rel}, cat.Descendants(rel.OID)...) {
			s.tables[r.OID] = append(s.tables[r.OID], len(s.migrations))
			s.mention(r.Name)
		}
		s.migrations, s.roots = append(s.migrations, m), append(s.roots, rel.OID)
	}
	slices.Sort(s.bare)
	s.bare = slices.Compact(s.bare)
	s.names = newWordSet(s.bare)
	return s, nil
}

// mention has texts with a table's name planned.
func (s *State) mention(name string) {
	s.bare = append(s.bare, name)
	s.beyondASCII = s.beyondASCII || !ascii(name)
}

// target brings in the table that columns of a split move to.
func (s *State) target(m *Migration) {
	to := m.Definition.SplitTable.To
	s.mention(to.Name)
	if rel := s.targetOf(m); rel != nil {
		s.targets[rel.OID] = append(s.targets[rel.OID], len(s.migrations))
		return
	}
	s.coming = append(s.coming, len(s.migrations))
}

// targetOf gives the table that columns of a split move to; nil where it does not stand.
func (s *State) targetOf(m *Migration) *catalog.Relation {
	if m.Target != nil {
		if rel := s.Catalog.ByOID(m.Target.OID); rel != nil {
			return rel
		}
	}
	return s.Catalog.Relation(m.Definition.SplitTable.To.Schema, m.Definition.SplitTable.To.Name)
}

// involved gives the tables that statements are planned for: those that migrate, in the order of the migrations and behind each its partitions and children, and those that columns
// of a split move to.
func (s *State) involved() []*catalog.Relation {
	var all []*catalog.Relation
	for i := range s.migrations {
		m := &s.migrations[i]
		if m.Definition.SplitTable != nil {
			if !m.Stage.Splits() {
				continue
			}
			if rel := s.targetOf(m); rel != nil {
				all = append(all, rel)
			}
		}
		all = append(append(all, s.Catalog.ByOID(s.roots[i])), s.Catalog.Descendants(s.roots[i])...)
	}
	return all
}

// Mentions says whether the text may name a migrating table, or a system catalog that tells its columns. It is a byte scan without parsing; where
// it says false, the text goes to the server as it is, untouched and unparsed.
func (s *State) Mentions(sql string) bool {
	return len(s.migrations) > 0 && (s.NamesTables(sql) || catalogWords.in(sql))
}

// NamesTables says whether the text may name a migrating table.
func (s *State) NamesTables(sql string) bool {
	if s.names.in(sql) || strings.Contains(sql, `U&"`) || strings.Contains(sql, `u&"`) {
		return true
	}
	// In another encoding than UTF8 the name's bytes are others.
	return s.beyondASCII && !ascii(sql) && !utf8.ValidString(sql)
}

// SameStages says whether a session under either state sends the same statements: the same migrations are under way, in the same stages. So it
// is with a change that is given up, and the epoch before it.
func (s *State) SameStages(o *State) bool {
	if len(s.migrations) != len(o.migrations) {
		return false
	}
	for i := range s.migrations {
		a, b := &s.migrations[i], &o.migrations[i]
		if a.Seq != b.Seq || a.Definition.Name != b.Definition.Name || a.Stage != b.Stage {
			return false
		}
	}
	return true
}

// HasMigration says whether a migration of that name is under way.
func (s *State) HasMigration(name string) bool {
	for i := range s.migrations {
		if s.migrations[i].Definition.Name == name {
			return true
		}
	}
	return false
}

// TableNames gives the bare names of the tables that migrate, partitions, inheritance children and those that columns move to among them, in order and each once: Settings.Means is
// about them. The caller must not change them.
func (s *State) TableNames() []string { return s.bare }

// oldNums gives the attribute numbers of a migration's old columns in one of its relations: where `*` has them.
func (m *Migration) oldNums(table, rel *catalog.Relation) map[string]int16 {
	if rel == table {
		return m.OldNums
	}
	nums := maps.Clone(m.Members[rel.OID])
	if nums == nil {
		nums = map[string]int16{}
	}
	for name, num := range m.OldNums {
		if c := rel.Column(name); c != nil {
			nums[name] = c.Num
		} else if _, known := nums[name]; !known {
			nums[name] = placeIn(table, rel, num)
		}
	}
	return nums
}

// tableNums gives the numbers in the table itself, for a partition or child of it.
func (m *Migration) tableNums(rel *catalog.Relation, root uint32) map[string]int16 {
	if rel.OID == root {
		return nil
	}
	return m.OldNums
}

// placeIn gives the place in a partition or child of a column that it does not have: before the first column that stands behind it in the table.
func placeIn(table, rel *catalog.Relation, num int16) int16 {
	for i := range table.Columns {
		if c := &table.Columns[i]; c.Num > num {
			if same := rel.Column(c.Name); same != nil {
				return same.Num
			}
		}
	}
	return math.MaxInt16
}
