// Package config turns TOML files into validated structs: the proxy's settings and migrations' definitions. It reads files and
// nothing else; what a definition means for a database is left to package migrate.
package config
