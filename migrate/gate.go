package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"segue/migrate/agree"
	"segue/proxy"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// defaultQuiet is how long nobody may have used the old names before the migration is retired, where nothing else was asked for.
const defaultQuiet = 24 * time.Hour

// gateOptions are what a request asks a gate to be like.
type gateOptions struct {
	unproved bool
	yes      bool
	quiet    time.Duration
}

// gate gives what is missing for a migration to enter a phase; nil where it may.
func gate(ctx context.Context, q queryer, m *migration, to lens.Phase, opt gateOptions) ([]string, error) {
	switch to {
	case lens.SwitchReads, lens.Contract:
		if m.splitting() {
			return filledSplitGate(ctx, q, m)
		}
		return filledGate(ctx, q, m, opt.unproved && to == lens.SwitchReads)
	case lens.Complete:
		if m.splitting() {
			missing, err := filledSplitGate(ctx, q, m)
			if err != nil {
				return nil, err
			}
			more, err := completeSplitGate(ctx, q, m, opt)
			return append(missing, more...), err
		}
		if m.Stand.Step == lens.WriteNew {
			return completeGate(ctx, q, m, opt.yes)
		}
		missing, err := filledGate(ctx, q, m, false)
		if err != nil {
			return nil, err
		}
		more, err := completeGate(ctx, q, m, opt.yes)
		return append(missing, more...), err
	case lens.Retired:
		return quietGate(ctx, q, m, opt.quiet)
	case lens.Pending, lens.Expand, lens.DualWrite, lens.Backfilling:
	}
	return nil, nil
}

// filledGate is what reading the new column waits for.
func filledGate(ctx context.Context, q queryer, m *migration, unproved bool) ([]string, error) {
	var missing []string
	if !m.Backfilled {
		missing = append(missing, fmt.Sprintf("the backfill is not through: `segue advance %s --to backfill`", m.Name))
	}
	mirrors, _, err := readMirrors(ctx, q, m)
	if err != nil {
		return nil, err
	}
	for _, x := range mirrors {
		if !x.stands() {
			missing = append(missing, fmt.Sprintf("the index %s has no valid mirror: `segue verify %s` builds it", x.name, m.Name))
		}
	}
	if !m.Analyzed {
		missing = append(missing, fmt.Sprintf("the table has not been analyzed: `segue advance %s --to backfill`", m.Name))
	}
	if m.Relaxed == nil {
		g, err := readGroup(ctx, q, m)
		if err != nil {
			return nil, err
		}
		for _, d := range g.demands() {
			var valid bool
			if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1 AND conname = $2 AND convalidated)", m.Table, d.name).Scan(&valid); err != nil {
				return nil, fmt.Errorf("looking for NOT NULL: %w", err)
			}
			if !valid {
				missing = append(missing, fmt.Sprintf("it is not made sure %s: `segue verify %s` does it", d.what, m.Name))
			}
		}
		standing, err := readStanding(ctx, q, m, g)
		if err != nil {
			return nil, err
		}
		for _, s := range standing {
			if s.unsound != "" {
				missing = append(missing, fmt.Sprintf("the constraint %s has an old column in it, and %s: drop it", catalog.QuoteIdent(s.name), s.unsound))
			} else if !s.ready() {
				missing = append(missing, fmt.Sprintf("the constraint %s has no valid mirror: `segue verify %s` makes it", catalog.QuoteIdent(s.name), m.Name))
			}
		}
	}
	stands, err := guardStands(ctx, q, m)
	if err != nil {
		return nil, err
	}
	if !stands {
		missing = append(missing, fmt.Sprintf("the guard is not the one that was made, or was switched off for a time: `segue verify %s --repair` makes it anew and looks at every row", m.Name))
	}
	if m.Stand.Proved {
		came, err := unseen(ctx, q, m)
		if err != nil {
			return nil, err
		}
		if len(came) > 0 {
			missing = append(missing, cameSince(m, came))
		}
	}
	if !m.Stand.Proved && !unproved {
		text := fmt.Sprintf("it is not proved that every row agrees: `segue verify %s`", m.Name)
		if v := m.Verified; v != nil && v.Done && v.Apart > v.Repaired {
			text = fmt.Sprintf("%d of %d rows are apart, first (%s): `segue verify %s --repair`", v.Apart, v.Rows, v.FirstKeys[0], m.Name)
		}
		missing = append(missing, text)
	}
	return missing, nil
}

