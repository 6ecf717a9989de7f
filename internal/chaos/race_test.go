//go:build race

package chaos

// The binary is built as the test is, so that the C parser is not compiled a second time.
const raceFlag = "-race"
