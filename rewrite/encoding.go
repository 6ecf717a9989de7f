package rewrite

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// encodings are the client encodings, as PostgreSQL spells them, of which a text is planned as its UTF-8 form. Of SQL_ASCII nobody knows what its bytes mean: each stands for
// one character, as it does for the server.
var encodings = map[string]encoding.Encoding{
	"SQL_ASCII": charmap.ISO8859_1,
	"LATIN1":    charmap.ISO8859_1, "LATIN2": charmap.ISO8859_2, "LATIN3": charmap.ISO8859_3, "LATIN4": charmap.ISO8859_4, "LATIN5": charmap.ISO8859_9,
	"LATIN6": charmap.ISO8859_10, "LATIN7": charmap.ISO8859_13, "LATIN8": charmap.ISO8859_14, "LATIN9": charmap.ISO8859_15, "LATIN10": charmap.ISO8859_16,
	"ISO_8859_5": charmap.ISO8859_5, "ISO_8859_6": charmap.ISO8859_6, "ISO_8859_7": charmap.ISO8859_7, "ISO_8859_8": charmap.ISO8859_8,
	"WIN1250": charmap.Windows1250, "WIN1251": charmap.Windows1251, "WIN1252": charmap.Windows1252, "WIN1253": charmap.Windows1253, "WIN1254": charmap.Windows1254,
	"WIN1255": charmap.Windows1255, "WIN1256": charmap.Windows1256, "WIN1257": charmap.Windows1257, "WIN1258": charmap.Windows1258,
	"WIN866": charmap.CodePage866, "WIN874": charmap.Windows874, "KOI8R": charmap.KOI8R, "KOI8U": charmap.KOI8U,
	"EUC_JP": japanese.EUCJP, "SJIS": japanese.ShiftJIS, "EUC_KR": korean.EUCKR, "UHC": korean.EUCKR,
	"EUC_CN": simplifiedchinese.GBK, "GBK": simplifiedchinese.GBK, "GB18030": simplifiedchinese.GB18030, "BIG5": traditionalchinese.Big5,
}

// planEncoded plans a text whose bytes are not UTF-8's, and gives its plan with the text to send in the client's encoding. It says false where the text cannot be
// taken there and back: what the client wrote is sent byte by byte as it came, wherever it is not rewritten.
func (s *State) planEncoded(sql string, set Settings, long func()) (*Plan, bool) {
	enc := encodings[set.Encoding]
	if enc == nil || ascii(sql) {
		return nil, false
	}
	text, err := enc.NewDecoder().String(sql)
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return nil, false
	}
	if back, err := enc.NewEncoder().String(text); err != nil || back != sql {
		return nil, false
	}
	set.Encoding, set.made = "UTF8", ""
	return s.PlanAside(text, set, long).encode(enc)
}

// encode gives a plan whose texts are in another encoding.
func (p *Plan) encode(enc encoding.Encoding) (*Plan, bool) {
	sql, err := enc.NewEncoder().String(p.SQL)
	if err != nil {
		return nil, false // a column's name, or an expression of a definition, has no form in it
	}
	out := *p
	out.sent, out.SQL = p.SQL, sql
	if p.Refusal != nil {
		refusal := *p.Refusal
		for _, text := range []*string{&refusal.Message, &refusal.Detail, &refusal.Hint} {
			if *text, err = encoding.ReplaceUnsupported(enc.NewEncoder()).String(*text); err != nil {
				return nil, false
			}
		}
		out.Refusal = &refusal
	}
	if p.Before != nil {
		var ok bool
		if out.Before, ok = p.Before.encode(enc); !ok {
			return nil, false
		}
	}
	return &out, true
}