// completeGate is what dropping the old column waits for: whatever still names it. An index goes with it, and has its mirror.
func completeGate(ctx context.Context, q queryer, m *migration, yes bool) ([]string, error) {
	var missing []string
	if !yes {
		users, err := oldUsers(ctx, q, m, defaultQuiet)
		if err != nil {
			return nil, err
		}
		text := oldGoes(m)
		if len(users) > 0 {
			text += "; old code is at work, and is served on from complete: " + strings.Join(users, ", ")
		}
		missing = append(missing, text)
	}
	news := make([]string, 0, 1)
	for _, name := range m.newNames() {
		news = append(news, catalog.QuoteIdent(name))
	}
	instead := strings.Join(news, ", ")
	if m.dropping() {
		instead = "none of it"
	}
	g, err := readGroup(ctx, q, m)
	if err != nil {
		return nil, err
	}
	standing, err := readStanding(ctx, q, m, g)
	if err != nil {
		return nil, err
	}
	mirrors, _, err := readMirrors(ctx, q, m)
	if err != nil {
		return nil, err
	}
	mirrored := func(d dependent) bool {
		if d.class == "pg_class" && strings.Contains(d.name, backPrefix(m.Name)) {
			return true // remade by a rollback that was taken back; it goes first
		}
		return slices.ContainsFunc(mirrors, func(x mirror) bool {
			return x.unique && (d.class == "pg_class" && d.oid == x.index || d.class == "pg_constraint" && d.oid == x.constraint)
		})
	}
	family, err := readFamily(ctx, q, m.Table)
	if err != nil {
		return nil, err
	}
	guards, err := readRelativeGuards(ctx, q, m)
	if err != nil {
		return nil, err
	}
	for _, name := range m.oldNames() {
		places, err := oldIn(ctx, q, m, family, name)
		if err != nil {
			return nil, err
		}
		for _, c := range places {
			deps, err := dependents(ctx, q, c.oid, c.num)
			if err != nil {
				return nil, err
			}
			for _, d := range deps {
				known := m.dropping() && d.class == "pg_class" && d.kind == "S" || d.class == "pg_attrdef" && d.own || d.class == "pg_class" && (d.kind == "i" || d.kind == "I") && !d.unique || d.class == "pg_constraint" && d.kind == "n" ||
					mirrored(d) || d.class == "pg_statistic_ext" && c.oid == m.Table || d.class == "pg_constraint" && slices.ContainsFunc(standing, func(s oldConstraint) bool { return s.oid == d.oid && s.ready() }) ||
					d.class == "pg_constraint" && d.inherited ||
					d.class == "pg_trigger" && (m.Guard != nil && d.oid == m.Guard.Trigger || d.oid == guards[c.oid].Trigger) ||
					d.class == "pg_constraint" && (d.name == fmt.Sprintf("constraint %s on table %s", catalog.QuoteIdent(notNullName(m.Name, name)), c.name) ||
						d.name == fmt.Sprintf("constraint %s on table %s", catalog.QuoteIdent(proofName(m.Name)), c.name))
				if !known {
					missing = append(missing, fmt.Sprintf("the %s uses column %s: let it use %s", d.name, c.text, instead))
				}
			}
		}
		triggers, err := collect(ctx, q, `
			SELECT DISTINCT t.tgname::text, p.oid::regprocedure::text, p.prosrc || E'\n' || encode(t.tgargs, 'escape') FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
			WHERE t.tgrelid = ANY ($1) AND NOT t.tgisinternal AND t.tgname NOT LIKE '~segue\_%' AND t.tgname NOT LIKE '!segue\_%' ORDER BY 1`, func(row pgx.CollectableRow) (t triggerSource, err error) {
			return t, row.Scan(&t.name, &t.function, &t.source)
		}, oids(family))
		if err != nil {
			return nil, fmt.Errorf("reading the triggers: %w", err)
		}
		for _, t := range triggers {
			if mentions(t.source, name) {
				missing = append(missing, fmt.Sprintf("the trigger %s (%s) names %s: let it use %s", catalog.QuoteIdent(t.name), t.function, catalog.QuoteIdent(name), instead))
			}
		}
	}
	if m.Relaxed == nil { // or else the table's column has lost what theirs have lost
		apart, err := differences(ctx, q, m.Table, m.oldNames())
		if err != nil {
			return nil, err
		}
		missing = append(missing, apart...)
	}
	return missing, nil
}

