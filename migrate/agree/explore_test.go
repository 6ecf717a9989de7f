package agree

import (
	"cmp"
	"hash/maphash"
	"slices"
)

// explored is the graph of all states that a model can come to, up to which proxy is which. States are known by their hashes: two different ones with the same are not told apart, which at
// ten million states happens once in a hundred thousand runs.
type explored struct {
	model  *model
	bad    fault // what must not be; "" where nothing of the kind was found
	full   bool  // every state was looked at; not so where something bad was found, or there were too many
	parent []int32
	by     []action // how a state was come to from its parent
	first  []int32  // where a state's successors begin in next
	next   []int32
	on     []bool // the migration has arrived at the last stand, and all is settled
	back   []bool // at the first one
	final  []bool // the old column is gone: there is no way back
}

var seed = maphash.MakeSeed()

// explore looks at the states breadth first, so that what is found is come to by the fewest steps.
func (m *model) explore(limit int) *explored {
	x := &explored{model: m}
	ids := map[uint64]int32{}
	var queue []world
	add := func(w *world, parent int32, a action) int32 {
		m.canonical(w)
		h := maphash.Comparable(seed, *w)
		id, known := ids[h]
		if known {
			return id
		}
		id = int32(len(x.parent))
		ids[h] = id
		queue = append(queue, *w)
		x.parent, x.by = append(x.parent, parent), append(x.by, a)
		quiet := w.db.row().IsSettled() && w.lock == 0
		x.on = append(x.on, quiet && (w.db.stand == m.within[len(m.within)-1] || m.epochs > 0))
		x.back = append(x.back, quiet && (w.db.stand == m.start || m.epochs > 0))
		x.final = append(x.final, w.db.stand == complete)
		return id
	}
	add(m.initial(), -1, action{})
	for id := int32(0); int(id) < len(x.parent); id++ {
		if len(x.parent) > limit {
			return x
		}
		w := queue[0]
		queue = queue[1:]
		x.first = append(x.first, int32(len(x.next)))
		m.step(&w, func(a action, n *world, bad fault) {
			if x.bad != "" {
				return
			}
			if bad == "" {
				bad = m.judgeWorld(n)
			}
			to := add(n, id, a)
			if bad != "" {
				x.bad = bad
				x.parent, x.by = append(x.parent, id), append(x.by, a) // the last one, wherever it was known
				return
			}
			x.next = append(x.next, to)
		})
		if x.bad != "" {
			return x
		}
	}
	x.first = append(x.first, int32(len(x.next)))
	x.full = true
	return x
}

// judgeWorld says what is wrong with a state.
func (m *model) judgeWorld(w *world) fault {
	var alive [stands]bool
	var bad fault
	m.alive(w, func(s stand, i int) {
		alive[s] = true
		switch {
		case bad != "" || i < 0: // what is prepared has been carried out
		case s.names()&^w.serverOf(&w.members[i]).columns != 0:
			bad = fault("a proxy may still name a column that is not there: it is at " + s.String() + ", and the table has " + columns(w.serverOf(&w.members[i]).columns))
		case s.reads() && !w.serverOf(&w.members[i]).proved:
			bad = fault("reads have moved before the proof: a proxy is at " + s.String())
		}
	})
	if bad != "" {
		return bad
	}
	for a := range alive {
		for b := range a {
			if alive[a] && alive[b] && !adjacent(stand(a), stand(b)) {
				return fault("statements of " + stand(b).String() + " and of " + stand(a).String() + " are under way at once")
			}
		}
	}
	n := 0
	for _, is := range alive {
		if is {
			n++
		}
	}
	if n > 2 {
		return "statements of three stands are under way at once"
	}
	return ""
}

// canonical puts the proxies in an order of their own, since which is which makes no difference, and has the current epoch begin where the first one did, since only differences count. It gives
// where each proxy was, and by how much epochs begin earlier.
func (m *model) canonical(w *world) (was [proxies]int8, by int) {
	if m.epochs == 0 {
		by = int(w.db.mark.epoch - firstEpoch)
		w.shift(int8(by))
	}
	for i := range w.past { // what the standby is past is not come to again
		if w.past[i].mark.epoch <= w.standby.mark.epoch {
			w.past[i] = shown{stand: none}
		}
	}
	for i := range w.members {
		m.simplify(w, &w.members[i])
	}
	type numbered struct {
		hash uint64
		was  int8
	}
	var order [proxies]numbered
	for i := range w.members {
		order[i] = numbered{maphash.Comparable(seed, w.members[i]), int8(i)}
	}
	slices.SortFunc(order[:], func(a, b numbered) int { return cmp.Compare(a.hash, b.hash) })
	members := w.members
	for i, o := range order {
		w.members[i], was[i] = members[o.was], o.was
	}
	return was, by
}

// simplify has states be the same from which the same will happen.
func (m *model) simplify(w *world, p *member) {
	for c := range p.seen {
		s := &p.seen[c]
		if !p.row.in || p.row.ack >= w.db.mark.epoch {
			s.known, s.same, s.judged, s.age = false, false, false, 0 // nobody asks
		}
		if !s.same { // as if it had never been seen
			s.known, s.age = false, 0
		}
	}
	if m.left.failovers > 0 {
		return
	}
	if p.follows && (p.life != live) {
		p.floor, p.shown = mark{}, mark{}
	}
	if p.life == live && !p.row.in && !p.leased() && !p.replying {
		p.lose() // all that it can do is to find that out
	}
	if p.life == joining {
		p.mark, p.acked = mark{}, 0
		if p.session == none {
			p.stand = none
		}
	}
}

// oldest is as far back as an epoch is told from those before it.
const oldest = firstEpoch - 6

// shift has all epochs begin by so much earlier.
func (w *world) shift(by int8) {
	if by == 0 {
		return
	}
	back := func(epochs ...*int8) {
		for _, e := range epochs {
			if *e != 0 { // or else it is none
				*e = max(*e-by, oldest)
			}
		}
	}
	back(&w.db.mark.epoch, &w.db.settled)
	for i := range w.members {
		p := &w.members[i]
		back(&p.floor.epoch, &p.shown.epoch)
		back(&p.mark.epoch, &p.acked, &p.reached, &p.reply.acked, &p.reply.mark.epoch, &p.row.ack)
	}
	back(&w.standby.mark.epoch, &w.past[0].mark.epoch, &w.past[1].mark.epoch)
	for c := range w.coords {
		back(&w.coords[c].epoch)
	}
}

// stuck gives the first state that cannot come to any of the goals, or -1. Only those that count are looked at.
func (x *explored) stuck(goal []bool, counts func(int) bool) int32 {
	n := len(x.first) - 1
	degree := make([]int32, n+1)
	for _, to := range x.next {
		degree[to+1]++
	}
	for i := range n {
		degree[i+1] += degree[i]
	}
	before, at := make([]int32, len(x.next)), slices.Clone(degree)
	for i := range n {
		for _, to := range x.next[x.first[i]:x.first[i+1]] {
			before[at[to]] = int32(i)
			at[to]++
		}
	}
	can := slices.Clone(goal[:n])
	var queue []int32
	for i, is := range can {
		if is {
			queue = append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, b := range before[degree[i]:degree[i+1]] {
			if !can[b] {
				can[b] = true
				queue = append(queue, b)
			}
		}
	}
	for i := range n {
		if !can[i] && counts(i) {
			return int32(i)
		}
	}
	return -1
}
