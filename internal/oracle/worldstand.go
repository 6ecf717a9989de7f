package oracle

import "segue/rewrite/lens"

// stands gives the points at which a world is looked at: where one migration is under way, all of Stands; where two are, a way through the pairs of
// them on which now the one goes on and now the other, and a rollback of the later one.
func (w *World) stands() []worldStand {
	var out []worldStand
	if w.splitting() != nil {
		return w.splitStands()
	}
	if len(w.Changes) == 1 {
		for i := range Stands {
			out = append(out, w.standAt([]int{i}))
		}
		return out
	}
	const expanded, complete, writeOld = 2, 15, 16
	at := [2]int{}
	pairs := [][2]int{at}
	// The second is behind the first at first, and catches up with it; one step in three is looked at.
	for step := 0; at != [2]int{complete, complete}; step++ {
		move := (w.way >> (step % 30)) & 1
		switch {
		case at[0] < expanded || at[1] == complete:
			move = 0
		case at[0] == complete:
			move = 1
		}
		at[move]++
		if step%2 == 1 || at[0] == complete && at[1] == complete {
			pairs = append(pairs, at)
		}
	}
	pairs = append(pairs, [2]int{w.way%4 + 5, writeOld}, [2]int{w.way%4 + 8, writeOld + 1})
	for _, p := range pairs {
		out = append(out, w.standAt(p[:]))
	}
	return out
}

// standAt puts each change at one of Stands.
func (w *World) standAt(at []int) worldStand {
	var st worldStand
	for k, i := range at {
		s := &Stands[i]
		if k > 0 {
			st.name += " + "
		}
		st.name += s.Name
		st.stages = append(st.stages, s.Stage)
		st.catalog = append(st.catalog, s.Catalog)
		st.physical = append(st.physical, s.Physical)
		for side := range st.keeps {
			st.keeps[side] = append(st.keeps[side], s.keeps(Side(side)))
		}
	}
	return st
}

// lossyRefuses says that new code cannot write a lossy column yet at the stand.
func (st *worldStand) early() bool {
	for _, s := range st.stages {
		if s.Phase < lens.SwitchReads {
			return true
		}
	}
	return false
}
