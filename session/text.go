package session

import "strings"

type wordKind int

const (
	otherWord wordKind = iota
	runsNothing
	endsTransaction
	prepares // PREPARE of a statement, or PREPARE TRANSACTION
	dropsStatements
	executes
	mayExecute // EXPLAIN, CREATE TABLE AS
)

// kinds are the first words of statements that matter to a session.
var kinds = map[string]wordKind{
	"begin": runsNothing, "start": runsNothing, "savepoint": runsNothing, "lock": runsNothing, "set": runsNothing, "reset": runsNothing,
	"show": runsNothing, "listen": runsNothing, "unlisten": runsNothing, "notify": runsNothing, "checkpoint": runsNothing,
	"release": runsNothing,
	"commit":  endsTransaction, "end": endsTransaction, "rollback": endsTransaction, "abort": endsTransaction,
	"prepare":    prepares,
	"deallocate": dropsStatements, "discard": dropsStatements,
	"execute": executes, "explain": mayExecute, "create": mayExecute,
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
	switch kindOf(rest[:n]) {
	case runsNothing, endsTransaction, dropsStatements:
		return !several(sql)
	case otherWord, prepares, executes, mayExecute:
	}
	return false
}

// replicates says whether a walsender takes a text for a command of its own, which it tells by the first word. What a slot or a publication is called is no table.
func replicates(sql string) bool {
	word, _ := nextWord(sql)
	switch word {
	case "identify_system", "read_replication_slot", "create_replication_slot", "alter_replication_slot", "drop_replication_slot", "start_replication", "timeline_history",
		"base_backup", "upload_manifest":
		return true
	}
	return false
}

// several says whether a text may have more than one statement.
func several(sql string) bool {
	if strings.IndexByte(sql, ';') < 0 {
		return false
	}
	return len(split(sql, false)) > 1 || strings.IndexByte(sql, '\\') >= 0 && len(split(sql, true)) > 1
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
		if sql[i] == ';' {
			end(i)
		}
		i += lexeme(sql, i, backslash)
	}
	if start < len(sql) {
		end(len(sql))
	}
	return out
}

// lexeme gives the length of what begins at i and must not be looked into: a word, a quoted thing, a comment, or one byte.
func lexeme(s string, i int, backslash bool) int {
	switch c := s[i]; {
	case c == '\'':
		return quotedLen(s[i:], '\'', backslash || escapeString(s[:i]))
	case c == '"':
		return quotedLen(s[i:], '"', false)
	case c == '$':
		return dollarLen(s[i:])
	case c == '-' || c == '/':
		return max(1, blank(s[i:]))
	case isWord(c):
		return wordLen(s[i:])
	}
	return 1
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
