//go:build chaos

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"segue/migrate"
)

// hooks gives what is called at the boundaries of a migration's steps. The file "armed" in SEGUE_CHAOS_DIR has "kill N" or "stop N": at the boundary after N others, the
// process sends itself SIGKILL or SIGSTOP, and leaves in the file "fired" what and where.
func hooks() migrate.Hooks {
	dir := os.Getenv("SEGUE_CHAOS_DIR")
	var mu sync.Mutex
	return migrate.Hooks{At: func(_ context.Context, point string) error {
		mu.Lock()
		defer mu.Unlock()
		armed := filepath.Join(dir, "armed")
		text, err := os.ReadFile(armed)
		if err != nil {
			return nil //nolint:nilerr // it is not armed
		}
		var action string
		var n int
		if _, err := fmt.Sscan(string(text), &action, &n); err != nil {
			return err
		}
		if n > 0 {
			return os.WriteFile(armed, fmt.Appendf(nil, "%s %d", action, n-1), 0o600)
		}
		if err := os.Remove(armed); err != nil {
			return nil //nolint:nilerr // it has been disarmed
		}
		if err := os.WriteFile(filepath.Join(dir, "fired"), []byte(action+" "+point), 0o600); err != nil {
			return err
		}
		signal := syscall.SIGKILL
		if action == "stop" {
			signal = syscall.SIGSTOP
		}
		return syscall.Kill(os.Getpid(), signal)
	}}
}
