package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// buildMirrors makes what stands on the old columns stand on the new ones: indexes, statistics, NOT NULL, CHECKs and foreign keys. It goes on from wherever it was
// cut off.
func (w *work) buildMirrors(ctx context.Context) error {
	mirrors, err := w.mirrors(ctx, w.conn)
	if err != nil {
		return err
	}
	for _, x := range mirrors {
		if x.stands() {
			continue
		}
		if err := w.buildIndex(ctx, x); err != nil {
			return err
		}
	}
	g, err := readGroup(ctx, w.conn, w.m)
	if err != nil {
		return err
	}
	if g.single() {
		family, err := readFamily(ctx, w.conn, w.m.Table)
		if err != nil {
			return err
		}
		for _, r := range family {
			if err := w.mirrorTarget(ctx, r, g.old[0].name, g.new[0].name); err != nil {
				return err
			}
		}
	}
	for _, d := range g.demands() {
		if err := w.makeSure(ctx, d); err != nil {
			return err
		}
	}
	if err := w.mirrorStatistics(ctx, g); err != nil {
		return err
	}
	return w.mirrorStanding(ctx, g)
}

// mirrorTarget gives the new column the old one's statistics target.
func (w *work) mirrorTarget(ctx context.Context, r relative, old, added string) error {
	o, err := readColumn(ctx, w.conn, r.oid, old)
	if err != nil {
		return err
	}
	n, err := readColumn(ctx, w.conn, r.oid, added)
	if err != nil || o.Target == n.Target {
		return err
	}
	return w.alter(ctx, "mirror the statistics target", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf("ALTER TABLE ONLY %s ALTER COLUMN %s SET STATISTICS %d", r.name, catalog.QuoteIdent(added), o.Target))
		return err
	})
}

// buildIndex builds one mirror without keeping writers waiting, and makes it a part of the one that it belongs to.
func (w *work) buildIndex(ctx context.Context, x mirror) error {
	if x.exists && x.valid && (x.parent == "" || x.attached) {
		return nil
	}
	var err error
	switch {
	case x.partitioned && !x.exists:
		err = w.buildPartitioned(ctx, x)
	case !x.partitioned && !(x.exists && x.valid):
		err = w.buildConcurrently(ctx, x)
	}
	if err != nil || x.parent == "" || x.attached {
		return err
	}
	own := catalog.QuoteQualified(x.schema, x.own)
	return w.alter(ctx, "attach the index "+own, func(tx pgx.Tx) error {
		var sqls []string
		if x.deep { // the last part makes the parent valid, and its parent's table is locked then, after the part
			sqls = append(sqls, "LOCK TABLE ONLY "+w.table+" IN ACCESS EXCLUSIVE MODE")
		}
		return execAll(ctx, tx, append(sqls, "ALTER INDEX "+x.parent+" ATTACH PARTITION "+own))
	})
}

// buildPartitioned makes the mirror of a partitioned table's index, which has no parts yet: those are built one by one, concurrently. A partition that comes
// meanwhile gets its part by itself.
func (w *work) buildPartitioned(ctx context.Context, x mirror) error {
	def, err := x.definition(w.m)
	if err != nil {
		return err
	}
	if err := w.c.opt.Hooks.at(ctx, "mirror "+x.name); err != nil {
		return err
	}
	if err := w.alter(ctx, "make the index "+x.own, func(tx pgx.Tx) error {
		if err := set(ctx, tx, "default_tablespace", x.space); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, def)
		return err
	}); err != nil {
		return err
	}
	return w.sameIndex(ctx, x)
}

// buildConcurrently builds the mirror of an index that has rows of its own. What is left over from an attempt that failed is invalid, and goes first.
func (w *work) buildConcurrently(ctx context.Context, x mirror) error {
	def, err := x.definition(w.m)
	if err != nil {
		return err
	}
	if err := w.createIndex(ctx, x, def); err != nil {
		return err
	}
	return w.sameIndex(ctx, x)
}

// createIndex carries a CREATE INDEX CONCURRENTLY out.
func (w *work) createIndex(ctx context.Context, x mirror, def string) error {
	own := catalog.QuoteQualified(x.schema, x.own)
	for attempt := 1; ; attempt++ {
		if x.exists {
			if err := w.say(ctx, "dropping the invalid index %s", own); err != nil {
				return err
			}
			if _, err := w.conn.Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+own); err != nil {
				return fmt.Errorf("dropping the invalid index %s: %w", own, err)
			}
		}
		if err := w.say(ctx, "building the index %s", own); err != nil {
			return err
		}
		if err := w.c.opt.Hooks.at(ctx, "mirror "+x.name); err != nil {
			return err
		}
		if err := set(ctx, w.conn, "default_tablespace", x.space); err != nil {
			return err
		}
		_, err := w.conn.Exec(ctx, def)
		if err == nil {
			return nil
		}
		if w.conn.IsClosed() || ctx.Err() != nil || attempt == 3 {
			return fmt.Errorf("building the index %s: %w", own, err)
		}
		x.exists = true
	}
}

