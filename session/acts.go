package session

import (
	"strings"
	"unicode/utf8"

	"segue/rewrite"
)

// act is what one statement of a text does to a prepared statement by name.
type act struct {
	kind      actKind
	name      string // of the prepared statement; drops: all where it is ""
	text      string // makes: the statement's own text; all of it where it has one statement
	statement int    // its index in the text
	// rows says of runs that the rows are the prepared statement's: it is EXECUTE itself, and not EXPLAIN or CREATE TABLE AS around it.
	rows bool
	// bare says of runs that there are no arguments, so that an error's position can only be one in the prepared statement's text.
	bare bool
}

type actKind int

const (
	makes actKind = iota // PREPARE
	drops                // DEALLOCATE, DISCARD ALL
	runs                 // EXECUTE, also inside EXPLAIN and CREATE TABLE AS
)

// effect is what running a text does to what the session knows.
type effect struct {
	unsettles rewrite.Unsettling
	ends      bool  // may end a transaction, or go back to a savepoint
	acts      []act // in the order of the statements
}

// none says that running the text does nothing to what the session knows.
func (e *effect) none() bool { return e.unsettles == rewrite.Settled && !e.ends && len(e.acts) == 0 }

// with adds what else is done.
func (e *effect) with(o *effect) {
	e.unsettles, e.ends = max(e.unsettles, o.unsettles), e.ends || o.ends
}

// effectOf judges a text by its bytes. Where it errs, it errs on the side of an effect, but for acts, which are exact: statements at the top
// level of the text. backslash says that standard_conforming_strings is off.
func effectOf(sql string, backslash bool) effect {
	e := effect{unsettles: rewrite.Unsettles(sql)}
	acting := false
	for rest := sql; ; {
		rest = rest[blank(rest):]
		if n := wordLen(rest); n > 0 {
			switch kindOf(rest[:n]) {
			case endsTransaction:
				e.ends = true
			case prepares:
				if next, _ := nextWord(rest[n:]); next == "transaction" {
					e.ends = true
				}
				acting = true
			case dropsStatements, executes:
				acting = true
			case mayExecute:
				acting = acting || containsExecute(rest)
			case otherWord, runsNothing:
			}
		}
		i := strings.IndexByte(rest, ';') // one in a string or a comment too
		if i < 0 {
			break
		}
		rest = rest[i+1:]
	}
	if acting {
		parts := split(sql, backslash)
		for i, st := range parts {
			if len(parts) == 1 {
				st = sql
			}
			if a, ok := actOf(st, backslash); ok {
				a.statement = i
				e.acts = append(e.acts, a)
			}
		}
	}
	return e
}

// actOf reads PREPARE, EXECUTE, DEALLOCATE and DISCARD ALL. PREPARE TRANSACTION has a string where PREPARE has a name or what follows one.
func actOf(st string, backslash bool) (act, bool) {
	word, rest := nextWord(st)
	switch word {
	case "prepare":
		name, after, ok := identifier(rest)
		if next, _ := nextWord(after); !ok || name == "transaction" && next != "as" && !strings.HasPrefix(after[blank(after):], "(") {
			return act{}, false
		}
		return act{kind: makes, name: name, text: st}, true
	case "execute":
		name, after, ok := identifier(rest)
		return act{kind: runs, name: name, rows: true, bare: strings.Trim(after[blank(after):], "; \t\r\n") == ""}, ok
	case "explain", "create":
		name, ok := executeIn(rest, backslash, word == "create")
		return act{kind: runs, name: name}, ok
	case "deallocate":
		if w, after := nextWord(rest); w == "prepare" && blank(after) < len(after) {
			rest = after
		}
		if w, _ := nextWord(rest); w == "all" {
			return act{kind: drops}, true
		}
		name, _, ok := identifier(rest)
		return act{kind: drops, name: name}, ok
	case "discard":
		what, _ := nextWord(rest)
		return act{kind: drops}, what == "all"
	}
	return act{}, false
}

// executeIn finds the name behind the word EXECUTE in a text, outside of strings and comments; behind AS EXECUTE where as is set.
func executeIn(st string, backslash, as bool) (name string, ok bool) {
	before := !as
	for i := 0; i < len(st); {
		n := lexeme(st, i, backslash)
		word := st[i : i+n]
		if before && strings.EqualFold(word, "execute") {
			if name, _, ok := identifier(st[i+n:]); ok {
				return name, true
			}
		}
		if as && blank(word) == 0 {
			before = strings.EqualFold(word, "as")
		}
		i += n
	}
	return "", false
}

// containsExecute is a quick look, which finds the word also where it is no word.
func containsExecute(s string) bool {
	const word = "execute"
	for i := 0; i+len(word) <= len(s); i++ {
		if s[i]|0x20 == 'e' && strings.EqualFold(s[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// identifier reads a name as PostgreSQL does, cut to the length that it tells apart: x, "x" or U&"x" with its escapes.
func identifier(s string) (name, rest string, ok bool) {
	s = s[blank(s):]
	switch {
	case len(s) > 2 && s[0]|0x20 == 'u' && s[1] == '&' && s[2] == '"':
		name, rest, ok = unicodeIdentifier(s[2:])
	case strings.HasPrefix(s, `"`):
		n := quotedLen(s, '"', false)
		if n < 3 || s[n-1] != '"' {
			return "", "", false
		}
		name, rest, ok = strings.Clone(strings.ReplaceAll(s[1:n-1], `""`, `"`)), s[n:], true // names outlive the message
	default:
		n := wordLen(s)
		name, rest, ok = fold(s[:n]), s[n:], n > 0 && (s[0] < '0' || s[0] > '9') && s[0] != '$'
	}
	if len(name) > maxName {
		n := maxName
		for n > 0 && !utf8.RuneStart(name[n]) {
			n--
		}
		name = name[:n]
	}
	return name, rest, ok
}

// unicodeIdentifier reads what follows U& of an identifier: "d\0061t\+000061", and UESCAPE where there is one.
func unicodeIdentifier(s string) (name, rest string, ok bool) {
	n := quotedLen(s, '"', false)
	if n < 3 || s[n-1] != '"' {
		return "", "", false
	}
	body, rest, escape := strings.ReplaceAll(s[1:n-1], `""`, `"`), s[n:], byte('\\')
	if w, after := nextWord(rest); w == "uescape" {
		after = after[blank(after):]
		if len(after) < 3 || after[0] != '\'' || after[2] != '\'' {
			return "", "", false
		}
		escape, rest = after[1], after[3:]
	}
	var b strings.Builder
	for i := 0; i < len(body); i++ {
		if body[i] != escape {
			b.WriteByte(body[i])
			continue
		}
		if i+1 < len(body) && body[i+1] == escape {
			i++
			b.WriteByte(escape)
			continue
		}
		digits := body[i+1:]
		size := 4
		if strings.HasPrefix(digits, "+") {
			digits, size = digits[1:], 6
			i++
		}
		if len(digits) < size {
			return "", "", false
		}
		r, ok := hex(digits[:size])
		if !ok {
			return "", "", false
		}
		b.WriteRune(r)
		i += size
	}
	return b.String(), rest, true
}

func hex(digits string) (rune, bool) {
	r := rune(0)
	for _, c := range []byte(digits) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
