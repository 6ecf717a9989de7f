package session

import (
	"bytes"
	"encoding/binary"
	"testing"

	"segue/internal/wiretest"
)

// clientFrames and serverFrames are what fuzzed conversations are made of, beside raw bytes.
var (
	clientFrames = []string{
		"Query \"SELECT name FROM users\"", "Query \"SELECT 1\"", "Query BEGIN", "Query \"SET x = 1\"", "Query \"DEALLOCATE ALL\"", "Query \"SELECT nope FROM users\"",
		"Parse \"\" \"SELECT name FROM users\"", "Parse a \"SELECT name FROM users\" 23", "Parse a \"SELECT 1\"", "Parse b \"ROLLBACK\"",
		"Bind \"\" \"\"", "Bind p a x", "Bind p b", "Describe S a", "Describe P p", "Execute p 0", "Execute \"\" 1", "Close S a", "Close P p", "Sync", "Flush",
		"CopyData x", "CopyDone", "CopyFail x", "Function 1 x", "Terminate", "Query \"PREPARE a AS SELECT name FROM users\"", "Query \"EXECUTE a\"",
		"Query \"EXECUTE \\\"q\\\"; ROLLBACK\"", "Parse c \"EXECUTE a\"", "Bind \"\" c", "Parse a \"PREPARE \\\"q\\\" AS SELECT name FROM users\"", "Query \"DEALLOCATE a\"",
	}
	serverFrames = []string{
		"ParseComplete", "BindComplete", "CloseComplete", "NoData", "RowDescription a:1:1 b:2:2", "DataRow a b", "DataRow path public", "CommandComplete \"SELECT 1\"",
		"CommandComplete DEALLOCATE", "CommandComplete \"DISCARD ALL\"", "EmptyQuery", "PortalSuspended", "Error ERROR 42703 \"segue refuses the statement\" P=108", "Error ERROR 25P02 x", "Error FATAL 57P01 x",
		"Ready I", "Ready T", "Ready E", "CopyIn x", "CopyOut x", "CopyData x", "CopyDone", "ParameterDescription 23", "Notice WARNING 1 x", "ParameterStatus a b",
		"ParameterStatus client_encoding SJIS", "FunctionResult x", "Notification 1 a b", "CopyBoth x",
		"CommandComplete PREPARE",
	}
)

// FuzzStartup: whatever a client begins with, and in whatever pieces, the session keeps no more than a startup packet, and what goes to the server is what came.
func FuzzStartup(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x10\x00\x03\x00\x00user\x00u\x00\x00"), byte(0), byte(3))
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x30\x00\x00\x00\x0c\x04\xd2\x16.pid."), byte(1), byte(1))
	f.Add([]byte("\x16\x03\x01"), byte(2), byte(9))
	f.Add([]byte("\x00\x00\x00\x2a\x00\x03\x00\x00user\x00u\x00options\x00-c segue.version=a'b\x00\x00"), byte(0), byte(200))
	f.Fuzz(func(t *testing.T, in []byte, tls, step byte) {
		w := newWire(t, "auto", 2, false)
		w.s.tls = TLSOffer(tls % 3)
		var out []byte
		for rest := in; len(rest) > 0 && w.s.Blocked() == NotBlocked; {
			n := min(int(step)+1, len(rest))
			used, err := w.s.Client(rest[:n])
			out = append(out, w.s.ToServer()...)
			if rest = rest[used:]; err != nil || w.s.Startup() != nil {
				break
			}
		}
		if n := len(w.s.client.held); n > maxStartup {
			t.Fatalf("%d bytes are held", n)
		}
		if st := w.s.Startup(); st != nil && !st.Cancel && (!bytes.Contains(in, st.Raw) || !bytes.HasPrefix(out, st.Raw) || !validVersion(string(st.Version))) {
			t.Fatalf("%q became %q with version %q", in, out, st.Version)
		}
	})
}

// FuzzSession feeds both sides with what no client and no server says: the session must neither panic nor keep more than it may, and its counts
// must agree.
func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3})
	f.Add([]byte{6, 19, 128, 129, 135, 128, 129, 5, 128 + 12, 128 + 15})
	f.Add([]byte{255, 'Q', 0, 0, 0, 5, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			return
		}
		w := newWire(t, "auto", 2, false)
		w.s.limit = 1000
		w.started(t)
		epoch := int64(2)
		for i := 0; i < len(script); i++ {
			switch c := int(script[i]); {
			case c < 100:
				w.client(frames(t, wiretest.Client, clientFrames[c%len(clientFrames)]))
			case c < 110:
				epoch++
				w.s.SetState(usersState(t, epoch%8, c%3 == 0))
				w.goOn()
			case c < 115:
				w.gate.shut = !w.gate.shut
				w.s.Resume()
				w.goOn()
			case c < 118:
				w.s.Expire()
				w.goOn()
			case c < 120: // raw bytes of the client
				n := min(len(script)-i-1, 9)
				w.client(script[i+1 : i+1+n])
				i += n
			case c < 122:
				n := min(len(script)-i-1, 9)
				w.server(script[i+1 : i+1+n])
				i += n
			default:
				w.server(frames(t, wiretest.Server, serverFrames[c%len(serverFrames)]))
			}
			check(t, w.s)
		}
	})
}

