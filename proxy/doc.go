// Package proxy carries clients to the server: listeners, dialling, the goroutines that drive sessions, cancel requests, draining, the admin
// socket and metrics. What bytes mean is left to package session, and migrations to whoever implements Control.
package proxy