// oldGoes says what --yes is for.
func oldGoes(m *migration) string {
	what := "the old column goes"
	if len(m.oldNames()) > 1 {
		what = "the old columns go"
	}
	switch g, err := m.Definition.Group(); {
	case err != nil:
	case g.Splitting:
		what = "the columns that have moved go from " + m.Definition.Table.String() + ", and old code is served no more"
	case g.Adding:
		what = "from there on new code writes values of its own, which old code's rows need not have"
	case g.Dropping && g.OneWay():
		what += ", old code can no longer write them, nor read what has no `down`"
	case g.Dropping:
		what += ", old code can no longer write them"
	case g.OneWay():
		what += ", old code can no longer read what has no `down`"
	}
	return fmt.Sprintf("%s, and there is no way back: `segue advance %s --to complete --yes`", what, m.Name)
}

// oldUsers names who has used the old names within a time, the last first.
func oldUsers(ctx context.Context, q queryer, m *migration, within time.Duration) ([]string, error) {
	users, err := collect(ctx, q, `
		SELECT COALESCE(NULLIF(application, ''), 'no application_name') || ' (' || username || ', ' || version || ')', count, extract(epoch FROM clock_timestamp() - last_seen)::float8 FROM segue.old_names
		WHERE migration = $1 AND last_seen > clock_timestamp() - make_interval(secs => $2) ORDER BY last_seen DESC LIMIT 10`, func(row pgx.CollectableRow) (string, error) {
		var who string
		var count int64
		var ago float64
		err := row.Scan(&who, &count, &ago)
		return fmt.Sprintf("%s used the old names %d times, last %v ago", who, count, time.Duration(ago*float64(time.Second)).Round(time.Second)), err
	}, m.Name, within.Seconds())
	if err != nil {
		return nil, fmt.Errorf("reading who uses the old names: %w", err)
	}
	return users, nil
}

// quietGate waits until nobody has used the old names for a while.
func quietGate(ctx context.Context, q queryer, m *migration, quiet time.Duration) ([]string, error) {
	users, err := oldUsers(ctx, q, m, quiet)
	if err != nil {
		return nil, err
	}
	// The proxies have counted since the start; before that nobody knows.
	var seconds float64
	if err := q.QueryRow(ctx, "SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 FROM segue.migration WHERE name = $1", m.Name).Scan(&seconds); err != nil {
		return nil, fmt.Errorf("reading since when uses are counted: %w", err)
	}
	if since := time.Duration(seconds * float64(time.Second)); since < quiet {
		users = append(users, fmt.Sprintf("uses have been counted for %v only, and --quiet-for is %v", since.Round(time.Second), quiet))
	}
	for _, n := range renamed(m.Definition) {
		// The proxies that have not heard of it yet would still name the column as it was.
		var clients int64
		if err := q.QueryRow(ctx, "SELECT COALESCE(sum(sessions), 0)::bigint FROM segue.proxy").Scan(&clients); err != nil {
			return nil, fmt.Errorf("looking for clients: %w", err)
		}
		if clients > 0 {
			users = append(users, fmt.Sprintf("column %s gets the name %s at this moment, and the statements of %d connected clients could meet that: let there be none for a moment, or leave the migration at complete, where all goes on working",
				catalog.QuoteIdent(n.Name), catalog.QuoteIdent(n.As), clients))
		}
	}
	return users, nil
}

