package migrate

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// filledSplitGate is what serving new code waits for.
func filledSplitGate(ctx context.Context, q queryer, m *migration) ([]string, error) {
	var missing []string
	if m.Guard == nil || m.Guard.Target == nil {
		return []string{fmt.Sprintf("%s is not there: `segue rollback %s --to pending`", m.Definition.SplitTable.To, m.Name)}, nil
	}
	s, err := readSplit(ctx, q, m)
	if err != nil {
		return nil, err
	}
	if stands, err := s.stands(ctx, q); err != nil {
		return nil, err
	} else if !stands {
		return []string{errNoTarget(m).Error()}, nil
	}
	if !m.Backfilled {
		missing = append(missing, fmt.Sprintf("the backfill is not through: `segue advance %s --to backfill`", m.Name))
	}
	if !m.Analyzed {
		missing = append(missing, fmt.Sprintf("the tables have not been analyzed: `segue advance %s --to backfill`", m.Name))
	}
	if !m.Stand.Proved {
		text := fmt.Sprintf("it is not proved that both tables agree: `segue verify %s`", m.Name)
		if v := m.Verified; v != nil && v.Done && v.Apart > v.Repaired {
			text = fmt.Sprintf("%d of %d rows are apart, first (%s): `segue verify %s --repair`", v.Apart, v.Rows, v.FirstKeys[0], m.Name)
		}
		missing = append(missing, text)
	}
	more, err := s.changed(ctx, q, m)
	return append(missing, more...), err
}

// changed says in what the tables are no longer as they were when the guard was made.
func (s *split) changed(ctx context.Context, q queryer, m *migration) ([]string, error) {
	made := m.Guard.Target
	now := *s
	now.target = &lens.Target{OID: made.OID}
	missing, err := now.judge(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(missing) == 0 && (made.Foreign == nil) != (now.target.Foreign == nil) || made.Foreign != nil && now.target.Foreign != nil && *made.Foreign != *now.target.Foreign {
		missing = append(missing, fmt.Sprintf("the foreign key of %s to %s is another one than when it was made: put it back as `create` has it, or roll back and start anew", s.to, s.table))
	}
	if len(missing) == 0 {
		if missing, err = s.changedGrants(ctx, q, m); err != nil {
			return nil, err
		}
	}
	stands, err := guardStands(ctx, q, m)
	if err != nil {
		return nil, err
	}
	if !stands {
		missing = append(missing, fmt.Sprintf("the guard is not the one that was made, or was switched off for a time: `segue verify %s --repair` makes it anew and looks at every row", m.Name))
	}
	return missing, nil
}

// completeSplitGate is what dropping the columns waits for: whatever still names them.
func completeSplitGate(ctx context.Context, q queryer, m *migration, opt gateOptions) ([]string, error) {
	var missing []string
	if !opt.yes {
		missing = append(missing, oldGoes(m))
	}
	s, err := readSplit(ctx, q, m)
	if err != nil {
		return nil, err
	}
	for _, c := range s.moved {
		name, instead := catalog.QuoteIdent(c.from), s.to+"."+catalog.QuoteIdent(c.to)
		var num int16
		if err := q.QueryRow(ctx, "SELECT attnum FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND NOT attisdropped", m.Table, c.from).Scan(&num); err != nil {
			return nil, fmt.Errorf("reading column %s: %w", c.from, err)
		}
		deps, err := dependents(ctx, q, m.Table, num)
		if err != nil {
			return nil, err
		}
		own, err := s.ownTriggers(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, d := range deps {
			foreign := false
			if d.class == "pg_constraint" && d.kind == "f" {
				if err := q.QueryRow(ctx, "SELECT conrelid <> $2 FROM pg_constraint WHERE oid = $1", d.oid, m.Table).Scan(&foreign); err != nil {
					return nil, fmt.Errorf("reading the %s: %w", d.name, err)
				}
			}
			known := d.class == "pg_attrdef" && d.own || d.class == "pg_class" && (d.kind == "i" || d.kind == "I") || d.class == "pg_statistic_ext" || d.class == "pg_constraint" && !foreign ||
				d.class == "pg_trigger" && slices.Contains(own, d.oid)
			if !known {
				missing = append(missing, fmt.Sprintf("the %s uses column %s: let it use %s", d.name, name, instead))
			}
		}
		triggers, err := collect(ctx, q, `
			SELECT DISTINCT t.tgname::text, p.oid::regprocedure::text, p.prosrc || E'\n' || encode(t.tgargs, 'escape') FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
			WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgname NOT LIKE '~segue\_%' AND t.tgname NOT LIKE '!segue\_%' ORDER BY 1`, func(row pgx.CollectableRow) (t triggerSource, err error) {
			return t, row.Scan(&t.name, &t.function, &t.source)
		}, m.Table)
		if err != nil {
			return nil, fmt.Errorf("reading the triggers: %w", err)
		}
		for _, t := range triggers {
			if mentions(t.source, c.from) {
				missing = append(missing, fmt.Sprintf("the trigger %s (%s) names %s: let it use %s", catalog.QuoteIdent(t.name), t.function, name, instead))
			}
		}
	}
	if m.Stand.Phase == lens.Complete || m.Stand.Step == lens.NewOnly {
		return missing, nil // old code is served no more
	}
	users, err := quietGate(ctx, q, m, opt.quiet)
	return append(missing, users...), err
}

// ownTriggers are the guard's on the source.
func (s *split) ownTriggers(ctx context.Context, q queryer) ([]uint32, error) {
	out, err := collect(ctx, q, "SELECT oid FROM pg_trigger WHERE tgrelid = $1 AND substr(left(tgname, $3 + 1), 2) = $2", pgx.RowTo[uint32], s.source, guardTrigger(s.migration)[1:]+":", len(guardTrigger(s.migration)))
	if err != nil {
		return nil, fmt.Errorf("reading the guard: %w", err)
	}
	return out, nil
}
