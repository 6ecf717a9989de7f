// Package agree decides what the agreement among the proxies allows next: for a proxy, when its statements may be sent and what it has to tell; for
// whoever changes the epoch, when the next one may be written, who has to be waited for, and who is dead. It leaves all I/O, and the reading of
// clocks, to its callers: times are inputs, durations since any fixed moment on a clock of the caller's own.
//
// docs/agreement.md explains the protocol; the model in this package's tests explores it by calling what is here.
package agree
