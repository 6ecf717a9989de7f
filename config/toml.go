package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFile is the size of a file, in bytes, past which it is taken for a mistake.
const maxFile = 1 << 20

// Error is bad input: where it stands and what is wrong with it, in one line.
type Error struct {
	File    string // "" where the value did not come from a file
	Line    int    // from 1; 0 where it is not known
	Key     string // dotted; "" for what is no single key's fault
	Problem string // what is wrong and the way out
}

// Error is one line: file:line: key: problem.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			b.WriteString(":" + strconv.Itoa(e.Line))
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// document is a parsed file, kept for the positions of its keys.
type document struct {
	file string
	text string
	meta toml.MetaData
}

func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", &Error{File: path, Problem: "cannot be read: " + cause(err)}
	}
	if info.IsDir() {
		return "", &Error{File: path, Problem: "is a directory; name a TOML file in it"}
	}
	if info.Size() > maxFile {
		return "", &Error{File: path, Problem: fmt.Sprintf("has %d bytes; no such file has more than %d", info.Size(), maxFile)}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", &Error{File: path, Problem: "cannot be read: " + cause(err)}
	}
	return string(text), nil
}

func cause(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// decode parses text into out, which points to a struct. Keys that the struct has no field for are errors; later names words that
// are known but not carried out by this build, with what to say of them.
func decode(file, text string, out any, later map[string]string) (*document, error) {
	doc := &document{file: file, text: text}
	var err error
	if doc.meta, err = toml.Decode(text, &map[string]any{}); err != nil {
		return nil, doc.syntax(err)
	}
	known := knownKeys(reflect.TypeOf(out).Elem(), nil)
	for name, key := range known {
		if slices.ContainsFunc(key, func(word string) bool { return later[word] != "" }) {
			delete(known, name)
		}
	}
	for _, key := range doc.meta.Keys() { // in the order of the file
		if _, ok := known[key.String()]; ok {
			continue
		}
		if _, ok := known[append(key[:len(key)-1:len(key)-1], anyWord).String()]; ok {
			continue
		}
		if say := later[key[len(key)-1]]; say != "" {
			return nil, doc.at(key, say)
		}
		problem := "is no key that is known here"
		if near := nearest(key, known); near != "" {
			problem += "; did you mean " + near + "?"
		} else {
			problem += "; remove it"
		}
		return nil, doc.at(key, problem)
	}
	if _, err := toml.Decode(text, out); err != nil {
		return nil, doc.syntax(err)
	}
	return doc, nil
}

// at makes an error about a key.
func (d *document) at(key toml.Key, problem string) *Error {
	e := &Error{File: d.file, Line: d.line(key), Key: key.String(), Problem: problem}
	if e.Line == 0 && len(key) > 1 {
		e.Line = d.lineInList(key)
	}
	return e
}

// locate gives an error about a key its place in the file, where the key is in it.
func (d *document) locate(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	located := *e
	located.File = d.file
	if m := element.FindStringSubmatch(e.Key); m != nil {
		located.Line = d.elementLine(m[1], m[2])
	}
	for key := toml.Key(strings.Split(e.Key, ".")); len(key) > 0 && located.Line == 0; key = key[:len(key)-1] {
		located.Line = d.line(key)
	}
	return &located
}

// element is a key in an element of a list of tables: columns.add[0].up.
var element = regexp.MustCompile(`^([a-z_.]+)\[(\d+)\]`)

// lineInList gives the first line that a key stands in below [[its list]], or 0.
func (d *document) lineInList(key toml.Key) int {
	line, inside, word := 0, false, key[len(key)-1]
	for text := range strings.Lines(d.text) {
		line++
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "[") {
			inside = strings.HasPrefix(strings.Join(strings.Fields(text), ""), "[["+key[:len(key)-1].String()+"]]")
		}
		if rest, ok := strings.CutPrefix(text, word); inside && ok && strings.HasPrefix(strings.TrimSpace(rest), "=") {
			return line
		}
	}
	return 0
}

// elementLine gives the line of the i-th [[list]], or 0.
func (d *document) elementLine(list, i string) int {
	want, err := strconv.Atoi(i)
	if err != nil {
		return 0
	}
	line := 0
	for text := range strings.Lines(d.text) {
		line++
		head := strings.Join(strings.Fields(text), "")
		if strings.HasPrefix(head, "[["+list+"]]") {
			if want == 0 {
				return line
			}
			want--
		}
	}
	return 0
}

var lineOf = regexp.MustCompile(`^toml: (?:line (\d+) )?(?:\(last key "(.*?)"\))?: (?:toml: )?`)

