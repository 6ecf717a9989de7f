package session

import (
	"strings"

	"segue/rewrite"
)

// effect is what running a text does to what the session knows.
type effect struct {
	unsettles rewrite.Unsettling
	ends      bool // may end a transaction, or go back to a savepoint
	drops     []drop
}

// drop is one statement that drops prepared statements, as its command tag will confirm.
type drop struct {
	name string // the prepared statement; all where it is ""
}

// none says that running the text does nothing to what the session knows.
func (e *effect) none() bool { return e.unsettles == rewrite.Settled && !e.ends && len(e.drops) == 0 }

// effectOf judges a text by its bytes. Where it errs, it errs on the side of an effect, but for drops, which are exact: statements at the top
// level of the text.
func effectOf(sql string) effect {
	e := effect{unsettles: rewrite.Unsettles(sql)}
	dropping := false
	for rest := sql; ; {
		rest = rest[blank(rest):]
		if n := wordLen(rest); n > 0 {
			switch kindOf(rest[:n]) {
			case endsTransaction, mayEnd:
				e.ends = true
			case dropsStatements:
				dropping = true
			case otherWord, runsNothing:
			}
		}
		i := strings.IndexByte(rest, ';') // one in a string or a comment too
		if i < 0 {
			break
		}
		rest = rest[i+1:]
	}
	if dropping {
		for _, st := range split(sql, false) {
			if d, ok := dropOf(st); ok {
				e.drops = append(e.drops, d)
			}
		}
	}
	return e
}

type wordKind int

const (
	otherWord wordKind = iota
	runsNothing
	endsTransaction
	mayEnd // PREPARE TRANSACTION, or PREPARE of a statement
	dropsStatements
)

// kinds are the first words of statements that matter to a session. But for PREPARE, none of these statements reads or writes a column.
var kinds = map[string]wordKind{
	"begin": runsNothing, "start": runsNothing, "savepoint": runsNothing, "lock": runsNothing, "set": runsNothing, "reset": runsNothing,
	"show": runsNothing, "listen": runsNothing, "unlisten": runsNothing, "notify": runsNothing, "checkpoint": runsNothing,
	"release": runsNothing,
	"commit":  endsTransaction, "end": endsTransaction, "rollback": endsTransaction, "abort": endsTransaction,
	"prepare":    mayEnd,
	"deallocate": dropsStatements, "discard": dropsStatements,
}

// kindOf is the kind of a statement's first word. It allocates nothing, as it is asked for every statement.
func kindOf(word string) wordKind {
	var b [len("deallocate")]byte
	if len(word) > len(b) {
		return otherWord
	}
	for i := range len(word) {
		b[i] = word[i]
		if c := word[i]; c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return kinds[string(b[:len(word)])]
}

// inert says whether a text is one statement that can name a table but no column, so that it passes as it came whatever it mentions. It must
// not be held up by a look at the settings either: that query would fail in an aborted transaction, which a ROLLBACK with a comment
// must be able to end, and it would take the transaction's snapshot before a LOCK or a SET TRANSACTION.
func inert(sql string) bool {
	rest := sql[blank(sql):]
	n := wordLen(rest)
	k := kindOf(rest[:n])
	return k != otherWord && k != mayEnd && !several(sql)
}

// several says whether a text may have more than one statement.
func several(sql string) bool {
	if strings.IndexByte(sql, ';') < 0 {
		return false
	}
	return len(split(sql, false)) > 1 || strings.IndexByte(sql, '\\') >= 0 && len(split(sql, true)) > 1
}

// dropOf reads DEALLOCATE [PREPARE] name, DEALLOCATE [PREPARE] ALL and DISCARD ALL.
func dropOf(st string) (drop, bool) {
	word, rest := nextWord(st)
	switch word {
	case "deallocate":
		name, after := nextWord(rest)
		if name == "prepare" {
			if next, _ := nextWord(after); next != "" {
				name = next
			}
		}
		if name == "all" {
			return drop{}, true
		}
		return drop{name: strings.TrimPrefix(name, `"`)}, name != ""
	case "discard":
		what, _ := nextWord(rest)
		return drop{}, what == "all"
	}
	return drop{}, false
}

// nextWord reads an identifier: unquoted ones are folded to lower case, quoted ones are given with a quote before them.
func nextWord(s string) (word, rest string) {
	s = s[blank(s):]
	if strings.HasPrefix(s, `"`) {
		n := quotedLen(s, '"', false)
		if n < 2 {
			return "", ""
		}
		return `"` + strings.ReplaceAll(s[1:n-1], `""`, `"`), s[n:]
	}
	n := wordLen(s)
	return fold(s[:n]), s[n:]
}

// split gives the statements of a text, those that are more than white space and comments. backslash says that standard_conforming_strings is
// off.
func split(sql string, backslash bool) []string {
	var out []string
	start := 0
	end := func(i int) {
		if st := sql[start:i]; blank(st) < len(st) {
			out = append(out, st)
		}
		start = i + 1
	}
	for i := 0; i < len(sql); {
		switch c := sql[i]; {
		case c == ';':
			end(i)
			i++
		case c == '\'':
			i += quotedLen(sql[i:], '\'', backslash || escapeString(sql[:i]))
		case c == '"':
			i += quotedLen(sql[i:], '"', false)
		case c == '$' && (i == 0 || !isWord(sql[i-1])):
			i += dollarLen(sql[i:])
		case c == '-' || c == '/':
			i += max(1, blank(sql[i:]))
		default:
			i++
		}
	}
	if start < len(sql) {
		end(len(sql))
	}
	return out
}

// escapeString says whether the text before a quote makes it E'...'.
func escapeString(before string) bool {
	n := len(before)
	return n > 0 && (before[n-1] == 'e' || before[n-1] == 'E') && (n == 1 || !isWord(before[n-2]))
}

// quotedLen gives the length of the quoted thing that s begins with, all of s where it does not end.
func quotedLen(s string, quote byte, backslash bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && backslash:
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// dollarLen gives the length of the dollar-quoted string that s begins with, 1 where it begins with none.
func dollarLen(s string) int {
	n := 1
	for n < len(s) && isWord(s[n]) && s[n] != '$' {
		n++
	}
	if n == len(s) || s[n] != '$' || n > 1 && s[1] >= '0' && s[1] <= '9' {
		return 1
	}
	tag := s[:n+1]
	end := strings.Index(s[n+1:], tag)
	if end < 0 {
		return len(s)
	}
	return n + 1 + end + len(tag)
}

// blank gives the length of the white space and comments that s begins with.
func blank(s string) int {
	i := 0
	for i < len(s) {
		switch {
		case isSpace(s[i]):
			i++
		case strings.HasPrefix(s[i:], "--"):
			n := strings.IndexAny(s[i:], "\r\n")
			if n < 0 {
				return len(s)
			}
			i += n
		case strings.HasPrefix(s[i:], "/*"):
			i += commentLen(s[i:])
		default:
			return i
		}
	}
	return i
}

// commentLen gives the length of the nested comment that s begins with, all of s where it does not end.
func commentLen(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

func wordLen(s string) int {
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return n
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// fold folds ASCII letters to lower case, as PostgreSQL folds identifiers in multi-byte encodings.
func fold(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
