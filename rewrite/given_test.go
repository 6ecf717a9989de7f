package rewrite

import "testing"

// TestAssigned has values written as an assignment takes them: without the type's modifier, whose errors are the assignment's, and cast where COALESCE would refuse what an
// assignment takes.
func TestAssigned(t *testing.T) {
	for typ, want := range map[string]string{
		"bigint":                      "COALESCE(v, NULL::bigint)::bigint",
		"numeric(4,2)":                "COALESCE(v, NULL::numeric)::numeric",
		"timestamp(3) with time zone": "COALESCE(v, NULL::timestamp with time zone)::timestamp with time zone",
		"interval day to second(3)":   "COALESCE(v, NULL::interval day to second)::interval day to second",
		"character varying(3)":        "(v)::character varying",
		"character(3)":                "(v)::bpchar",
		"character varying(3)[]":      "COALESCE(v, NULL::character varying[])::character varying[]",
		"bit(4)":                      `COALESCE(v, NULL::pg_catalog."bit")::pg_catalog."bit"`,
		"bit(4)[]":                    `COALESCE(v, NULL::pg_catalog."bit"[])::pg_catalog."bit"[]`,
		"bit varying(4)":              "COALESCE(v, NULL::bit varying)::bit varying",
		"jsonb":                       "(v)::jsonb",
		"time(3) without time zone":   "(v)::time without time zone",
		`app."kind"`:                  `COALESCE(v, NULL::app."kind")::app."kind"`,
	} {
		if got := plainText(assigned(lit("v"), typ)); got != want {
			t.Errorf("%s: %s, want %s", typ, got, want)
		}
	}
}
