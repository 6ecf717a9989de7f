// Package rewrite turns a statement that an application sends into the statement that the server should get, given a
// catalog snapshot and the lenses of the migrations under way. It does no I/O, has no clock, knows no protocol and no phase; those
// are left to packages session, proxy and migrate.
package rewrite

import (
	"fmt"
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

	group *lens.Group
}

// State is everything that statements are planned with: the migrations as of one epoch, and the catalog. It is immutable but
// for its plan caches, and is shared by all sessions. Two states with the same epoch differ in their catalog only.
type State struct {
	Epoch   int64
	Catalog *catalog.Catalog

	migrations  []Migration // in the order of Seq, all but retired ones
	tables      map[uint32][]int
	beyondASCII bool     // some of the names has characters beyond ASCII
	names       *wordSet // byte patterns of the names of migrating tables
	templates   *cache[*template]
	plans       *cache[*Plan] // of texts without a template, refusals among them
}

// NewState makes the state of an epoch. A migration whose table the catalog does not have is an error.
func NewState(epoch int64, cat *catalog.Catalog, migrations []Migration) (*State, error) {
	s := &State{Epoch: epoch, Catalog: cat, tables: map[uint32][]int{}, templates: newCache[*template](cacheBytes), plans: newCache[*Plan](cacheBytes)}
	var names []string
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
		s.tables[rel.OID] = append(s.tables[rel.OID], len(s.migrations))
		s.migrations = append(s.migrations, m)
		names = append(names, t.Name)
		s.beyondASCII = s.beyondASCII || !ascii(t.Name)
	}
	s.names = newWordSet(names)
	return s, nil
}

// Mentions says whether the text may name a migrating table. It is a byte scan without parsing; where it says false, the text goes to
// the server as it is, untouched and unparsed.
func (s *State) Mentions(sql string) bool {
	if len(s.migrations) == 0 {
		return false
	}
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

// TableNames gives the bare names of the tables that migrate, in order and each once: Settings.Means is about them.
func (s *State) TableNames() []string {
	var names []string
	for i := range s.migrations {
		names = append(names, s.migrations[i].Definition.Table.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
