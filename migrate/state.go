package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/migrate/agree"
	"segue/proxy"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// stand is all of a migration that its lens depends on: an epoch changes one migration's stand.
type stand struct {
	Live bool `json:"live"` // registered: the proxies have its lens
	lens.Stage
}

// String is for people: "contract, proved".
func (s stand) String() string {
	if !s.Live {
		return "not registered"
	}
	return s.Stage.String()
}

// migration is a row of segue.migration.
type migration struct {
	Name       string
	Seq        int64
	Table      uint32 // the table's OID
	Definition *lens.Definition
	Stand      stand
	Changed    int64  // the epoch of the last change of Stand
	Prior      *stand // what that change can be given up for
	OldNums    map[string]int16
	OldTypes   map[string]catalog.Type     // what they were when it was started
	NewNums    map[string]int16            // nil: the new columns do not stand
	Guard      *guardRecord                // nil: it does not stand
	Relaxed    *relaxed                    // nil: nothing has been taken off the old columns, or they went when that was not kept
	Members    map[uint32]map[string]int16 // attribute numbers of the old columns in partitions and children, where they have been dropped
	Filled     []uint32                    // the relations that the backfill is through with
	CursorOf   uint32                      // the one that it is at
	Cursor     []string
	RowsDone   int64
	RowsTotal  int64
	Rate       float64
	Throttled  string
	Paused     bool
	MaxRows    *int64 // rows a second at most, 0 for no limit; nil: what the definition says
	Backfilled bool
	Analyzed   bool
	Verified   *verified
	Working    string
	Error      string
	CreatedAt  time.Time
	ChangedAt  time.Time
}

// maxRows is how many rows a second may be gone through; 0: there is no limit.
func (m *migration) maxRows() int64 {
	if m.MaxRows != nil {
		return *m.MaxRows
	}
	return m.Definition.Backfill.MaxRowsPerSecond
}

// oldNames lists the columns that go.
func (m *migration) oldNames() []string { old, _ := columnNames(m.Definition); return old }

// newNames lists the columns that come.
func (m *migration) newNames() []string { _, added := columnNames(m.Definition); return added }

// adding and dropping say that columns only come, or only go.
func (m *migration) adding() bool {
	return m.Definition.Columns != nil && len(m.Definition.Columns.Drop) == 0
}

func (m *migration) dropping() bool {
	return m.Definition.Columns != nil && len(m.Definition.Columns.Add) == 0
}

// stayNames lists the columns that stay and that the definition's expressions mention, or that are a split's key.
func (m *migration) stayNames() []string {
	if s := m.Definition.SplitTable; s != nil {
		var names []string
		for _, p := range s.KeyPairs() {
			names = append(names, p.From)
		}
		return names
	}
	g, err := m.Definition.Group()
	if err != nil {
		return nil
	}
	return g.Stay
}

// columnNames lists the columns that a definition lets go and come, as the table has them.
func columnNames(def *lens.Definition) (old, added []string) {
	switch {
	case def.RenameColumn != nil:
		return []string{def.RenameColumn.From}, []string{def.RenameColumn.To}
	case def.ChangeType != nil:
		return []string{def.ChangeType.Column}, []string{def.ChangeType.To}
	case def.Columns != nil:
		for _, a := range def.Columns.Add {
			added = append(added, a.Name)
		}
		return def.Columns.Drop, added
	case def.SplitTable != nil:
		for _, p := range def.SplitTable.ColumnPairs() {
			old = append(old, p.From)
		}
		return old, nil
	}
	return nil, nil
}

const migrationColumns = `SELECT name, seq, table_oid, definition, live, phase, step, proved, changed, prior, old_nums, old_types, new_nums, guard, relaxed, members, filled, COALESCE(cursor_of, 0), cursor,
	rows_done, rows_total, rate, throttled, paused, max_rows, backfilled, analyzed, verified, working, error, created_at, changed_at FROM segue.migration `

func scanMigration(row pgx.CollectableRow) (*migration, error) {
	m := &migration{}
	var phase, step string
	if err := row.Scan(&m.Name, &m.Seq, &m.Table, &m.Definition, &m.Stand.Live, &phase, &step, &m.Stand.Proved, &m.Changed, &m.Prior,
		&m.OldNums, &m.OldTypes, &m.NewNums, &m.Guard, &m.Relaxed, &m.Members, &m.Filled, &m.CursorOf, &m.Cursor, &m.RowsDone, &m.RowsTotal, &m.Rate, &m.Throttled, &m.Paused, &m.MaxRows, &m.Backfilled,
		&m.Analyzed, &m.Verified, &m.Working, &m.Error, &m.CreatedAt, &m.ChangedAt); err != nil {
		return nil, err
	}
	if err := m.Stand.Phase.UnmarshalText([]byte(phase)); err != nil {
		return nil, fmt.Errorf("migration %s: %w", m.Name, err)
	}
	if err := m.Stand.Step.UnmarshalText([]byte(step)); err != nil {
		return nil, fmt.Errorf("migration %s: %w", m.Name, err)
	}
	return m, nil
}

