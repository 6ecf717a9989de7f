package rewrite

import (
	"strings"

	"segue/rewrite/catalog"
)

// The detail of a unique violation, or of a foreign key's, names the key's columns: `Key (lower(full_name), tenant)=(x, 1) already exists.` In every language that the server speaks
// the list stands in brackets before "=(", as the server writes an index's columns.

// keyList gives where a detail's list of columns begins and ends; ok is false where it has none.
func keyList(detail string) (from, to int, ok bool) {
	from = strings.IndexByte(detail, '(') + 1
	to = strings.Index(detail, ")=(")
	return from, to, from > 0 && to >= from
}

// ClientKey gives the detail of a unique violation, or of a foreign key's, with the key's columns by the names that the client's code calls them.
func (p *Plan) ClientKey(table, detail string) string {
	from, to, ok := keyList(detail)
	if !ok || len(p.names) == 0 {
		return detail
	}
	list := detail[from:to]
	toks, ok, _ := lex(list)
	if !ok {
		return detail
	}
	var b strings.Builder
	b.WriteString(detail[:from])
	at := 0
	for i, t := range toks {
		name, is := keyColumn(list, toks, i)
		client, migrates := p.names[tableColumn{table, name}]
		if !is || !migrates {
			continue
		}
		b.WriteString(list[at:t.start])
		b.WriteString(catalog.QuoteIdent(client))
		at = t.end
	}
	b.WriteString(list[at:])
	b.WriteString(detail[to:])
	return b.String()
}

// keyColumn gives the identifier at a token of a list of columns that the server wrote; false where it is no column.
func keyColumn(list string, toks []token, i int) (string, bool) {
	t := toks[i]
	text := list[t.start:t.end]
	switch t.kind {
	case tokIdent:
	case tokQuoted:
		text = strings.ReplaceAll(text[1:len(text)-1], `""`, `"`)
	default:
		return "", false
	}
	next := byte(0)
	if i+1 < len(toks) {
		next = list[toks[i+1].start]
	}
	before := ""
	if i > 0 {
		before = list[toks[i-1].start:toks[i-1].end]
	}
	return text, next != '(' && next != '.' && before != "." && before != ":" && before != "::"
}

// TryAgain says whether an error of the server's may be one that the statement meets only since the unique indexes of both sides of a migration stand: it passed
// the one that its ON CONFLICT infers and met the other, or it waited there for somebody who waits for it. Then nothing of it has been done, and it can be sent
// again as it is. detail is "" where the role may not read the key; then it may be such an error.
func (p *Plan) TryAgain(code, detail string) bool {
	if code == "40P01" { // deadlock_detected; whether it is over these indexes the error does not say
		return len(p.again) > 0
	}
	if code != "23505" || len(p.again) == 0 {
		return false
	}
	from, to, ok := keyList(detail)
	if !ok {
		return true
	}
	list := detail[from:to]
	toks, ok, _ := lex(list)
	if !ok {
		return true
	}
	for i := range toks {
		if name, is := keyColumn(list, toks, i); is && p.again[name] {
			return true
		}
	}
	return false
}

// Again says whether TryAgain can be true of an error of this plan's statement.
func (p *Plan) Again() bool { return len(p.again) > 0 }