// hear asks all proxies to renew, and with it to tell what they have counted, and waits for it. Who is not heard of is missing.
func (w *work) hear(ctx context.Context) ([]string, error) {
	var asked time.Time
	if err := w.conn.QueryRow(ctx, "SELECT clock_timestamp() FROM (SELECT pg_notify($1, '')) n", epochChannel).Scan(&asked); err != nil {
		return nil, fmt.Errorf("asking the proxies for their counts: %w", err)
	}
	for until := time.Now().Add(hearing); ; {
		members, err := collect(ctx, w.conn, memberColumns+" WHERE renewed_at < $1 ORDER BY joined_at", scanMember, asked)
		if err != nil {
			return nil, fmt.Errorf("waiting for the proxies' counts: %w", err)
		}
		var silent []string
		for _, m := range members {
			text := m.String() + " has not told its counts"
			if agree.Judge(w.c.seen.see(m.id, m.renewals), m.lease) == agree.Dead { // of a dead one there is nothing to come
				if text, err = w.fence(ctx, m); err != nil {
					return nil, err
				}
			}
			if text != "" {
				silent = append(silent, text)
			}
		}
		if len(silent) == 0 || time.Now().After(until) {
			return silent, nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// hearing is how long the proxies are waited for to tell their counts.
const hearing = 2 * time.Second

// pass checks the gate of a phase again, when the work has come to it. A guard that was changed takes "proved" back first, by an epoch.
func (w *work) pass(ctx context.Context, to lens.Phase) error {
	if to == lens.SwitchReads || to == lens.Contract || to == lens.Complete {
		if err := w.unprove(ctx); err != nil {
			return err
		}
		if err := w.adopt(ctx); err != nil {
			return err
		}
		if err := w.grantAgain(ctx); err != nil {
			return err
		}
	}
	missing, err := w.missing(ctx, to)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &proxy.GateError{Gate: to.String(), Missing: missing}
	}
	return nil
}

// passQuiet is pass for retired, where a request may want to wait until the gate opens.
func (w *work) passQuiet(ctx context.Context) error {
	// Each look has all proxies renew.
	pause := min(max(w.quiet/20, 200*time.Millisecond), w.c.opt.Silence/4) // a connection that is silent for longer than that is ended
	for {
		err := w.pass(ctx, lens.Retired)
		var gate *proxy.GateError
		if !w.patient || !errors.As(err, &gate) {
			return err
		}
		if err := w.say(ctx, "waiting for quiet: %s", strings.Join(gate.Missing, "; ")); err != nil {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// missing is what gate says for this work.
func (w *work) missing(ctx context.Context, to lens.Phase) ([]string, error) {
	var silent []string
	if to == lens.Retired || to == lens.Complete && w.m.splitting() {
		var err error
		if silent, err = w.hear(ctx); err != nil {
			return nil, err
		}
	}
	missing, err := gate(ctx, w.conn, w.m, to, gateOptions{unproved: w.opt.Unproved, yes: w.opt.Yes, quiet: w.quiet})
	return append(silent, missing...), err
}

// unprove takes "proved" back where the guard did not stand all the while.
func (w *work) unprove(ctx context.Context) error {
	if !w.m.Stand.Proved || w.m.Stand.Phase >= lens.Complete && w.m.Stand.Step == lens.NoStep {
		return nil
	}
	stands, err := guardStands(ctx, w.conn, w.m)
	if err != nil || stands {
		return err
	}
	to := w.m.Stand
	to.Proved = false
	return w.change(ctx, change{name: "unprove", to: to, fixed: true})
}

// laterPhases are the phases that a gate stands before.
var laterPhases = []lens.Phase{lens.SwitchReads, lens.Contract, lens.Complete, lens.Retired}

// nextGate gives the phase whose gate comes next, and false where there is none.
func nextGate(s stand) (lens.Phase, bool) {
	i := slices.IndexFunc(laterPhases, func(p lens.Phase) bool { return p > s.Phase || p == s.Phase && s.Step == lens.WriteNew })
	if i < 0 {
		return 0, false
	}
	return laterPhases[i], true
}

type triggerSource struct{ name, function, source string }
