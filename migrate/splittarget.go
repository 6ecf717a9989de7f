package migrate

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// makeTarget makes the new table, in a transaction of the control connection, and looks at what has come of it. What the source's row cannot be kept in step with is a problem in f.
func (s *split) makeTarget(ctx context.Context, tx pgx.Tx, def *lens.SplitTable, f *findings) error {
	// It is run as given, so it finds what it names by the search path that the role and the database are set up with.
	if _, err := tx.Exec(ctx, `SELECT set_config('search_path', COALESCE((SELECT reset_val FROM pg_settings WHERE name = 'search_path'), ''), true)`); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, def.Create, pgx.QueryExecModeSimpleProtocol)
	if code := sqlState(err); err != nil && code != "" && code != "55P03" && code != "40P01" {
		f.refuse("`create` cannot be run: %s", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", def.To, err)
	}
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return err
	}
	s.target = &lens.Target{}
	var owner, mine string
	if err := tx.QueryRow(ctx, `SELECT c.oid, (SELECT quote_ident(rolname) FROM pg_roles r JOIN pg_class o ON o.relowner = r.oid WHERE o.oid = $3), quote_ident(current_user)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, def.To.Schema, def.To.Name, s.source).Scan(&s.target.OID, &owner, &mine); err != nil {
		return fmt.Errorf("looking for the table %s: %w", def.To, err)
	}
	if owner != mine {
		if _, err := tx.Exec(ctx, "ALTER TABLE "+s.to+" OWNER TO "+owner); sqlState(err) == "42501" {
			f.refuse("%s cannot be given to %s, who owns %s: %s: GRANT CREATE ON SCHEMA %s TO %[2]s", s.to, owner, s.table, err, catalog.QuoteIdent(def.To.Schema))
			return nil
		} else if err != nil {
			return fmt.Errorf("giving %s to the owner of %s: %w", s.to, s.table, err)
		}
	}
	problems, err := s.judge(ctx, tx)
	f.problems = append(f.problems, problems...)
	return err
}

// targetColumn is a column of the new table.
type targetColumn struct {
	name, typ, collation string
	notNull, generated   bool
	given                bool // a row that leaves it out has a value
}

// judge says in what the target cannot be kept in step, and notes its foreign key to the source. It is asked when the target is made, and again at each gate.
func (s *split) judge(ctx context.Context, q queryer) (problems []string, err error) {
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	columns, err := collect(ctx, q, `
		SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attcollation::text, a.attnotnull, a.attgenerated <> '',
		       a.attgenerated <> '' OR a.attidentity <> '' OR d.adbin IS NOT NULL
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
		func(row pgx.CollectableRow) (c targetColumn, err error) {
			return c, row.Scan(&c.name, &c.typ, &c.collation, &c.notNull, &c.generated, &c.given)
		}, s.target.OID)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of %s: %w", s.to, err)
	}
	pairs := slices.Concat(s.key, s.moved)
	for i, p := range pairs {
		at := slices.IndexFunc(columns, func(c targetColumn) bool { return c.name == p.to })
		if at < 0 {
			refuse("%s has no column %s: let `create` declare it", s.to, catalog.QuoteIdent(p.to))
			continue
		}
		c := columns[at]
		var collation string
		if err := q.QueryRow(ctx, "SELECT attcollation::text FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND NOT attisdropped", s.source, p.from).Scan(&collation); err != nil {
			return nil, fmt.Errorf("reading column %s: %w", p.from, err)
		}
		name := catalog.QuoteIdent(p.to)
		switch {
		case c.typ != p.typ:
			refuse("column %s of %s is of type %s, and %s of %s is %s: both have the same values, so let them have the same type", name, s.to, c.typ, catalog.QuoteIdent(p.from), s.table, p.typ)
		case c.collation != collation:
			refuse("column %s of %s has another collation than %s of %s: let them have the same", name, s.to, catalog.QuoteIdent(p.from), s.table)
		case c.generated:
			refuse("column %s of %s is generated, and has to take values", name, s.to)
		case i < len(s.key) && !c.notNull:
			refuse("column %s of %s is in the key and may be NULL: declare it NOT NULL", name, s.to)
		}
	}
	for _, c := range columns {
		if c.notNull && !c.given && !slices.ContainsFunc(pairs, func(p splitColumn) bool { return p.to == c.name }) {
			refuse("column %s of %s is NOT NULL, and old code's rows give it no value: let it be nullable, or have a DEFAULT or an identity", catalog.QuoteIdent(c.name), s.to)
		}
	}
	if len(problems) > 0 {
		return problems, nil
	}
	unique, err := collect(ctx, q, keyIndexes, pgx.RowTo[uint32], s.target.OID, targetNames(s.key))
	if err != nil {
		return nil, fmt.Errorf("reading the indexes of %s: %w", s.to, err)
	}
	if len(unique) == 0 {
		refuse("%s has no primary key and no unique index on exactly (%s): declare one", s.to, targets(s.key, ""))
	}
	for table, name := range map[uint32]string{s.source: s.table, s.target.OID: s.to} {
		var secured, ruled bool
		if err := q.QueryRow(ctx, "SELECT relrowsecurity, EXISTS (SELECT FROM pg_rewrite WHERE ev_class = $1) FROM pg_class WHERE oid = $1", table).Scan(&secured, &ruled); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if secured {
			refuse("row security is enabled on %s: the guard runs as the one who writes, and could not see rows that a policy hides from him: this build does not split such a table", name)
		}
		if ruled {
			refuse("%s has rules, by which other statements than the one that was sent are carried out: this build does not split such a table", name)
		}
	}
	more, err := s.judgeForeign(ctx, q)
	return append(problems, more...), err
}

