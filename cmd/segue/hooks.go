//go:build !chaos

package main

import "segue/migrate"

// hooks gives what is called at the boundaries of a migration's steps: nothing, but in the build that package internal/chaos makes for itself.
func hooks() migrate.Hooks { return migrate.Hooks{} }
