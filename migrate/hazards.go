package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/config"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// hazard notes one, with whether the definition takes it knowingly.
func (r *CheckReport) hazard(w *work, name, format string, args ...any) {
	r.Hazards = append(r.Hazards, Hazard{Name: name, Text: fmt.Sprintf(format, args...), Allowed: slices.Contains(w.m.Definition.Allow, name)})
}

// hazards looks for all of them.
func (r *CheckReport) hazards(ctx context.Context, w *work) error {
	g := &lens.Group{}
	if known, err := w.m.Definition.Group(); err == nil { // or else remark has said so
		g = known
	}
	if g.OneWay() {
		r.hazard(w, config.HazardOneWay, "there is no `down`: old code cannot read such a column from complete on, nor new code write before")
	}
	if g.Lossy {
		r.hazard(w, config.HazardLossy, "what goes in need not come back: new code writes from switch-reads on, and old code reads its own columns until contract")
	}
	if len(r.CompleteWaitsFor) > 0 {
		r.hazard(w, config.HazardDependents, "complete waits until these use the new columns: %s", strings.Join(r.CompleteWaitsFor, "; "))
	}
	for _, n := range r.Notes {
		switch {
		case strings.Contains(n, "gets no mirror"):
			r.hazard(w, config.HazardUnmirroredIndexes, "%s", n)
		case strings.Contains(n, "read the whole table until"):
			r.hazard(w, config.HazardSlowLookups, "%s", n)
		}
	}
	for _, look := range []func(context.Context, *work) error{r.triggers, r.functions, r.views, r.foreignKeys, r.publications, r.privileges, r.sessions} {
		if err := look(ctx, w); err != nil {
			return fmt.Errorf("looking for what is to be known before: %w", err)
		}
	}
	return nil
}

// ownTrigger is a trigger that is none of Segue's.
type ownTrigger struct {
	Relation, Name, Function, Language, Source string
	Before, Row, Insert, Update, Columns       bool // Columns: it is UPDATE OF some columns
	Mine                                       bool // on the table, or on what is below it
}

// triggers looks at the table's own triggers, and at those of other tables that write it.
func (r *CheckReport) triggers(ctx context.Context, w *work) error {
	all, err := collect(ctx, w.conn, `WITH family AS MATERIALIZED `+fmt.Sprintf(familySQL, "$1")+`
		SELECT t.tgrelid::regclass::text, quote_ident(t.tgname), p.oid::regprocedure::text, l.lanname::text, p.prosrc || E'\n' || encode(t.tgargs, 'escape'),
		       t.tgtype::int & 2 <> 0, t.tgtype::int & 1 <> 0, t.tgtype::int & 4 <> 0, t.tgtype::int & 16 <> 0, cardinality(t.tgattr::int2[]) > 0, t.tgrelid IN (SELECT oid FROM family)
		FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
		WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgname NOT LIKE '~segue\_%' AND NOT COALESCE((to_jsonb(t)->>'tgparentid')::oid <> 0, false)
		AND (t.tgrelid IN (SELECT oid FROM family) OR strpos(lower(p.prosrc), lower($2)) > 0) ORDER BY 1, 2 LIMIT 1000`,
		pgx.RowToStructByPos[ownTrigger], w.m.Table, w.m.Definition.Table.Name)
	if err != nil {
		return err
	}
	var fired, edits, others []string
	for _, t := range all {
		text := fmt.Sprintf("%s of %s (%s)", t.Name, t.Relation, t.Function)
		readable := t.Language == "plpgsql" || t.Language == "sql"
		switch {
		case !t.Mine && writes(t.Source, w.m.Definition.Table.Name):
			others = append(others, text)
		case !t.Mine:
		default:
			if t.Update && !t.Columns {
				fired = append(fired, text)
			}
			if t.Before && t.Row && (t.Insert || t.Update) {
				names := slices.DeleteFunc(w.m.oldNames(), func(c string) bool { return !mentions(t.Source, c) })
				if len(names) > 0 {
					edits = append(edits, text+", which names "+strings.Join(names, ", "))
				} else if !readable {
					edits = append(edits, text+", which is written in "+t.Language)
				}
			}
		}
	}
	dropping := w.m.dropping()
	if len(fired) > 0 && !dropping {
		r.hazard(w, config.HazardUpdateTriggers, "the backfill updates every row once and fires: %s", strings.Join(fired, "; "))
	}
	if len(edits) > 0 && !dropping {
		r.hazard(w, config.HazardBeforeTriggers, "these may change a migrating column before a row is written; the guard fires after them, and until complete the old column wins. complete waits until they use the new one: %s", strings.Join(edits, "; "))
	}
	if len(others) > 0 {
		r.hazard(w, config.HazardBypassTriggers, "these write the table from inside the server, where no proxy sees it; the guard keeps both sides in step, and from complete on they would fail if they name an old column: %s", strings.Join(others, "; "))
	}
	return nil
}

