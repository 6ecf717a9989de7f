package wiretest

import (
	"strings"
	"testing"
)

func TestLinesAreFramesAndBack(t *testing.T) {
	for side, lines := range map[Side]string{
		Client: `Query "SELECT 1"
Parse s1 "SELECT $1" 23 25
Bind "" s1 hello NULL ""
Describe S s1
Execute "" 0
Close P "a b"
Sync
Flush
CopyData "1\t2\n"
CopyDone
CopyFail stop
Terminate`,
		Server: `Auth 0
SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256
ParameterStatus server_version "15.4 (Debian)"
BackendKeyData 42 7
RowDescription id:16384:1 name:0:0
DataRow 1 NULL "a b"
CommandComplete "SELECT 1"
Error ERROR 42P01 "no \"x\"" H="look again" P=15
Ready I
ParameterDescription 23
EmptyQuery
Notification 42 channel payload`,
	} {
		b, err := Frames(side, lines)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(Lines(side, b), "\n"); got != lines {
			t.Errorf("got\n%s\nfor\n%s", got, lines)
		}
	}
}

func TestBadLinesAreErrors(t *testing.T) {
	for _, l := range []string{"Nonsense", "Query", "Query a b", `Query "a`, "Execute p x", "Error ERROR"} {
		if _, err := Frames(Client, l); err == nil {
			t.Errorf("%s: no error", l)
		}
	}
}
