package oracle

import "math/rand/v2"

// choices are the decisions that a generated statement is made of. A statement is a function of its choices, where 0 is always the
// plainest: so a statement is made smaller by leaving choices out and by making them smaller.
type choices struct {
	made []uint32
	at   int
	rng  *rand.Rand // for choices beyond made; nil: they are 0
}

// newChoices are those of the i-th statement of a seed.
func newChoices(seed, i uint64) *choices { return &choices{rng: rand.New(rand.NewPCG(seed, i))} }

// of chooses a number below n.
func (c *choices) of(n int) int {
	if c.at == len(c.made) {
		var v uint32
		if c.rng != nil {
			v = uint32(c.rng.IntN(n))
		}
		c.made = append(c.made, v)
	}
	v := c.made[c.at]
	c.at++
	return int(v) % n
}

// often says yes once in n times.
func (c *choices) often(n int) bool { return c.of(n) == n-1 }

// pick chooses one of a list.
func (c *choices) pick(list ...string) string { return list[c.of(len(list))] }

// one chooses one of a list that is made only then.
func (c *choices) one(list ...func() string) string { return list[c.of(len(list))]() }

// shrink looks for fewer and smaller choices for which fails still says yes, with at most limit questions.
func shrink(made []uint32, limit int, fails func([]uint32) (bool, error)) ([]uint32, error) {
	asked := 0
	try := func(smaller []uint32) (bool, error) {
		if asked == limit {
			return false, nil
		}
		asked++
		ok, err := fails(smaller)
		if ok {
			made = smaller
		}
		return ok, err
	}
	for again := true; again && asked < limit; {
		again = false
		for size := 16; size >= 1; size /= 2 {
			for i := 0; i+size <= len(made); {
				ok, err := try(append(append([]uint32(nil), made[:i]...), made[i+size:]...))
				if err != nil {
					return nil, err
				}
				if ok {
					again = true
				} else {
					i += size
				}
			}
		}
		for i := range made {
			if made[i] == 0 {
				continue
			}
			zeroed := append([]uint32(nil), made...)
			zeroed[i] = 0
			ok, err := try(zeroed)
			if err != nil {
				return nil, err
			}
			again = again || ok
		}
	}
	return made, nil
}
