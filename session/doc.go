// Package session is the protocol state machine of one client connection and its server connection: bytes from either side go in,
// bytes for both come out. It does no I/O, starts no goroutine and has no clock; sockets, time-outs and the proxies' agreement are left to
// package proxy, and what a statement becomes to package rewrite.
package session