func readMigrations(ctx context.Context, q queryer) ([]*migration, error) {
	ms, err := collect(ctx, q, migrationColumns+"ORDER BY seq", scanMigration)
	if err != nil {
		return nil, fmt.Errorf("reading the migrations: %w", err)
	}
	return ms, nil
}

// readMigration gives an error that is proxy.ErrUnknown where there is no migration of that name.
func readMigration(ctx context.Context, q queryer, name string) (*migration, error) {
	ms, err := collect(ctx, q, migrationColumns+"WHERE name = $1", scanMigration, name)
	if err != nil {
		return nil, fmt.Errorf("reading migration %s: %w", name, err)
	}
	if len(ms) == 0 {
		return nil, fmt.Errorf("%w %q: `segue status` lists those that there are", proxy.ErrUnknown, name)
	}
	return ms[0], nil
}

// loaded is a state with the fingerprint of its catalog, and the mark of its epoch.
type loaded struct {
	*rewrite.State
	print string
	mark  agree.Mark
}

// loadState reads the state of one epoch, migrations and catalog from one snapshot: the transaction is REPEATABLE READ. Where the fingerprint is
// that of the state before, its catalog is kept.
func loadState(ctx context.Context, tx pgx.Tx, before loaded) (loaded, error) {
	row, err := readEpoch(ctx, tx, "")
	if err != nil {
		return loaded{}, err
	}
	mark := row.Mark
	if h := historyOf(tx.Conn()); h.Known() { // a standby has what the primary noted
		mark.History = h
	}
	print, err := fingerprint(ctx, tx)
	if err != nil {
		return loaded{}, err
	}
	ms, err := readMigrations(ctx, tx)
	if err != nil {
		return loaded{}, err
	}
	var cat *catalog.Catalog
	if before.State != nil && before.print == print {
		cat = before.Catalog
	} else if cat, err = loadCatalog(ctx, tx); err != nil {
		return loaded{}, err
	}
	var under []rewrite.Migration
	for _, m := range ms {
		if !m.Stand.Live || m.Stand.Phase == lens.Retired {
			continue
		}
		rel := cat.ByOID(m.Table)
		if rel == nil {
			continue // its table was dropped, so no statement can mean it
		}
		def := *m.Definition
		def.Table = lens.TableName{Schema: rel.Schema, Name: rel.Name} // it may have been renamed
		x := rewrite.Migration{Definition: &def, Stage: m.Stand.Stage, OldNums: m.OldNums, OldTypes: m.OldTypes, Members: m.Members, Seq: m.Seq}
		if m.Guard != nil {
			x.Target = m.Guard.Target
		}
		if m.Relaxed != nil && !m.splitting() {
			x.OldRequired, x.OldDefaults = m.Relaxed.required(), m.Relaxed.defaults()
		}
		under = append(under, x)
	}
	state, err := rewrite.NewState(mark.Epoch, cat, under)
	return loaded{state, print, mark}, err
}

// errMoved says that the schema changed while it was being read.
var errMoved = errors.New("the schema changed while it was being read")

// readState reads the state, after f in the same transaction; before is the last one that was read. Expressions and types are written by the
// server as of now, not as of the snapshot; so what was read holds only if the fingerprint is still the same afterwards.
func readState(ctx context.Context, conn *pgx.Conn, before loaded, f func(pgx.Tx) error) (state loaded, err error) {
	for range 20 {
		err = inTx(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
			if f != nil {
				if err := f(tx); err != nil {
					return err
				}
			}
			state, err = loadState(ctx, tx, before)
			return err
		})
		if err == nil {
			if state.Catalog == before.catalog() {
				return state, nil
			}
			var after string
			if after, err = fingerprint(ctx, conn); err == nil && after == state.print {
				return state, nil
			}
			if err == nil {
				err = errMoved
				f = nil // it has been committed
			}
		}
		if !errors.Is(err, errMoved) && !slices.Contains([]string{"40001", "40P01", "XX000", "42P01"}, sqlState(err)) {
			return loaded{}, err
		}
	}
	return loaded{}, fmt.Errorf("reading the state: %w", err)
}

func (l loaded) catalog() *catalog.Catalog {
	if l.State == nil {
		return nil
	}
	return l.Catalog
}
