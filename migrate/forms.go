package migrate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// canonicalTypes gives the definition with its types written as the server writes them, so that the same type is always the same text. A type that there is
// not is left as it is, for the check to find.
func canonicalTypes(ctx context.Context, conn *pgx.Conn, def *lens.Definition) (*lens.Definition, error) {
	out := *def
	switch {
	case def.ChangeType != nil:
		c := *def.ChangeType
		out.ChangeType = &c
		return &out, canonicalType(ctx, conn, &c.Type)
	case def.Columns != nil:
		c := *def.Columns
		c.Add = append([]lens.AddColumn(nil), c.Add...)
		out.Columns = &c
		for i := range c.Add {
			if err := canonicalType(ctx, conn, &c.Add[i].Type); err != nil {
				return nil, err
			}
		}
	}
	return &out, nil
}

func canonicalType(ctx context.Context, conn *pgx.Conn, text *string) error {
	if err := lens.ParseType(*text); err != nil {
		return err
	}
	d, err := conn.PgConn().Prepare(ctx, "", "SELECT (NULL::"+*text+"\n)", nil)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		return nil
	case err != nil:
		return fmt.Errorf("reading the type %s: %w", *text, err)
	}
	// The description has a domain's base type.
	if err := conn.QueryRow(ctx, "SELECT format_type(pg_typeof(NULL::"+*text+"\n)::oid, $1)", d.Fields[0].TypeModifier).Scan(text); err != nil {
		return fmt.Errorf("reading the type %s: %w", *text, err)
	}
	return nil
}

// cutOff are types that an explicit cast cuts values off for, where an assignment raises an error, and for which the planner has no form that does: bit strings, and arrays
// of types with a length.
var cutOff = regexp.MustCompile(`^bit( varying)?(\(|\[|$)|\(\d+\).*\[\]$`)

// errUndo undoes a transaction that was to change nothing.
var errUndo = errors.New("nothing is to be kept")

// checkForms lets the server judge types and expressions, on a table that is made like the old and the new columns and taken away again.
func checkForms(ctx context.Context, conn *pgx.Conn, def *lens.Definition, f *findings) error {
	group, err := def.Group()
	if err != nil {
		f.refuse("%s", err)
		return nil
	}
	if group.Same || len(f.problems) > 0 {
		return nil
	}
	return undone(ctx, conn, func(tx pgx.Tx) error {
		x := &trial{
			tx: tx, f: f, def: def, group: group, old: map[string]*column{}, added: map[string]*column{},
			table: catalog.QuoteQualified("segue", "check_"+strings.ReplaceAll(newID(), "-", "")),
		}
		return x.run(ctx)
	})
}

// undone runs f in a transaction that is rolled back.
func undone(ctx context.Context, conn *pgx.Conn, f func(pgx.Tx) error) error {
	err := inTx(ctx, conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return errUndo
	})
	if errors.Is(err, errUndo) {
		return nil
	}
	return err
}

// trial is a table that a definition's expressions are tried on.
type trial struct {
	tx         pgx.Tx
	f          *findings
	def        *lens.Definition
	group      *lens.Group
	table      string // as SQL
	old, added map[string]*column
}

func (x *trial) run(ctx context.Context) error {
	var cols []string
	for _, o := range x.group.Old {
		c, err := readColumn(ctx, x.tx, x.f.table, o.Name)
		if err != nil {
			return err
		}
		x.old[o.Name] = c
		cols = append(cols, catalog.QuoteIdent(o.Name))
		if cutOff.MatchString(c.Type) {
			x.f.refuse("column %s is of type %s, which casts cut off: this build does not migrate it", catalog.QuoteIdent(o.Name), c.Type)
		}
	}
	for _, name := range x.group.Stay {
		cols = append(cols, catalog.QuoteIdent(name))
	}
	if _, err := x.tx.Exec(ctx, fmt.Sprintf("CREATE TABLE %s AS SELECT %s FROM ONLY %s WITH NO DATA", x.table, strings.Join(cols, ", "), x.def.Table)); err != nil {
		return err
	}
	for _, n := range x.group.New {
		if err := x.addNew(ctx, n); err != nil {
			return err
		}
	}
	if len(x.f.problems) > 0 {
		return nil
	}
	for i, n := range x.group.New {
		if err := x.generate(ctx, fmt.Sprintf("segue up %d", i), "`up` of "+catalog.QuoteIdent(n.Name), n.Convert, x.added[n.Name].Type); err != nil {
			return err
		}
	}
	for i, o := range x.group.Old {
		if o.Down == nil {
			continue
		}
		if err := x.generate(ctx, fmt.Sprintf("segue down %d", i), "`down` of "+catalog.QuoteIdent(o.Name), o.Down, x.old[o.Name].Type); err != nil {
			return err
		}
	}
	if len(x.f.problems) > 0 {
		return nil
	}
	for _, n := range x.group.New {
		if err := x.wanted(ctx, n); err != nil {
			return err
		}
	}
	if err := x.nulls(ctx); err != nil {
		return err
	}
	if err := x.lookups(ctx); err != nil {
		return err
	}
	if x.group.Adding || x.group.Dropping || len(x.f.problems) > 0 {
		return nil
	}
	if err := x.ownDefaults(ctx); err != nil {
		return err
	}
	return x.defaults(ctx)
}

