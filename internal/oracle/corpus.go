package oracle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"segue/rewrite/lens"
)

// Case is one or more texts that are sent one after the other, in a transaction that is rolled back unless Commit is set.
//
// The cases of a file whose name begins with old or new are of code of that side.
//
// In a file, cases are paragraphs. A line of `---` parts a case's texts; a line of `.` stands for an empty one; lines that begin with @ before a text
// are directives:
//
//	@@ ...           a comment
//	@params [...]    the text's parameters, as JSON: strings and nulls; the text goes by the extended protocol only
//	@types a, b      the types that Parse says for them
//	@copy "..."      what the text's COPY FROM STDIN reads, as JSON: the simple protocol only
//	@refused         the case may be refused with 0A000; one that is not marked must not be
//	@refused V       the same, for variant V only
//	@auto refused    the same, for sessions of version auto only
//	@auto none       not run in version auto
//	@star            uses the table's shape, of which version auto sees the old one: not compared for new code there
//	@rows any        rows are not compared
//	@origins any     the columns' origins are not compared
//	@fails a, b ...  may fail with one of these SQLSTATEs where the reference does not: a value that the other side has no form for; the rest says why
//	@known ...       may differ: a reviewed difference, and why it is left
//	@error any       of a text's several errors of class 42, any may be told
//	@commit          the texts run outside of a transaction
//	@simple          the simple protocol only
//	@live            needs a proxy, which follows what the session sets
//	@from N          by servers of major version N and later only, behind a proxy, which knows the version
//	@variants a, b   only these variants
//	@only old|new    code of that side only
type Case struct {
	File     string
	Line     int
	Steps    []Step
	Refused  bool
	RefusedV string   // the variant that Refused is for; "": all
	Fails    []string // SQLSTATEs
	Known    bool
	Auto     string
	Star     bool
	AnyRows  bool
	AnyFrom  bool
	AnyError bool
	Commit   bool
	SimpleTo bool
	Live     bool
	From     int // the servers' first major version
	Variants []string
	Only     string
	// Protocols are those to go by; nil: all that the case can go by.
	Protocols []Protocol
}

// String says where the case is.
func (c *Case) String() string { return fmt.Sprintf("%s:%d", c.File, c.Line) }

var typeOIDs = map[string]uint32{
	"": 0, "unknown": 705, "text": 25, "varchar": 1043, "int4": 23, "int8": 20, "bool": 16, "name": 19, "bpchar": 1042, "text[]": 1009, "varchar[]": 1015,
	"int2": 21, "numeric": 1700, "float8": 701, "uuid": 2950, "int8[]": 1016,
}

