package oracle

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Database is one database with the schema of one form, at the seed between any two runs.
type Database struct {
	Variant *Variant
	Form    Form

	session
	snap  *snapshot
	names map[origin]string
	types map[uint32]string
}

// NewDatabase makes the form's schema in an empty database and fills it. Close it when done.
func NewDatabase(ctx context.Context, dsn string, v *Variant, f Form) (_ *Database, err error) {
	setup, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = setup.Close(ctx) }()
	for _, s := range append(v.ddl(f), v.seed(f)...) {
		if _, err := setup.Exec(ctx, s); err != nil {
			return nil, fmt.Errorf("setting up form %s of %s: %s: %w", f, v.Name, s, err)
		}
	}
	d := &Database{Variant: v, Form: f, names: map[origin]string{}}
	if d.snap, err = readCatalog(ctx, setup, 0); err != nil {
		return nil, err
	}
	for _, t := range v.tables(f) {
		columnOrigins(d.names, d.snap.relation(t))
	}
	table := d.snap.relation(v.Table)
	for s := range v.Columns {
		if v.splits() {
			break // its columns have one number each
		}
		for i := range v.Columns[s] {
			c := &v.Columns[s][i]
			switch {
			case f != RefNew: // a proxy that has not seen the column go speaks of it by its number
				d.names[origin{table.OID, v.num(Side(s), i)}] = v.Table + "." + c.Name
			case Side(s) == NewSide:
				d.names[origin{table.OID, table.Column(c.as()).Num}] = v.Table + "." + c.Name
			}
		}
	}
	if d.types, err = ownTypes(ctx, setup); err != nil {
		return nil, err
	}
	d.session = session{begin: v.begin(), contents: [2]string{v.contents(f, OldSide), v.contents(f, NewSide)}, seed: strings.Join(v.seed(f), ";\n"), logical: f.logical}
	d.conn, err = Dial(ctx, dsn)
	return d, err
}

// ownTypes reads the names of the types that are not PostgreSQL's own.
func ownTypes(ctx context.Context, conn *pgx.Conn) (map[uint32]string, error) {
	rows, err := conn.Query(ctx, `SELECT oid, typname FROM pg_type WHERE oid >= $1`, firstOwnOID)
	if err != nil {
		return nil, fmt.Errorf("reading the types: %w", err)
	}
	types := map[uint32]string{}
	var oid uint32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error {
		types[oid] = name
		return nil
	})
	return types, err
}

// origins gives the names of columns as code of a side calls them. alike says that a migrating column may be called by the other side's: where one
// stands for one, that one; else there is none that could be named, and no origin counts.
func (d *Database) origins(s Side, alike bool) *Origins {
	v := d.Variant
	o := &Origins{names: d.names, types: d.types, logical: map[string]string{}}
	switch {
	case v.splits():
	case alike && v.single():
		o.logical[v.Table+"."+v.Columns[1-s][0].Name] = v.Table + "." + v.Columns[s][0].Name
	case alike:
		o.any = true
	}
	return o
}
