package oracle

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// EventKind is the kind of a server message that an application can see.
type EventKind byte

// The kinds, by the letter that the protocol gives them.
const (
	RowDescription       EventKind = 'T'
	DataRow              EventKind = 'D'
	CommandComplete      EventKind = 'C'
	EmptyQuery           EventKind = 'I'
	ErrorResponse        EventKind = 'E'
	NoticeResponse       EventKind = 'N'
	ReadyForQuery        EventKind = 'Z'
	ParseComplete        EventKind = '1'
	BindComplete         EventKind = '2'
	NoData               EventKind = 'n'
	ParameterDescription EventKind = 't'
	CopyOut              EventKind = 'H'
	OtherMessage         EventKind = '?'
)

// Field is a column of a RowDescription.
type Field struct {
	Name   string
	Table  uint32
	Num    int16
	Type   uint32
	Len    int16
	Mod    int32
	Format int16
}

// Event is one server message, decoded and owned by whoever holds it.
type Event struct {
	Kind   EventKind
	Fields []Field   // RowDescription
	Values []*string // DataRow; nil is NULL
	Text   string    // the tag, the message of an error or notice, the transaction status, or another message's Go type
	Code   string    // SQLSTATE
	Pos    int       // position of an error
	Types  []uint32  // ParameterDescription
}

// newEvent copies a message, which is the frontend's own until the next is received.
func newEvent(m pgproto3.BackendMessage) Event {
	switch m := m.(type) {
	case *pgproto3.RowDescription:
		e := Event{Kind: RowDescription}
		for _, f := range m.Fields {
			e.Fields = append(e.Fields, Field{
				Name: string(f.Name), Table: f.TableOID, Num: int16(f.TableAttributeNumber), Type: f.DataTypeOID,
				Len: f.DataTypeSize, Mod: f.TypeModifier, Format: f.Format,
			})
		}
		return e
	case *pgproto3.DataRow:
		e := Event{Kind: DataRow}
		for _, v := range m.Values {
			if v == nil {
				e.Values = append(e.Values, nil)
				continue
			}
			s := string(v)
			e.Values = append(e.Values, &s)
		}
		return e
	case *pgproto3.CommandComplete:
		return Event{Kind: CommandComplete, Text: string(m.CommandTag)}
	case *pgproto3.EmptyQueryResponse:
		return Event{Kind: EmptyQuery}
	case *pgproto3.CopyOutResponse:
		return Event{Kind: CopyOut, Text: fmt.Sprint(m.OverallFormat, len(m.ColumnFormatCodes))}
	case *pgproto3.CopyData: // a row is a row
		row := string(m.Data)
		return Event{Kind: DataRow, Values: []*string{&row}}
	case *pgproto3.ErrorResponse:
		return Event{Kind: ErrorResponse, Code: m.Code, Text: m.Message, Pos: int(m.Position)}
	case *pgproto3.NoticeResponse:
		return Event{Kind: NoticeResponse, Code: m.Code, Text: m.Message}
	case *pgproto3.ReadyForQuery:
		return Event{Kind: ReadyForQuery, Text: string(m.TxStatus)}
	case *pgproto3.ParseComplete:
		return Event{Kind: ParseComplete}
	case *pgproto3.BindComplete:
		return Event{Kind: BindComplete}
	case *pgproto3.NoData:
		return Event{Kind: NoData}
	case *pgproto3.ParameterDescription:
		return Event{Kind: ParameterDescription, Types: slices.Clone(m.ParameterOIDs)}
	default:
		return Event{Kind: OtherMessage, Text: fmt.Sprintf("%T", m)}
	}
}

// Origins names the columns of a database's tables, for the origin that a RowDescription gives; nil where it does not matter.
type Origins struct {
	names   map[origin]string // "users.name"; a whole row's number is 0
	types   map[uint32]string // the types that are not PostgreSQL's own
	logical map[string]string // columns that count as another one: the migrating column's other name
	any     bool              // no origin counts
	rows    bool              // nor the type of a whole row
}

