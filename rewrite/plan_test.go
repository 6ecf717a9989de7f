package rewrite

import (
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// checkPlan holds what is true of every plan: what it sends parses, positions map into the client's text, and what no edit touched is
// there as it was.
func checkPlan(t testing.TB, input string, p *Plan) {
	t.Helper()
	switch p.Kind {
	case Pass:
		if p.SQL != input {
			t.Errorf("%q passes as %q", input, p.SQL)
		}
	case Refuse:
		if p.Refusal == nil || p.SQL != "" {
			t.Errorf("%q: a refusal without its error, or with SQL %q", input, p.SQL)
		}
	case Rewrite:
		if _, err := pg.Parse(p.SQL); err != nil {
			t.Errorf("%q became %q, which does not parse: %v", input, p.SQL, err)
		}
		n := len([]rune(input))
		for i := 1; i <= len([]rune(p.SQL))+1; i++ {
			if c := p.ClientPosition(i); c < 1 || c > n+1 {
				t.Errorf("%q: position %d of %q maps to %d", input, i, p.SQL, c)
			}
		}
		for _, s := range p.spans {
			if s.verbatim && p.SQL[s.out] != input[s.src] {
				t.Errorf("%q: span %+v of %q is not verbatim", input, s, p.SQL)
			}
		}
	}
}