// set sets a session's setting.
func set(ctx context.Context, q queryer, name, value string) error {
	if _, err := q.Exec(ctx, "SELECT set_config($1, $2, false)", name, value); err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	return nil
}

// definition writes the mirror's CREATE INDEX: the old one's, with other names in the places of the index's and of the columns'.
func (x mirror) definition(m *migration) (string, error) {
	head, rest, ok := strings.Cut(x.def, " ON ")
	for ok && !strings.HasSuffix(head, " "+catalog.QuoteIdent(x.name)) { // an index may be called "a ON b"
		var more string
		more, rest, ok = strings.Cut(rest, " ON ")
		head += " ON " + more
	}
	create, isIndex := strings.CutSuffix(head, " "+catalog.QuoteIdent(x.name))
	if !ok || !isIndex || create != "CREATE INDEX" && create != "CREATE UNIQUE INDEX" {
		return "", fmt.Errorf("mirroring the index %s: it is defined by %q, which this build does not know how to mirror: drop it, or `segue rollback %s`", x.name, x.def, m.Name)
	}
	g, err := m.Definition.Group()
	if err != nil {
		return "", err
	}
	columns := x.places(m, g)
	tokens := lexSQL(rest)
	// The table's name ends at USING, a key word here: identifiers that look like it are quoted.
	using := -1
	for i, t := range tokens {
		if t.text == "USING" {
			using = i
			break
		}
	}
	if using < 0 {
		return "", fmt.Errorf("mirroring the index %s: it is defined by %q, which this build does not know how to mirror: drop it, or `segue rollback %s`", x.name, x.def, m.Name)
	}
	var b strings.Builder
	kind := "INDEX"
	if x.asStrict {
		kind = "UNIQUE INDEX"
	}
	if !x.partitioned { // that one has no rows of its own
		kind += " CONCURRENTLY"
	}
	b.WriteString("CREATE " + kind + " " + catalog.QuoteIdent(x.own) + " ON ")
	if x.kind == newMirror && len(g.Old)+len(g.New) > 2 {
		b.WriteString(groupKeys(tokens, using, m.oldNames(), m.newNames()))
		return b.String(), nil
	}
	for i, t := range tokens {
		if n, migrates := columns[t.name]; migrates && i > using && isColumn(tokens, i) {
			b.WriteString(n)
			continue
		}
		b.WriteString(t.text)
	}
	return b.String(), nil
}

// places gives what stands in the mirror in the place of each old column, as SQL.
func (x mirror) places(m *migration, g *lens.Group) map[string]string {
	out := map[string]string{}
	if x.kind == backMirror {
		return out
	}
	for _, o := range g.Old {
		if x.kind != readMirror {
			out[o.Name] = catalog.QuoteIdent(g.New[0].Name)
			continue
		}
		// The very form that old code's reads have.
		out[o.Name] = "((" + o.Down.Expand(catalog.QuoteIdent) + ")::" + m.OldTypes[o.Name].SQL + ")"
	}
	return out
}

// groupKeys writes an index's definition, from its table's name on, with the new columns in the place of the first of the old ones among its keys. The others go: all of
// them are keys, as they are.
func groupKeys(tokens []sqlToken, using int, old, added []string) string {
	var b strings.Builder
	open := using
	for open < len(tokens) && tokens[open].text != "(" {
		open++
	}
	for _, t := range tokens[:min(open+1, len(tokens))] {
		b.WriteString(t.text)
	}
	var keys []string
	key, migrates, placed, depth, i := "", false, false, 0, open+1
	end := func() {
		switch {
		case !migrates:
			keys = append(keys, strings.TrimSpace(key))
		case !placed:
			for _, n := range added {
				keys = append(keys, catalog.QuoteIdent(n)+strings.TrimRight(key, " ")) // with what says in which order
			}
			placed = true
		}
		key, migrates = "", false
	}
	for ; i < len(tokens) && (depth > 0 || tokens[i].text != ")"); i++ {
		switch t := tokens[i]; {
		case t.text == "," && depth == 0:
			end()
		case strings.TrimSpace(key) == "" && !migrates && slices.Contains(old, t.name) && isColumn(tokens, i):
			key, migrates = "", true
		default:
			switch t.text {
			case "(":
				depth++
			case ")":
				depth--
			}
			key += t.text
		}
	}
	end()
	b.WriteString(strings.Join(keys, ", "))
	for _, t := range tokens[min(i, len(tokens)):] {
		b.WriteString(t.text)
	}
	return b.String()
}