// lookups tries the indexes that the definition asks for.
func (x *trial) lookups(ctx context.Context) error {
	if !x.def.LookupIndexes {
		return nil
	}
	for _, n := range x.group.New {
		refused, err := x.try(ctx, fmt.Sprintf("CREATE INDEX ON %s (((%s)::%s))", x.table, n.Convert.Expand(catalog.QuoteIdent), x.added[n.Name].Type))
		if err != nil {
			return err
		}
		if refused != nil {
			x.f.refuse("lookup_indexes: no index can be made on what column %s reads before reads switch: %s; leave lookup_indexes out", catalog.QuoteIdent(n.Name), refused.message)
		}
	}
	return nil
}

// refusal is the server's word on a statement that it does not carry out.
type refusal struct{ code, message string }

// try runs a statement that may fail; refused is nil where it does not.
func (x *trial) try(ctx context.Context, sql string) (refused *refusal, err error) {
	sub, err := x.tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	_, err = sub.Exec(ctx, sql)
	if err == nil {
		return nil, sub.Commit(ctx)
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return nil, err
	}
	return &refusal{pg.Code, pg.Message}, sub.Rollback(ctx)
}

// addNew adds a column as expand will.
func (x *trial) addNew(ctx context.Context, n lens.NewColumn) error {
	name := catalog.QuoteIdent(n.Name)
	refused, err := x.try(ctx, "ALTER TABLE "+x.table+" ADD COLUMN "+name+" "+n.Type)
	if err != nil {
		return err
	}
	if refused != nil {
		x.f.refuse("column %s cannot be of type %s: %s; a type that is not PostgreSQL's own is written with its schema", name, n.Type, refused.message)
		return nil
	}
	var table uint32
	if err := x.tx.QueryRow(ctx, "SELECT $1::regclass::oid", x.table).Scan(&table); err != nil {
		return err
	}
	c, err := readColumn(ctx, x.tx, table, n.Name)
	if err != nil {
		return err
	}
	if len(x.old) == 1 && len(x.group.New) == 1 {
		if o := x.old[x.group.Old[0].Name]; o.Type == c.Type && o.Collation != "" {
			if _, err := x.tx.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE %s COLLATE %s", x.table, name, o.Type, o.Collation)); err != nil {
				return err
			}
		}
	}
	x.added[n.Name] = c
	var domain bool
	if err := x.tx.QueryRow(ctx, "SELECT "+strictDomain+" FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = $1 AND a.attname = $2", table, n.Name).Scan(&domain); err != nil {
		return err
	}
	switch {
	case domain:
		x.f.refuse("%s is a domain, whose default and constraints adding a column would check row by row under a lock: this build does not migrate to it", n.Type)
	case c.Default != "" || c.NotNull:
		x.f.refuse("%s is no type of its own: it stands for a sequence", n.Type)
	case cutOff.MatchString(c.Type):
		x.f.refuse("column %s would be of type %s, which casts cut off: this build does not migrate to it", name, c.Type)
	}
	return nil
}

