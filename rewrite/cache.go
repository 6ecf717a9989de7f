package rewrite

import (
	"container/list"
	"sync"
)

// cacheBytes bounds each of a state's two caches: keys and what they are kept for, together.
const cacheBytes = 32 << 20

// cache keeps the values used last, bounded by bytes. What many sessions ask for at once is made once.
type cache[T any] struct {
	mu     sync.Mutex
	limit  int
	size   int
	values map[string]*list.Element
	used   *list.List // of *cached[T], the one used last in front
	made   map[string]*making[T]
}

type cached[T any] struct {
	key   string
	value T
	size  int
}

type making[T any] struct {
	done  chan struct{}
	value T
}

func newCache[T any](limit int) *cache[T] {
	return &cache[T]{limit: limit, values: map[string]*list.Element{}, used: list.New(), made: map[string]*making[T]{}}
}

// look gives the value of a key, where it is there. It keeps nothing of the key.
func (c *cache[T]) look(key []byte) (value T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.values[string(key)]
	if e == nil {
		return value, false
	}
	c.used.MoveToFront(e)
	return e.Value.(*cached[T]).value, true
}

// get gives the value of a key, and makes it where it is not there; size is in bytes. makeIt must not panic and must not call get. long is called before it is made, or
// waited for.
func (c *cache[T]) get(key string, long func(), makeIt func() (value T, size int)) T {
	c.mu.Lock()
	if e := c.values[key]; e != nil {
		c.used.MoveToFront(e)
		v := e.Value.(*cached[T]).value
		c.mu.Unlock()
		return v
	}
	if w := c.made[key]; w != nil {
		c.mu.Unlock()
		long()
		<-w.done
		return w.value
	}
	w := &making[T]{done: make(chan struct{})}
	c.made[key] = w
	c.mu.Unlock()

	long()
	v, size := makeIt()
	w.value = v

	c.mu.Lock()
	defer c.mu.Unlock()
	close(w.done)
	delete(c.made, key)
	c.add(&cached[T]{key, v, len(key) + size + 256})
	return v
}

func (c *cache[T]) add(e *cached[T]) {
	if e.size > c.limit/8 {
		return // one text does not push out many
	}
	c.values[e.key] = c.used.PushFront(e)
	c.size += e.size
	for c.size > c.limit {
		last := c.used.Back()
		old := c.used.Remove(last).(*cached[T])
		delete(c.values, old.key)
		c.size -= old.size
	}
}
