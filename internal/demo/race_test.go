//go:build race

package demo

// The binary is built as the test is, so that the C parser is not compiled a second time.
const raceFlag = "-race"
