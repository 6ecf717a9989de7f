package demo

import "fmt"

// user is one row of users as its worker last wrote it, with what belongs to it in orders.
type user struct {
	name, email string
	logins      int64
	orders      int64
	total       int64
}

// record is what a worker knows of the rows that only it writes.
type record struct {
	users map[int64]user
	ids   []int64         // the keys of users, in no order; for picking one
	place map[int64]int   // where in ids
	lost  map[string]bool // e-mail addresses of rows whose last write failed: nothing is known of them
}

// The rows that set-up makes are a function of their key.
func firstUser(id int64) user {
	u := user{name: fmt.Sprintf("User %07d", id), email: fmt.Sprintf("user%d@example.org", id)}
	if id%4 == 0 {
		u.orders, u.total = 1, id%1000
	}
	return u
}

// remember fills the record with the rows that were there at the start.
func (w *worker) remember() {
	n := int(w.hi - w.lo + 1)
	w.users, w.place, w.lost = make(map[int64]user, n), make(map[int64]int, n), map[string]bool{}
	for id := w.lo; id <= w.hi; id++ {
		w.put(id, firstUser(id))
	}
}

func (r *record) put(id int64, u user) {
	if _, ok := r.users[id]; !ok {
		r.place[id] = len(r.ids)
		r.ids = append(r.ids, id)
	}
	r.users[id] = u
}

func (r *record) remove(id int64) {
	if _, ok := r.users[id]; !ok {
		return
	}
	i, last := r.place[id], len(r.ids)-1
	r.ids[i] = r.ids[last]
	r.place[r.ids[i]] = i
	r.ids = r.ids[:last]
	delete(r.place, id)
	delete(r.users, id)
}

// lose gives a row up whose last write failed: whether it was done is not known.
func (r *record) lose(id int64) {
	if u, ok := r.users[id]; ok {
		r.lost[u.email] = true
		r.remove(id)
	}
}

// between gives the keys in [lo, hi] that are there, in order.
func (r *record) between(lo, hi int64) []int64 {
	var out []int64
	for id := lo; id <= hi; id++ {
		if _, ok := r.users[id]; ok {
			out = append(out, id)
		}
	}
	return out
}

// pick gives a random row.
func (w *worker) pick() (int64, user) {
	id := w.ids[w.rnd.IntN(len(w.ids))]
	return id, w.users[id]
}
