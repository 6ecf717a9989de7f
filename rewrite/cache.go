package rewrite

import (
	"container/list"
	"sync"
)

// cacheBytes bounds a state's plan cache: texts, keys and rewritten texts together.
const cacheBytes = 32 << 20

// cache keeps the plans used last, bounded by bytes. A text that many sessions ask for at once is planned once.
type cache struct {
	mu      sync.Mutex
	limit   int
	size    int
	plans   map[string]*list.Element
	used    *list.List // of *cached, the one used last in front
	planned map[string]*planning
}

type cached struct {
	key  string
	plan *Plan
	size int
}

type planning struct {
	done chan struct{}
	plan *Plan
}

func newCache(limit int) *cache {
	return &cache{limit: limit, plans: map[string]*list.Element{}, used: list.New(), planned: map[string]*planning{}}
}

func (c *cache) get(key string, plan func() *Plan) *Plan {
	c.mu.Lock()
	if e := c.plans[key]; e != nil {
		c.used.MoveToFront(e)
		p := e.Value.(*cached).plan
		c.mu.Unlock()
		return p
	}
	if w := c.planned[key]; w != nil {
		c.mu.Unlock()
		<-w.done
		return w.plan
	}
	w := &planning{done: make(chan struct{})}
	c.planned[key] = w
	c.mu.Unlock()

	w.plan = plan()

	c.mu.Lock()
	defer c.mu.Unlock()
	close(w.done)
	delete(c.planned, key)
	c.add(&cached{key, w.plan, len(key) + len(w.plan.SQL) + 48*len(w.plan.spans) + 512})
	return w.plan
}

func (c *cache) add(e *cached) {
	if e.size > c.limit/8 {
		return // one text does not push out many
	}
	c.plans[e.key] = c.used.PushFront(e)
	c.size += e.size
	for c.size > c.limit {
		last := c.used.Back()
		old := c.used.Remove(last).(*cached)
		delete(c.plans, old.key)
		c.size -= old.size
	}
}
