package proxy

import (
	"context"
	"fmt"
	"strings"
)

// OnBusy says what a request does that meets another one at work: there is one change of the epoch at a time, and one work on a migration.
type OnBusy string

// What a request may do.
const (
	BusyQueue OnBusy = ""     // wait for a change of another migration, and be told of other work on the same one
	BusyWait  OnBusy = "wait" // wait for both
	BusyFail  OnBusy = "fail" // be told of both at once
)

// ParseOnBusy reads what the command line and the admin socket say.
func ParseOnBusy(text string) (OnBusy, error) {
	switch b := OnBusy(text); b {
	case BusyQueue, BusyWait, BusyFail:
		return b, nil
	}
	return BusyQueue, fmt.Errorf("%q is no choice: use wait or fail", text)
}

type onBusyKey struct{}

// WithOnBusy gives a request's context its choice, which holds for all that it asks for.
func WithOnBusy(ctx context.Context, b OnBusy) context.Context {
	return context.WithValue(ctx, onBusyKey{}, b)
}

// OnBusyOf reads the choice.
func OnBusyOf(ctx context.Context) OnBusy {
	b, _ := ctx.Value(onBusyKey{}).(OnBusy)
	return b
}

// busyText is what BusyError.Error begins with.
const busyText = "busy: "

// BusyError is that another request is at work. Nothing is wrong, and nothing has been done: exit code 4. It is an ErrConflict.
type BusyError struct{ Text string }

// Error says who is at work, and what to do.
func (e *BusyError) Error() string { return busyText + e.Text }

// Is says that it is a conflict, too.
func (e *BusyError) Is(target error) bool { return target == ErrConflict }

// ParseBusy reads back what BusyError.Error wrote, as a migration's status has it; nil where the text is no such error.
func ParseBusy(text string) *BusyError {
	rest, ok := strings.CutPrefix(text, busyText)
	if !ok {
		return nil
	}
	return &BusyError{rest}
}
