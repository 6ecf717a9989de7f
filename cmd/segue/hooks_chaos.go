//go:build chaos

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"segue/migrate"
)

// hooks gives what is called at the boundaries of a migration's steps. The file "armed" in SEGUE_CHAOS_DIR has "kill N" or "stop N": at the boundary after N others, the
// process sends itself SIGKILL or SIGSTOP, and leaves in the file "fired" what and where. Who removes "armed" has disarmed it; who finds it gone finds "fired", then or
// soon, and whole.
func hooks() migrate.Hooks {
	dir := os.Getenv("SEGUE_CHAOS_DIR")
	var mu sync.Mutex
	passed := 0
	return migrate.Hooks{At: func(_ context.Context, point string) error {
		mu.Lock()
		defer mu.Unlock()
		armed := filepath.Join(dir, "armed")
		text, err := os.ReadFile(armed)
		if err != nil {
			passed = 0
			return nil //nolint:nilerr // it is not armed
		}
		var action string
		var n int
		if _, err := fmt.Sscan(string(text), &action, &n); err != nil {
			return err
		}
		if passed++; passed <= n {
			return nil
		}
		passed = 0
		if err := os.Remove(armed); err != nil {
			return nil //nolint:nilerr // it has been disarmed
		}
		fired := filepath.Join(dir, "fired")
		if err := errors.Join(os.WriteFile(fired+".part", []byte(action+" "+point), 0o600), os.Rename(fired+".part", fired)); err != nil {
			return err
		}
		signal := syscall.SIGKILL
		if action == "stop" {
			signal = syscall.SIGSTOP
		}
		return syscall.Kill(os.Getpid(), signal)
	}}
}
