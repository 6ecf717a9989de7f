package oracle

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"segue/rewrite/lens"
)

// Bench is a variant's two reference databases, and what came of holding others against them. It is used by one goroutine at a time.
type Bench struct {
	Variant *Variant
	Report  Report

	refs [2]*Database
	norm func(code, text string) string
}

// newBench makes the references; create gives the connection string of a fresh, empty database. Close the bench when done.
func newBench(ctx context.Context, v *Variant, create func() string) (_ *Bench, err error) {
	b := &Bench{Variant: v, norm: normer(v)}
	for s, f := range []Form{OldOnly, RefNew} {
		if b.refs[s], err = NewDatabase(ctx, create(), v, f); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// Close ends the sessions.
func (b *Bench) Close() error {
	var errs []error
	for _, d := range b.refs {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(errs...)
}

// reference is the outcome of a case against one schema.
type reference struct {
	schema      Side
	outcome     *Outcome
	steps       []Step
	types       [][]uint32
	want        [][]string // lines of the texts' and the contents' events, in turn
	meaningless bool       // a text was an error of class 42: its names mean nothing there, say
	refused     bool       // a text was an error of PostgreSQL's own with the SQLSTATE that refusals have
}

// reference runs a case, with the names that code of a side uses, on the reference of a schema.
func (b *Bench) reference(c *Case, side, schema Side, p Protocol) (*reference, error) {
	db := b.refs[schema]
	r := &reference{schema: schema, steps: c.expand(b.Variant, side)}
	var texts []sent
	for _, s := range r.steps {
		var types []uint32
		if p == Binary {
			var err error
			if types, err = db.conn.Describe(s); err != nil {
				return nil, err
			}
		}
		r.types = append(r.types, types)
		texts = append(texts, sent{Step: s, types: types})
	}
	o, err := db.Run(texts, p, c.Commit, schema)
	if err != nil {
		return nil, err
	}
	r.outcome = o
	r.want = b.lines(o, db.origins(schema, false), c)
	for _, events := range o.Steps {
		if e := failure(events); e != nil {
			b.Report.Errors++
			r.refused = r.refused || e.Code == "0A000"
			r.meaningless = r.meaningless || strings.HasPrefix(e.Code, "42")
		}
	}
	return r, nil
}

// lines writes an outcome as lines, one list for each text and for each look at the contents.
func (b *Bench) lines(o *Outcome, origins *Origins, c *Case) [][]string {
	var out [][]string
	if c.AnyFrom {
		origins = nil
	}
	for i := range o.Steps {
		events := o.Steps[i]
		if c.AnyError {
			events = anyError(events)
		}
		ls := lines(events, origins, b.norm)
		switch {
		case c.AnyRows:
			ls = withoutRows(ls)
		case !orderBy.MatchString(c.Steps[i].Text), strings.Contains(c.File, "orm"): // what mappers sort by has ties
			ls = unordered(ls)
		}
		out = append(out, ls, withoutShapes(lines(o.Contents[i], origins, b.norm)))
	}
	return out
}

// withoutShapes drops the descriptions of contents' results, which name physical columns.
func withoutShapes(ls []string) []string {
	var out []string
	for _, s := range ls {
		if s[0] == byte(DataRow) || s[0] == byte(ErrorResponse) {
			out = append(out, s)
		}
	}
	return out
}

// normer gives what makes messages alike: the migrating column is called {c} by whichever name, with the table's name before it or not.
// What names a column that does not exist says the client's own name, which is left as it is.
func normer(v *Variant) func(code, text string) string {
	var all []string
	for s := range v.Columns {
		for i := range v.Columns[s] {
			all = append(all, regexp.QuoteMeta(v.Columns[s][i].Name), regexp.QuoteMeta(v.Columns[s][i].as()))
		}
	}
	names := strings.Join(all, "|")
	table := regexp.QuoteMeta(v.Table)
	quoted := regexp.MustCompile(`"(` + table + `\.)?(` + names + `)"`)
	plain := regexp.MustCompile(` ` + table + `\.(` + names + `) `)
	return func(code, s string) string {
		if code == "42703" {
			return s
		}
		return plain.ReplaceAllString(quoted.ReplaceAllString(s, `"{c}"`), ` {c} `)
	}
}

// asked are the references of one case by one protocol that have been made so far.
type asked [2]*reference

// right gives the outcomes that are right for a client: the reference of its side; in version auto, where a text means nothing there, the
// other one, since that is what auto finds out (where both call a column by the same name, the old one is meant); and where it means nothing in either, both, since the error may be either's.
func (b *Bench) right(c *Case, client Client, p Protocol, made *asked) (_ []*reference, err error) {
	if made[client.Side] == nil {
		if made[client.Side], err = b.reference(c, client.Side, client.Side, p); err != nil {
			return nil, fmt.Errorf("%s, reference of %s code: %w", c, client, err)
		}
	}
	right := []*reference{made[client.Side]}
	if client.Version == lens.Auto && right[0].meaningless && !b.Variant.sameName() {
		other, err := b.reference(c, client.Side, 1-client.Side, p)
		if err != nil {
			return nil, fmt.Errorf("%s, reference of the other schema: %w", c, err)
		}
		right = append(right, other)
		if !other.meaningless {
			right = right[1:]
		}
	}
	return right, nil
}

// compare holds an outcome, as a client sees it, against the right ones, and reports. origins names the columns' origins for code of a side.
func (b *Bench) compare(w Where, right []*reference, o *Outcome, origins func(Side) *Origins) {
	d := ""
	for _, ref := range right {
		names, want := origins(ref.schema), ref.want
		if names.any {
			want = b.lines(ref.outcome, names, w.Case)
		}
		if d = diffs(want, b.lines(o, names, w.Case)); d == "" {
			break
		}
	}
	if d != "" && w.Case.mayFail(o) {
		b.Report.otherwise(w)
		d = ""
	}
	if o.Apart != "" {
		d += "  columns apart: " + o.Apart
	}
	b.Report.compared(w, d)
}

// diffs shows where two outcomes differ, up to the first text after which the transactions' states do.
func diffs(want, got [][]string) string {
	d := ""
	for i := range got {
		d += diff(want[i], got[i])
		if i%2 == 0 && want[i][len(want[i])-1] != got[i][len(got[i])-1] {
			break
		}
	}
	return d
}
