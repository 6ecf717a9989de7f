package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestHistoryIsPrinted(t *testing.T) {
	var events []event
	if err := json.Unmarshal([]byte(`[
		{"at":"2026-05-04T03:02:01Z","host":"pod-3","actor":"ann (uid 7, pid 8)","action":"advance failed","detail":{"error":"gave it up"}},
		{"at":"2026-05-04T03:02:00Z","host":"pod-3","actor":"","action":"give up","detail":{"from":"switch-reads","to":"backfill","waited for":["proxy B"],"epoch":7}}]`), &events); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	printHistory(&b, events)
	for _, want := range []string{
		"advance failed, on pod-3 for ann (uid 7, pid 8): gave it up\n",
		`give up, on pod-3: from switch-reads, to backfill, waited for ["proxy B"]` + "\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if printHistory(&b, nil); b.Len() > 0 {
		t.Errorf("of nothing: %q", b.String())
	}
}
