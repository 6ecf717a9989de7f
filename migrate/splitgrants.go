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

// A split's guard runs as the one who writes. So roles need on the target what they have on the source's columns that move: expand grants it, and each step grants again what has been granted on the source since.

// grant gives on the target what roles have on the source's columns that move: who may read them may read it, and who may change them may insert, update and delete there.
func (s *split) grant(ctx context.Context, q queryer) error {
	grants, err := s.grants(ctx, q)
	if err != nil {
		return err
	}
	for _, g := range grants {
		if _, err := q.Exec(ctx, g.sql()); err != nil {
			return fmt.Errorf("granting on %s what is granted on %s: %w", s.to, s.table, err)
		}
	}
	return nil
}

// ungranted are those of the grants that are not in force.
func (s *split) ungranted(ctx context.Context, q queryer) ([]grant, error) {
	all, err := s.grants(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []grant
	for _, g := range all {
		var there bool
		privilege := g.privilege
		if g.option {
			privilege += " WITH GRANT OPTION"
		}
		ask, args := "SELECT has_table_privilege($1::text::name, $2::text, $3::text)", []any{g.role(), g.on, privilege}
		switch {
		case g.sequence:
			ask = "SELECT has_sequence_privilege($1::text::name, $2::text, $3::text)"
		case g.column != "":
			ask, args = "SELECT has_column_privilege($1::text::name, $2::text, $4::text, $3::text)", append(args, g.column)
		}
		if err := q.QueryRow(ctx, ask, args...).Scan(&there); err != nil {
			return nil, fmt.Errorf("reading the privileges of %s on %s: %w", g.grantee, g.on, err)
		}
		if !there {
			out = append(out, g)
		}
	}
	return out, nil
}

// grantAgain gives on the target what has been granted on the source since, as long as old code is served: its writes need it.
func (w *work) grantAgain(ctx context.Context) error {
	s, missing, err := w.toGrant(ctx)
	if err != nil || len(missing) == 0 {
		return err
	}
	return w.alter(ctx, "grant", func(tx pgx.Tx) error { return s.grant(ctx, tx) })
}

// toGrant are the grants that grantAgain has to give; none of a migration that is no split.
func (w *work) toGrant(ctx context.Context) (*split, []grant, error) {
	if !w.m.splitting() || !w.m.grantsMatter() {
		return nil, nil, nil
	}
	s, err := readSplit(ctx, w.conn, w.m)
	if err != nil {
		return nil, nil, err
	}
	stands, err := s.stands(ctx, w.conn)
	if err != nil || !stands {
		return nil, nil, err // the gate says that the target is gone
	}
	missing, err := s.ungranted(ctx, w.conn)
	return s, missing, err
}

// grantsMatter says that old code may write the source, and so the target.
func (m *migration) grantsMatter() bool {
	return m.Stand.Live && m.Stand.Phase > lens.Pending && m.Stand.Phase <= lens.Contract && m.Stand.Step == lens.NoStep
}

// changedGrants says what roles have got on the source since that their writes there are not enough for.
func (s *split) changedGrants(ctx context.Context, q queryer, m *migration) ([]string, error) {
	if !m.grantsMatter() {
		return nil, nil
	}
	problems, _, err := s.missingGrants(ctx, q)
	if err != nil {
		return nil, err
	}
	missing, err := s.ungranted(ctx, q)
	if err != nil || len(missing) == 0 {
		return problems, err
	}
	var list []string
	for _, g := range missing {
		list = append(list, g.sql())
	}
	return append(problems, fmt.Sprintf("roles have got privileges on %s since, and not those on %s that go with them: `segue advance %s` grants them, or: %s", s.table, s.to, m.Name, strings.Join(list, "; "))), nil
}

// granted is a privilege on the source, or on one of its columns.
type granted struct {
	grantee   string // as SQL
	privilege string
	column    string // "" for the table
	option    bool
}

// grant is a privilege that a role is to have on the target, on a column of it, or on a sequence of its.
type grant struct {
	grantee   string // as SQL
	privilege string
	on        string // as SQL
	column    string // "" for all of it
	sequence  bool
	option    bool
}

func (g grant) sql() string {
	privilege, on := g.privilege, g.on
	if g.column != "" {
		privilege += " (" + catalog.QuoteIdent(g.column) + ")"
	}
	if g.sequence {
		on = "SEQUENCE " + on
	}
	sql := "GRANT " + privilege + " ON " + on + " TO " + g.grantee
	if g.option {
		sql += " WITH GRANT OPTION"
	}
	return sql
}

// role is the grantee as the functions that tell privileges take it.
func (g grant) role() string { return roleName(g.grantee) }

func roleName(grantee string) string {
	if grantee == "PUBLIC" {
		return "public"
	}
	if quoted, ok := strings.CutPrefix(grantee, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(quoted, `"`), `""`, `"`)
	}
	return grantee
}