// isColumn says whether an identifier in an index's definition is a column: no function, no type after ::, nothing qualified, no method.
func isColumn(tokens []sqlToken, i int) bool {
	var before, after string
	for j := i - 1; j >= 0; j-- {
		if before = strings.TrimSpace(tokens[j].text); before != "" {
			break
		}
	}
	for j := i + 1; j < len(tokens); j++ {
		if after = strings.TrimSpace(tokens[j].text); after != "" {
			break
		}
	}
	if before == "." || before == "::" || before == "USING" || before == "COLLATE" || after == "." {
		return false
	}
	return after != "("
}

// sameIndex checks that the mirror is the old index on the other columns and nothing else: its keys, operator classes, collations and options.
func (w *work) sameIndex(ctx context.Context, x mirror) error {
	if x.kind != sameMirror {
		return nil // its columns are of other types, or are expressions
	}
	from, err := readColumn(ctx, w.conn, x.table.oid, w.m.oldNames()[0])
	if err != nil {
		return err
	}
	to, err := readColumn(ctx, w.conn, x.table.oid, w.m.newNames()[0])
	if err != nil {
		return err
	}
	nums := map[int16]int16{from.Num: to.Num}
	type shape struct {
		keys         []int16
		rest         string
		exprs, conds int
		valid        bool
		unique       bool
	}
	read := func(name string) (s shape, err error) {
		err = w.conn.QueryRow(ctx, `
			SELECT i.indkey::int2[], concat_ws('/', i.indclass, i.indcollation, i.indoption, i.indnkeyatts, c.relam, c.reloptions),
			       (i.indexprs IS NOT NULL)::int, (i.indpred IS NOT NULL)::int, i.indisvalid, i.indisunique
			FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1 AND c.relname = $2`, x.schema, name).Scan(&s.keys, &s.rest, &s.exprs, &s.conds, &s.valid, &s.unique)
		return s, err
	}
	o, err := read(x.name)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // it was dropped meanwhile
	}
	if err != nil {
		return fmt.Errorf("comparing the index %s with its mirror: %w", x.name, err)
	}
	n, err := read(x.own)
	if err != nil {
		return fmt.Errorf("comparing the index %s with its mirror: %w", x.name, err)
	}
	same := (n.valid || x.partitioned) && n.unique == x.asStrict && o.rest == n.rest && len(o.keys) == len(n.keys) && o.exprs == n.exprs && o.conds == n.conds
	for i := 0; same && i < len(o.keys); i++ {
		want := o.keys[i]
		if to, migrates := nums[want]; migrates {
			want = to
		}
		same = n.keys[i] == want
	}
	if same {
		return nil
	}
	own := catalog.QuoteQualified(x.schema, x.own)
	err = fmt.Errorf("mirroring the index %s, defined by %q, did not give an index of the same kind; drop it, or `segue rollback %s`", x.name, x.def, w.name)
	concurrently := "CONCURRENTLY "
	if x.partitioned { // it has no parts yet
		concurrently = ""
	}
	if _, drop := w.conn.Exec(ctx, "DROP INDEX "+concurrently+"IF EXISTS "+own); drop != nil {
		err = errors.Join(err, drop)
	}
	return err
}

// takeName gives the mirror the name of the index that has gone with its column, where nobody else has taken it.
func (x mirror) takeName(ctx context.Context, tx pgx.Tx) error {
	var free bool
	if err := tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2)`,
		x.schema, x.name).Scan(&free); err != nil {
		return fmt.Errorf("looking for the index %s: %w", x.name, err)
	}
	if !free || !x.exists || x.kind == readMirror { // old code's own, which goes with it
		return nil
	}
	if _, err := tx.Exec(ctx, "ALTER INDEX "+catalog.QuoteQualified(x.schema, x.own)+" RENAME TO "+catalog.QuoteIdent(x.name)); err != nil {
		return fmt.Errorf("renaming the index %s: %w", x.own, err)
	}
	if err := x.takeRest(ctx, tx); err != nil || x.comment == "" || x.constraint != 0 {
		return err
	}
	if _, err := tx.Exec(ctx, "COMMENT ON INDEX "+catalog.QuoteQualified(x.schema, x.name)+" IS "+quoteLiteral(x.comment)); err != nil {
		return fmt.Errorf("commenting on the index %s: %w", x.name, err)
	}
	return nil
}

// takeRest gives the mirror, under its last name, what else the old index had: the table's CLUSTER ON, and statistics targets of its expressions.
func (x mirror) takeRest(ctx context.Context, tx pgx.Tx) error {
	var sqls []string
	if x.clustered {
		sqls = append(sqls, "ALTER TABLE "+x.table.name+" CLUSTER ON "+catalog.QuoteIdent(x.name))
	}
	if x.kind == sameMirror {
		for i, target := range x.targets {
			if target >= 0 {
				sqls = append(sqls, fmt.Sprintf("ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d", catalog.QuoteQualified(x.schema, x.name), i+1, target))
			}
		}
	}
	if err := execAll(ctx, tx, sqls); err != nil {
		return fmt.Errorf("making the index %s like the one whose place it takes: %w", x.name, err)
	}
	return nil
}
