package migrate

import "strings"

// sqlToken is a piece of SQL as the server writes it.
type sqlToken struct {
	text string
	name string // of an identifier, without its quotes; "" for everything else
}

// lexSQL cuts SQL that the server wrote (an index's definition) into pieces, which together are the text again. The server writes no
// comments and no dollar quotes.
func lexSQL(s string) []sqlToken {
	var out []sqlToken
	for i := 0; i < len(s); {
		j := i + 1
		t := sqlToken{}
		switch c := s[i]; {
		case c == '"':
			j = quotedEnd(s, i, '"', false)
			t.name = strings.ReplaceAll(s[i+1:max(j-1, i+1)], `""`, `"`)
		case c == '\'':
			j = quotedEnd(s, i, '\'', i > 0 && (s[i-1] == 'E' || s[i-1] == 'e'))
		case identStart(c):
			for j < len(s) && (identStart(s[j]) || s[j] >= '0' && s[j] <= '9' || s[j] == '$') {
				j++
			}
			if j < len(s) && s[j] == '\'' && j == i+1 { // E'...' and its like
				break
			}
			t.name = s[i:j]
		case c >= '0' && c <= '9':
			for j < len(s) && (identStart(s[j]) || s[j] >= '0' && s[j] <= '9' || s[j] == '.') {
				j++
			}
		case c == ':' && j < len(s) && s[j] == ':':
			j++
		}
		t.text = s[i:j]
		out = append(out, t)
		i = j
	}
	return out
}

// quotedEnd gives the place after the quote that ends what begins at i.
func quotedEnd(s string, i int, quote byte, escapes bool) int {
	for j := i + 1; j < len(s); j++ {
		switch {
		case escapes && s[j] == '\\':
			j++
		case s[j] == quote:
			if j+1 < len(s) && s[j+1] == quote {
				j++
				continue
			}
			return j + 1
		}
	}
	return len(s)
}

func identStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// mentions says whether a text has the identifier as a word, quoted or not; it may also find it in a string or a comment.
func mentions(text, identifier string) bool {
	text, identifier = strings.ToLower(text), strings.ToLower(identifier)
	for i := 0; ; {
		j := strings.Index(text[i:], identifier)
		if j < 0 {
			return false
		}
		i += j
		end := i + len(identifier)
		if (i == 0 || !wordByte(text[i-1])) && (end == len(text) || !wordByte(text[end])) {
			return true
		}
		i++
	}
}

func wordByte(c byte) bool { return identStart(c) || c >= '0' && c <= '9' || c == '$' }
