package migrate

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
)

// statistics is an extended statistics object that involves an old column, and that goes with it. Where the values are the same on the other side, it gets a mirror
// there, if it is on columns alone; else the new side does without, which costs estimates and nothing else.
type statistics struct {
	schema, name string
	own          string   // name of the mirror; "" where there is none
	kinds        []string // as SQL
	columns      []string // of the mirror
	target       int      // -1 for the default
	exists       bool     // the mirror is there
	comment      string   // on the old one
}

var statisticsKinds = map[string]string{"d": "ndistinct", "f": "dependencies", "m": "mcv"}

func readStatistics(ctx context.Context, q queryer, m *migration, g *group) ([]statistics, error) {
	out, err := collect(ctx, q, `
		SELECT n.nspname, s.stxname, COALESCE(s.stxstattarget, -1), s.stxkind::text[], to_jsonb(s)->>'stxexprs' IS NULL, COALESCE(obj_description(s.oid, 'pg_statistic_ext'), ''),
		       COALESCE((SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(s.stxkeys::int2[]) WITH ORDINALITY AS k (num, place)
		                 JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = k.num), '{}')
		FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
		WHERE s.stxrelid = $1 AND EXISTS (SELECT FROM pg_depend d JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = d.refobjsubid
			WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND a.attname = ANY ($2))
		ORDER BY s.stxname`, func(row pgx.CollectableRow) (x statistics, err error) {
		var kinds []string
		var plain bool
		if err := row.Scan(&x.schema, &x.name, &x.target, &kinds, &plain, &x.comment, &x.columns); err != nil || !plain || !g.preserves() {
			return x, err
		}
		x.own = mirrorName(x.name, m.Name)
		for _, k := range kinds {
			x.kinds = append(x.kinds, statisticsKinds[k])
		}
		for i, c := range x.columns {
			if c == g.old[0].name {
				x.columns[i] = g.new[0].name
			}
		}
		return x, nil
	}, m.Table, m.oldNames())
	if err != nil {
		return nil, fmt.Errorf("reading the statistics objects: %w", err)
	}
	for i := range out {
		x := &out[i]
		if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
			WHERE s.stxrelid = $1 AND n.nspname = $2 AND s.stxname = $3)`, m.Table, x.schema, x.own).Scan(&x.exists); err != nil {
			return nil, fmt.Errorf("looking for the statistics object %s: %w", x.own, err)
		}
	}
	return out, nil
}

// mirrorStatistics makes the mirrors; ANALYZE fills them.
func (w *work) mirrorStatistics(ctx context.Context, g *group) error {
	all, err := readStatistics(ctx, w.conn, w.m, g)
	if err != nil {
		return err
	}
	for _, x := range all {
		if x.own == "" || x.exists {
			continue
		}
		own := catalog.QuoteQualified(x.schema, x.own)
		if err := w.alter(ctx, "mirror "+x.own, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, x.create(w.table))
			if err == nil && x.target >= 0 {
				_, err = tx.Exec(ctx, fmt.Sprintf("ALTER STATISTICS %s SET STATISTICS %d", own, x.target))
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// create writes the mirror's CREATE STATISTICS.
func (x statistics) create(table string) string {
	var columns []string
	for _, c := range x.columns {
		columns = append(columns, catalog.QuoteIdent(c))
	}
	return fmt.Sprintf("CREATE STATISTICS %s (%s) ON %s FROM %s", catalog.QuoteQualified(x.schema, x.own), strings.Join(x.kinds, ", "), strings.Join(columns, ", "), table)
}

// takeName gives the mirror the name of the object that has gone with its column.
func (x statistics) takeName(ctx context.Context, tx pgx.Tx) error {
	if !x.exists {
		return nil
	}
	if _, err := tx.Exec(ctx, "ALTER STATISTICS "+catalog.QuoteQualified(x.schema, x.own)+" RENAME TO "+catalog.QuoteIdent(x.name)); err != nil {
		return fmt.Errorf("renaming the statistics object %s: %w", x.own, err)
	}
	if x.comment == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, "COMMENT ON STATISTICS "+catalog.QuoteQualified(x.schema, x.name)+" IS "+quoteLiteral(x.comment)); err != nil {
		return fmt.Errorf("commenting on the statistics object %s: %w", x.name, err)
	}
	return nil
}
