package main

import (
	"fmt"
	"strings"
	"unicode"
)

const (
	// lineWidth is how much of a line is shown, in columns of the screen, and rightOfCaret how much of it at least behind the caret.
	lineWidth    = 60
	rightOfCaret = 10
)

// caret shows the line of a statement that a position is in, and the position below it, in the manner of psql. The position counts characters from
// 1. It gives nothing where there is none.
func caret(sql string, position int) []string {
	chars := []rune(sql)
	at := position - 1
	if at < 0 || at > len(chars) {
		return nil
	}
	line, from := 1, 0
	for i := range at {
		if chars[i] == '\n' || chars[i] == '\r' && (i+1 == len(chars) || chars[i+1] != '\n') {
			line, from = line+1, i+1
		}
	}
	to := at
	for to < len(chars) && chars[to] != '\n' && chars[to] != '\r' {
		to++
	}
	shown := chars[from:to]
	at -= from
	column := make([]int, len(shown)+1) // of the screen, by character
	for i, c := range shown {
		if c == '\t' || unicode.IsControl(c) {
			shown[i], c = ' ', ' '
		}
		column[i+1] = column[i] + width(c)
	}
	// Where the line is too long, its end goes first, then its beginning.
	first, last := 0, len(shown)
	if column[last] > lineWidth {
		if column[at]+rightOfCaret <= lineWidth {
			for column[last] > lineWidth {
				last--
			}
		} else {
			for column[at]+rightOfCaret < column[last] {
				last--
			}
			for column[last]-column[first] > lineWidth {
				first++
			}
		}
	}
	head := fmt.Sprintf("LINE %d: ", line)
	if first > 0 {
		head += "..."
	}
	tail := ""
	if last < len(shown) {
		tail = "..."
	}
	return []string{head + string(shown[first:last]) + tail, strings.Repeat(" ", len(head)+column[at]-column[first]) + "^"}
}

// wide are the characters that take two columns of the screen, as far as they are found in SQL.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0xa4cf, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff00, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}

// width is how many columns of the screen a character takes, as psql counts: one without a width counts as one, too.
func width(c rune) int {
	if unicode.Is(wide, c) {
		return 2
	}
	return 1
}
