package session

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"segue/rewrite"
)

// poison is a text that no server accepts, in whatever state: it names a column where there are none. It goes to the server in the
// place of a refused statement, so that the server does what it does for any statement that fails (it aborts the transaction, skips the rest of
// a pipeline), and its error is then replaced by the refusal. poisonCode is the error's SQLSTATE, undefined_column; any other
// error, such as 25P02 in an aborted transaction, is the server's own word and passes.
const (
	poison     = `SELECT "` + poisonColumn + `"`
	poisonCode = "42703"
	// poisonColumn is in the error's message, in whatever language.
	poisonColumn = "segue refuses the statement"
	poisonName   = "segue refusal" // the statement's name where the client's own must not be touched
)

// FatalError is a violation of the protocol that ended the session. The other side has been told; both connections are to be closed
// after what is left for the client has been written.
type FatalError struct {
	Code    string // SQLSTATE
	Message string
}

// Error is the message with its SQLSTATE.
func (e *FatalError) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

// violation ends the session, and tells the client.
func (s *Session) violation(code, format string, args ...any) error {
	return s.fail(code, fmt.Sprintf(format, args...), "")
}

func (s *Session) fail(code, message, hint string) error {
	s.Fail(code, message, hint)
	s.err = &FatalError{Code: code, Message: message}
	return s.err
}

// fatal adds an ErrorResponse that ends the session.
func (o *output) fatal(code, message, hint string) {
	at := o.begin('E')
	o.field('S', "FATAL")
	o.field('V', "FATAL")
	o.field('C', code)
	o.field('M', message)
	o.field('H', hint)
	o.buf = append(o.buf, 0)
	o.end(at)
}

// field adds a field of an ErrorResponse where it has a value.
func (o *output) field(code byte, value string) {
	if value != "" {
		o.buf = append(o.buf, code)
		o.text(value)
	}
}

// errorField finds a field in the body of an ErrorResponse; nil where it has none.
func errorField(body []byte, code byte) []byte {
	for len(body) > 1 && body[0] != 0 {
		value, rest, ok := cut(body[1:])
		if !ok {
			return nil
		}
		if body[0] == code {
			return value
		}
		body = rest
	}
	return nil
}

// endsSession says whether an ErrorResponse is FATAL or PANIC. The field V is never translated; servers before 9.6 have S only.
func endsSession(body []byte) bool {
	v := errorField(body, 'V')
	if v == nil {
		v = errorField(body, 'S')
	}
	return bytes.Equal(v, []byte("FATAL")) || bytes.Equal(v, []byte("PANIC"))
}

// passError gives the client an ErrorResponse as the entry's statement needs it: replaced by the refusal, or with its position in the
// client's text, or as it came.
func (s *Session) passError(e *entry, m []byte) {
	body := m[headerLen:]
	if e.refusal != nil && (e.always || view(errorField(body, 'C')) == poisonCode && bytes.Contains(errorField(body, 'M'), []byte(poisonColumn))) {
		s.passRefusal(e.refusal, body)
		e.refusal = nil
		return
	}
	s.passFields('E', e, m)
}

// foreign says whether errors and notices of an entry may be about a text or columns that are not the client's.
func (e *entry) foreign() bool {
	return e.shift != 0 || e.plan != nil && (e.plan.Foreign() || len(e.plan.Copies) > 0) || len(e.executed) > 0
}

// passFields gives the client an ErrorResponse or a NoticeResponse with its position in the client's text and with the client's names.
func (s *Session) passFields(typ byte, e *entry, m []byte) {
	if e == nil || !e.foreign() {
		s.toClient.add(m)
		return
	}
	body := m[headerLen:]
	column, name := "", ""
	if e.plan != nil {
		column, name = clientName(e.plan, body)
	}
	for _, x := range e.executed {
		if x.statement == e.statement && name == "" {
			column, name = clientName(x.plan, body)
		}
	}
	c := s.copyError(e, body)
	at := s.toClient.begin(typ)
	for len(body) > 1 && body[0] != 0 {
		value, rest, ok := cut(body[1:])
		if !ok {
			break
		}
		code := body[0]
		body = rest
		if c != nil {
			if v, changed := c.field(code, view(value)); changed {
				s.toClient.field(code, v)
				continue
			}
		}
		switch {
		case name != "" && code == 'c':
			s.toClient.field(code, name)
			continue
		case name != "" && code == 'M':
			s.toClient.field(code, strings.Replace(view(value), `"`+column+`"`, `"`+name+`"`, 1))
			continue
		case code == 'H' && tellsHidden(e, view(value)):
			continue
		case code == 'D':
			s.toClient.field(code, clientDetail(e, m[headerLen:], string(value)))
			continue
		case code != 'P':
			s.toClient.field(code, view(value))
			continue
		}
		if n := s.position(e, value); n > 0 {
			s.toClient.field('P', strconv.Itoa(n))
		}
	}
	if c != nil && !c.told {
		s.toClient.field('W', c.context)
	}
	s.toClient.buf = append(s.toClient.buf, 0)
	s.toClient.end(at)
}

// clientName gives the column that an error names by the other side's name, and what the client's code calls it. Errors say which column they
// are about in fields of their own (23502), or in their message alone (42804).
func clientName(p *rewrite.Plan, body []byte) (column, name string) {
	table := string(errorField(body, 't'))
	if c := string(errorField(body, 'c')); c != "" {
		if n := p.ClientName(table, c); n != c {
			return c, n
		}
		return "", ""
	}
	if view(errorField(body, 'C')) != "42804" {
		return "", ""
	}
	message := string(errorField(body, 'M'))
	p.ClientNames(func(_, c, n string) {
		if strings.Contains(message, `"`+c+`"`) {
			column, name = c, n
		}
	})
	return column, name
}