// writes says whether a function's text may write a table: it names it, and has a word that writes.
func writes(source, table string) bool {
	return mentions(source, table) && slices.ContainsFunc([]string{"insert", "update", "merge", "copy"}, func(word string) bool { return mentions(source, word) })
}

// namedFunction is a function whose text has the table's name.
type namedFunction struct{ Name, Source string }

// functions looks at functions by their text: the server does not know what they name.
func (r *CheckReport) functions(ctx context.Context, w *work) error {
	all, err := collect(ctx, w.conn, `
		SELECT p.oid::regprocedure::text, p.prosrc FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE l.lanname <> 'internal' AND l.lanname <> 'c' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'segue') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
		AND strpos(lower(p.prosrc), lower($1)) > 0 ORDER BY 1 LIMIT 1000`, pgx.RowToStructByPos[namedFunction], w.m.Definition.Table.Name)
	if err != nil {
		return err
	}
	var named, writers []string
	for _, f := range all {
		if !mentions(f.Source, w.m.Definition.Table.Name) {
			continue
		}
		if slices.ContainsFunc(w.m.oldNames(), func(c string) bool { return mentions(f.Source, c) }) {
			named = append(named, f.Name)
		}
		if writes(f.Source, w.m.Definition.Table.Name) {
			writers = append(writers, f.Name)
		}
	}
	if len(named) > 0 {
		r.hazard(w, config.HazardFunctions, "their text names the table and an old column; nothing waits for them, and they fail from complete on: change them before it: %s", strings.Join(named, "; "))
	}
	if len(writers) > 0 {
		r.hazard(w, config.HazardBypassFunctions, "these write the table from inside the server, where no proxy sees it; the guard keeps both sides in step: %s", strings.Join(writers, "; "))
	}
	return nil
}

// views looks at views that rows are written through, and at rules of other relations that write the table.
func (r *CheckReport) views(ctx context.Context, w *work) error {
	found, err := collect(ctx, w.conn, `
		SELECT DISTINCT v.oid::regclass::text FROM pg_depend d JOIN pg_rewrite x ON x.oid = d.objid JOIN pg_class v ON v.oid = x.ev_class
		WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM `+fmt.Sprintf(familySQL, "$1")+` f)
		AND v.oid <> d.refobjid AND (v.relkind = 'v' AND pg_relation_is_updatable(v.oid, true) & 12 <> 0 OR x.rulename <> '_RETURN') ORDER BY 1`, pgx.RowTo[string], w.m.Table)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		r.hazard(w, config.HazardBypassViews, "rows of the table are written through these, as the columns are named there; the guard keeps both sides in step: %s", strings.Join(found, "; "))
	}
	return nil
}

