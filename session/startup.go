package session

import (
	"encoding/binary"
	"fmt"
	"strings"

	"segue/rewrite/lens"
)

// Startup is what a client said first.
type Startup struct {
	// Cancel says that the client wants another session's statement cancelled: Raw is to be sent to the server on a connection of its
	// own, and both are to be closed. It is not in ToServer.
	Cancel bool
	Raw    []byte // the packet as it came, its length included; a StartupMessage is in ToServer, too

	User, Database, Application string
	// Version is the version of the startup options, or the listener's.
	Version lens.Version
}

// The codes that stand in the place of a protocol version (pqcomm.h), and the limit of a startup packet in bytes.
const (
	cancelCode = 80877102
	sslCode    = 80877103
	gssCode    = 80877104
	maxStartup = 10000
)

// Startup is the client's startup packet; nil until it has come whole.
func (s *Session) Startup() *Startup { return s.startup }

// startupPacket deals with the packets before a client's first frame, which have no type. It says whether it got on.
func (s *Session) startupPacket() (bool, error) {
	if first := s.client.peek(1); first == nil {
		return false, nil
	} else if first[0] == tlsHandshake && !s.secure && !s.sslNo && !s.gssNo {
		return false, s.directTLS()
	}
	head := s.client.peek(4)
	if head == nil {
		return false, nil
	}
	size := int(binary.BigEndian.Uint32(head))
	if size < 8 || size > maxStartup {
		return false, s.violation("08P01", "invalid length of startup packet: this is a PostgreSQL proxy, and %q is no beginning of its protocol", head)
	}
	packet := s.client.peek(size)
	if packet == nil {
		return false, nil
	}
	code := binary.BigEndian.Uint32(packet[4:])
	switch {
	case code == cancelCode:
		s.startup = &Startup{Cancel: true, Raw: append([]byte(nil), packet...)}
		s.phase = over
	case code == sslCode && s.tls != NoTLS && !s.secure && size == 8:
		s.client.take(size)
		return false, s.startTLS()
	case code == sslCode && !s.sslNo && !s.secure && size == 8:
		s.sslNo = true
		s.toClient.add([]byte{'N'})
	case code == gssCode && !s.gssNo && size == 8:
		s.gssNo = true
		s.toClient.add([]byte{'N'})
	case code>>16 != 3:
		return false, s.violation("0A000", "unsupported frontend protocol %d.%d: server supports 3.0 and later minor versions", code>>16, code&0xffff)
	default:
		if err := s.startupMessage(packet); err != nil {
			return false, err
		}
	}
	s.client.take(size)
	return true, nil
}

// startupMessage reads the parameters of a StartupMessage and passes it on. What is wrong with them otherwise, the server says.
func (s *Session) startupMessage(packet []byte) error {
	if s.tls == RequiredTLS && !s.secure {
		return s.fail("28000", "this listener takes connections with TLS only", "Connect with sslmode=require, or verify-full.")
	}
	st := &Startup{Raw: append([]byte(nil), packet...), Version: s.version}
	rest := packet[8:]
	options, direct := "", ""
	for len(rest) > 0 && rest[0] != 0 {
		name, after, ok := cut(rest)
		if !ok {
			break
		}
		value, after, ok := cut(after)
		if !ok {
			rest = after
			break
		}
		rest = after
		switch v := string(value); {
		case string(name) == "user":
			st.User = v
		case string(name) == "database":
			st.Database = v
		case string(name) == "application_name":
			st.Application = v
		case string(name) == "replication":
			s.replication = !isFalse(strings.ToLower(v))
		case string(name) == "options":
			options = v
		case strings.EqualFold(string(name), "segue.version"):
			direct = v
		}
	}
	if len(rest) != 1 || rest[0] != 0 {
		return s.violation("08P01", "invalid startup packet layout: expected terminator as last byte")
	}
	if st.Database == "" {
		st.Database = st.User
	}
	version := versionOption(options)
	if direct != "" { // as PostgreSQL does: the options first, then the packet's own settings
		version = direct
	}
	if version != "" {
		if !validVersion(version) {
			return s.fail("22023", badVersion(version), versionHint)
		}
		st.Version = lens.Version(version)
		s.version = st.Version
	}
	s.startup = st
	s.toServer.add(packet)
	s.phase = authenticating
	return nil
}

// isFalse says whether PostgreSQL takes a word for the boolean false.
func isFalse(word string) bool {
	prefix := func(of string, least int) bool { return len(word) >= least && strings.HasPrefix(of, word) }
	return word == "0" || prefix("false", 1) || prefix("no", 1) || prefix("off", 2)
}

const versionHint = `Give "old", "new", "auto" or the name of a migration, such as options=-csegue.version=new.`

func badVersion(v string) string { return fmt.Sprintf("%q is no value for segue.version", v) }

// validVersion says whether a text can be a version: one of the three words, or the name of a migration, also of one that is over or to
// come, which old code may go on to give.
func validVersion(v string) bool {
	for i := range len(v) {
		if c := v[i]; c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return v != ""
}

// versionOption finds segue.version in the startup packet's options, which are command-line switches: -c name=value or --name=value. The last
// one counts.
func versionOption(options string) string {
	version := ""
	args := splitOptions(options)
	for i := 0; i < len(args); i++ {
		var setting string
		switch a := args[i]; {
		case a == "-c" && i+1 < len(args):
			i++
			setting = args[i]
		case strings.HasPrefix(a, "--"), strings.HasPrefix(a, "-c"):
			setting = a[2:]
		}
		name, value, ok := strings.Cut(setting, "=")
		if ok && strings.EqualFold(name, "segue.version") {
			version = value
		}
	}
	return version
}

// splitOptions splits at white space that no backslash stands before, as PostgreSQL's pg_split_opts does.
func splitOptions(s string) []string {
	var args []string
	for i := 0; i < len(s); {
		if isSpace(s[i]) {
			i++
			continue
		}
		var arg strings.Builder
		for ; i < len(s) && !isSpace(s[i]); i++ {
			if s[i] == '\\' {
				if i++; i == len(s) {
					break
				}
			}
			arg.WriteByte(s[i])
		}
		args = append(args, arg.String())
	}
	return args
}
