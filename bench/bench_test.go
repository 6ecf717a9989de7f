package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhatIsRead(t *testing.T) {
	stat := "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 1 2 3 4 250 50 7 8 20 0 9 0 100 200 300"
	if d, err := parseStat(stat); d != 3*time.Second || err != nil {
		t.Errorf("a process of 250 and 50 ticks has used %v (%v)", d, err)
	}
	if _, err := parseStat("4711 (x) S"); err == nil {
		t.Error("a line that is cut off is read")
	}
	if n, err := parsePss("Rss:   900 kB\nPss:                 812 kB\nPss_Anon: 1 kB\n"); n != 812<<10 || err != nil {
		t.Errorf("a Pss of 812 kB is %d bytes (%v)", n, err)
	}
	d, err := parsePgbench("number of transactions actually processed: 1234\nnumber of failed transactions: 0 (0.000%)\ntps = 617.25 (without initial connection time)\n")
	if d.count != 1234 || d.tps != 617.25 || err != nil {
		t.Errorf("pgbench's 1234 transactions are %d, %f a second (%v)", d.count, d.tps, err)
	}
	for _, out := range []string{
		"number of transactions actually processed: 0\nnumber of failed transactions: 0 (NaN%)\n",
		"number of transactions actually processed: 5\nnumber of failed transactions: 1 (20%)\ntps = 5.0 (without initial connection time)\n",
	} {
		if _, err := parsePgbench(out); err == nil {
			t.Errorf("what pgbench printed is taken for a measurement:\n%s", out)
		}
	}
}

func TestFigures(t *testing.T) {
	if m := median([]float64{5, 1, 9}); m != 5 {
		t.Errorf("the median of three is %v", m)
	}
	if m := median([]float64{4, 1, 2, 9}); m != 3 {
		t.Errorf("the median of four is %v", m)
	}
	var v []float64
	for i := range 200 {
		v = append(v, float64(200-i))
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := quantile(v, q); got != want {
			t.Errorf("the quantile %v of 1 to 200 is %v, not %v", q, got, want)
		}
	}
	// The machine is three times as slow in the second round: each round's ratio is 2.
	r := runs{"a": {{"x": 2}, {"x": 6}, {"x": 4}}, "b": {{"x": 1}, {"x": 3}, {"x": 2}}}
	if got := r.ratio("a", "b", "x"); got != 2 {
		t.Errorf("the ratio is %v", got)
	}
	if f := atMost("", "", 1.01, 1, ""); f.Met {
		t.Error("1.01 is at most 1")
	}
	if f := atLeast("", "", 0.95, 0.95, ""); !f.Met {
		t.Error("0.95 is not at least 0.95")
	}
}

func TestLanesTakeTurns(t *testing.T) {
	var order strings.Builder
	of := func(name string) lane {
		return lane{name, func(context.Context) (measures, error) {
			order.WriteString(name)
			return measures{"x": 1}, nil
		}}
	}
	if _, err := alternate(t.Context(), 3, io.Discard, of("a"), of("b"), of("c")); err != nil {
		t.Fatal(err)
	}
	if got := order.String(); got != "abcbcacab" {
		t.Errorf("three lanes ran as %s", got)
	}
}

func TestRowsByName(t *testing.T) {
	if got, err := choose("copy, latency"); err != nil || len(got) != 2 || got[0].id != "copy" || got[1].id != "latency" {
		t.Errorf("two rows are %v (%v)", got, err)
	}
	if _, err := choose("copi"); err == nil || !strings.Contains(err.Error(), "cpu-prepared") {
		t.Errorf("a row that is not there: %v", err)
	}
}

// The data that is copied has four fields a line, and doubled a fifth that is the second one.
func TestCopyData(t *testing.T) {
	data := copyRows(10_000)
	if n := len(data); n > 10_000 || n < 9_800 {
		t.Errorf("10,000 bytes of data are %d", n)
	}
	lines, doubled := strings.SplitAfter(string(data), "\n"), strings.SplitAfter(string(doubleName(data)), "\n")
	if len(lines) != len(doubled) {
		t.Fatalf("%d lines become %d", len(lines), len(doubled))
	}
	for i := range len(lines) - 1 {
		f := strings.Split(strings.TrimSuffix(lines[i], "\n"), "\t")
		if want := strings.Join(append(f, f[1]), "\t") + "\n"; len(f) != 4 || doubled[i] != want {
			t.Fatalf("%q becomes %q", lines[i], doubled[i])
		}
	}
}

func TestPlotsAreXML(t *testing.T) {
	for name, svg := range map[string]string{
		"lines": chart{title: "a < b", x: "x", y: "y", logX: true, marks: []float64{3}, marked: "m", lines: []line{{"one & two", []float64{1, 16, 256}, []float64{1, 0, 3}}}}.svg(),
		"none":  chart{title: "nothing"}.svg(),
		"bars":  barChart("bars", "us", []bar{{"<a>", 1}, {"b", -1}, {"c", 0}}),
	} {
		d := xml.NewDecoder(bytes.NewReader([]byte(svg)))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s has a place that is no number:\n%s", name, svg)
		}
	}
}

// What was measured is kept, a row by itself, and the report has it with its note.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"results", "notes"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	res := &result{ID: "copy", Started: time.Unix(0, 0).UTC(), Rounds: 5, Load: "0.1 0.2 0.3", Machine: []string{"2 cores"}, dir: filepath.Join(dir, "results")}
	res.Figures = []figure{atLeast("COPY in", direct, 0.8, 0.95, "80 MB/s"), {What: "what it is", Measured: "7"}}
	res.Tables = []table{{Header: []string{"a", "b"}, Rows: [][]string{{"1", "2"}}}}
	if err := errors.Join(res.plot("", barChart("t", "u", nil)), res.save(), os.WriteFile(filepath.Join(dir, "notes", "copy.md"), []byte("What stands in the way.\n"), 0o644), report(dir)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| COPY in | direct | >= 0.95 | 0.80 | not met | 80 MB/s |", "| what it is |  | - | 7 | - | - |", "| a | b |\n|---|---|\n| 1 | 2 |", "![copy](results/copy.svg)",
		"load average when it began: 0.1 0.2 0.3", "What stands in the way.", "not measured yet",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the report has no %q:\n%s", want, b)
		}
	}
}
