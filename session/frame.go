package session

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"segue/rewrite/copydata"
)

// headerLen is the length of a frame's header: the message's type and its length, which counts itself.
const headerLen = 5

// largeFrame is PostgreSQL's PQ_LARGE_MESSAGE_LIMIT, the longest message that either side may send, in bytes.
const largeFrame = 0x3fffffff

// Buffers are shared by all sessions, so that an idle one has none: of these sizes in bytes, and at most maxSpare are kept while nobody uses them.
const (
	minBuffer  = 4 << 10
	keepBuffer = 256 << 10
	maxSpare   = 64
)

var spare = make(chan []byte, maxSpare)

func newBuffer() []byte {
	select {
	case b := <-spare:
		return b
	default:
		return make([]byte, 0, minBuffer)
	}
}

// Recycle takes back bytes that ToServer or ToClient gave and that have been written, for any session to use again. An owner that does not call it
// leaves them to the garbage collector.
func Recycle(b []byte) {
	if cap(b) < minBuffer || cap(b) > keepBuffer {
		return
	}
	select {
	case spare <- b[:0]:
	default: // enough are kept
	}
}

// flow is one direction of the connection: the bytes of the current call, what is held of a frame that has not come whole, and how much of
// the current frame is still to be streamed.
type flow struct {
	in   []byte // the current call's bytes; not kept beyond it
	n    int    // how many of them are consumed
	held []byte // consumed bytes of a frame that is not dealt with yet

	left int              // bytes of the current frame that are still to be streamed
	drop bool             // they go nowhere
	edit *copydata.Stream // or become something else, in frames of the session's own
}

// peek gives the next need bytes without consuming them, or nil where they have not come yet; then it holds all that came. The
// slice is good until the next call.
func (f *flow) peek(need int) []byte {
	if len(f.held) == 0 {
		if len(f.in)-f.n >= need {
			return f.in[f.n : f.n+need]
		}
		if f.n < len(f.in) {
			f.held = append(newBuffer(), f.in[f.n:]...)
			f.n = len(f.in)
		}
		return nil
	}
	if more := min(need-len(f.held), len(f.in)-f.n); more > 0 {
		f.held = append(f.held, f.in[f.n:f.n+more]...)
		f.n += more
	}
	if len(f.held) < need {
		return nil
	}
	return f.held[:need]
}

// take consumes k bytes that peek has given, which are not to be looked at after it.
func (f *flow) take(k int) {
	if len(f.held) == 0 {
		f.n += k
		return
	}
	rest := copy(f.held, f.held[k:])
	f.held = f.held[:rest]
	if rest == 0 {
		Recycle(f.held)
		f.held = nil
	}
}

// stream begins to pass the next k bytes to where step puts them, or drops them.
func (f *flow) stream(k int, drop bool) { f.left, f.drop, f.edit = k, drop, nil }

// step streams what has come of the current frame, and says whether that was all of it.
func (f *flow) step(out *output) bool {
	for f.left > 0 {
		from := f.held
		if len(from) == 0 {
			from = f.in[f.n:]
		}
		k := min(f.left, len(from))
		if k == 0 {
			return false
		}
		switch {
		case f.edit != nil:
			out.copyData(func(b []byte) []byte { return f.edit.Feed(b, from[:k]) })
		case !f.drop:
			out.add(from[:k])
		}
		f.take(k)
		f.left -= k
	}
	return true
}

// output gathers bytes for one side. What take gives is the owner's, so that it can be written without the lock while the session works on.
type output struct{ buf []byte }

func (o *output) add(b []byte) {
	if o.buf == nil {
		o.buf = newBuffer()
	}
	o.buf = append(o.buf, b...)
}

func (o *output) take() []byte {
	out := o.buf
	o.buf = nil
	return out
}

// begin begins a frame and gives its place, for end.
func (o *output) begin(typ byte) int {
	if o.buf == nil {
		o.buf = newBuffer()
	}
	o.buf = append(o.buf, typ, 0, 0, 0, 0)
	return len(o.buf) - 4
}

func (o *output) end(place int) {
	binary.BigEndian.PutUint32(o.buf[place:], uint32(len(o.buf)-place))
}

// text adds a null-terminated string.
func (o *output) text(s string) {
	o.buf = append(o.buf, s...)
	o.buf = append(o.buf, 0)
}

// cut cuts a null-terminated string from the front of b; ok is false where there is none.
func cut(b []byte) (s, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}

// view sees bytes as a string without copying them. It is good as long as the bytes do not change: never beyond the handling of the
// frame that they are in.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
