package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// unconvertible are the conditions, for plpgsql, under which a value is taken for one that does not convert: data exceptions, a domain's constraints, and what
// functions raise by themselves.
const unconvertible = "data_exception OR integrity_constraint_violation OR raise_exception OR feature_not_supported"

// makeConverters makes the functions by which a value that does not convert becomes NULL, where the definition asks for that, and those that hold new code to a column that
// is not null. They are called under any application's role, by the lens' forms from the first epoch on.
func makeConverters(ctx context.Context, q queryer, m *migration) error {
	g, err := readGroup(ctx, q, m)
	if err != nil {
		return err
	}
	for i, n := range g.New {
		if n.NotNull {
			if err := makeGiven(ctx, q, m, n, g.new[i].typ); err != nil {
				return err
			}
		}
		if !g.OnErrorNull {
			continue
		}
		fn, place := lens.UpFunction(m.Name, n.Name), map[string]string{}
		var params []string
		for j, c := range n.Convert.Columns() {
			place[c] = fmt.Sprintf("$%d", j+1)
			for _, o := range g.old {
				if o.name == c {
					params = append(params, o.typ)
				}
			}
		}
		body := fmt.Sprintf("DECLARE\n  converted %s;\nBEGIN\n  converted := %s;\n  RETURN converted;\nEXCEPTION WHEN %s THEN\n  RETURN NULL;\nEND",
			g.new[i].typ, n.Convert.Expand(func(c string) string { return place[c] }), unconvertible)
		signature := fn + "(" + strings.Join(params, ", ") + ")"
		for _, sql := range []string{
			"CREATE OR REPLACE FUNCTION " + signature + " RETURNS " + g.new[i].typ + " LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS " + dollars(body),
			"GRANT EXECUTE ON FUNCTION " + signature + " TO PUBLIC",
		} {
			if _, err := q.Exec(ctx, sql); err != nil {
				return fmt.Errorf("making the function %s: %w", fn, err)
			}
		}
	}
	return nil
}

// makeGiven makes the function that gives back a value, and raises where it is NULL what a column that is NOT NULL does. It is not immutable, so that nobody computes it
// before the statement runs.
func makeGiven(ctx context.Context, q queryer, m *migration, n lens.NewColumn, typ string) error {
	fn := lens.GivenFunction(m.Name, n.Name)
	body := fmt.Sprintf("BEGIN\n  IF $1 IS NULL AND num_nulls($1) = 1 THEN\n    RAISE EXCEPTION USING ERRCODE = 'not_null_violation', MESSAGE = %s, SCHEMA = %s, TABLE = %s, COLUMN = %s;\n  END IF;\n  RETURN $1;\nEND",
		quoteLiteral(fmt.Sprintf("null value in column \"%s\" of relation \"%s\" violates not-null constraint", n.As, m.Definition.Table.Name)),
		quoteLiteral(m.Definition.Table.Schema), quoteLiteral(m.Definition.Table.Name), quoteLiteral(n.As))
	for _, sql := range []string{
		"CREATE OR REPLACE FUNCTION " + fn + "(" + typ + ") RETURNS " + typ + " LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS " + dollars(body),
		"GRANT EXECUTE ON FUNCTION " + fn + "(" + typ + ") TO PUBLIC",
	} {
		if _, err := q.Exec(ctx, sql); err != nil {
			return fmt.Errorf("making the function %s: %w", fn, err)
		}
	}
	return nil
}

// dropConverters drops the migration's functions beside the guard's. What somebody else has dropped already is no error.
func dropConverters(ctx context.Context, q queryer, def *lens.Definition) error {
	for _, fn := range converterNames(def) {
		if _, err := q.Exec(ctx, "DROP FUNCTION IF EXISTS "+fn); err != nil {
			return fmt.Errorf("dropping the function %s: %w", fn, err)
		}
	}
	return nil
}

// converterNames names, as SQL, all functions that a migration may have beside the guard's.
func converterNames(def *lens.Definition) []string {
	out := []string{tryFunction(def.Name)}
	_, added := columnNames(def)
	for _, n := range added {
		out = append(out, lens.UpFunction(def.Name, n), lens.GivenFunction(def.Name, n))
	}
	return out
}

// sharesFunction says which other migration has a function by the name of one of a definition's: each would replace and drop the other's. The column b_c of a migration a and
// the column c of a migration a_b come to one name.
func sharesFunction(def *lens.Definition, ms []*migration) (other string, shares bool) {
	mine := converterNames(def)
	for _, m := range ms {
		if m.Name != def.Name && slices.ContainsFunc(converterNames(m.Definition), func(fn string) bool { return slices.Contains(mine, fn) }) {
			return m.Name, true
		}
	}
	return "", false
}

// tryFunction names the function by which the rows are looked at before a migration begins, as SQL.
func tryFunction(migration string) string { return catalog.QuoteQualified("segue", "try_"+migration) }

// dollars quotes a function's body.
func dollars(body string) string {
	tag := "$segue$"
	for i := 0; strings.Contains(body, tag); i++ {
		tag = fmt.Sprintf("$segue%d$", i)
	}
	return tag + "\n" + body + "\n" + tag
}

// cleanUp takes away what stood in the table for old code only, when there is none any more: indexes on what it read, and CHECKs in the place of its
// NOT NULLs.
func (w *work) cleanUp(ctx context.Context) error {
	if w.table == "" {
		return nil
	}
	type index struct {
		Name        string
		Partitioned bool
	}
	indexes, err := collect(ctx, w.conn, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind = 'I' FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.indrelid IN (SELECT oid FROM `+fmt.Sprintf(familySQL, "$1")+` f) AND c.relname ~ $2
		AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid) ORDER BY 1`, pgx.RowToStructByPos[index], w.m.Table, "^"+readPrefix(w.name)+"[0-9a-f]{8}$")
	if err != nil {
		return fmt.Errorf("looking for indexes of old code's: %w", err)
	}
	for _, x := range indexes {
		if x.Partitioned { // its parts go with it
			err = w.alter(ctx, "drop the index "+x.Name, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "DROP INDEX IF EXISTS "+x.Name)
				return err
			})
		} else {
			_, err = w.conn.Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+x.Name)
		}
		if err != nil {
			return fmt.Errorf("dropping the index %s: %w", x.Name, err)
		}
	}
	var checks []string
	for _, name := range w.m.oldNames() {
		check := keptName(w.name, name)
		var there bool
		if err := w.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1 AND conname = $2)", w.m.Table, check).Scan(&there); err != nil {
			return fmt.Errorf("looking for the constraint %s: %w", check, err)
		}
		if there {
			checks = append(checks, "ALTER TABLE "+w.table+" DROP CONSTRAINT "+catalog.QuoteIdent(check))
		}
	}
	kept, err := collect(ctx, w.conn, "SELECT conname::text FROM pg_constraint WHERE conrelid = $1 AND conname ~ $2", pgx.RowTo[string], w.m.Table, keptChecks(w.name))
	if err != nil {
		return fmt.Errorf("looking for old code's constraints: %w", err)
	}
	for _, check := range kept {
		checks = append(checks, "ALTER TABLE "+w.table+" DROP CONSTRAINT "+catalog.QuoteIdent(check))
	}
	if len(checks) > 0 {
		if err := w.alter(ctx, "drop old code's constraints", func(tx pgx.Tx) error {
			for _, sql := range checks {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return dropConverters(ctx, w.conn, w.m.Definition)
}
