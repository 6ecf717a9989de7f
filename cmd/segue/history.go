package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// event is something that happened to a migration.
type event struct {
	At     time.Time      `json:"at"`
	Host   string         `json:"host"`
	Actor  string         `json:"actor"`
	Action string         `json:"action"`
	Detail map[string]any `json:"detail"`
}

// printHistory prints the last events, the newest first as they came.
func printHistory(w *bytes.Buffer, events []event) {
	if len(events) == 0 {
		return
	}
	fmt.Fprintln(w, "  history, newest first:")
	for i := range events {
		fmt.Fprintf(w, "    %s\n", events[i].text())
	}
}

// text is one line: when, what, on which host, for whom, and why or with what.
func (e *event) text() string {
	s := fmt.Sprintf("%s  %s, on %s", e.At.Local().Format("2006-01-02 15:04:05"), e.Action, e.Host)
	if e.Actor != "" {
		s += " for " + e.Actor
	}
	var more []string
	for _, key := range []string{"from", "to", "error", "waited for", "pid", "application", "rows", "apart", "repaired"} {
		v, there := e.Detail[key]
		if !there || v == nil || v == "" {
			continue
		}
		if text, ok := v.(string); ok && key == "error" {
			more = append(more, text)
			continue
		} else if ok {
			more = append(more, key+" "+text)
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			continue // it has just been read from JSON
		}
		more = append(more, key+" "+string(b))
	}
	if more != nil {
		s += ": " + strings.Join(more, ", ")
	}
	return s
}
