package migrate

import (
	"sync"
	"testing"

	"go.uber.org/zap/zaptest"
)

// Proxies that are started at once on a new database all make the state, or find it.
func TestStateIsMadeByManyAtOnce(t *testing.T) {
	for range 5 {
		e := newEnv(t, usersTable)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				c, err := Open(t.Context(), Options{DSN: e.dsn, Host: "test", Build: "test", Log: zaptest.NewLogger(t)})
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}
