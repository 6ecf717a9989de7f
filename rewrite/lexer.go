package rewrite

import "strings"

// tokenKind is what a token is, as far as rewriting needs to know.
type tokenKind uint8

const (
	tokIdent   tokenKind = iota // unquoted identifier or key word
	tokQuoted                   // "..."
	tokUQuoted                  // U&"..."
	tokString                   // any string constant, dollar-quoted ones too
	tokNumber
	tokParam // $1
	tokOp    // operator, :: := => .. included
	tokPunct // one of ( ) [ ] , ; . :
)

// token is one token of a text; start and end are byte offsets.
type token struct {
	kind       tokenKind
	start, end int
}

// lex splits a text into tokens as PostgreSQL's scanner does while standard_conforming_strings is on; white space and comments lie between
// tokens. ok is false where a string, a quoted identifier or a comment does not end: PostgreSQL will say so.
//
// odd says that the text has something that PostgreSQL reads well but the parser of pg_query does not: a string that goes on behind a comment,
// or a vertical tab between tokens, which is white space from 16 on.
func lex(s string) (toks []token, ok, odd bool) {
	return lexInto(make([]token, 0, len(s)/5+4), s)
}

// lexInto is lex that appends to a slice of the caller's.
func lexInto(toks []token, s string) (_ []token, ok, odd bool) {
	i := 0
	for i < len(s) {
		c := s[i]
		start := i
		kind := tokPunct
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			odd = odd || c == '\v'
			i++
			continue
		case c == '-' && strings.HasPrefix(s[i:], "--"), c == '/' && strings.HasPrefix(s[i:], "/*"):
			n := skipSpace(s[i:])
			odd = odd || strings.ContainsRune(s[i:i+n], '\v')
			if c == '/' && commentLen(s[i:]) == 0 {
				return toks, false, odd
			}
			i += n
			continue
		case c == '\'':
			kind, i = tokString, stringEnd(s, i, plainString, &odd)
		case (c == 'e' || c == 'E') && next(s, i+1) == '\'':
			kind, i = tokString, stringEnd(s, i+1, escapeString, &odd)
		case (c == 'b' || c == 'B' || c == 'x' || c == 'X') && next(s, i+1) == '\'':
			kind, i = tokString, stringEnd(s, i+1, bitString, &odd)
		case (c == 'u' || c == 'U') && next(s, i+1) == '&' && next(s, i+2) == '\'':
			kind, i = tokString, stringEnd(s, i+2, plainString, &odd)
		case (c == 'u' || c == 'U') && next(s, i+1) == '&' && next(s, i+2) == '"':
			kind, i = tokUQuoted, quotedEnd(s, i+2)
		case c == '"':
			kind, i = tokQuoted, quotedEnd(s, i)
		case c == '$':
			kind, i = dollar(s, i)
		case isIdentStart(c):
			kind = tokIdent
			for i < len(s) && isIdentByte(s[i]) {
				i++
			}
		case c >= '0' && c <= '9' || c == '.' && isDigit(next(s, i+1)):
			kind, i = tokNumber, numberEnd(s, i)
		case c == ':' && (next(s, i+1) == ':' || next(s, i+1) == '='), c == '.' && next(s, i+1) == '.':
			kind, i = tokOp, i+2
		case isOpByte(c):
			kind, i = tokOp, opEnd(s, i)
		default:
			i++
		}
		if i < 0 {
			return toks, false, odd
		}
		toks = append(toks, token{kind, start, i})
	}
	return toks, true, odd
}

func next(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

// stringKind is how a string constant is read up to its end.
type stringKind uint8

const (
	plainString  stringKind = iota // '' is a quote
	escapeString                   // and a backslash escapes
	bitString                      // B'' and X'': neither
)

// stringEnd gives the end of the string whose opening quote is at i, with its continuations over new lines; -1 where it does not end.
func stringEnd(s string, i int, kind stringKind, odd *bool) int {
	for {
		i++
		for {
			if i >= len(s) {
				return -1
			}
			if s[i] == '\'' {
				if kind != bitString && next(s, i+1) == '\'' {
					i += 2
					continue
				}
				i++
				break
			}
			if kind == escapeString && s[i] == '\\' {
				i++
			}
			i++
		}
		// A string goes on in another one where only white space with a new line is between them.
		gap := skipSpace(s[i:])
		if next(s, i+gap) != '\'' || !strings.ContainsAny(s[i:i+gap], "\n\r") || strings.Contains(s[i:i+gap], "/*") {
			return i
		}
		*odd = *odd || strings.Contains(s[i:i+gap], "--")
		i += gap
	}
}

func quotedEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		if s[i] == '"' {
			if next(s, i+1) == '"' {
				i++
				continue
			}
			return i + 1
		}
	}
	return -1
}

// dollar reads a parameter or a dollar-quoted string.
func dollar(s string, i int) (tokenKind, int) {
	j := i + 1
	if isDigit(next(s, j)) {
		for isDigit(next(s, j)) {
			j++
		}
		return tokParam, j
	}
	if isIdentStart(next(s, j)) {
		for j < len(s) && isIdentByte(s[j]) && s[j] != '$' {
			j++
		}
	}
	if next(s, j) != '$' {
		return tokPunct, i + 1
	}
	tag := s[i : j+1]
	n := strings.Index(s[j+1:], tag)
	if n < 0 {
		return tokString, -1
	}
	return tokString, j + 1 + n + len(tag)
}

func numberEnd(s string, i int) int {
	if s[i] == '0' {
		var valid string
		switch next(s, i+1) | 0x20 {
		case 'x':
			valid = "0123456789abcdefABCDEF"
		case 'o':
			valid = "01234567"
		case 'b':
			valid = "01"
		}
		j := i + 2
		isDigit := func(j int) bool { return j < len(s) && strings.IndexByte(valid, s[j]) >= 0 }
		for isDigit(j) || next(s, j) == '_' && isDigit(j+1) {
			j++
		}
		if valid != "" && j > i+2 {
			return j
		}
	}
	digits := func(i int) int {
		for isDigit(next(s, i)) || next(s, i) == '_' && isDigit(next(s, i+1)) {
			i++
		}
		return i
	}
	i = digits(i)
	if next(s, i) == '.' && next(s, i+1) != '.' {
		i = digits(i + 1)
	}
	if next(s, i)|0x20 == 'e' {
		j := i + 1
		if c := next(s, j); c == '+' || c == '-' {
			j++
		}
		if isDigit(next(s, j)) {
			i = digits(j)
		}
	}
	return i
}

const opBytes = "~!@#^&|`?+-*/%<>="

func isOpByte(c byte) bool { return strings.IndexByte(opBytes, c) >= 0 }

// opEnd follows the scanner's rules: an operator ends before a comment, and gives back trailing + and - unless it has a character
// that standard SQL's operators have not.
func opEnd(s string, i int) int {
	j := i
	for j < len(s) && isOpByte(s[j]) {
		if j > i && (strings.HasPrefix(s[j:], "--") || strings.HasPrefix(s[j:], "/*")) {
			break
		}
		j++
	}
	if !strings.ContainsAny(s[i:j], "~!@#^&|`?%") {
		for j > i+1 && (s[j-1] == '+' || s[j-1] == '-') {
			j--
		}
	}
	return j
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isIdentStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
