package rewrite

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// sameTokens compares the lexer with PostgreSQL's own scanner, which counts a string's prefix and comments in its own way.
func sameTokens(t testing.TB, text string) {
	t.Helper()
	if strings.Contains(lower(text), "u&") {
		return // pg_query's places of U&'...' and U&"..." are not PostgreSQL's
	}
	res, err := pg.Scan(text)
	if err != nil {
		return // what PostgreSQL cannot scan, nobody plans
	}
	toks, ok, odd := lex(text)
	if odd {
		return
	}
	if !ok {
		t.Fatalf("%q does not lex, but scans", text)
	}
	var want []token
	for _, tok := range res.Tokens {
		if tok.Token == pg.Token_SQL_COMMENT || tok.Token == pg.Token_C_COMMENT {
			continue
		}
		want = append(want, token{start: int(tok.Start), end: int(tok.End)})
	}
	if len(want) != len(toks) {
		t.Fatalf("%q: %d tokens, PostgreSQL has %d: %v, %v", text, len(toks), len(want), toks, want)
	}
	for i := range want {
		if want[i].start != toks[i].start || want[i].end != toks[i].end {
			t.Fatalf("%q: token %d is %q, PostgreSQL has %q", text, i, text[toks[i].start:toks[i].end], text[want[i].start:want[i].end])
		}
	}
}

var lexed = []string{
	"SELECT a, 'b', \"c\"\"d\", $1 FROM t -- x\nWHERE a=-1 AND b>=+2 /* /* n */ */;",
	"SELECT 'it''s' 'x'", "SELECT 'a'\n  'b', E'a\\'b'\n'c\\'d', U&'d\\0061t' UESCAPE '!', U&\"x\", B'01', X'ff', N'n'",
	"SELECT $$a'b$$, $tag$ $$ $tag$, $1, a$b", "SELECT 1.5e10, .5, 1., 1e5, 12e, 0x1F, 1_000 FROM t[1:2]", "SELECT a::int, x:=1, f(y=>2), 1..2",
	"SELECT a@>b, a->>'x', a#-b, @-5, !!3, 5*-3, a<>-1, a<-1, a||-b, a/*c*/b, a*/*c*/b, a-- c\n+b", "SELECT 'ünï', größe FROM tä",
	"", " ", "--", "/* x", "'", "\"", "$x$", "E'\\", "SELECT 'a' -- c\n 'b'", "SELECT 'a' /* c */ 'b'", "a\vb", "SELECT e'\\\\', \"a\" \"b\"",
}

func TestLexerAgreesWithPostgreSQL(t *testing.T) {
	for _, s := range lexed {
		sameTokens(t, s)
	}
}

func FuzzLexer(f *testing.F) {
	for _, s := range lexed {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) || !asciiOrUTF8(s) {
			return
		}
		sameTokens(t, s)
	})
}

func asciiOrUTF8(s string) bool { return strings.ToValidUTF8(s, "") == s }

func BenchmarkLex(b *testing.B) {
	const text = "UPDATE users AS u SET name = 'some name', email = $1 WHERE u.id = 12345 AND created_at > now() - interval '1 day' /* web */"
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	toks := make([]token, 0, 64)
	for b.Loop() {
		if _, ok, _ := lexInto(toks[:0], text); !ok {
			b.Fatal("it does not end")
		}
	}
}