// ReadCorpus reads every *.sql of a folder.
func ReadCorpus(dir fs.FS) ([]Case, error) {
	files, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, f := range files {
		b, err := fs.ReadFile(dir, f)
		if err != nil {
			return nil, err
		}
		cases, err := parseCases(path.Base(f), string(b))
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

func parseCases(file, text string) ([]Case, error) {
	var cases []Case
	var cur *Case
	var step Step
	var body []string
	endStep := func() {
		step.Text = strings.Join(body, "\n")
		cur.Steps = append(cur.Steps, step)
		step, body = Step{}, nil
	}
	for i, line := range strings.Split(text+"\n\n", "\n") {
		switch {
		case line == "":
			if cur != nil && len(body) > 0 {
				endStep()
				for _, s := range []Side{OldSide, NewSide} {
					if strings.HasPrefix(file, s.String()) {
						cur.Only = s.String()
					}
				}
				cases = append(cases, *cur)
			}
			cur, step, body = nil, Step{}, nil
			continue
		case strings.HasPrefix(line, "@@"):
			continue
		case cur == nil:
			cur = &Case{File: file, Line: i + 1}
		}
		switch {
		case line == "---":
			endStep()
		case line == ".":
			body = append(body, "")
		case strings.HasPrefix(line, "@") && len(body) == 0:
			if err := cur.directive(&step, line[1:]); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
			}
		default:
			body = append(body, line)
		}
	}
	return cases, nil
}

func (c *Case) directive(s *Step, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	list := func() []string {
		var out []string
		for _, p := range strings.Split(rest, ",") {
			out = append(out, strings.TrimSpace(p))
		}
		return out
	}
	switch word {
	case "params":
		return json.Unmarshal([]byte(rest), &s.Params)
	case "copy":
		var data string
		if err := json.Unmarshal([]byte(rest), &data); err != nil {
			return fmt.Errorf("@copy %s: give the data as a JSON string: %w", rest, err)
		}
		s.Copy, c.SimpleTo = []byte(data), true
	case "types":
		for _, t := range list() {
			oid, ok := typeOIDs[t]
			if !ok {
				return fmt.Errorf("type %q is none of those known here", t)
			}
			s.Types = append(s.Types, oid)
		}
	case "refused":
		c.Refused, c.RefusedV = true, rest
	case "fails":
		codes := failCodes.FindString(rest)
		if codes == "" || strings.TrimSpace(rest[len(codes):]) == "" {
			return fmt.Errorf("@fails %s: give SQLSTATEs, and the reason behind them", rest)
		}
		c.Fails = strings.FieldsFunc(codes, func(r rune) bool { return r == ',' || r == ' ' })
	case "known":
		if rest == "" {
			return errors.New("@known: say why")
		}
		c.Known = true
	case "auto":
		c.Auto = rest
	case "star":
		c.Star = true
	case "rows":
		c.AnyRows = true
	case "error":
		c.AnyError = true
	case "origins":
		c.AnyFrom = true
	case "commit":
		c.Commit = true
	case "live":
		c.Live = true
	case "from":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return fmt.Errorf("@from %s: give a major version", rest)
		}
		c.From, c.Live = n, true
	case "simple":
		c.SimpleTo = true
	case "variants":
		c.Variants = list()
	case "only":
		c.Only = rest
	default:
		return fmt.Errorf("@%s is no directive", word)
	}
	return nil
}

var failCodes = regexp.MustCompile(`^([0-9A-Z]{5}(, )?)+ `)

// mayFail says that an outcome that is not the reference's is one that the case allows.
func (c *Case) mayFail(o *Outcome) bool {
	return c.Known || slices.ContainsFunc(o.Steps, func(events []Event) bool {
		e := failure(events)
		return e != nil && slices.Contains(c.Fails, e.Code)
	})
}

// mayBeRefused says whether a refusal is one that the case allows.
func (c *Case) mayBeRefused(w Where) bool {
	return c.Refused && (c.RefusedV == "" || c.RefusedV == w.Variant.Name) || c.Auto == "refused" && w.Client.Version == lens.Auto
}

// protocols gives the protocols that the case goes by.
func (c *Case) protocols() []Protocol {
	params := slices.ContainsFunc(c.Steps, func(s Step) bool { return len(s.Params) > 0 })
	switch {
	case c.Protocols != nil:
		return c.Protocols
	case c.SimpleTo:
		return []Protocol{Simple}
	case params:
		return []Protocol{Extended, Binary}
	}
	return []Protocol{Simple, Extended}
}

// meant says whether the case is meant for the variant and the side.
func (c *Case) meant(v *Variant, side Side) bool {
	if c.Only != "" && c.Only != side.String() {
		return false
	}
	if len(c.Variants) > 0 {
		return slices.Contains(c.Variants, v.Name)
	}
	return v.Name != Quoted.Name
}

var writing = regexp.MustCompile(`(?i)\b(insert|update|delete|merge|truncate|copy|execute|do|call|alter|drop|nextval)\b`)

// meantFor says whether the case is meant for the variant and the client.
func (c *Case) meantFor(v *Variant, client Client) bool {
	if client.Version == lens.Auto && (c.Auto == "none" || client.Side == NewSide && (c.Star || v.sameName())) {
		return false
	}
	return c.meant(v, client.Side)
}

// Writes says whether some text of the case may change data.
func (c *Case) Writes() bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool { return writing.MatchString(s.Text) })
}

// expand gives the case's steps with one side's names.
func (c *Case) expand(v *Variant, side Side) []Step {
	out := slices.Clone(c.Steps)
	for i := range out {
		out[i].Text = v.Expand(out[i].Text, side)
	}
	return out
}
