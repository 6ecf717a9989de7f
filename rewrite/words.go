package rewrite

import (
	"strings"
	"unicode/utf8"
)

// wordSet finds any of a set of names in a text by its bytes: case-insensitively for ASCII, and only where the name is not a
// part of a longer one. It may find a name in a comment or a string; it never misses one, save those in U&"". What it costs does not grow with the number
// of names, of which a table with many partitions has many.
type wordSet struct {
	first [256]bool
	words map[string]bool // lower case; all of bytes that can be in an unquoted identifier
	odd   []string        // the others, with quotes doubled
}

func newWordSet(names []string) *wordSet {
	w := &wordSet{words: map[string]bool{}}
	for _, n := range names {
		n = lower(strings.ReplaceAll(n, `"`, `""`))
		if identLen(n) == len(n) {
			w.words[n] = true
		} else {
			w.odd = append(w.odd, n)
		}
		w.first[n[0]] = true
		if c := n[0]; c >= 'a' && c <= 'z' {
			w.first[c-'a'+'A'] = true
		}
	}
	return w
}

func (w *wordSet) in(s string) bool {
	for i := range len(s) {
		if !w.first[s[i]] || i > 0 && isIdentByte(s[i-1]) {
			continue
		}
		if len(w.words) > 0 && w.hasWord(s[i:i+identLen(s[i:])]) {
			return true
		}
		for _, n := range w.odd {
			if len(s)-i >= len(n) && equalFold(s[i:i+len(n)], n) && (i+len(n) == len(s) || len(n) >= maxIdent || !isIdentByte(s[i+len(n)])) {
				return true
			}
		}
	}
	return false
}

// hasWord says whether an identifier is one of the words, cut off as the server does it.
func (w *wordSet) hasWord(ident string) bool {
	var b [maxIdent]byte
	n := min(len(ident), maxIdent)
	for i := range n {
		b[i] = ident[i]
		if c := b[i]; c >= 'A' && c <= 'Z' {
			b[i] = c - 'A' + 'a'
		}
	}
	if w.words[string(b[:n])] {
		return true
	}
	// A character of several bytes is not cut through.
	for cut := 1; len(ident) > maxIdent && cut < utf8.UTFMax; cut++ {
		if w.words[string(b[:n-cut])] {
			return true
		}
	}
	return false
}

// identLen gives the length of the bytes that s begins with and that can be in an unquoted identifier.
func identLen(s string) int {
	n := 0
	for n < len(s) && isIdentByte(s[n]) {
		n++
	}
	return n
}

// maxIdent is NAMEDATALEN - 1: what is longer is cut off there by the server, so that a longer spelling is the same name.
const maxIdent = 63

