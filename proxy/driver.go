package proxy

// Driver says what carries the clients whose connection, and the server's, are plain sockets; those with TLS are carried by goroutines.
type Driver string

// The drivers.
const (
	DriverAuto      Driver = "auto"      // the fastest there is; "" is the same
	DriverGoroutine Driver = "goroutine" // two goroutines a client
	DriverEpoll     Driver = "epoll"     // a few event loops for all clients: Linux only
)
