package migrate

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// mirrorKind is what a mirror is for.
type mirrorKind int

const (
	sameMirror mirrorKind = iota // a rename's: the same index on the other column
	newMirror                    // on a column of another type, for new code
	readMirror                   // on what old code reads, for as long as there is old code
	backMirror                   // the old index itself, made anew
)

// mirror is an index that involves an old column, with one that takes its place on the new ones.
type mirror struct {
	kind   mirrorKind
	index  uint32 // of the old one
	name   string // of the old one
	schema string
	def    string // pg_get_indexdef of the old one
	space  string // its tablespace; "" for the database's
	own    string // name of the mirror
	exists bool   // the mirror is there
	valid  bool

	unique     bool    // the old one is UNIQUE
	constraint uint32  // the constraint that the old one belongs to; 0: none
	comment    string  // on the old one, or its constraint
	clustered  bool    // the table is CLUSTERed on the old one
	identity   bool    // the old one is the table's replica identity
	targets    []int32 // statistics targets of the old one's columns, -1 for the default; nil where all are
	// Of a UNIQUE one: name of the mirror that is UNIQUE itself, which comes at contract and in whose place the other one goes.
	strict                    string
	strictExists, strictValid bool
	asStrict                  bool // this is that one

	table       relative // that both are on
	partitioned bool     // it is made of the indexes of the table's partitions, and valid when it has all of them
	parent      string   // the mirror that this one is to be a part of, as SQL; "" for none
	attached    bool     // it is
	deep        bool     // that one is a part of another one itself
	oid         uint32   // of the mirror; 0 where it is not there
}

// stands says that the mirror serves reads.
func (x mirror) stands() bool {
	return x.exists && x.valid && (x.parent == "" || x.attached) || x.strictExists && x.strictValid
}

// asUnique gives the mirror that is UNIQUE itself.
func (x mirror) asUnique() mirror {
	x.own, x.exists, x.valid, x.asStrict = x.strict, x.strictExists, x.strictValid, true
	return x
}

// oldIndex is an index that involves an old column.
type oldIndex struct {
	mirror
	plain    bool     // btree or hash on columns alone, of the types' own operator classes and the columns' collations, with no old column in a predicate
	included bool     // an old column is only carried along in it
	keys     []string // the old columns that are keys of it
	above    uint32   // the index that it is a part of; 0 for none
}

// whole says that all columns of the group are keys of the index, each once, and nothing else of it.
func (x oldIndex) whole(g *lens.Group) bool {
	keys := slices.Clone(x.keys)
	slices.Sort(keys)
	return len(x.keys) == len(g.Old) && len(slices.Compact(keys)) == len(g.Old) && !x.included
}

// mirrors lists what is to stand in the place of the indexes that involve an old column.
func (w *work) mirrors(ctx context.Context, q queryer) ([]mirror, error) {
	mirrors, _, err := readMirrors(ctx, q, w.m)
	return mirrors, err
}

