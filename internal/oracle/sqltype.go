package oracle

// family groups the types that the same functions and operators are for.
type family int

const (
	texts family = iota
	ints
	numbers
	bools
	dates
	times
	zoned
	uuids
	jsons
	blobs
	textLists
	intLists
)

// sqlType is a type that generated columns have.
type sqlType struct {
	SQL    string
	family family
	oid    uint32
	words  []string // values in text, none of which overflows when two of them are added or multiplied
}

var (
	typeText     = &sqlType{"text", texts, 25, []string{"Ann", "Bob", "", "Zoë", "O'Brien", "ann", "42", "name", "A%"}}
	typeVarchar  = &sqlType{"varchar(40)", texts, 1043, typeText.words}
	typeChar     = &sqlType{"char(5)", texts, 1042, []string{"ab", "abcde", "Zoë", "", "b"}}
	typeSmall    = &sqlType{"smallint", ints, 21, []string{"1", "2", "-3", "40", "0"}}
	typeInt      = &sqlType{"integer", ints, 23, []string{"1", "2", "7", "-5", "40", "1000"}}
	typeBig      = &sqlType{"bigint", ints, 20, []string{"1", "9", "10", "-5", "99999999", "0"}}
	typeNumeric  = &sqlType{"numeric(10,2)", numbers, 1700, []string{"1", "0.50", "12.34", "-7.01", "100"}}
	typeAnyNum   = &sqlType{"numeric", numbers, 1700, []string{"1", "1.0", "12.345", "-7", "0"}}
	typeBool     = &sqlType{"boolean", bools, 16, []string{"t", "f"}}
	typeDate     = &sqlType{"date", dates, 1082, []string{"2024-01-01", "2023-12-31", "1999-02-28"}}
	typeTime     = &sqlType{"timestamp", times, 1114, []string{"2024-01-01 00:00:00", "2023-12-31 23:59:59.5", "1999-02-28 12:00:00"}}
	typeZoned    = &sqlType{"timestamptz", zoned, 1184, []string{"2024-01-01 00:00:00+00", "2023-12-31 23:59:59+02", "1999-02-28 12:00:00+00"}}
	typeUUID     = &sqlType{"uuid", uuids, 2950, []string{"a0000000-0000-0000-0000-000000000003", "12345678-9abc-def0-1234-56789abcdef0", "00000000-0000-0000-0000-000000000001"}}
	typeJSON     = &sqlType{"jsonb", jsons, 3802, []string{`{"a": 1}`, `{"a": 2, "b": "x"}`, `[1, 2]`, `"ann"`, `null`}}
	typeBlob     = &sqlType{"bytea", blobs, 17, []string{`\x00ff`, `\x`, `\x616e6e`}}
	typeTexts    = &sqlType{"text[]", textLists, 1009, []string{`{Ann,Bob}`, `{}`, `{"a,b",NULL}`}}
	typeInts     = &sqlType{"integer[]", intLists, 1007, []string{`{1,2}`, `{}`, `{3}`, `{7,-5}`}}
	allTypes     = []*sqlType{typeText, typeVarchar, typeInt, typeBig, typeNumeric, typeBool, typeDate, typeZoned, typeUUID, typeChar, typeJSON, typeTexts, typeTime, typeBlob, typeInts, typeSmall, typeAnyNum}
	keepingTypes = []*sqlType{typeText, typeInt, typeVarchar, typeNumeric, typeBool, typeDate, typeZoned, typeUUID, typeJSON, typeTexts, typeTime, typeAnyNum}
)

// ofFamily is the type that literals of a family are cast to.
var ofFamily = map[family]*sqlType{
	texts: typeText, ints: typeInt, numbers: typeAnyNum, bools: typeBool, dates: typeDate, times: typeTime, zoned: typeZoned, uuids: typeUUID, jsons: typeJSON,
	blobs: typeBlob, textLists: typeTexts, intLists: typeInts,
}

// number says that a literal of the family needs no quotes.
func (f family) number() bool { return f == ints || f == numbers }

func quoteText(s string) string { return "'" + inQuotes(s) + "'" }
