package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
)

// measures are what one run gave, by name.
type measures map[string]float64

// lane is one of the things that are compared.
type lane struct {
	name string
	run  func(ctx context.Context) (measures, error)
}

// runs are what lanes gave, by lane and round.
type runs map[string][]measures

// alternate runs the lanes by turns. Each round begins with another one, so that none is always behind the same other.
func alternate(ctx context.Context, rounds int, out io.Writer, lanes ...lane) (runs, error) {
	r := runs{}
	for _, l := range lanes {
		r[l.name] = make([]measures, rounds)
	}
	for round := range rounds {
		for i := range lanes {
			l := lanes[(round+i)%len(lanes)]
			m, err := l.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			r[l.name][round] = m
		}
		say(out, "  round %d of %d\n", round+1, rounds)
	}
	return r, nil
}

// say tells how far the run is. That nobody can be told any more is no reason to end it.
func say(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }

func (r runs) values(lane, what string) []float64 {
	var v []float64
	for _, m := range r[lane] {
		v = append(v, m[what])
	}
	return v
}

func (r runs) median(lane, what string) float64 { return median(r.values(lane, what)) }

// ratio is the median of the rounds' ratios: what changed on the machine between two rounds is in both of its sides.
func (r runs) ratio(lane, against, what string) float64 {
	var v []float64
	for i, m := range r[lane] {
		v = append(v, m[what]/r[against][i][what])
	}
	return median(v)
}

// cell is a table's: the median, and where there is more than one round, the least and the most.
func (r runs) cell(lane, what, format string) string {
	v := r.values(lane, what)
	s := fmt.Sprintf(format, median(v))
	if len(v) > 1 {
		s += fmt.Sprintf(" ("+format+" to "+format+")", slices.Min(v), slices.Max(v))
	}
	return s
}

// median is NaN of nothing.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// quantile gives the least value that a share q of v does not exceed; NaN of nothing. It sorts v.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return v[max(0, int(math.Ceil(q*float64(len(v))))-1)]
}