// foreignKeys looks for foreign keys whose actions write an old column.
func (r *CheckReport) foreignKeys(ctx context.Context, w *work) error {
	found, err := collect(ctx, w.conn, `
		SELECT DISTINCT quote_ident(c.conname) || ' of ' || c.conrelid::regclass::text FROM pg_constraint c
		WHERE c.conrelid IN (SELECT oid FROM `+fmt.Sprintf(familySQL, "$1")+` f) AND c.contype = 'f' AND (c.confupdtype IN ('c', 'n', 'd') OR c.confdeltype IN ('n', 'd'))
		AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attname = ANY ($2) AND a.attnum = ANY (c.conkey)) ORDER BY 1`, pgx.RowTo[string], w.m.Table, w.m.oldNames())
	if err != nil {
		return err
	}
	if len(found) > 0 {
		r.hazard(w, config.HazardBypassForeignKeys, "their actions write an old column from inside the server; the guard keeps both sides in step: %s", strings.Join(found, "; "))
	}
	return nil
}

// publications looks for logical replication of the table's rows as a whole: a subscriber without the new column stops.
func (r *CheckReport) publications(ctx context.Context, w *work) error {
	found, err := collect(ctx, w.conn, `
		SELECT DISTINCT quote_ident(p.pubname) FROM pg_publication p JOIN pg_publication_tables t ON t.pubname = p.pubname JOIN `+fmt.Sprintf(familySQL, "$1")+` f ON true
		JOIN pg_class c ON c.oid = f.oid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname AND c.relname = t.tablename
		WHERE NOT EXISTS (SELECT FROM pg_publication_rel x WHERE x.prpubid = p.oid AND x.prrelid = c.oid AND COALESCE(to_jsonb(x)->>'prattrs', '') <> '') ORDER BY 1`, pgx.RowTo[string], w.m.Table)
	if err != nil {
		return err
	}
	if len(found) > 0 && !w.m.dropping() {
		_, added := columnNames(w.m.Definition)
		for i, n := range added {
			added[i] = catalog.QuoteIdent(n)
		}
		r.hazard(w, config.HazardPublications, "subscribers of these get the new columns with every row, and stop where their table has none: add %s there before the start: %s", strings.Join(added, ", "), strings.Join(found, "; "))
	}
	return nil
}

// privileges says what is lost without the two roles that are wanted, and not needed.
func (r *CheckReport) privileges(ctx context.Context, w *work) error {
	var role string
	var stats, signal bool
	if err := w.conn.QueryRow(ctx, "SELECT quote_ident(current_user), pg_has_role('pg_read_all_stats', 'USAGE'), pg_has_role('pg_signal_backend', 'USAGE')").Scan(&role, &stats, &signal); err != nil {
		return err
	}
	if !stats {
		r.hazard(w, config.HazardNoStats, "the control role cannot see what other sessions do: which transactions a change waits for is guessed, and a standby's lag that was asked for cannot be read, so that the backfill waits: GRANT pg_read_all_stats TO %s", role)
	}
	if !signal {
		r.hazard(w, config.HazardNoSignal, "the control role cannot end other sessions: those of a proxy that died are waited for, and --terminate ends nothing: GRANT pg_signal_backend TO %s", role)
	}
	return nil
}

// sessions looks for sessions that are no proxy's, once all proxies have told theirs.
func (r *CheckReport) sessions(ctx context.Context, w *work) error {
	silent, err := w.hear(ctx)
	if err != nil {
		return err
	}
	for _, s := range silent {
		r.Notes = append(r.Notes, s+", so that its sessions may be taken for others")
	}
	found, err := bypassing(ctx, w.conn)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	var texts []string
	for _, s := range found[:min(len(found), 5)] {
		texts = append(texts, fmt.Sprintf("pid %d (user %s, %s)", s.PID, s.User, nameless(s.Application)))
	}
	if more := len(found) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	r.hazard(w, config.HazardBypassSessions, "these sessions on the database are no proxy's: what they write is kept in step by the guard, but they see the table as it is, without the old columns from complete on: %s", strings.Join(texts, "; "))
	return nil
}