// judgeForeign looks at the target's foreign keys onto the source.
func (s *split) judgeForeign(ctx context.Context, q queryer) (problems []string, err error) {
	type foreign struct {
		name               string
		columns, to        []string
		onDelete, onUpdate string
		match              string
		deferrable         bool
	}
	found, err := collect(ctx, q, `
		SELECT k.conname::text, ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (n, i) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
		       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (n, i) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i),
		       k.confdeltype::text, k.confupdtype::text, k.confmatchtype::text, k.condeferrable
		FROM pg_constraint k WHERE k.conrelid = $1 AND k.confrelid = $2 AND k.contype = 'f' ORDER BY 1`, func(row pgx.CollectableRow) (x foreign, err error) {
		return x, row.Scan(&x.name, &x.columns, &x.to, &x.onDelete, &x.onUpdate, &x.match, &x.deferrable)
	}, s.target.OID, s.source)
	if err != nil {
		return nil, fmt.Errorf("reading the foreign keys of %s: %w", s.to, err)
	}
	s.target.Foreign = nil
	for _, x := range found {
		name := catalog.QuoteIdent(x.name)
		own := len(x.columns) == len(s.key)
		for i := range x.columns {
			own = own && slices.ContainsFunc(s.key, func(c splitColumn) bool { return c.to == x.columns[i] && c.from == x.to[i] })
		}
		switch carried := []string{string(lens.NoAction), string(lens.Restrict), string(lens.Cascade)}; {
		case !own:
			problems = append(problems, fmt.Sprintf("the foreign key %s of %s to %s is not from the key to the key: declare it when the migration is complete", name, s.to, s.table))
		case !slices.Contains(carried, x.onDelete) || !slices.Contains(carried, x.onUpdate):
			problems = append(problems, fmt.Sprintf("the foreign key %s of %s sets the key to something else, which cannot be: NO ACTION, RESTRICT and CASCADE are carried", name, s.to))
		case x.deferrable:
			problems = append(problems, fmt.Sprintf("the foreign key %s of %s is DEFERRABLE: a row of %[2]s without one of %[3]s has no form in old code's schema, not for a moment either; make it so when the migration is complete", name, s.to, s.table))
		case s.target.Foreign != nil:
			problems = append(problems, fmt.Sprintf("the foreign keys %s and %s of %s are the same: declare one", catalog.QuoteIdent(s.target.Foreign.Name), name, s.to))
		default:
			s.target.Foreign = &lens.ForeignKey{Name: x.name, OnDelete: lens.Action(x.onDelete), OnUpdate: lens.Action(x.onUpdate)}
		}
	}
	more, err := s.judgeCascades(ctx, q)
	return append(problems, more...), err
}

// judgeCascades looks at the source's own foreign keys, by which a row of another table takes rows of the source along: no statement names them then, so new code could not be
// told that the target still has a row.
func (s *split) judgeCascades(ctx context.Context, q queryer) (problems []string, err error) {
	type cascade struct {
		Name, To       string
		Delete, Update bool
	}
	var key []string
	for _, c := range s.key {
		key = append(key, c.from)
	}
	found, err := collect(ctx, q, `
		SELECT quote_ident(k.conname), k.confrelid::regclass::text, k.confdeltype = 'c',
		       k.confupdtype = 'c' AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND a.attname = ANY ($2::text[]))
		FROM pg_constraint k WHERE k.conrelid = $1 AND k.contype = 'f' ORDER BY 1`, pgx.RowToStructByPos[cascade], s.source, key)
	if err != nil {
		return nil, fmt.Errorf("reading the foreign keys of %s: %w", s.table, err)
	}
	fk := s.target.Foreign
	for _, c := range found {
		if c.Delete && (fk == nil || fk.OnDelete != lens.Cascade) {
			problems = append(problems, fmt.Sprintf("the foreign key %s of %s deletes its rows with those of %s, and those of %s would go with them without a word, where new code's schema would not let them: declare ON DELETE CASCADE on the key of %[4]s", c.Name, s.table, c.To, s.to))
		}
		if c.Update && (fk == nil || fk.OnUpdate != lens.Cascade) {
			problems = append(problems, fmt.Sprintf("the foreign key %s of %s changes its key with that of %s, and that of %s would change with it without a word, where new code's schema would not let it: declare ON UPDATE CASCADE on the key of %[4]s", c.Name, s.table, c.To, s.to))
		}
	}
	return problems, nil
}
