package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// A split moves columns of one table, the source, to a table that it makes, the target. The key stays in the source, and the target has its values, too: it has a row exactly
// where the source's row has a value in a column that moves. In SQL here s is the source and t the target.

// split is what the tables say of a migration that splits one.
type split struct {
	migration  string
	source     uint32         // OID
	table, to  string         // source and target, as SQL
	from, into lens.TableName // the same, for messages; empty where the table is gone
	target     *lens.Target
	key        []splitColumn // in the order of SplitTable.KeyPairs
	moved      []splitColumn // in the order of SplitTable.ColumnPairs
}

// splitColumn is a column of the source with the one of the target that has its value.
type splitColumn struct {
	from, to string
	typ      string // as SQL; both have it
	base     string // as SQL: what typ is a domain over, or typ itself
	image    bool   // the type's = means the same image
	notNull  bool   // of the source's column, now
	def      string // of the source's column, as SQL; "" for none
}

// splitting says that the migration splits a table.
func (m *migration) splitting() bool { return m.Definition.SplitTable != nil }

// readSplit reads the columns of a split; the target need not stand yet.
func readSplit(ctx context.Context, q queryer, m *migration) (*split, error) {
	def := m.Definition.SplitTable
	s := &split{migration: m.Name, source: m.Table, to: def.To.String()}
	var err error
	if s.table, err = tableName(ctx, q, m.Table); err != nil {
		return nil, err
	}
	if m.Guard != nil && m.Guard.Target != nil {
		s.target = m.Guard.Target
		name, err := tableName(ctx, q, s.target.OID)
		if err != nil {
			return nil, err
		}
		if name != "" { // it may have been renamed
			s.to = name
		}
	}
	for sql, name := range map[string]*lens.TableName{s.table: &s.from, s.to: &s.into} {
		if sql == "" {
			continue
		}
		if err := name.UnmarshalText([]byte(sql)); err != nil {
			return nil, fmt.Errorf("reading a table's name: %w", err)
		}
	}
	for _, part := range []struct {
		pairs []lens.Pair
		out   *[]splitColumn
	}{{def.KeyPairs(), &s.key}, {def.ColumnPairs(), &s.moved}} {
		for _, p := range part.pairs {
			c, err := readColumn(ctx, q, m.Table, p.From)
			if err != nil {
				return nil, err
			}
			base, err := domainBase(ctx, q, m.Table, c)
			if err != nil {
				return nil, err
			}
			*part.out = append(*part.out, splitColumn{from: p.From, to: p.To, typ: c.Type, base: base, image: c.Image, notNull: c.NotNull, def: c.Default})
		}
	}
	return s, nil
}

// baseTypes is the recursive part of a query for the type that a column's domain, or domain over a domain, is over: b has it, or the column's type itself. It needs the column as a.
const baseTypes = `LATERAL (WITH RECURSIVE d AS (SELECT a.atttypid AS oid UNION ALL SELECT x.typbasetype FROM d JOIN pg_type x ON x.oid = d.oid AND x.typtype = 'd')
	SELECT b.* FROM d JOIN pg_type b ON b.oid = d.oid AND b.typtype <> 'd') b`

// domainBase gives what a column's type is a domain over, as SQL; the type itself, where it is none. A variable of a domain could not be NULL where the domain says so.
func domainBase(ctx context.Context, q queryer, table uint32, c *column) (base string, err error) {
	err = q.QueryRow(ctx, `SELECT CASE WHEN b.oid = a.atttypid THEN $3 ELSE quote_ident(n.nspname) || '.' || quote_ident(b.typname) END
		FROM pg_attribute a, `+baseTypes+` JOIN pg_namespace n ON n.oid = b.typnamespace WHERE a.attrelid = $1 AND a.attnum = $2`, table, c.Num, c.Type).Scan(&base)
	if err != nil {
		return "", fmt.Errorf("reading what the type %s is over: %w", c.Type, err)
	}
	return base, nil
}

// stands says whether the target is there as a table that may be dropped or read: the one that expand has made.
func (s *split) stands(ctx context.Context, q queryer) (bool, error) {
	if s.target == nil {
		return false, nil
	}
	name, err := tableName(ctx, q, s.target.OID)
	return name != "", err
}

func (c splitColumn) source(row string) string { return row + "." + catalog.QuoteIdent(c.from) }
func (c splitColumn) targ(row string) string   { return row + "." + catalog.QuoteIdent(c.to) }

// differs is true where two values of the column are not the same image.
func (c splitColumn) differs(a, b string) string {
	return groupColumn{image: c.image}.differs(a, b)
}

// each writes something for every column and joins it.
func each(columns []splitColumn, sep string, write func(c splitColumn) string) string {
	var out []string
	for _, c := range columns {
		out = append(out, write(c))
	}
	return strings.Join(out, sep)
}

// sources and targets list columns behind a row's name; "" for the names alone.
func sources(columns []splitColumn, row string) string {
	return each(columns, ", ", func(c splitColumn) string {
		if row == "" {
			return catalog.QuoteIdent(c.from)
		}
		return c.source(row)
	})
}

func targets(columns []splitColumn, row string) string {
	return each(columns, ", ", func(c splitColumn) string {
		if row == "" {
			return catalog.QuoteIdent(c.to)
		}
		return c.targ(row)
	})
}

// filled is true where the source's row has a value that the target must have.
func (s *split) filled(row string) string {
	return "pg_catalog.num_nonnulls(" + sources(s.moved, row) + ") > 0"
}

// empty is true where a row of the target has nothing in it that the source can tell.
func (s *split) empty(row string) string {
	return "pg_catalog.num_nonnulls(" + targets(s.moved, row) + ") = 0"
}

// joined is true where a row of the source and one of the target belong together.
func (s *split) joined(source, target string) string {
	return each(s.key, " AND ", func(c splitColumn) string { return c.targ(target) + " = " + c.source(source) })
}

// apart is true where a row of the source and its row of the target differ.
func (s *split) apart(source, target string) string {
	return each(s.moved, " OR ", func(c splitColumn) string { return c.differs(c.source(source), c.targ(target)) })
}

// disagree is true of a row of the source, left-joined to its row of the target, t, where the two do not agree. That a target's row is there shows in its key, which is not null.
func (s *split) disagree(source string) string {
	return fmt.Sprintf("CASE WHEN %s IS NOT NULL THEN NOT (%s) OR %s ELSE %s END", s.key[0].targ("t"), s.filled(source), s.apart(source, "t"), s.filled(source))
}

// required are the moved columns that are NOT NULL in the source, or were before reads switched.
func (s *split) required(m *migration) []splitColumn {
	return slices.DeleteFunc(slices.Clone(s.moved), func(c splitColumn) bool {
		if m.Relaxed != nil {
			return !m.Relaxed.Old[c.from].NotNull
		}
		return !c.notNull
	})
}

// errNoTarget says that the new table is gone.
func errNoTarget(m *migration) error {
	return errors.New("the table " + m.Definition.SplitTable.To.String() + " that the columns move to is gone: `segue rollback " + m.Name + " --to pending` goes back")
}
