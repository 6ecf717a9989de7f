package proxy

import (
	"cmp"
	"slices"
	"sync"

	"segue/rewrite"
	"segue/session"
)

// maxUsage bounds the kinds of client that are counted apart between two calls of take; past it, applications and users are no longer told
// apart, so that none goes uncounted.
const maxUsage = 10000

type usageKey struct{ migration, application, user, version string }

// usage counts the use of old names.
type usage struct {
	mu     sync.Mutex
	counts map[usageKey]int64
}

func (u *usage) add(s *session.Session, p *rewrite.Plan) {
	application, user := s.Application(), ""
	if start := s.Startup(); start != nil {
		user = start.User
	}
	version := string(s.VersionName())
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, m := range p.OldNames {
		key := usageKey{m, application, user, version}
		if _, ok := u.counts[key]; !ok && len(u.counts) >= maxUsage {
			key = usageKey{migration: m, application: "(many)", version: version}
		}
		u.counts[key]++
	}
}

func (u *usage) take() []OldNames {
	u.mu.Lock()
	counts := u.counts
	u.counts = map[usageKey]int64{}
	u.mu.Unlock()
	names := make([]OldNames, 0, len(counts))
	for k, n := range counts {
		names = append(names, OldNames{Migration: k.migration, Application: k.application, User: k.user, Version: k.version, Count: n})
	}
	slices.SortFunc(names, func(a, b OldNames) int {
		return cmp.Or(cmp.Compare(a.Migration, b.Migration), cmp.Compare(a.Application, b.Application),
			cmp.Compare(a.User, b.User), cmp.Compare(a.Version, b.Version))
	})
	return names
}
