//go:build !race

package demo

const raceFlag = "-race=false"