// check holds what must be true of a session at all times.
func check(t *testing.T, s *Session) {
	t.Helper()
	firm := 0
	for i := range s.queue.n {
		if e := s.queue.at(i); e.firm() {
			firm++
		}
	}
	if firm != s.queue.firm {
		t.Fatalf("%d replies are outstanding, and %d are counted", firm, s.queue.firm)
	}
	if n := len(s.client.held); n > s.limit && n > maxStartup {
		t.Fatalf("%d bytes of the client are held", n)
	}
	if n := len(s.server.held); n > s.limit {
		t.Fatalf("%d bytes of the server are held", n)
	}
	if s.skip && s.queue.n > 0 {
		t.Fatalf("the server skips, and %d entries await it", s.queue.n)
	}
	if s.phase == serving && s.AtBoundary() && s.pending != nil {
		t.Fatal("a state is pending at a boundary")
	}
	seen, texts := map[*source]int{}, 0
	count := func(r *record) {
		if r == nil || r.source == nil {
			return
		}
		if seen[r.source]++; seen[r.source] == 1 {
			texts += r.source.size()
		}
	}
	versions := map[*record]bool{}
	for _, r := range s.statements {
		versions[r] = true
	}
	for i := range s.queue.n {
		for _, c := range s.queue.at(i).changes {
			if c.next != nil {
				versions[c.next] = true
				if c.prev != nil {
					versions[c.prev] = true
				}
			}
		}
	}
	for r := range versions {
		count(r)
	}
	if texts != s.texts {
		t.Fatalf("%d bytes of text are kept, and %d are counted", texts, s.texts)
	}
}

