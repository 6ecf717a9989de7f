package copydata

import "strings"

// ClientLine gives a line, as an error shows it, without what was added to it. malformed says that the error is about the number of fields
// (bad_copy_file_format): nothing was added then, but where it was one too many.
func (s *Spec) ClientLine(line string, malformed bool) string {
	if len(s.Added) == 0 {
		return line
	}
	if malformed {
		return strings.TrimSuffix(line, string(s.Delimiter)+extra)
	}
	fields, quoted := 1, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case s.Format == Text && c == '\\':
			i++
		case s.Format == CSV && quoted && c == s.Escape && i+1 < len(line) && (line[i+1] == s.Quote || line[i+1] == s.Escape):
			i++
		case s.Format == CSV && c == s.Quote:
			quoted = !quoted
		case c == s.Delimiter && !quoted:
			if fields == s.Columns {
				return line[:i]
			}
			fields++
		}
	}
	return line
}