// equalFold compares a with b, which is lower case already, folding ASCII letters only, as PostgreSQL does for multi-byte encodings.
func equalFold(a, b string) bool {
	for i := range len(b) {
		c := a[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != b[i] {
			return false
		}
	}
	return true
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// isIdentByte says whether the byte can be inside an unquoted identifier.
func isIdentByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// Unsettling says whether a text may change what Settings hold: the search path, the role behind "$user", the temporary
// tables, the encoding.
type Unsettling int

// What a text can do to the settings.
const (
	Settled  Unsettling = iota
	Restores            // a ROLLBACK: unsettles where something in the transaction did
	Unsettle            // may change them: they must be asked for anew before the next statement on a migrating table is planned
)

var (
	unsettlingWords  = newWordSet([]string{"set_config", "temp", "temporary", "pg_temp"})
	unsettlingStarts = map[string]Unsettling{
		"reset": Unsettle, "discard": Unsettle, "drop": Unsettle, "alter": Unsettle, "call": Unsettle, "do": Unsettle, "create": Unsettle,
		"rollback": Restores, "abort": Restores,
	}
)

// Unsettles judges a text by its bytes and, where those are suspicious, by its tokens, without parsing it; it errs on the side of Unsettle.
func Unsettles(sql string) Unsettling {
	if unsettlingWords.in(sql) && unsettlesInside(sql) {
		return Unsettle
	}
	worst := Settled
	for rest := sql; ; {
		rest = rest[skipSpace(rest):]
		n := identLen(rest)
		if n > 0 && n <= len("rollback") {
			word := lower(rest[:n])
			if word == "set" {
				worst = max(worst, setUnsettles(rest[n:]))
			} else {
				worst = max(worst, unsettlingStarts[word])
			}
		}
		i := strings.IndexByte(rest, ';') // in a string, too: that errs on the safe side
		if i < 0 {
			return worst
		}
		rest = rest[i+1:]
	}
}

// Unsettles is Unsettles for one statement, but for a DROP that names no migrating table: what it drops is nothing that a migrating table's name
// can mean, nor is it known to the catalog as anything else.
func (s *State) Unsettles(sql string) Unsettling {
	rest := sql[skipSpace(sql):]
	if n := identLen(rest); n == len("drop") && equalFold(rest[:n], "drop") && !s.Mentions(sql) {
		rest = rest[n:]
		rest = rest[skipSpace(rest):]
		switch lower(rest[:min(identLen(rest), 8)]) {
		case "table", "index", "view", "sequence", "function", "trigger":
			return Settled
		}
	}
	return Unsettles(sql)
}

// MentionsTemp says whether the text may name one of the session's temporary relations.
func (set *Settings) MentionsTemp(sql string) bool { return MentionsAny(set.Temp, sql) }

// MentionsAny says whether the text may name a relation of one of the names, as State.Mentions does for the migrating ones.
func MentionsAny(names []string, sql string) bool {
	return len(names) > 0 && (newWordSet(names).in(sql) || strings.Contains(sql, `U&"`) || strings.Contains(sql, `u&"`))
}

// unsettlesInside looks for a call of set_config and for SELECT INTO a temporary table, outside of strings and comments.
func unsettlesInside(sql string) bool {
	toks, ok, _ := lex(sql)
	if !ok {
		return true
	}
	for i, t := range toks {
		if t.kind > tokUQuoted {
			continue
		}
		word := lower(strings.Trim(sql[t.start:t.end], `"`))
		switch {
		case t.kind == tokUQuoted, word == "set_config":
			return true
		case word == "temp", word == "temporary", strings.HasPrefix(word, "pg_temp"):
			if i > 0 && equalWord(lower(sql[toks[i-1].start:toks[i-1].end]), "into") {
				return true
			}
		}
	}
	return false
}

// setUnsettles judges what comes after SET: the parameters that settings come from, and SET [LOCAL | SESSION] ROLE, SET SESSION AUTHORIZATION,
// SET NAMES and SET SCHEMA.
func setUnsettles(rest string) Unsettling {
	for range 2 {
		rest = rest[skipSpace(rest):]
		n := identLen(rest)
		switch lower(rest[:min(n, len("standard_conforming_strings"))]) {
		case "local", "session":
			rest = rest[n:]
			continue
		case "search_path", "client_encoding", "standard_conforming_strings", "segue", "role", "authorization", "names", "schema", "": // "" is a quoted name, or nonsense
			return Unsettle
		}
		return Settled
	}
	return Unsettle
}

// skipSpace gives the length of the white space and comments that the text begins with.
func skipSpace(s string) int {
	i := 0
	for i < len(s) {
		switch c := s[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			i++
		case strings.HasPrefix(s[i:], "--"):
			n := strings.IndexAny(s[i:], "\r\n")
			if n < 0 {
				return len(s)
			}
			i += n
		case strings.HasPrefix(s[i:], "/*"):
			n := commentLen(s[i:])
			if n == 0 {
				return len(s)
			}
			i += n
		default:
			return i
		}
	}
	return i
}

// commentLen gives the length of the nested comment that s begins with; 0 where it does not end.
func commentLen(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch {
		case s[i] == '/' && s[i+1] == '*':
			depth++
			i++
		case s[i] == '*' && s[i+1] == '/':
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
