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

	conn  *Conn
	snap  *snapshot
	names map[origin]string
	types map[uint32]string
	seed  string
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
	d := &Database{Variant: v, Form: f, seed: strings.Join(v.seed(f), ";\n"), names: map[origin]string{}}
	if d.snap, err = readCatalog(ctx, setup); err != nil {
		return nil, err
	}
	for _, t := range []string{v.Table, "orders", "people"} {
		rel := d.snap.relation(t)
		for _, c := range rel.Columns {
			d.names[origin{rel.OID, c.Num}] = t + "." + c.Name
		}
		d.names[origin{rel.OID, 0}] = t + ", whole row"
	}
	if f != RefNew {
		// A proxy that has not seen the column go speaks of it by its number.
		table := d.snap.relation(v.Table).OID
		d.names[origin{table, oldNum}] = v.Table + "." + v.Names[OldSide]
		d.names[origin{table, newNum}] = v.Table + "." + v.Names[NewSide]
	}
	if d.types, err = ownTypes(ctx, setup); err != nil {
		return nil, err
	}
	d.conn, err = Dial(ctx, dsn)
	return d, err
}

// ownTypes reads the names of the types that are not PostgreSQL's own.
func ownTypes(ctx context.Context, conn *pgx.Conn) (map[uint32]string, error) {
	rows, err := conn.Query(ctx, `SELECT oid, typname FROM pg_type WHERE oid >= 16384`)
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

// Close ends the session.
func (d *Database) Close() error { return d.conn.Close() }

// origins gives the names of columns as code of a side calls them. alike says that both of the migrating columns count as the side's own.
func (d *Database) origins(s Side, alike bool) *Origins {
	o := &Origins{names: d.names, types: d.types, logical: map[string]string{}}
	if alike {
		o.logical[d.Variant.Table+"."+d.Variant.Names[1-s]] = d.Variant.Table + "." + d.Variant.Names[s]
	}
	return o
}

// sent is one text as it goes to this database.
type sent struct {
	Step
	types []uint32 // of the parameters, as the reference found them
	// abort says that the text was refused before it got here: nothing is sent but what makes the transaction fail, as the refusal does for the client.
	abort bool
}

// Outcome is what came back: the events of each text, and the table's contents after each that may have written.
type Outcome struct {
	Steps    [][]Event
	Contents [][]Event // nil where nothing was looked at
	Apart    string    // where the two columns do not agree
}

// Run runs texts one after the other and brings the database back to the seed.
func (d *Database) Run(steps []sent, p Protocol, commit bool) (*Outcome, error) {
	c := d.conn
	c.Query(d.Variant.begin())
	if !commit {
		c.Query("BEGIN")
	}
	for _, s := range steps {
		if s.abort {
			c.Query("refused")
		} else {
			c.Send(s.Step, p, s.types)
		}
		if writing.MatchString(s.Text) {
			c.Query(d.Variant.contents(d.Form))
		}
	}
	c.Query("ROLLBACK")
	if commit {
		c.Query(d.seed)
	}
	c.Query("DEALLOCATE ALL")
	replies, err := c.Replies()
	if err != nil {
		return nil, err
	}
	next := func() []Event {
		r := replies[0]
		replies = replies[1:]
		return r
	}
	if e := failure(next()); e != nil {
		return nil, fmt.Errorf("beginning a run: %s", e.Text)
	}
	if !commit {
		next()
	}
	var out Outcome
	for _, s := range steps {
		out.Steps = append(out.Steps, next())
		var contents []Event
		if writing.MatchString(s.Text) {
			var apart string
			contents, apart = d.Form.logical(next())
			out.Apart += apart
		}
		out.Contents = append(out.Contents, contents)
	}
	next()
	if commit {
		if e := failure(next()); e != nil {
			return nil, fmt.Errorf("going back to the seed: %s", e.Text)
		}
	}
	return &out, nil
}

func failure(events []Event) *Event {
	for i := range events {
		if events[i].Kind == ErrorResponse {
			return &events[i]
		}
	}
	return nil
}
