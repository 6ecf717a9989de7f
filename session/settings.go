package session

import (
	"encoding/binary"
	"encoding/json"
	"errors"
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
// (To a walsender it goes as a Query, since those know no other.)
//
// The question goes by the extended protocol under names of its own, since a Query would drop the client's unnamed statement and portal. It
// ends with a Sync where nothing of the client's is open, and with a Flush in the middle of a client's pipeline, where a Sync would
// end the client's transaction.

// probeName is the name of the question's statement and portal.
const probeName = "segue settings"

// probeShape tells of relations as JSON: what the statement behind it selects of c and its columns a.
const probeShape = `pg_catalog.json_build_object('oid', c.oid::pg_catalog.int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind::pg_catalog.text,` +
	` 'parents', (SELECT pg_catalog.json_agg(h.inhparent::pg_catalog.int8 ORDER BY h.inhseqno) FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid OPERATOR(pg_catalog.=) c.oid),` +
	` 'columns', pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'num', a.attnum, 'oid', a.atttypid::pg_catalog.int8, 'mod', a.atttypmod,` +
	` 'sql', pg_catalog.format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull, 'generated', a.attgenerated::pg_catalog.text OPERATOR(pg_catalog.<>) '',` +
	` 'identity', a.attidentity::pg_catalog.text OPERATOR(pg_catalog.<>) '', 'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum))::pg_catalog.text` +
	` FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace` +
	` JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped` +
	` LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid AND d.adnum OPERATOR(pg_catalog.=) a.attnum`

// probeSQL gives rows of a kind and a value: the search path in order, the temporary relations, the columns of the last of them, and three settings. Every name in it is
// qualified, so that no search path can change its meaning.
const probeSQL = `SELECT k, v FROM (` +
	`SELECT 'path', 0, n, s::pg_catalog.text FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS p(s, n)` +
	` UNION ALL SELECT 'temp', 1, 0, c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c` +
	` WHERE pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid` +
	` AND c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()` +
	` UNION ALL (SELECT 'columns', 1, 1, ` + probeShape +
	` WHERE pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid` +
	` AND c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND c.relkind OPERATOR(pg_catalog.<>) 'i'::pg_catalog."char"` +
	` GROUP BY c.oid, c.relname, c.relkind, n.nspname ORDER BY c.oid DESC LIMIT 500)` +
	` UNION ALL SELECT 'encoding', 2, 0, pg_catalog.current_setting('client_encoding')` +
	` UNION ALL SELECT 'strings', 2, 0, pg_catalog.current_setting('standard_conforming_strings')` +
	` UNION ALL SELECT 'database', 2, 0, pg_catalog.current_database()::pg_catalog.text` +
	` UNION ALL SELECT 'version', 2, 0, pg_catalog.current_setting('segue.version', true)`

const probeEnd = `) AS q(k, o, n, v) ORDER BY o, n`

// probeText is the question in full: also what relation each migrating table's bare name means, which the path and the proxy's catalog cannot
// tell where a table of the same name was made a moment ago.
func probeText(st *rewrite.State, made []string) string {
	var b strings.Builder
	b.WriteString(probeSQL)
	if len(made) > 0 {
		b.WriteString(` UNION ALL (SELECT 'member', 1, 2, ` + probeShape + ` WHERE EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid)` +
			` AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']) AND c.relname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (` + array(made) + `) GROUP BY c.oid, c.relname, c.relkind, n.nspname)`)
	}
	if names := st.TableNames(); len(names) > 0 {
		b.WriteString(` UNION ALL SELECT 'means', 3, 0, pg_catalog.concat(pg_catalog.to_regclass(pg_catalog.quote_ident(m))::pg_catalog.oid, ' ', m)` +
			` FROM pg_catalog.unnest(` + array(names[:min(len(names), maxMeans)]) + `) AS t(m)`)
	}
	b.WriteString(probeEnd)
	return b.String()
}

// maxMeans bounds how many names are asked about; what those beyond mean is told by the path and the proxy's catalog.
const maxMeans = 5000

// array writes strings as SQL.
func array(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "ARRAY[" + strings.Join(quoted, ",") + "]::pg_catalog.text[]"
}

// quote writes a string as SQL, whatever standard_conforming_strings says.
func quote(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
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
	// database is the server session's.
	database string
	failed   bool     // the error has been given to the client in the place of the message that it was asked for
	refusal  *refusal // why it failed otherwise
}

// ask sends the question, and waits.
func (s *Session) ask() {
	if s.unsure {
		s.await(forPipeline)
		return
	}
	if s.replication {
		s.probe = probe{running: true, synced: true}
		e := s.sendQuery(probeText(s.state, s.partitions))
		e.own, e.probe = true, probeLast
		s.await(forProbe)
		return
	}
	s.probe = probe{running: true, synced: !s.pipeline}
	from := s.queue.n
	s.sendParse(probeName, probeText(s.state, s.partitions), noTypes).own = true

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
	case "columns", "member":
		r, err := readShape(value[1])
		switch {
		case err != nil:
			p.refusal = refuseAnswer()
		case value[0] == "member":
			p.got.Members = append(p.got.Members, r)
		default:
			p.got.TempTables = append(p.got.TempTables, r)
		}
	case "encoding":
		p.got.Encoding = value[1]
	case "database":
		p.database = value[1]
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

// readShape reads what the question tells of a relation.
func readShape(text string) (*catalog.Relation, error) {
	var t struct {
		OID                uint32
		Schema, Name, Kind string
		Parents            []uint32
		Columns            []struct {
			Name                         string
			Num                          int16
			OID                          uint32
			Mod                          int32
			SQL                          string
			NotNull, Generated, Identity bool
			Default                      *string
		}
	}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, err
	}
	if t.Kind == "" {
		return nil, errors.New("a relation without a kind")
	}
	r := &catalog.Relation{OID: t.OID, Schema: t.Schema, Name: t.Name, Kind: catalog.Kind(t.Kind[0]), Parents: t.Parents}
	for _, c := range t.Columns {
		column := catalog.Column{
			Name: c.Name, Num: c.Num, Type: catalog.Type{OID: c.OID, Mod: c.Mod, SQL: c.SQL}, NotNull: c.NotNull, Generated: c.Generated, Identity: c.Identity,
		}
		if c.Default != nil && !c.Generated {
			column.Default = *c.Default
		}
		r.Columns = append(r.Columns, column)
	}
	return r, nil
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
	if db := s.state.Catalog.Database; db != "" && p.database != "" && p.database != db {
		s.foreign = true
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
	got = got.Keyed()
	s.settings = &got
}

func sameSettings(a, b *rewrite.Settings) bool {
	return a.Version == b.Version && a.ServerMajor == b.ServerMajor && a.Encoding == b.Encoding && a.Backslash == b.Backslash &&
		slices.Equal(a.Path, b.Path) && slices.Equal(a.Temp, b.Temp) && maps.Equal(a.Means, b.Means) &&
		slices.EqualFunc(a.TempTables, b.TempTables, sameShape) && slices.EqualFunc(a.Members, b.Members, sameShape)
}

func sameShape(a, b *catalog.Relation) bool {
	return a.OID == b.OID && a.Schema == b.Schema && a.Name == b.Name && a.Kind == b.Kind && slices.Equal(a.Parents, b.Parents) && slices.Equal(a.Columns, b.Columns)
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
	case "in_hot_standby":
		s.standby = string(value)
	case "application_name":
		s.application = string(value)
	case "client_encoding":
		s.dirty = s.dirty || s.encoding != string(value)
		s.encoding = string(value)
	case "standard_conforming_strings":
		s.dirty = s.dirty || s.scs != string(value)
		s.scs = string(value)
	case "search_path": // servers from 18 on report it, also where a function has set it, which nothing else tells
		s.dirty = s.dirty || s.path != string(value)
		s.path = string(value)
	}
}
