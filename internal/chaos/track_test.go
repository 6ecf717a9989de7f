package chaos

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/lens"
)

// track is a column that migrates again and again, each time from where the last time ended: name_0 to name_1, name_1 to name_2. Old code uses the
// column that is there between two migrations, new code the one that comes, as soon as there is a migration.
type track struct {
	n        int
	table    string
	column   string
	retyping bool // its type changes to and fro, between varchar and bigint

	mu       sync.Mutex
	gen      int         // the migration that is under way, or comes next, goes from gen to gen+1
	old, new int         // the generation of the name that each code uses
	using    map[int]int // by client
}

func newTracks() []*track {
	return []*track{
		{n: 0, table: "items", column: "name", using: map[int]int{}},
		{n: 1, table: "items", column: "price", retyping: true, using: map[int]int{}},
		{n: 2, table: "notes", column: "label", using: map[int]int{}},
	}
}

func (t *track) name(gen int) string { return fmt.Sprintf("%s_%d", t.column, gen) }

func (t *track) migration() string { return fmt.Sprintf("%s_%s_%d", t.table, t.column, t.gen) }

func (t *track) number(gen int) bool { return t.retyping && gen%2 == 1 }

func (t *track) definition() *lens.Definition {
	from, to := t.name(t.gen), t.name(t.gen+1)
	d := &lens.Definition{Name: t.migration(), Table: lens.TableName{Schema: "public", Name: t.table}}
	switch {
	case !t.retyping:
		d.RenameColumn = &lens.RenameColumn{From: from, To: to}
	case t.number(t.gen):
		d.ChangeType = &lens.ChangeType{Column: from, To: to, Type: "varchar(20)", Up: from + "::text", Down: to + "::bigint"}
	default:
		d.ChangeType = &lens.ChangeType{Column: from, To: to, Type: "bigint", Up: from + "::bigint", Down: to + "::varchar"}
	}
	return d
}

// apart is the SQL that says whether a row's two columns differ where both must be filled; half, where the new one may not be filled yet.
func (t *track) apart(gen int, half bool) string {
	from, to := t.name(gen), t.name(gen+1)
	up := from
	switch {
	case t.number(gen):
		up += "::text"
	case t.retyping:
		up += "::bigint"
	}
	if half {
		return fmt.Sprintf("(%s IS NOT NULL AND %s IS DISTINCT FROM %s)", to, to, up)
	}
	return fmt.Sprintf("(%s IS DISTINCT FROM %s)", to, up)
}

// null stands for NULL among the values, which are numbers of writes.
const null = -1

// value gives a value as the column of that generation has it.
func (t *track) value(gen int, v int64) any {
	switch {
	case v == null:
		return nil
	case t.number(gen):
		return v
	case t.retyping:
		return strconv.FormatInt(v, 10)
	}
	return "value " + strconv.FormatInt(v, 10)
}

// parse reads a value back.
func (t *track) parse(gen int, v any) (int64, error) {
	switch v := v.(type) {
	case nil:
		return null, nil
	case int64:
		if t.number(gen) {
			return v, nil
		}
	case string:
		if text, ok := strings.CutPrefix(v, "value "); !t.number(gen) && ok != t.retyping {
			return strconv.ParseInt(text, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has the value %v", t.name(gen), v)
}

// lockKey is the second key of the advisory lock that who works on a migration holds.
func lockKey(name string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum32()
}

// standing gives a generation whose column is in the table.
func (t *track) standing(ctx context.Context, conn *pgx.Conn) (gen int, err error) {
	err = conn.QueryRow(ctx, "SELECT substring(attname from '[0-9]+$')::int FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname ~ $2 AND NOT attisdropped LIMIT 1",
		t.table, "^"+t.column+"_[0-9]+$").Scan(&gen)
	return gen, err
}

// take says which name a client's code uses; the client calls drop once its statement is through.
func (t *track) take(client int, isNew bool) (gen int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gen = t.old
	if isNew {
		gen = t.new
	}
	t.using[client] = gen
	return gen
}

func (t *track) drop(client int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.using, client)
}

// deploy lets the clients use other names, and waits until none is at a statement with another one.
func (t *track) deploy(ctx context.Context, old, recent int) bool {
	t.mu.Lock()
	t.old, t.new = old, recent
	t.mu.Unlock()
	for {
		t.mu.Lock()
		left := false
		for _, gen := range t.using {
			left = left || gen != old && gen != recent
		}
		t.mu.Unlock()
		if !left {
			return true
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return false
		}
	}
}