func (s *split) granted(ctx context.Context, q queryer) ([]granted, error) {
	out, err := collect(ctx, q, `
		SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, x.privilege_type, g.col, x.is_grantable
		FROM (SELECT c.relowner, COALESCE(c.relacl, acldefault('r', c.relowner)) AS acl, '' AS col FROM pg_class c WHERE c.oid = $1
		      UNION ALL SELECT c.relowner, a.attacl, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attrelid = $1 AND a.attname = ANY ($2) AND a.attacl IS NOT NULL) g
		CROSS JOIN LATERAL aclexplode(g.acl) x WHERE x.grantee <> g.relowner ORDER BY 1, 2, 3`, func(row pgx.CollectableRow) (g granted, err error) {
		return g, row.Scan(&g.grantee, &g.privilege, &g.column, &g.option)
	}, s.source, append(sourceNames(s.key), sourceNames(s.moved)...))
	if err != nil {
		return nil, fmt.Errorf("reading the privileges on %s: %w", s.table, err)
	}
	return out, nil
}

// grants are what roles need on the target for what they have on the source.
func (s *split) grants(ctx context.Context, q queryer) ([]grant, error) {
	all, err := s.granted(ctx, q)
	if err != nil {
		return nil, err
	}
	sequences, err := collect(ctx, q, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype = 'a' ORDER BY 1`, pgx.RowTo[string], s.target.OID)
	if err != nil {
		return nil, fmt.Errorf("reading the sequences of %s: %w", s.to, err)
	}
	moves := func(column string) bool {
		return column == "" || slices.Contains(sourceNames(s.moved), column)
	}
	var out []grant
	for _, g := range all {
		var privileges []string
		column := ""
		switch {
		case g.privilege == "SELECT" && g.column != "":
			for _, p := range slices.Concat(s.key, s.moved) {
				if p.from == g.column {
					privileges, column = []string{"SELECT"}, p.to
				}
			}
		case g.privilege == "UPDATE" && moves(g.column):
			privileges = []string{"INSERT", "UPDATE", "DELETE"}
		case g.privilege == "INSERT" && moves(g.column):
			privileges = []string{"INSERT"}
		case g.column == "" && slices.Contains([]string{"SELECT", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}, g.privilege):
			privileges = []string{g.privilege}
		}
		add := func(x grant) {
			x.grantee, x.option = g.grantee, g.option
			if !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
		for _, p := range privileges {
			add(grant{privilege: p, on: s.to, column: column})
			for _, sequence := range sequences { // a column that is serial asks it as the one who writes
				if p == "INSERT" {
					add(grant{privilege: "USAGE", on: sequence, sequence: true})
				}
			}
		}
	}
	return out, nil
}

// missingGrants says what roles that write the source need besides: problems for what old code needs, and notes for what new code does.
func (s *split) missingGrants(ctx context.Context, q queryer) (problems, notes []string, err error) {
	all, err := s.granted(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	may := func(grantee, privilege string, columns []splitColumn) (bool, error) {
		var ok bool
		err := q.QueryRow(ctx, "SELECT bool_and(has_column_privilege($1::text::name, $2::oid, c, $3)) FROM unnest($4::text[]) c", roleName(grantee), s.source, privilege, sourceNames(columns)).Scan(&ok)
		if err != nil {
			return false, fmt.Errorf("reading the privileges of %s: %w", grantee, err)
		}
		return ok, nil
	}
	var roles []string
	for _, g := range all {
		writes := slices.Contains([]string{"INSERT", "UPDATE", "DELETE", "TRUNCATE"}, g.privilege)
		if writes && !slices.Contains(roles, g.grantee) {
			roles = append(roles, g.grantee)
		}
	}
	for _, role := range roles {
		both := slices.Concat(s.key, s.moved)
		reads, err := may(role, "SELECT", both)
		if err != nil {
			return nil, nil, err
		}
		if !reads {
			problems = append(problems, fmt.Sprintf("%s may write %s and not read (%s), which the guard compares as the one who writes: GRANT SELECT (%[3]s) ON %[2]s TO %[1]s", role, s.table, sources(both, "")))
			continue
		}
		updates, err := may(role, "UPDATE", s.moved)
		if err != nil {
			return nil, nil, err
		}
		if !updates {
			notes = append(notes, fmt.Sprintf("%s may write %s and not UPDATE (%s): new code of that role can write %s once it may: GRANT UPDATE (%[3]s) ON %[2]s TO %[1]s", role, s.table, sources(s.moved, ""), s.to))
		}
	}
	views, err := collect(ctx, q, `
		SELECT DISTINCT v.oid::regclass::text, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, x.privilege_type
		FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v' CROSS JOIN LATERAL aclexplode(v.relacl) x
		WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE') AND x.grantee <> v.relowner
		AND NOT CASE x.grantee WHEN 0 THEN has_table_privilege('public', $1, x.privilege_type) ELSE has_table_privilege(x.grantee, $1, x.privilege_type) END ORDER BY 1, 2, 3`,
		func(row pgx.CollectableRow) (text string, err error) {
			var view, role, privilege string
			err = row.Scan(&view, &role, &privilege)
			return fmt.Sprintf("%s may %s on the view %s of %s and not on %[4]s itself, and the guard runs as the one who writes: GRANT SELECT, %[2]s ON %[4]s TO %[1]s", role, privilege, view, s.table), err
		}, s.source)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the views of %s: %w", s.table, err)
	}
	return append(problems, views...), notes, nil
}
