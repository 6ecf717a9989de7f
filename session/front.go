package session

import (
	"strings"
	"unicode/utf8"

	"segue/rewrite"
)

// A Query of several statements whose first one ends a failed transaction goes in two parts, where the rest must be planned: before the end the server answers no
// question about the settings, and prepares nothing. It is the same to the server, for which the end ends the implicit transaction of the message, too. The client does not see the
// ReadyForQuery between them.

// front is how far such a Query has been sent.
type front struct {
	sent    int  // bytes of its text; 0: it is no such Query
	running bool // its outcome is not known
	failed  bool // the rest is not for the server
}

// frontOf gives the length of the statement, with its semicolon, that goes before the rest of the text; 0 where there is no reason for that. Where what may end the
// transaction is not in front, it is not reached, and e says so.
func (s *Session) frontOf(text string, e *effect) int {
	if s.tx != 'E' || !e.ends || s.ending || s.pipeline || s.unsure || s.queue.n > 0 || !s.mentions(text) && len(e.acts) == 0 || !several(text) {
		return 0
	}
	backslash := s.scs == "off"
	start := 0
	for i := 0; i < len(text); i += lexeme(text, i, backslash) {
		if text[i] != ';' {
			continue
		}
		word := text[start+blank(text[start:i]) : i]
		if word == "" { // an empty statement
			start = i + 1
			continue
		}
		ends := kindOf(word[:wordLen(word)]) == endsTransaction
		s.long()
		parses, known := rewrite.Parses(text)
		if !ends || known && !parses && s.major >= 14 && s.major <= 16 { // whose grammar is the parser's or a part of it: the server carries out none of it
			e.ends = false
			return 0
		}
		if !parses {
			return 0
		}
		return i + 1
	}
	return 0
}

// sendFront sends the first n bytes of a Query's text.
func (s *Session) sendFront(text string, n int) {
	e := s.sendQuery(text[:n])
	e.part = true
	s.unsettle(effect{ends: true})
	s.front = front{sent: n, running: true}
	s.probe.refusal = nil // of a question that met the failed transaction
	s.await(forFront)
}

// behind gives the rest of a text with spaces before it, so that positions in it are those in all of the text.
func behind(text string, n int) string {
	size := n
	if utf8.ValidString(text[:n]) {
		size = utf8.RuneCountInString(text[:n])
	}
	return strings.Repeat(" ", size) + text[n:]
}
