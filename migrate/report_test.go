package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"segue/proxy"
	"segue/rewrite/lens"
)

// Check says what start would refuse, and leaves nothing behind.
func TestCheck(t *testing.T) {
	e := newEnv(t, `CREATE TABLE products (id int PRIMARY KEY, price varchar(20), label text); CREATE INDEX by_label ON products (label, lower(price));
		INSERT INTO products VALUES (1, '10'), (2, '007'), (3, 'cheap');`)
	p := e.proxy(0)
	before := e.dump()
	check := func(def lens.Definition) (r CheckReport) {
		t.Helper()
		answer, err := p.Check(context.Background(), &def)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(answer, &r); err != nil {
			t.Fatal(err)
		}
		if got := e.dump(); got != before {
			t.Fatalf("something has changed:\n%s", got)
		}
		e.want("SELECT count(*) FROM segue.migration", "0")
		e.want("SELECT count(*) FROM pg_proc WHERE proname LIKE 'try%' OR proname = 'segue_try'", "0")
		return r
	}
	def := lens.Definition{
		Name: "price_bigint", Table: lens.TableName{Schema: "public", Name: "products"},
		ChangeType: &lens.ChangeType{Column: "price", To: "price_v2", Type: "int8", Up: "price::bigint", Down: "price_v2::varchar"},
	}
	if r := check(def); r.Ready || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "1 of 3 rows do not convert") || !strings.Contains(r.Problems[0], "1 of 3 rows do not come back") {
		t.Errorf("%+v", r)
	}
	nothing := def
	nothing.ChangeType = &lens.ChangeType{Column: "cost", To: "label", Type: "int8", Up: "cost::bigint", Down: "label::varchar"}
	if r := check(nothing); r.Ready || !strings.Contains(strings.Join(r.Problems, "\n"), "has no column cost") {
		t.Errorf("%+v", r)
	}
	e.exec("UPDATE products SET price = '7' WHERE id > 1")
	def.LookupIndexes = true
	if r := check(def); !r.Ready || len(r.Problems) > 0 || hazardNames(r) != "unmirrored-indexes bypass-sessions" || strings.Join(r.Notes, "\n") != "the index by_label gets no mirror on the new side: make one for what new code looks up, once the new column stands" {
		t.Errorf("%+v", r)
	}
	oneWay := def
	oneWay.LookupIndexes, oneWay.Allow = false, []string{"lossy"}
	oneWay.ChangeType = &lens.ChangeType{Column: "price", To: "price_v2", Type: "int8", Up: "price::bigint"}
	if r := check(oneWay); !r.Ready || hazardNames(r) != "one-way lossy (allowed) slow-lookups unmirrored-indexes bypass-sessions" || !strings.Contains(strings.Join(r.Notes, "\n"), "lookup_indexes = true builds an index") {
		t.Errorf("%+v", r)
	}
	if _, err := p.Check(context.Background(), &lens.Definition{Name: "a b"}); !errors.Is(err, proxy.ErrInvalid) {
		t.Error(err)
	}
}

// hazardNames lists a report's, for comparing.
func hazardNames(r CheckReport) string {
	var out []string
	for _, h := range r.Hazards {
		name := h.Name
		if h.Allowed {
			name += " (allowed)"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}
