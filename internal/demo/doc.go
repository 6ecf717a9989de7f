// Package demo carries two live applications through a column rename on a throwaway server: the applications' work and their record of
// it, the proxies as processes, the migration's script, the display and the summary. What carries them is left to the segue binary,
// which the package runs as a user would.
package demo