// tellsHidden says whether a hint proposes a column that the client's code does not know ("Perhaps you meant to reference the column "users.name".").
func tellsHidden(e *entry, hint string) (found bool) {
	if e.plan == nil {
		return false
	}
	e.plan.ClientNames(func(_, column, _ string) { found = found || strings.Contains(hint, "."+column+`"`) })
	return found
}

// clientDetail gives the detail of an error about a row, or about a key, as the client's code knows it.
func clientDetail(e *entry, body []byte, detail string) string {
	client := (*rewrite.Plan).ClientRow
	switch view(errorField(body, 'C')) {
	case "23502", "23514":
	case "23503", "23505":
		client = (*rewrite.Plan).ClientKey
	default:
		return detail
	}
	table := string(errorField(body, 't'))
	if e.plan != nil {
		detail = client(e.plan, table, detail)
	}
	for _, x := range e.executed {
		if x.statement == e.statement {
			return client(x.plan, table, detail)
		}
	}
	return detail
}

// passRefusal gives the client a refusal in the place of the server's error, whose severity it keeps, since that is in the language of the
// session's lc_messages.
func (s *Session) passRefusal(r *rewrite.Refusal, body []byte) {
	at := s.toClient.begin('E')
	s.toClient.field('S', view(errorField(body, 'S')))
	s.toClient.field('V', view(errorField(body, 'V')))
	s.toClient.field('C', r.Code)
	s.toClient.field('M', r.Message)
	s.toClient.field('D', r.Detail)
	s.toClient.field('H', r.Hint)
	if r.Position > 0 {
		s.toClient.field('P', strconv.Itoa(r.Position))
	}
	s.toClient.buf = append(s.toClient.buf, 0)
	s.toClient.end(at)
}

// position finds a position of the server's in the client's text; 0 where it is none.
func (s *Session) position(e *entry, value []byte) int {
	n, err := strconv.Atoi(view(value))
	if err != nil {
		return 0
	}
	n -= e.shift
	if e.kind != 'Q' && stagedCopy(e.plan) != nil {
		_, before := e.plan.ExtendedText()
		n += before
	}
	plan := e.plan
	for _, x := range e.executed {
		if x.bare && x.statement == e.statement {
			plan = x.plan
		}
	}
	if n > 0 && plan != nil && plan.Kind == rewrite.Rewrite {
		n = s.planner.position(plan, n)
	}
	return max(n, 0)
}

// serverRefusal makes a refusal of an error that the server gave to a message of the session's own, that of entry e.
func (s *Session) serverRefusal(e *entry, body []byte) *rewrite.Refusal {
	return &rewrite.Refusal{
		Code: string(errorField(body, 'C')), Message: string(errorField(body, 'M')),
		Detail: string(errorField(body, 'D')), Hint: string(errorField(body, 'H')), Position: s.position(e, errorField(body, 'P')),
	}
}

func refuseLarge(what string, size, limit int) *rewrite.Refusal {
	return &rewrite.Refusal{
		Code:    "54000",
		Message: fmt.Sprintf("%s of %d bytes is more than the proxy holds (%d bytes)", what, size, limit),
		Hint:    "Send values as parameters or by COPY, which are streamed.",
	}
}

// refuseTexts refuses a statement that the session could not remember.
func refuseTexts(limit int) *rewrite.Refusal {
	return &rewrite.Refusal{
		Code:    "54000",
		Message: fmt.Sprintf("the prepared statements of this session have more than %d bytes of text", limit),
		Hint:    "Close prepared statements that are not used any more, or DEALLOCATE ALL.",
	}
}

// refuseExpired refuses what the gate held for too long.
func refuseExpired() *rewrite.Refusal {
	return &rewrite.Refusal{
		Code:    "57P03",
		Message: "the proxy has lost its place among the proxies, so it cannot tell which columns this statement may use",
		Detail:  "The statement was not run.",
		Hint:    "Try again. If this lasts, see that the proxy reaches the database over its control connection: segue status.",
	}
}

// refuseCancelled refuses what the client has cancelled while the gate held it.
func refuseCancelled() *rewrite.Refusal {
	return &rewrite.Refusal{Code: "57014", Message: "canceling statement due to user request", Detail: "The proxy held the statement, which was not run."}
}

// refuseEnding refuses a text that may end a failed transaction and then runs what cannot be prepared before that.
func refuseEnding() *rewrite.Refusal {
	return &rewrite.Refusal{
		Code:    "0A000",
		Message: "this message may end a failed transaction, and executes a prepared statement on a migrating table",
		Hint:    "Send the statements in messages of their own.",
	}
}

// refuseDeep refuses what cannot be followed.
func refuseDeep() *rewrite.Refusal {
	return &rewrite.Refusal{
		Code:    "54001",
		Message: fmt.Sprintf("prepared statements that EXECUTE others are nested deeper than %d levels", maxExecutes),
		Hint:    "EXECUTE the innermost one itself.",
	}
}

// refuseTogether refuses a text whose first part may change what its second part means.
func refuseTogether() *rewrite.Refusal {
	return &rewrite.Refusal{
		Code:    "0A000",
		Message: "segue: this message sets what names are resolved by, or may set it, and uses a migrating table",
		Hint:    "Send the statements in messages of their own.",
	}
}
