package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// column is what a new column takes over from an old one.
type column struct {
	Num       int16
	Type      string // format_type: "character varying(40)"
	Collation string // as SQL; "" where it is the type's own
	NotNull   bool
	Default   string // as SQL; "" where there is none
	Target    int    // statistics target; -1 where it is the default
	Storage   string // as SQL; "" where it is the type's own
	Compress  string // as SQL; "" where it is the default
	Options   string // as SQL, such as "n_distinct=5"; "" where there are none
	Comment   *string
	Grants    []string // column privileges: the privilege, a newline, and to whom: "SELECT\nTO web WITH GRANT OPTION"
	Image     bool     // the type's = means the same image
}

// sameImage are the types whose = means the same image; enums are too, and text under a deterministic collation.
const sameImage = `(t.typtype = 'e' OR t.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'bool'::regtype, 'uuid'::regtype,
	'date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'time'::regtype, 'bytea'::regtype)
	OR t.oid IN ('text'::regtype, 'varchar'::regtype) AND (a.attcollation = 0 OR
	    (SELECT c.collisdeterministic FROM pg_collation c WHERE c.oid = a.attcollation)))`

// errNoColumn says that a table has no column of a name.
var errNoColumn = errors.New("there is no such column")

// readColumn reads one column; the error is errNoColumn where there is none.
func readColumn(ctx context.Context, q queryer, table uint32, name string) (*column, error) {
	c := &column{}
	var compression string
	err := q.QueryRow(ctx, `
		SELECT a.attnum, format_type(a.atttypid, a.atttypmod),
		       CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation
		            THEN (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
		                  WHERE c.oid = a.attcollation) ELSE '' END,
		       a.attnotnull, COALESCE(pg_get_expr(d.adbin, d.adrelid), ''), COALESCE(a.attstattarget, -1),
		       CASE WHEN a.attstorage = t.typstorage THEN ''
		            ELSE CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
		       COALESCE(to_jsonb(a)->>'attcompression', ''), COALESCE(array_to_string(a.attoptions, ', '), ''),
		       col_description(a.attrelid, a.attnum), `+sameImage+`,
		       COALESCE((SELECT array_agg(x.privilege_type || E'\nTO ' || CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END
		                                  || CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		                 FROM aclexplode(a.attacl) x), '{}')
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = ''
		WHERE a.attrelid = $1 AND a.attname = $2 AND NOT a.attisdropped AND a.attnum > 0`, table, name).Scan(
		&c.Num, &c.Type, &c.Collation, &c.NotNull, &c.Default, &c.Target, &c.Storage, &compression, &c.Options, &c.Comment, &c.Image, &c.Grants)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, fmt.Errorf("column %s: %w", name, errNoColumn)
	case err != nil:
		return nil, fmt.Errorf("reading column %s: %w", name, err)
	}
	switch compression {
	case "p":
		c.Compress = "pglz"
	case "l":
		c.Compress = "lz4"
	}
	return c, nil
}

// quoteLiteral writes a string as SQL, whatever standard_conforming_strings says.
func quoteLiteral(s string) string {
	out, escaped := []byte{'\''}, false
	for i := range len(s) {
		switch s[i] {
		case '\'':
			out = append(out, '\'', '\'')
		case '\\':
			out, escaped = append(out, '\\', '\\'), true
		default:
			out = append(out, s[i])
		}
	}
	out = append(out, '\'')
	if escaped {
		return "E" + string(out)
	}
	return string(out)
}
