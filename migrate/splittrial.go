package migrate

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// MakeSplit makes in a transaction what a split's tables have from expand on, or from switch-reads on: the new table, its guard on both tables, and what stands in for NOT NULL.
// It is for trying statements against such tables without a migration; the rows that are there are not filled in. Schema segue is made where it is missing.
func MakeSplit(ctx context.Context, tx pgx.Tx, def *lens.Definition, stage lens.Stage) error {
	m := &migration{Name: def.Name, Definition: def, Stand: stand{Live: true, Stage: stage}}
	if _, err := tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS segue"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "GRANT USAGE ON SCHEMA segue TO PUBLIC; SET LOCAL search_path = pg_catalog", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2", def.Table.Schema, def.Table.Name).Scan(&m.Table); err != nil {
		return fmt.Errorf("looking for %s: %w", def.Table, err)
	}
	s, err := readSplit(ctx, tx, m)
	if err != nil {
		return err
	}
	found := &findings{}
	if err := s.makeTarget(ctx, tx, def.SplitTable, found); err != nil {
		return err
	}
	if err := found.err(def.Name); err != nil {
		return err
	}
	if err := s.grant(ctx, tx); err != nil {
		return err
	}
	required := s.required(m)
	sqls := s.functionsSQL(required)
	for _, t := range s.triggers() {
		sqls = append(sqls, t.create()...)
	}
	if stage.Phase >= lens.SwitchReads && len(required) > 0 {
		for _, c := range required {
			sqls = append(sqls, "ALTER TABLE "+s.table+" ALTER COLUMN "+catalog.QuoteIdent(c.from)+" DROP NOT NULL")
		}
		sqls = append(sqls, s.nullsSQL(required)...)
	}
	if err := execAll(ctx, tx, sqls); err != nil {
		return err
	}
	if stage.Phase < lens.Complete {
		return nil
	}
	if err := execAll(ctx, tx, s.undefaultSQL()); err != nil || stage.Step == lens.WriteNew {
		return err
	}
	return s.leave(ctx, tx, m)
}