// readMirrors lists the mirrors of the indexes that involve an old column in any way: as a key, in an expression or a predicate, or INCLUDEd. alone are those of
// them that get none on the new columns, for people to make up for.
func readMirrors(ctx context.Context, q queryer, m *migration) (mirrors []mirror, alone []string, err error) {
	g, err := m.Definition.Group()
	if err != nil {
		return nil, nil, fmt.Errorf("migration %s: %w", m.Name, err)
	}
	if g.Adding || g.Dropping {
		return nil, nil, nil // there is nothing that one side has from the other
	}
	sortable, err := hasOwnClass(ctx, q, m, g.New[0].Type)
	if err != nil {
		return nil, nil, err
	}
	family, err := readFamily(ctx, q, m.Table)
	if err != nil {
		return nil, nil, err
	}
	type part struct {
		kind  mirrorKind
		index uint32
	}
	made := map[part]mirror{}
	add := func(x oldIndex, kind mirrorKind, own string) error {
		n, above := x.mirror, made[part{kind, x.above}]
		n.kind, n.own = kind, own
		if above.own != "" {
			n.parent = catalog.QuoteQualified(above.schema, above.own)
			n.deep = above.parent != ""
		}
		// A partition that came later has its part of the parent's mirror by another name.
		if err := q.QueryRow(ctx, `
			SELECT c.oid, c.relname, i.indisvalid, h.inhrelid IS NOT NULL FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_inherits h ON h.inhrelid = c.oid AND h.inhparent = $4
			WHERE i.indrelid = $1 AND n.nspname = $2 AND (c.relname = $3 OR h.inhrelid IS NOT NULL) ORDER BY 4 DESC LIMIT 1`, x.table.oid, x.schema, own, above.oid).Scan(
			&n.oid, &n.own, &n.valid, &n.attached); err == nil {
			n.exists = true
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("reading the index %s: %w", own, err)
		}
		if kind == readMirror {
			n.unique = false
		}
		if n.unique {
			n.strict = strictName(x.name, m.Name)
			var err error
			if n.strictExists, n.strictValid, err = indexStands(ctx, q, m, x.schema, n.strict); err != nil {
				return err
			}
		}
		made[part{kind, x.index}] = n
		mirrors = append(mirrors, n)
		return nil
	}
	for _, r := range family {
		indexes, err := readIndexes(ctx, q, m, r)
		if err != nil {
			return nil, nil, err
		}
		for _, x := range indexes {
			if g.Same {
				if err := add(x, sameMirror, mirrorName(x.name, m.Name)); err != nil {
					return nil, nil, err
				}
				continue
			}
			if x.plain && sortable && (len(g.Old) == 1 && len(g.New) == 1 || x.unique && x.whole(g)) {
				if err := add(x, newMirror, mirrorName(x.name, m.Name)); err != nil {
					return nil, nil, err
				}
			} else if x.above == 0 {
				alone = append(alone, x.name)
			}
			if !g.OneWay() && !x.included {
				if err := add(x, readMirror, readName(x.name, m.Name)); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	return mirrors, alone, nil
}

// indexStands says whether an index of the table is there, and valid.
func indexStands(ctx context.Context, q queryer, m *migration, schema, name string) (exists, valid bool, err error) {
	return indexStandsOn(ctx, q, m.Table, schema, name)
}

func indexStandsOn(ctx context.Context, q queryer, table uint32, schema, name string) (exists, valid bool, err error) {
	if err := q.QueryRow(ctx, `
		SELECT count(*) > 0, COALESCE(bool_and(i.indisvalid), false) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE i.indrelid = $1 AND n.nspname = $2 AND c.relname = $3`, table, schema, name).Scan(&exists, &valid); err != nil {
		return false, false, fmt.Errorf("reading the index %s: %w", name, err)
	}
	return exists, valid, nil
}

func readIndexes(ctx context.Context, q queryer, m *migration, r relative) ([]oldIndex, error) {
	out, err := collect(ctx, q, `
		SELECT DISTINCT c.oid, c.relname, n.nspname, pg_get_indexdef(c.oid), COALESCE(s.spcname, ''), i.indisunique, COALESCE(k.oid, 0),
		       COALESCE(obj_description(k.oid, 'pg_constraint'), obj_description(c.oid, 'pg_class'), ''), COALESCE(pg_get_expr(i.indpred, i.indrelid), ''),
		       i.indexprs IS NULL AND m.amname IN ('btree', 'hash') AND NOT EXISTS (
			SELECT FROM unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[]) WITH ORDINALITY AS k (num, class, coll, place)
			JOIN pg_opclass o ON o.oid = k.class JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = k.num
			WHERE b.attname = ANY ($2) AND k.place <= i.indnkeyatts AND (NOT o.opcdefault OR k.coll <> b.attcollation)),
		       EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (num, place) JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = k.num
			WHERE b.attname = ANY ($2) AND k.place > i.indnkeyatts),
		       COALESCE((SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = c.oid), 0::oid),
		       ARRAY(SELECT b.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (num, place) JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = k.num
			WHERE b.attname = ANY ($2) AND k.place <= i.indnkeyatts ORDER BY k.place),
		       i.indisclustered, i.indisreplident, (SELECT array_agg(COALESCE(b.attstattarget, -1)::int ORDER BY b.attnum) FROM pg_attribute b WHERE b.attrelid = c.oid HAVING max(b.attstattarget) >= 0)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
		JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = ANY ($2) AND NOT a.attisdropped
		WHERE i.indrelid = $1 AND i.indisvalid AND pg_get_indexdef(c.oid) IS NOT NULL AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (
			SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
			AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
		ORDER BY 2`, func(row pgx.CollectableRow) (x oldIndex, err error) {
		var predicate string
		x.table, x.partitioned = r, !r.stores()
		err = row.Scan(&x.index, &x.name, &x.schema, &x.def, &x.space, &x.unique, &x.constraint, &x.comment, &predicate, &x.plain, &x.included, &x.above, &x.keys, &x.clustered, &x.identity, &x.targets)
		x.plain = x.plain && !namesAny(predicate, m.oldNames())
		return x, err
	}, r.oid, m.oldNames())
	if err != nil {
		return nil, fmt.Errorf("reading the indexes: %w", err)
	}
	return slices.DeleteFunc(out, func(x oldIndex) bool {
		return hashedName(x.name, readPrefix(m.Name)) || hashedName(x.name, backPrefix(m.Name))
	}), nil
}

// hasOwnClass says whether the first new column's type has operator classes of its own for both btree and hash, or may have: else no index can be made on it. typ is the
// type where the column is not there yet; "" where it is that of an old one.
func hasOwnClass(ctx context.Context, q queryer, m *migration, typ string) (bool, error) {
	var ok bool
	typ, _, _ = strings.Cut(typ, "(")
	if err := q.QueryRow(ctx, `
		SELECT COALESCE((SELECT t.typtype IN ('e', 'r') OR t.typcategory = 'A' OR count(DISTINCT o.opcmethod) = 2
			FROM (SELECT COALESCE((SELECT atttypid FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND NOT attisdropped), to_regtype(NULLIF($3, ''))::oid) AS oid) a JOIN pg_type t ON t.oid = a.oid
			LEFT JOIN pg_opclass o ON o.opcdefault AND o.opcmethod IN (SELECT oid FROM pg_am WHERE amname IN ('btree', 'hash')) AND (o.opcintype = t.oid
				OR EXISTS (SELECT FROM pg_cast WHERE castsource = t.oid AND casttarget = o.opcintype AND castmethod = 'b' AND castcontext = 'i'))
			GROUP BY t.oid, t.typtype, t.typcategory), false)`, m.Table, m.newNames()[0], typ).Scan(&ok); err != nil {
		return false, fmt.Errorf("looking for operator classes: %w", err)
	}
	return ok, nil
}

// mirrorName derives the mirror's name, within PostgreSQL's 63 bytes, so that the same one is found again after a crash.
func mirrorName(index, migration string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(index + "\x00" + migration)) // never fails, says hash.Hash
	suffix := fmt.Sprintf("_segue_%08x", h.Sum32())
	if keep := 63 - len(suffix); len(index) > keep {
		index = strings.ToValidUTF8(index[:keep], "")
	}
	return index + suffix
}

// namesAny says whether SQL that the server wrote has one of the names as an identifier.
func namesAny(sql string, names []string) bool {
	return slices.ContainsFunc(lexSQL(sql), func(t sqlToken) bool { return slices.Contains(names, t.name) })
}

// readPrefix begins the names of indexes on what old code reads.
func readPrefix(migration string) string { return "segue_" + migration + "_read_" }

// hashedName says whether a name is the prefix and a hash, and nothing else: the prefix of migration "a" also begins names of a migration "a_read".
func hashedName(name, prefix string) bool {
	hash, ok := strings.CutPrefix(name, prefix)
	return ok && len(hash) == 8 && strings.Trim(hash, "0123456789abcdef") == ""
}

// readName names the index on what old code reads.
func readName(index, migration string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(index)) // never fails, says hash.Hash
	return fmt.Sprintf("%s%08x", readPrefix(migration), h.Sum32())
}

// strictName names the mirror that is UNIQUE itself.
func strictName(index, migration string) string { return mirrorName(index, migration+"\x00unique") }