// generate adds a column that is generated by an expression: the server demands of it that it is immutable and can be assigned to the type.
func (x *trial) generate(ctx context.Context, name, what string, form lens.Form, typ string) error {
	expr := form.Expand(catalog.QuoteIdent)
	refused, err := x.try(ctx, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s GENERATED ALWAYS AS (%s\n) STORED", x.table, catalog.QuoteIdent(name), typ, expr))
	if err != nil || refused == nil {
		return err
	}
	switch refused.code {
	case "42P17":
		x.f.refuse("%s, %s, is not immutable: something in it, or in how %s is made of it, depends on settings such as TimeZone and DateStyle, or on tables: two sessions would get different values", what, expr, typ)
	case "42804":
		x.f.refuse("%s, %s, is not of type %s: %s; write the cast", what, expr, typ, refused.message)
	case "42883", "42704":
		x.f.refuse("%s, %s: %s; what is not PostgreSQL's own is written with its schema", what, expr, refused.message)
	default:
		x.f.refuse("%s, %s: %s", what, expr, refused.message)
	}
	return nil
}

// wanted tries what the definition wants of a new column: that it is a condition, and a default that can be assigned.
func (x *trial) wanted(ctx context.Context, n lens.NewColumn) error {
	name, alter := catalog.QuoteIdent(n.Name), "ALTER TABLE "+x.table+" "
	tries := []struct{ what, expr, set, unset string }{{what: "`default`", expr: n.Default, set: "ALTER COLUMN " + name + " SET DEFAULT (" + n.Default + "\n)", unset: "ALTER COLUMN " + name + " DROP DEFAULT"}}
	if n.Check != nil {
		check := n.Check.Expand(catalog.QuoteIdent)
		tries = append(tries, struct{ what, expr, set, unset string }{"`check`", check, "ADD CONSTRAINT segue_try CHECK (" + check + "\n)", "DROP CONSTRAINT segue_try"})
	}
	for _, t := range tries {
		if t.expr == "" {
			continue
		}
		refused, err := x.try(ctx, alter+t.set+"; "+alter+t.unset)
		if err != nil {
			return err
		}
		if refused != nil {
			x.f.refuse("%s of %s, %s: %s", t.what, name, t.expr, refused.message)
		}
	}
	return nil
}

// ownDefaults demands that a default that the definition gives is what the old columns' defaults, or NULLs, come to: a statement that leaves the group out has the same outcome
// whichever side's default is in force.
func (x *trial) ownDefaults(ctx context.Context) error {
	for _, n := range x.group.New {
		if n.Default == "" {
			continue
		}
		typ := x.added[n.Name].Type
		up := n.Convert.Expand(func(c string) string {
			if def := x.old[c].Default; def != "" {
				return "((" + def + ")::" + x.old[c].Type + ")"
			}
			return "(NULL::" + x.old[c].Type + ")"
		})
		var same bool
		var comes *string
		if err := x.tx.QueryRow(ctx, fmt.Sprintf("SELECT record_image_eq(ROW(a), ROW(b)), b::text FROM (SELECT (%s)::%s AS a, (%s)::%[2]s AS b) x", n.Default, typ, up)).Scan(&same, &comes); err != nil {
			x.f.refuse("the default of %s cannot be held against what the old columns' come to: %s", catalog.QuoteIdent(n.Name), err)
			return nil
		}
		if !same {
			is := "NULL"
			if comes != nil {
				is = quoteLiteral(*comes)
			}
			x.f.refuse("the default of %s, %s, is not what the old columns' defaults come to by `up`, which is %s: a row that leaves the column out would differ by who writes it", catalog.QuoteIdent(n.Name), n.Default, is)
		}
	}
	return nil
}

// nulls demands that NULLs become NULLs, since a NULL stands for what is not filled, and that an expression sorts and compares as the column that it
// is read in the place of.
func (x *trial) nulls(ctx context.Context) error {
	refused, err := x.try(ctx, "INSERT INTO "+x.table+" DEFAULT VALUES")
	if err != nil {
		return err
	}
	if refused != nil {
		x.f.refuse("`up` or `down` fails for NULLs: %s; they have to give NULL", refused.message)
		return nil
	}
	look := func(generated, name, what, other string, c *column, form lens.Form) error {
		expr := form.Expand(catalog.QuoteIdent)
		collations := "true"
		var collatable bool
		if err := x.tx.QueryRow(ctx, "SELECT attcollation <> 0 FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2", x.table, name).Scan(&collatable); err != nil {
			return err
		}
		if collatable {
			collations = fmt.Sprintf("pg_collation_for(%s) IS NOT DISTINCT FROM pg_collation_for((%s\n)::%s)", catalog.QuoteIdent(name), expr, c.Type)
		}
		var value *string
		var same bool
		if err := x.tx.QueryRow(ctx, fmt.Sprintf("SELECT %s::text, %s FROM %s", catalog.QuoteIdent(generated), collations, x.table)).Scan(&value, &same); err != nil {
			return fmt.Errorf("trying %s: %w", what, err)
		}
		if value != nil && other != "" {
			x.f.refuse("%s, %s, gives %s for %s: it has to give NULL, since a NULL stands for what is not filled yet; where the new column has not_null = true, it need not", what, expr, quoteLiteral(*value), other)
		}
		if !same {
			x.f.refuse("%s, %s, has another collation than the column, so that it would sort and compare in another way: add COLLATE to it", what, expr)
		}
		return nil
	}
	for i, n := range x.group.New {
		nulls := "NULLs on the old side"
		if n.NotNull {
			nulls = "" // then a NULL is never a value
		}
		if err := look(fmt.Sprintf("segue up %d", i), n.Name, "`up` of "+catalog.QuoteIdent(n.Name), nulls, x.added[n.Name], n.Convert); err != nil {
			return err
		}
	}
	for i, o := range x.group.Old {
		if o.Down == nil {
			continue
		}
		nulls := "NULLs on the new side"
		if x.group.Dropping {
			nulls = ""
		}
		if err := look(fmt.Sprintf("segue down %d", i), o.Name, "`down` of "+catalog.QuoteIdent(o.Name), nulls, x.old[o.Name], o.Down); err != nil {
			return err
		}
	}
	return nil
}

// defaults demands that the old columns' defaults go over to the new ones as a whole, and that old code finds them there again.
func (x *trial) defaults(ctx context.Context) error {
	var with, without, cols, values []string
	for _, o := range x.group.Old {
		if x.old[o.Name].Default == "" {
			without = append(without, catalog.QuoteIdent(o.Name))
			continue
		}
		with = append(with, catalog.QuoteIdent(o.Name))
		cols, values = append(cols, catalog.QuoteIdent(o.Name)), append(values, x.old[o.Name].Default)
	}
	if len(with) == 0 || len(x.f.problems) > 0 {
		return nil
	}
	if len(without) > 0 {
		x.f.refuse("%s has a default and %s has none, so that the new side could not say which of them was left out: give all of them one, or none", strings.Join(with, ", "), strings.Join(without, ", "))
		return nil
	}
	if _, err := x.tx.Exec(ctx, "DELETE FROM "+x.table); err != nil {
		return err
	}
	refused, err := x.try(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", x.table, strings.Join(cols, ", "), strings.Join(values, ", ")))
	if err != nil {
		return err
	}
	if refused != nil {
		x.f.refuse("the default of %s does not convert: %s", strings.Join(with, ", "), refused.message)
		return nil
	}
	var sets, same []string
	for i, n := range x.group.New {
		sets = append(sets, fmt.Sprintf("%s = %s", catalog.QuoteIdent(n.Name), catalog.QuoteIdent(fmt.Sprintf("segue up %d", i))))
	}
	for i, o := range x.group.Old {
		if o.Down != nil {
			same = append(same, fmt.Sprintf("record_image_eq(ROW(%s), ROW(%s))", catalog.QuoteIdent(o.Name), catalog.QuoteIdent(fmt.Sprintf("segue down %d", i))))
		}
	}
	refused, err = x.try(ctx, "UPDATE "+x.table+" SET "+strings.Join(sets, ", "))
	if err != nil {
		return err
	}
	if refused != nil {
		x.f.refuse("the default of %s does not come back: %s", strings.Join(with, ", "), refused.message)
		return nil
	}
	if x.group.Lossy || len(same) == 0 {
		return nil
	}
	var back bool
	if err := x.tx.QueryRow(ctx, "SELECT "+strings.Join(same, " AND ")+" FROM "+x.table).Scan(&back); err != nil {
		return err
	}
	if !back {
		x.f.refuse("the default of %s does not come back from the new side as it is", strings.Join(with, ", "))
	}
	return nil
}