type origin struct {
	table uint32
	num   int16
}

func (o *Origins) of(f Field) string {
	if o == nil || o.any {
		return "any"
	}
	if f.Table == 0 && f.Num == 0 {
		return "-"
	}
	n, ok := o.names[origin{f.Table, f.Num}]
	if !ok {
		return fmt.Sprintf("unknown(%d,%d)", f.Table, f.Num)
	}
	if l, ok := o.logical[n]; ok {
		return l
	}
	return n
}

// typeOf writes a type's OID so that it is the same in every database.
func (o *Origins) typeOf(oid uint32) string {
	if o == nil {
		return fmt.Sprint(oid)
	}
	const record = 2249
	if _, own := o.types[oid]; o.rows && (own || oid == record) {
		return "row"
	}
	if n, ok := o.types[oid]; ok {
		return n
	}
	return fmt.Sprint(oid)
}

// lines writes an outcome as text, a line a message, so that two of them can be compared and shown. norm makes alike what the two
// databases rightly call by different names in messages.
func lines(events []Event, o *Origins, norm func(code, text string) string) []string {
	var out []string
	for _, e := range events {
		var b strings.Builder
		b.WriteByte(byte(e.Kind))
		switch e.Kind {
		case RowDescription:
			for _, f := range e.Fields {
				fmt.Fprintf(&b, " %s:%s(%d,%d)/%d@%s", f.Name, o.typeOf(f.Type), f.Mod, f.Len, f.Format, o.of(f))
			}
		case DataRow:
			for _, v := range e.Values {
				b.WriteByte(' ')
				b.WriteString(show(v))
			}
		case ErrorResponse:
			fmt.Fprintf(&b, " %s at %d: %s", e.Code, e.Pos, norm(e.Code, e.Text))
		case NoticeResponse:
			fmt.Fprintf(&b, " %s: %s", e.Code, norm(e.Code, e.Text))
		case ParameterDescription:
			for _, t := range e.Types {
				b.WriteByte(' ')
				b.WriteString(o.typeOf(t))
			}
		case CommandComplete, ReadyForQuery, CopyOut, OtherMessage:
			b.WriteByte(' ')
			b.WriteString(e.Text)
		case EmptyQuery, ParseComplete, BindComplete, NoData:
		}
		out = append(out, b.String())
	}
	return out
}

var orderBy = regexp.MustCompile(`(?i)\border\s+by\b`)

// unordered sorts each run of rows, for results whose order SQL leaves open.
func unordered(lines []string) []string {
	lines = slices.Clone(lines)
	for i := 0; i < len(lines); {
		j := i
		for j < len(lines) && lines[j][0] == byte(DataRow) {
			j++
		}
		slices.Sort(lines[i:j])
		i = j + 1
	}
	return lines
}

// anyError leaves of an error of class 42 only that there is one.
func anyError(events []Event) []Event {
	out := slices.Clone(events)
	for i, e := range out {
		if e.Kind == ErrorResponse && strings.HasPrefix(e.Code, "42") {
			out[i] = Event{Kind: ErrorResponse, Code: "42xxx"}
		}
	}
	return out
}

// withoutRows drops the rows, for results that may differ.
func withoutRows(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l[0] == byte(DataRow) })
}

// diff shows two outcomes where they differ; "" where they do not.
func diff(want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	var b strings.Builder
	i, j := 0, 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	for j < len(want)-i && j < len(got)-i && want[len(want)-1-j] == got[len(got)-1-j] {
		j++
	}
	part := func(name string, ls []string) {
		for k, l := range ls {
			if k == 8 {
				fmt.Fprintf(&b, "  %s ... %d more\n", name, len(ls)-k)
				break
			}
			fmt.Fprintf(&b, "  %s %s\n", name, l)
		}
		if len(ls) == 0 {
			fmt.Fprintf(&b, "  %s (nothing)\n", name)
		}
	}
	part("want", want[i:len(want)-j])
	part("got ", got[i:len(got)-j])
	return b.String()
}