// syntax turns an error of package toml into one line with the place in front.
func (d *document) syntax(err error) error {
	e := &Error{File: d.file, Problem: err.Error()}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		e.Line, e.Key, e.Problem = parse.Position.Line, parse.LastKey, parse.Message
	} else if m := lineOf.FindStringSubmatch(e.Problem); m != nil {
		e.Key, e.Problem = m[2], e.Problem[len(m[0]):]
		if m[1] != "" {
			line, convErr := strconv.Atoi(m[1])
			if convErr != nil {
				return err
			}
			e.Line = line
		}
	}
	if m := wrongType.FindStringSubmatch(e.Problem); m != nil {
		e.Problem = fmt.Sprintf("takes %s, and this is %s", typeName(m[2]), typeName(m[1]))
	} else if m := noTable.FindStringSubmatch(e.Problem); m != nil {
		e.Problem = fmt.Sprintf("takes a table, and this is %s", typeName(m[1]))
	}
	e.Problem = strings.Join(strings.Fields(e.Problem), " ")
	return e
}

var (
	wrongType = regexp.MustCompile(`^incompatible types: TOML value has type (.*); destination has type (.*)$`)
	noTable   = regexp.MustCompile(`^type mismatch for .*: expected table but found (.*)$`)
)

// typeName is a type of package toml in words.
func typeName(t string) string {
	switch {
	case t == "int64", t == "integer":
		return "a whole number"
	case t == "float64", t == "float":
		return "a number"
	case t == "bool", t == "boolean":
		return "true or false"
	case t == "string", strings.HasPrefix(t, "primitive"):
		return "a string"
	case t == "[]any", t == "slice", strings.HasPrefix(t, "[]"):
		return "a list"
	case t == "map", strings.HasPrefix(t, "map["):
		return "a table"
	}
	return t
}

// line gives the line that a key stands in, or 0. Package toml tells positions only in errors, so it is asked for one: the text is
// decoded into a struct of which the field for the key refuses every value.
func (d *document) line(key toml.Key) int {
	t := reflect.TypeFor[refuser]()
	for i := len(key) - 1; i >= 0; i-- {
		if !taggable(key[i]) {
			return 0
		}
		fields := []reflect.StructField{{Name: "F", Type: t, Tag: tag(key[i])}}
		seen := map[string]bool{key[i]: true}
		for _, other := range d.meta.Keys() { // or else they could be taken for the key, of which they may differ by case only
			if len(other) == i+1 && slices.Equal(other[:i], key[:i]) && !seen[other[i]] && taggable(other[i]) {
				seen[other[i]] = true
				fields = append(fields, reflect.StructField{Name: "F" + strconv.Itoa(len(fields)), Type: reflect.TypeFor[any](), Tag: tag(other[i])})
			}
		}
		t = reflect.StructOf(fields)
	}
	_, err := toml.Decode(d.text, reflect.New(t).Interface())
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return parse.Position.Line
	}
	return 0
}

// taggable says whether a struct tag can name the key.
func taggable(word string) bool { return word != "" && word != "-" && !strings.Contains(word, ",") }

func tag(word string) reflect.StructTag { return reflect.StructTag("toml:" + strconv.Quote(word)) }

type refuser struct{}

var errHere = errors.New("here")

// UnmarshalTOML refuses the value, so that the decoder tells where it is.
func (*refuser) UnmarshalTOML(any) error { return errHere }

// knownKeys gives the dotted keys that a struct's toml tags name, tables included.
func knownKeys(t reflect.Type, under toml.Key) map[string]toml.Key {
	known := map[string]toml.Key{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if f.Anonymous {
			maps.Copy(known, knownKeys(f.Type, under))
		}
		if name == "" || name == "-" {
			continue
		}
		key := append(append(toml.Key(nil), under...), name)
		known[key.String()] = key
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		switch {
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct: // [[...]]
			ft = ft.Elem()
		case ft.Kind() == reflect.Map:
			word := append(append(toml.Key(nil), key...), anyWord)
			known[word.String()] = word
		}
		if ft.Kind() == reflect.Struct && !reflect.PointerTo(ft).Implements(textUnmarshaler) {
			for k, v := range knownKeys(ft, key) {
				known[k] = v
			}
		}
	}
	return known
}

// anyWord stands in knownKeys for every word of a table that has no fixed ones.
const anyWord = "*"

var textUnmarshaler = reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()

// nearest finds the known key that was most likely meant: one that differs by a slip of the pen, or the same word in another table.
func nearest(key toml.Key, known map[string]toml.Key) string {
	best, distance := "", 1+max(2, len(key[len(key)-1])/3)
	for name, k := range known {
		if k[len(k)-1] == anyWord {
			continue
		}
		n := slip(key.String(), name)
		if k[len(k)-1] == key[len(key)-1] {
			n = min(n, 1)
		}
		if n < distance || n == distance && best != "" && name < best {
			best, distance = name, n
		}
	}
	return best
}

// slip is the number of letters to add, drop or change to make a from b.
func slip(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
