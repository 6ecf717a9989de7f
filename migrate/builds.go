package migrate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/proxy"
)

// sameFormats refuses to begin a migration while a proxy holds a lease whose build knows another format of the state: it may not understand what the migration stores. Those that are under way go on:
// a format only adds to the one before.
func sameFormats(ctx context.Context, q queryer) error {
	others, err := collect(ctx, q, "SELECT left(id::text, 8), host, build, format FROM segue.proxy WHERE format <> $1 ORDER BY host, id LIMIT 10", func(row pgx.CollectableRow) (string, error) {
		var id, host, build string
		var f int
		err := row.Scan(&id, &host, &build, &f)
		return fmt.Sprintf("proxy %s on %s (build %s, format %d)", id, host, build, f), err
	}, format)
	if err != nil {
		return fmt.Errorf("reading the proxies: %w", err)
	}
	if len(others) > 0 {
		return fmt.Errorf("%w: not all proxies know format %d of the state: replace %s first", proxy.ErrConflict, format, strings.Join(others, ", "))
	}
	return nil
}

// remarks is what is good to know of the proxies and the database.
func (s *Status) remarks(ctx context.Context, q queryer) ([]string, error) {
	notes := []string{}
	var builds []string
	for _, p := range s.Proxies {
		if !slices.Contains(builds, p.Build) {
			builds = append(builds, p.Build)
		}
		if p.Format != format {
			notes = append(notes, fmt.Sprintf("proxy %.8s on %s (build %s) knows format %d of the state, and this one %d: no migration is started before it is replaced", p.ID, p.Host, p.Build, p.Format, format))
		}
	}
	if len(builds) > 1 {
		slices.Sort(builds)
		notes = append(notes, "there are proxies of several builds: "+strings.Join(builds, ", "))
	}
	row, err := readEpoch(ctx, q, "")
	if err != nil {
		return nil, err
	}
	if row.Moved {
		notes = append(notes, fmt.Sprintf("the database went back to an earlier state (timeline %d), which was noted %v ago: the next change waits for every proxy first", row.Timeline, row.Ago.Round(time.Second)))
	}
	return notes, nil
}