// FuzzPass plays conversations that name no migrating table: each side must get the other's bytes as they are, however they are cut.
func FuzzPass(f *testing.F) {
	f.Add([]byte{1, 2, 3, 200, 7, 9}, uint8(3))
	f.Add([]byte{5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, uint8(1))
	f.Fuzz(func(t *testing.T, script []byte, cut uint8) {
		if len(script) > 1024 {
			return
		}
		w := newWire(t, "auto", 1, true)
		w.started(t)
		var toServer, toClient []byte
		feed := func(side func([]byte), b []byte) {
			for n := int(cut)%7 + 1; len(b) > n; b = b[n:] {
				side(b[:n])
			}
			side(b)
		}
		for _, c := range script {
			// a message, and the reply that belongs to it
			k := int(c) % len(exchanges)
			q, r := frames(t, wiretest.Client, exchanges[k][0]), frames(t, wiretest.Server, exchanges[k][1])
			feed(w.client, q)
			feed(w.server, r)
			toServer, toClient = append(toServer, q...), append(toClient, r...)
		}
		if w.err != nil || !bytes.Equal(w.toS, toServer) || !bytes.Equal(w.toC, toClient) {
			t.Fatalf("%v: to the server\n%q\nand not\n%q\nto the client\n%q\nand not\n%q", w.err, w.toS, toServer, w.toC, toClient)
		}
		check(t, w.s)
	})
}

// exchanges are messages with the replies that fit them.
var exchanges = [][2]string{
	{"Query \"SELECT 1\"", "RowDescription a:1:1\nDataRow 1\nCommandComplete \"SELECT 1\"\nReady I"},
	{"Query BEGIN", "CommandComplete BEGIN\nReady T"},
	{"Query bad", "Error ERROR 42601 bad\nReady E"},
	{"Query \"\"", "EmptyQuery\nReady I"},
	{"Parse a \"SELECT 1\"\nSync", "ParseComplete\nReady I"},
	{"Parse \"\" \"SET x = 1\"\nBind \"\" \"\"\nDescribe P \"\"\nExecute \"\" 0\nSync", "ParseComplete\nBindComplete\nNoData\nCommandComplete SET\nReady I"},
	{"Bind p a x\nExecute p 1\nExecute p 0\nClose P p\nFlush\nSync", "BindComplete\nDataRow x\nPortalSuspended\nCommandComplete \"SELECT 0\"\nCloseComplete\nReady T"},
	{"Execute x 0\nParse b bad\nQuery \"SELECT 1\"\nSync", "Error ERROR 34000 none\nReady I"},
	{"Query \"COPY t FROM STDIN\"\nCopyData x\nSync\nCopyDone", "CopyIn x\nCommandComplete \"COPY 1\"\nReady I"},
	{"Query \"COPY t FROM STDIN\"\nCopyData x\nCopyFail no\nCopyData y\nCopyDone", "CopyIn x\nError ERROR 57014 no\nReady I"},
	{"Query \"COPY t TO STDOUT\"", "CopyOut x\nCopyData \"a\\n\"\nCopyDone\nCommandComplete \"COPY 1\"\nReady I"},
	{"Execute \"\" 0\nSync\nCopyData x\nCopyDone\nSync", "CopyIn x\nCommandComplete \"COPY 1\"\nReady I"},
	{"Function 1 x", "FunctionResult y\nReady T"},
	{"Close S a\nDescribe S x\nSync", "CloseComplete\nError ERROR 26000 none\nReady E"},
	{"Sync\nSync", "Ready I\nReady I"},
	{"Query \"DEALLOCATE ALL\"", "CommandComplete \"DEALLOCATE ALL\"\nNotice NOTICE 00000 x\nReady I"},
	{"Flush", "Notification 1 a b\nParameterStatus a b"},
}

func TestLargeStatements(t *testing.T) {
	w := newWire(t, "auto", 2, false)
	w.s.limit = 1000
	w.started(t)
	big := bytes.Repeat([]byte{'x'}, 5000)
	frame := func(typ byte, body ...[]byte) []byte {
		b := append([]byte{typ, 0, 0, 0, 0}, bytes.Join(body, nil)...)
		binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
		return b
	}
	zero := []byte{0}
	for _, cut := range []int{1, 7, 100000} {
		all := bytes.Join([][]byte{
			frame('Q', big, zero), frame('P', []byte("a"), zero, big, zero, noTypes), frames(t, wiretest.Client, "Sync"),
			frame('B', zero, zero, noTypes, []byte{0, 1, 0, 0, 0x13, 0x88}, big, noTypes), frames(t, wiretest.Client, "Sync"), frame('d', big),
		}, nil)
		w.toS, w.toC = nil, nil
		for len(all) > 0 {
			n := min(cut, len(all))
			w.client(all[:n])
			all = all[n:]
			check(t, w.s)
		}
		got := wiretest.Lines(wiretest.Client, w.toS)
		if len(got) != 6 || got[0] != `Query "SELECT \"segue refuses the statement\""` || got[1] != `Parse "segue refusal" "SELECT \"segue refuses the statement\""` {
			t.Fatalf("%.300q", got)
		}
		w.server(frames(t, wiretest.Server, "Error ERROR 42703 \"segue refuses the statement\"\nReady I\nError ERROR 42703 \"segue refuses the statement\"\nReady I\nBindComplete\nReady I"))
		if got := wiretest.Lines(wiretest.Server, w.toC); w.err != nil || len(got) != 6 || !bytes.HasPrefix([]byte(got[2]), []byte("Error ERROR 54000")) {
			t.Fatalf("%q, %v", got, w.err)
		}
	}
}

// The texts of prepared statements are bounded all together, and room that is given back can be used again.
func TestTextsAreBounded(t *testing.T) {
	w := newWire(t, "auto", 2, false)
	w.s.limit = 2000
	w.started(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		w.client(frames(t, wiretest.Client, "Parse "+name+" \""+string(bytes.Repeat([]byte{'x'}, 500))+"\"\nSync"))
		reply := "ParseComplete\nReady I"
		if name == "c" || name == "e" {
			reply = "Error ERROR 42703 \"segue refuses the statement\"\nReady I"
		}
		w.toC = nil
		w.server(frames(t, wiretest.Server, reply))
		if got := wiretest.Lines(wiretest.Server, w.toC); name == "c" && !bytes.HasPrefix([]byte(got[0]), []byte("Error ERROR 54000")) {
			t.Fatalf("%q", got)
		}
		if name == "c" {
			w.client(frames(t, wiretest.Client, "Close S a\nSync"))
			w.server(frames(t, wiretest.Server, "CloseComplete\nReady I"))
		}
		check(t, w.s)
	}
}

func TestPassingAllocatesNothing(t *testing.T) {
	w := newWire(t, "auto", 1, true)
	w.started(t)
	q := frames(t, wiretest.Client, "Bind \"\" s 1\nExecute \"\" 0\nSync\nQuery \"SELECT abalance FROM pgbench_accounts WHERE aid = 1\"")
	r := frames(t, wiretest.Server, "BindComplete\nDataRow 1\nCommandComplete \"SELECT 1\"\nReady I\nRowDescription a:1:1\nDataRow 1\nCommandComplete \"SELECT 1\"\nReady I")
	n := testing.AllocsPerRun(100, func() {
		if _, err := w.s.Client(q); err != nil {
			t.Fatal(err)
		}
		Recycle(w.s.ToServer())
		if err := w.s.Server(r); err != nil {
			t.Fatal(err)
		}
		Recycle(w.s.ToClient())
	})
	if n > 0.5 {
		t.Errorf("%v allocations for two passed statements", n)
	}
}
