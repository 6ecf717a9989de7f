// Package chaos is a test of the built binary: eight proxies as processes before one server, applications of old and of new code that check every answer,
// operators who change phases forward and back, and a saboteur who kills, stops and cuts off. What must hold all the while is in the tests; there is
// nothing here for other packages.
package chaos
