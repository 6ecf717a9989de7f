package session

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// The settings that statements are resolved under are PostgreSQL's to know: nobody else can follow search_path through SET LOCAL, savepoints,
// functions and roles. So the session asks for them, when a statement that mentions a migrating table is to be planned and something
// has been sent since the last time that may have changed them.
//
// The question goes by the extended protocol under names of its own, since a Query would drop the client's unnamed statement and portal. It
// ends with a Sync where nothing of the client's is open, and with a Flush in the middle of a client's pipeline, where a Sync would
// end the client's transaction.

// probeName is the name of the question's statement and portal.
const probeName = "segue settings"

// probeSQL gives rows of a kind and a value: the search path in order, the temporary relations, the columns of the last of them, and three settings. Every name in it is
// qualified, so that no search path can change its meaning.
const probeSQL = `SELECT k, v FROM (` +
	`SELECT 'path', 0, n, s::pg_catalog.text FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS p(s, n)` +
	` UNION ALL SELECT 'temp', 1, 0, c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c` +
	` WHERE pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid` +
	` AND c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()` +
	` UNION ALL (SELECT 'columns', 1, 1, pg_catalog.json_build_object('oid', c.oid::pg_catalog.int8, 'name', c.relname, 'columns',` +
	` pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, a.attnum, a.atttypid::pg_catalog.int8, a.atttypmod,` +
	` pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum))::pg_catalog.text FROM pg_catalog.pg_class AS c` +
	` JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped` +
	` WHERE pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid` +
	` AND c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND c.relkind OPERATOR(pg_catalog.<>) 'i'::pg_catalog."char"` +
	` GROUP BY c.oid, c.relname ORDER BY c.oid DESC LIMIT 500)` +
	` UNION ALL SELECT 'encoding', 2, 0, pg_catalog.current_setting('client_encoding')` +
	` UNION ALL SELECT 'strings', 2, 0, pg_catalog.current_setting('standard_conforming_strings')` +
	` UNION ALL SELECT 'version', 2, 0, pg_catalog.current_setting('segue.version', true)`

const probeEnd = `) AS q(k, o, n, v) ORDER BY o, n`

