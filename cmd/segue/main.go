// Command segue carries running applications through a schema migration: `segue serve` is the proxy, the other commands steer migrations over
// its admin socket.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}
