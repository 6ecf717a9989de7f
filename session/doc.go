// Package session is the protocol state machine of one client connection and its server connection: bytes from either side go in,
// bytes for both come out. It does no I/O, starts no goroutine and has no clock; sockets, time-outs and the proxies' agreement are left to
// package proxy, and what a statement becomes to package rewrite.
//
// Frames are recognised by their header and passed on as they came. Only what a session must know or change is held whole: the texts
// of Query and Parse, the names at the front of Bind, and the few replies that tell how the server stands. All other bodies are
// streamed in whatever chunks they come.
//
// Each message that the server will answer has an entry in a queue, which pairs each reply with its request: which replies the client must
// not see, which to patch, and what the server skips after an error (queue.go). What a message changes in what the session knows of
// prepared statements and portals is noted at once, since later messages of a pipeline build on it, and taken back when the server
// skipped it or failed it (versions.go). SQL's PREPARE, EXECUTE and DEALLOCATE are followed in the same names (execute.go).
//
// One owner drives a session under a lock of its own:
//
//	n, err := s.Client(bytes)   // from the client's socket; call it again with bytes[n:] once Blocked() is NotBlocked
//	write(server, s.ToServer()) // only Client makes bytes for the server
//	err := s.Server(bytes)      // from the server's socket
//	write(client, s.ToClient()) // only Server makes bytes for the client, once a server is there; before it, and when Client fails, Client does
package session
