package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// line is one of a chart's.
type line struct {
	name string
	x, y []float64
}

// chart is a plot of lines, whose y axis begins at 0.
type chart struct {
	title, x, y string
	logX        bool
	lines       []line
	marks       []float64 // upright lines, at these x
	marked      string    // what they mean
}

// The size of a plot, and of what is around its axes, in pixels.
const (
	width, height                   = 720, 360
	left, right, top, bottom        = 70, 20, 56, 48
	plotWidth, plotHeight           = width - left - right, height - top - bottom
	barHeight, barGap, barLabelWide = 22, 8, 300
)

var colours = []string{"#2a6fbb", "#d1603d", "#5a8f3c", "#7d5ba6"}

func open(b *strings.Builder, w, h int, title string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", w, h, w, h)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="white"/>`+"\n"+`<text x="%d" y="20" font-size="15">%s</text>`+"\n", w, h, 16, html.EscapeString(title))
}

// svg draws the chart.
func (c chart) svg() string {
	lowX, highX, highY := math.Inf(1), math.Inf(-1), 0.0
	for _, l := range c.lines {
		for i := range l.x {
			lowX, highX, highY = min(lowX, l.x[i]), max(highX, l.x[i]), max(highY, l.y[i])
		}
	}
	if math.IsInf(lowX, 0) {
		lowX, highX = 0, 1
	}
	scale := func(x float64) float64 { return x }
	if c.logX {
		scale = math.Log
	}
	if highX <= lowX {
		highX = lowX + 1
	}
	step := niceStep(highY)
	highY = step * math.Max(1, math.Ceil(highY/step))
	px := func(x float64) float64 {
		return left + plotWidth*(scale(x)-scale(lowX))/(scale(highX)-scale(lowX))
	}
	py := func(y float64) float64 { return top + plotHeight*(1-y/highY) }
	var b strings.Builder
	open(&b, width, height, c.title)
	for y := 0.0; y <= highY*1.0001; y += step {
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, py(y), width-right, py(y), left-6, py(y)+4, label(y))
	}
	for _, x := range c.ticks(lowX, highX) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", px(x), height-bottom+18, label(x))
	}
	for _, m := range c.marks {
		if m >= lowX && m <= highX {
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#999" stroke-dasharray="3 3"/>`+"\n", px(m), top, px(m), height-bottom)
		}
	}
	at := left
	for i, l := range c.lines {
		colour := colours[i%len(colours)]
		var points []string
		for k := range l.x {
			points = append(points, fmt.Sprintf("%.1f,%.1f", px(l.x[k]), py(l.y[k])))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.6" points="%s"/>`+"\n", colour, strings.Join(points, " "))
		if len(l.x) <= 12 {
			for k := range l.x {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px(l.x[k]), py(l.y[k]), colour)
			}
		}
		fmt.Fprintf(&b, `<rect x="%d" y="33" width="12" height="4" fill="%s"/><text x="%d" y="40">%s</text>`+"\n", at, colour, at+18, html.EscapeString(l.name))
		at += 34 + 7*len(l.name)
	}
	if c.marked != "" {
		fmt.Fprintf(&b, `<line x1="%d" y1="28" x2="%d" y2="42" stroke="#999" stroke-dasharray="3 3"/><text x="%d" y="40">%s</text>`+"\n", at, at, at+8, html.EscapeString(c.marked))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", left+plotWidth/2, height-10, html.EscapeString(c.x))
	fmt.Fprintf(&b, `<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n</svg>\n", top+plotHeight/2, html.EscapeString(c.y))
	return b.String()
}

// ticks are where the x axis has its numbers: at the points themselves where it is logarithmic.
func (c chart) ticks(low, high float64) []float64 {
	if c.logX && len(c.lines) > 0 {
		return c.lines[0].x
	}
	var out []float64
	step := niceStep(high - low)
	for x := math.Ceil(low/step) * step; x <= high; x += step {
		out = append(out, x)
	}
	return out
}

// niceStep gives the distance of an axis's numbers, of which there are to be about five.
func niceStep(span float64) float64 {
	if span <= 0 || math.IsInf(span, 0) || math.IsNaN(span) {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(span/5)))
	for _, f := range []float64{1, 2, 5} {
		if span/(unit*f) <= 6 {
			return unit * f
		}
	}
	return unit * 10
}

func label(v float64) string {
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	return fmt.Sprintf("%.4g", v)
}

// bar is one of a bar chart's.
type bar struct {
	name string
	v    float64
}

func barChart(title, unit string, bars []bar) string {
	most := 0.0
	for _, x := range bars {
		most = max(most, x.v)
	}
	if most == 0 {
		most = 1
	}
	const room = width - barLabelWide - 90
	var b strings.Builder
	open(&b, width, 44+len(bars)*(barHeight+barGap), title+" ("+unit+")")
	for i, x := range bars {
		y := 38 + i*(barHeight+barGap)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
			barLabelWide-8, y+15, html.EscapeString(x.name), barLabelWide, y, room*max(0, x.v)/most, barHeight, colours[0], barLabelWide+room*max(0, x.v)/most+6, y+15, label(x.v))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
