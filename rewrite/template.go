package rewrite

import "strings"

// template is a plan for all texts that differ in their constants only: its edits refer to tokens, so they fit each of them.
type template struct {
	list  []edit // sorted
	like  *Plan  // all else of the plan; its texts are another statement's
	bytes int
}

// templated are the statements whose plan does not depend on constants.
var templated = map[string]bool{"select": true, "insert": true, "update": true, "delete": true, "with": true, "merge": true, "values": true, "table": true}

// templateKey gives the key under which a text's template is kept, and whether it can have one.
func templateKey(sql string, toks []token, settings string) (string, bool) {
	if len(toks) == 0 || !templated[lower(sql[toks[0].start:min(toks[0].end, toks[0].start+8)])] {
		return "", false
	}
	var b strings.Builder
	b.Grow(len(sql) + len(settings) + 1)
	for i, t := range toks {
		switch t.kind {
		case tokString:
			b.WriteString("'")
		case tokNumber:
			b.WriteString("0")
		case tokPunct:
			if sql[t.start] == ';' && i < len(toks)-1 {
				return "", false // what comes after it may be of another kind
			}
			b.WriteByte(sql[t.start])
		default:
			b.WriteString(sql[t.start:t.end])
		}
		b.WriteByte(' ')
	}
	b.WriteByte(0)
	b.WriteString(settings)
	return b.String(), true
}

// template keeps a plan's edits for other texts; nil where the plan is a refusal, whose place in the text may differ.
func (p *Plan) template() *template {
	if p.Kind == Refuse {
		return nil
	}
	t := &template{list: p.edits, like: p}
	for i := range p.edits {
		for _, x := range p.edits[i].pieces {
			t.bytes += len(x.text) + 48
		}
		t.bytes += 96
	}
	return t
}

// plan makes the plan of a text that has the template's tokens; nil where it cannot be.
func (t *template) plan(sql string, toks []token) *Plan {
	p := *t.like
	p.SQL, p.text = sql, sql
	if len(t.list) == 0 {
		return &p
	}
	out, spans, ok := render(sql, toks, t.list)
	if !ok {
		return nil
	}
	p.SQL, p.spans = out, spans
	return &p
}