// probeText is the question in full: also what relation each migrating table's bare name means, which the path and the proxy's catalog cannot
// tell where a table of the same name was made a moment ago.
func probeText(st *rewrite.State) string {
	var b strings.Builder
	b.WriteString(probeSQL)
	for _, name := range st.TableNames() {
		quoted := "'" + strings.ReplaceAll(name, "'", "''") + "'"
		if strings.Contains(name, `\`) {
			quoted = "E" + strings.ReplaceAll(quoted, `\`, `\\`)
		}
		b.WriteString(` UNION ALL SELECT 'means', 3, 0, pg_catalog.concat(pg_catalog.to_regclass(pg_catalog.quote_ident(` + quoted +
			`))::pg_catalog.oid, ' ', ` + quoted + `)`)
	}
	b.WriteString(probeEnd)
	return b.String()
}

// maxSettings bounds the answer, in bytes.
const maxSettings = 1 << 20

// inFailedTransaction is the SQLSTATE of what comes after an error in a transaction.
const inFailedTransaction = "25P02"

// probeMark marks the entries of the question.
type probeMark byte

const (
	notProbe probeMark = iota
	probing
	probeLast // the question is answered when this entry is
)

// probe is the question under way.
type probe struct {
	running bool
	synced  bool // it ends with a Sync of its own
	anew    bool // it is no question, but a statement that is prepared anew before a Query
	size    int
	got     rewrite.Settings
	version string
	failed  bool     // the error has been given to the client in the place of the message that it was asked for
	refusal *refusal // why it failed otherwise
}

// ask sends the question, and waits.
func (s *Session) ask() {
	if s.unsure {
		s.await(forPipeline)
		return
	}
	s.probe = probe{running: true, synced: !s.pipeline}
	from := s.queue.n
	s.sendParse(probeName, probeText(s.state), noTypes).own = true

	at := s.toServer.begin('B')
	s.toServer.text(probeName)
	s.toServer.text(probeName)
	s.toServer.buf = append(s.toServer.buf, 0, 0, 0, 0, 0, 0) // no parameters; all results as text
	s.toServer.end(at)
	s.queue.push('B').own = true

	at = s.toServer.begin('E')
	s.toServer.text(probeName)
	s.toServer.buf = append(s.toServer.buf, 0, 0, 0, 0) // all rows
	s.toServer.end(at)
	s.queue.push('E').own = true

	s.sendClose('P', probeName)
	s.sendClose('S', probeName)
	s.endQuestion(from)
}

// endQuestion ends messages of the session's own, from that entry of the queue on, and waits for their outcome. In a client's pipeline they must not
// end it.
func (s *Session) endQuestion(from int) {
	if s.probe.synced {
		s.toServer.end(s.toServer.begin('S'))
		s.queue.push('S').own = true
		s.pipeline = false
	} else {
		s.toServer.end(s.toServer.begin('H'))
	}
	for i := from; i < s.queue.n; i++ {
		s.queue.at(i).probe = probing
	}
	s.queue.at(s.queue.n - 1).probe = probeLast
	s.await(forProbe)
}

// answer takes one DataRow of the question's. A row that is not as it should be fails the question.
func (s *Session) answer(m []byte) {
	p := &s.probe
	var value [2]string
	var null [2]bool
	body := m[headerLen:]
	if p.size += len(m); p.size > maxSettings {
		p.refusal = &refusal{
			Code: "54000", Message: "this session has too many temporary relations for the proxy to tell what a name means",
			Hint: "Drop temporary tables that are not used any more, or DISCARD TEMP.",
		}
		return
	}
	if len(body) < 2 || binary.BigEndian.Uint16(body) != 2 {
		p.refusal = refuseAnswer()
		return
	}
	body = body[2:]
	for i := range value {
		if len(body) < 4 {
			p.refusal = refuseAnswer()
			return
		}
		n := int(int32(binary.BigEndian.Uint32(body)))
		body = body[4:]
		if n < 0 {
			null[i] = true
			continue
		}
		if n > len(body) {
			p.refusal = refuseAnswer()
			return
		}
		value[i], body = string(body[:n]), body[n:]
	}
	switch value[0] {
	case "path":
		p.got.Path = append(p.got.Path, value[1])
	case "temp":
		p.got.Temp = append(p.got.Temp, value[1])
	case "columns":
		r, ok := tempTable(value[1])
		if !ok {
			p.refusal = refuseAnswer()
			return
		}
		p.got.TempTables = append(p.got.TempTables, r)
	case "encoding":
		p.got.Encoding = value[1]
	case "strings":
		p.got.Backslash = value[1] == "off"
	case "means":
		oid, name, _ := strings.Cut(value[1], " ")
		n, err := strconv.ParseUint(oid, 10, 32)
		if err != nil && oid != "" { // no such relation is an empty one
			p.refusal = refuseAnswer()
			return
		}
		if p.got.Means == nil {
			p.got.Means = map[string]uint32{}
		}
		p.got.Means[name] = uint32(n)
	case "version":
		if !null[1] {
			p.version = value[1]
		}
	default:
		p.refusal = refuseAnswer()
	}
}

// tempTable reads what the question tells of a temporary table.
func tempTable(text string) (*catalog.Relation, bool) {
	var t struct {
		OID     uint32
		Name    string
		Columns [][5]any
	}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, false
	}
	r := &catalog.Relation{OID: t.OID, Schema: "pg_temp", Name: t.Name, Kind: catalog.Table}
	for _, c := range t.Columns {
		name, ok1 := c[0].(string)
		num, ok2 := c[1].(float64)
		typ, ok3 := c[2].(float64)
		mod, ok4 := c[3].(float64)
		sql, ok5 := c[4].(string)
		if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
			return nil, false
		}
		r.Columns = append(r.Columns, catalog.Column{Name: name, Num: int16(num), Type: catalog.Type{OID: uint32(typ), Mod: int32(mod), SQL: sql}})
	}
	return r, true
}

func refuseAnswer() *refusal {
	return &refusal{
		Code: "0A000", Message: "the proxy asked the server for the session's settings and did not understand the answer",
		Hint: "See that the proxy's server is PostgreSQL 13 or later.",
	}
}

// answered ends the question.
func (s *Session) answered() {
	p := &s.probe
	p.running = false
	if p.refusal != nil || p.anew {
		return
	}
	got := p.got
	got.ServerMajor = s.major
	got.Version = s.version
	s.badVersion = ""
	if p.version != "" {
		if got.Version = lens.Version(p.version); !validVersion(p.version) {
			got.Version, s.badVersion = s.version, p.version
		}
	}
	s.dirty = false
	if old := s.settings; old != nil && sameSettings(old, &got) {
		return // the same pointer, which plans are compared by
	}
	s.settings = &got
}

func sameSettings(a, b *rewrite.Settings) bool {
	return a.Version == b.Version && a.ServerMajor == b.ServerMajor && a.Encoding == b.Encoding && a.Backslash == b.Backslash &&
		slices.Equal(a.Path, b.Path) && slices.Equal(a.Temp, b.Temp) && maps.Equal(a.Means, b.Means) &&
		slices.EqualFunc(a.TempTables, b.TempTables, func(a, b *catalog.Relation) bool {
			return a.OID == b.OID && a.Name == b.Name && slices.Equal(a.Columns, b.Columns)
		})
}

// parameter notes what the server reports of a setting.
func (s *Session) parameter(m []byte) {
	name, rest, ok1 := cut(m[headerLen:])
	value, _, ok2 := cut(rest)
	if !ok1 || !ok2 {
		return
	}
	switch view(name) {
	case "server_version":
		s.major = 0
		for _, c := range value {
			if c < '0' || c > '9' || s.major > 1000 {
				break
			}
			s.major = s.major*10 + int(c-'0')
		}
	case "client_encoding":
		s.dirty = s.dirty || s.encoding != string(value)
		s.encoding = string(value)
	case "standard_conforming_strings":
		s.dirty = s.dirty || s.scs != string(value)
		s.scs = string(value)
	}
}
