package migrate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
)

const (
	// keepEvents is how many events are kept, of all migrations together. A migration makes some dozens.
	keepEvents = 10_000
	// lastEvents is how many of them status shows.
	lastEvents = 20
)

// EventStatus is something that happened: who asked for what, when and where, and what came of it.
type EventStatus struct {
	ID        int64           `json:"id"`
	At        time.Time       `json:"at"`
	Host      string          `json:"host"`  // of the proxy that did it
	Proxy     string          `json:"proxy"` // its id; "" for one that had no place
	Actor     string          `json:"actor"` // who asked for it there: the user and process at the other end of the admin socket; "" where nobody did
	Role      string          `json:"role"`  // the control role
	Migration string          `json:"migration"`
	Action    string          `json:"action"`
	Detail    json.RawMessage `json:"detail"`
}

// note writes an event, for whoever the context says has asked for it; old ones go.
func (c *Controller) note(ctx context.Context, q queryer, migration, action string, detail map[string]any) error {
	if _, err := q.Exec(ctx, `WITH e AS (
			INSERT INTO segue.event (proxy, host, migration, action, detail, actor)
			VALUES (NULLIF($1, '')::uuid, $2, NULLIF($3, ''), $4, $5, NULLIF($6, '')) RETURNING id)
		DELETE FROM segue.event WHERE id <= (SELECT id FROM e) - $7`,
		c.self(), c.opt.Host, migration, action, detail, proxy.ActorOf(ctx), int64(keepEvents)); err != nil {
		return fmt.Errorf("noting what happened: %w", err)
	}
	return nil
}

// events gives the last events, newest first; of one migration, where its name is given.
func events(ctx context.Context, q queryer, migration string) ([]EventStatus, error) {
	found, err := collect(ctx, q, `SELECT id, at, host, COALESCE(proxy::text, ''), COALESCE(actor, ''), role, COALESCE(migration, ''), action, COALESCE(detail, '{}')
		FROM segue.event WHERE $2 IN ('', migration) ORDER BY id DESC LIMIT $1`, func(row pgx.CollectableRow) (e EventStatus, err error) {
		return e, row.Scan(&e.ID, &e.At, &e.Host, &e.Proxy, &e.Actor, &e.Role, &e.Migration, &e.Action, &e.Detail)
	}, lastEvents, migration)
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	return found, nil
}
