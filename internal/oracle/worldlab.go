package oracle

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// WorldLab plans scripts without a proxy, and holds what comes of them at every stand of a world against the reference. It is used by one goroutine
// at a time.
type WorldLab struct {
	World  *World
	Report *WorldReport
	Plan   Planner

	create func() string
	slots  []*slot
	base   *snapshot // PostgreSQL's own relations and functions
	dbs    map[string]*worldDB
	// AtStands is at how many stands each script is run, at random; 0: at all of them.
	AtStands int
	stands   []worldStand
	norm     func(code, text string) string
	only     lens.Version // "", or the one version that is compared
}

// slot is a database that is used for one world after another.
type slot struct {
	setup *pgx.Conn
	conn  *Conn
}

// worldDB is a world in one shape.
type worldDB struct {
	*slot
	shape shape
	world *World
	snap  *snapshot
	names map[origin]string
	types map[uint32]string
	queue []*pending
	runs  map[string]*pending
	// contents are the queries of everything that may have changed, by the code as which it is looked at.
	contents map[string]string
}

// pending is a script that is to be run on a database.
type pending struct {
	script  *Script
	texts   []sent
	outcome *Outcome
}

// worldStand is one point of a world's migrations.
type worldStand struct {
	name              string
	stages            []lens.Stage
	catalog, physical shape
	split             bool      // the world's migration is one
	keeps             [2][]bool // by side and change: whether the side's own column is there to stay
	state             *rewrite.State
}

// NewWorldLab makes a lab; create gives the connection string of a fresh, empty database. Close it when done.
func NewWorldLab(create func() string) *WorldLab {
	return &WorldLab{create: create, Plan: (*rewrite.State).Plan, Report: &WorldReport{}}
}

// Close ends the sessions.
func (l *WorldLab) Close() error {
	var errs []error
	for _, s := range l.slots {
		errs = append(errs, s.setup.Close(context.Background()), s.conn.Close())
	}
	return errors.Join(errs...)
}

// Enter makes the databases of a world. Where only is not "", only that stand is made.
func (l *WorldLab) Enter(ctx context.Context, w *World, only string) error {
	l.World, l.dbs, l.stands, l.norm = w, map[string]*worldDB{}, nil, w.normer()
	free := slices.Clone(l.slots)
	need := func(s shape) (*worldDB, error) {
		if d := l.dbs[s.String()]; d != nil {
			return d, nil
		}
		if len(free) == 0 {
			s, err := l.slot(ctx)
			if err != nil {
				return nil, err
			}
			free = append(free, s)
		}
		d := &worldDB{slot: free[0], shape: s, world: w}
		free = free[1:]
		l.dbs[s.String()] = d
		return d, l.make(ctx, d)
	}
	for _, c := range w.codes() {
		if _, err := need(c.reference()); err != nil {
			return err
		}
	}
	stands := w.stands()
	if only != "" {
		stands = slices.DeleteFunc(stands, func(s worldStand) bool { return s.name != only })
	}
	for _, st := range stands {
		for _, s := range []shape{st.physical, st.catalog} {
			if _, err := need(s); err != nil {
				return err
			}
		}
	}
	l.number()
	for i := range stands {
		if err := l.state(&stands[i]); err != nil {
			return err
		}
	}
	l.stands = stands
	return nil
}

func (l *WorldLab) slot(ctx context.Context) (*slot, error) { return l.slotAt(ctx, l.create()) }

// slotAt connects to a database; Close ends the sessions.
func (l *WorldLab) slotAt(ctx context.Context, dsn string) (*slot, error) {
	s := &slot{}
	var err error
	if s.setup, err = pgx.Connect(ctx, dsn); err != nil {
		return nil, err
	}
	if s.conn, err = Dial(ctx, dsn); err != nil {
		return nil, errors.Join(err, s.setup.Close(ctx))
	}
	if l.base == nil {
		if l.base, err = readCatalog(ctx, s.setup, 0); err != nil {
			return nil, errors.Join(err, s.setup.Close(ctx), s.conn.Close())
		}
	}
	l.slots = append(l.slots, s)
	return s, nil
}

const wipe = `DROP SCHEMA IF EXISTS segue CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET client_min_messages TO warning; `

// make fills a database.
func (l *WorldLab) make(ctx context.Context, d *worldDB) error {
	for _, part := range []func() error{
		func() error {
			_, err := d.setup.Exec(ctx, wipe+strings.Join(d.world.schema(d.shape), ";\n"))
			return err
		},
		func() error { return d.world.makeSplit(ctx, d.setup, d.shape) },
		func() error {
			_, err := d.setup.Exec(ctx, strings.Join(d.world.seed(d.shape), ";\n"))
			return err
		},
	} {
		if err := part(); err != nil {
			return fmt.Errorf("setting up %s as %s: %w\n%s", d.world.Name, d.shape, err, strings.Join(d.world.setup(d.shape), ";\n"))
		}
	}
	own, err := readCatalog(ctx, d.setup, firstOwnOID)
	if err != nil {
		return err
	}
	d.snap = &snapshot{
		relations: append(slices.Clone(l.base.relations), own.relations...), functions: append(slices.Clone(l.base.functions), own.functions...),
		operators: l.base.operators,
	}
	d.runs, d.contents = map[string]*pending{}, map[string]string{}
	d.types, err = ownTypes(ctx, d.setup)
	return err
}

// number learns the numbers of the columns, and names them for every database.
func (l *WorldLab) number() {
	nums := map[string]map[int16]string{}
	for _, t := range l.World.all() {
		nums[t.Name] = map[int16]string{0: "whole row"}
	}
	for _, d := range l.dbs {
		if slices.Contains(d.shape, RefNew) {
			continue
		}
		for _, t := range l.World.tables(d.shape) {
			for _, c := range d.snap.relation(t.Name).Columns {
				nums[t.Name][c.Num] = c.Name
			}
		}
	}
	for _, d := range l.dbs {
		d.names = map[origin]string{}
		for _, t := range l.World.tables(d.shape) {
			for _, of := range t.relations() {
				rel := d.snap.relation(of)
				if !slices.Contains(d.shape, RefNew) {
					for n, name := range nums[t.Name] {
						d.names[origin{rel.OID, n}] = t.Name + "." + name
					}
					continue
				}
				for i, c := range l.World.columns(t, d.shape) {
					name := c.Name
					if c.new != nil {
						name = c.new.Columns[NewSide][c.index].Name
					}
					d.names[origin{rel.OID, int16(i + 1)}] = t.Name + "." + name
				}
				d.names[origin{rel.OID, 0}] = t.Name + ".whole row"
			}
		}
	}
}

// state makes what a proxy at the stand plans with.
func (l *WorldLab) state(st *worldStand) error {
	snap := *l.dbs[st.physical.String()].snap
	if st.catalog.String() != st.physical.String() {
		for _, t := range l.World.Tables {
			for _, of := range t.relations() {
				snap = *snap.outdated(of, l.dbs[st.catalog.String()].snap)
			}
		}
	}
	snap.relations = l.World.seen(st.catalog, snap.relations, l.dbs[st.catalog.String()].snap)
	old := l.dbs[make(Code, len(l.World.Changes)).reference().String()].snap
	var migrations []rewrite.Migration
	for k, c := range l.World.Changes {
		m := rewrite.Migration{Definition: c.Definition(), Stage: st.stages[k], OldNums: map[string]int16{}, OldTypes: map[string]catalog.Type{}, OldRequired: c.required(st.catalog[k]), Seq: int64(k + 1)}
		m.OldDefaults = c.defaults(st.catalog[k], old.relation(c.Table))
		for _, o := range c.Columns[OldSide] {
			col := old.relation(c.Table).Column(o.Name)
			m.OldNums[o.Name], m.OldTypes[o.Name] = col.Num, col.Type
		}
		if c.splits() {
			m.Target = c.split.standing(c, &snap, st.catalog[k])
		}
		migrations = append(migrations, m)
	}
	var err error
	st.state, err = rewrite.NewState(7, snap.catalog(), migrations)
	return err
}

// clients are the versions that sessions of some code may have.
func (l *WorldLab) clients(s *Script) []lens.Version {
	own := s.Code.Version(l.World)
	if own == lens.Old {
		return []lens.Version{own, lens.Auto}
	}
	for k, c := range l.World.Changes {
		if s.Star || s.Code[k] == NewSide && (c.sameName() || c.splits() && s.Writes) { // a write that names the old table only would be old code's
			return []lens.Version{own}
		}
	}
	return []lens.Version{own, lens.Auto}
}

// attempt is one script at one stand, by one client.
type attempt struct {
	script  *Script
	stand   *worldStand
	version lens.Version
	plans   []*rewrite.Plan
	refusal string
	run     *pending
}

// Check runs scripts and reports the differences.
func (l *WorldLab) Check(scripts []*Script) error {
	refs := make([]*pending, len(scripts))
	var attempts []*attempt
	for i, s := range scripts {
		texts := make([]sent, len(s.Steps))
		for j, st := range s.Steps {
			texts[j].Step = st.Step
		}
		refs[i] = l.dbs[s.Code.reference().String()].add(s, texts)
		for _, j := range l.standsOf(s) {
			if !l.stands[j].serves(s) {
				continue
			}
			for _, v := range l.clients(s) {
				if l.only != "" && v != l.only {
					continue
				}
				attempts = append(attempts, l.plan(s, &l.stands[j], v))
			}
		}
	}
	if err := l.run(); err != nil {
		return err
	}
	at := 0
	for i, s := range scripts {
		ref := refs[i].outcome
		l.Report.counted(s, ref)
		for ; at < len(attempts) && attempts[at].script == s; at++ {
			l.compare(attempts[at], ref)
		}
	}
	return nil
}

// standsOf gives the stands that a script is run at: all, or AtStands of them, which are the same whenever the script is run.
func (l *WorldLab) standsOf(s *Script) []int {
	all := make([]int, len(l.stands))
	for i := range all {
		all[i] = i
	}
	if l.AtStands <= 0 || l.AtStands >= len(all) {
		return all
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.Name)) // never fails, says hash.Hash
	rand.New(rand.NewPCG(h.Sum64(), 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:l.AtStands]
}

// plan plans a script as a proxy at a stand does.
func (l *WorldLab) plan(s *Script, st *worldStand, v lens.Version) *attempt {
	a := &attempt{script: s, stand: st, version: v}
	set := rewrite.Settings{Version: v, Path: []string{"pg_catalog", "public"}, ServerMajor: 15, Encoding: "UTF8"}
	texts := make([]sent, len(s.Steps))
	for i := range s.Steps {
		p := l.Plan(st.state, s.Steps[i].Text, set)
		a.plans = append(a.plans, p)
		texts[i].Step = s.Steps[i].Step
		if p.Kind == rewrite.Refuse {
			if p.Refusal.Code == "0A000" {
				a.refusal = p.Refusal.Message
				return a
			}
			texts[i].abort = p.Before == nil
			if p.Before != nil {
				texts[i].Text = p.Before.SQL + poison
			}
			continue
		}
		texts[i].Text = p.SQL
		if texts[i].Copy != nil {
			texts[i].Copy = edited(p, texts[i].Copy)
		}
	}
	a.run = l.dbs[st.physical.String()].add(s, texts)
	return a
}

// add has texts run, once for all that send the same for the same code.
func (d *worldDB) add(s *Script, texts []sent) *pending {
	key := s.Code.String() + s.Name
	for _, t := range texts {
		key += fmt.Sprint("\x00", t.abort, t.Text, "\x00", string(t.Copy))
	}
	p := d.runs[key]
	if p == nil {
		p = &pending{script: s, texts: texts}
		d.runs[key] = p
		d.queue = append(d.queue, p)
	}
	return p
}

// exchangeBytes bounds what is sent before replies are read: it fits into a socket's buffers, so that neither side waits for the other for ever.
const exchangeBytes = 32 << 10

// run runs what is queued, on all databases at once.
func (l *WorldLab) run() error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, d := range l.dbs {
		if len(d.queue) == 0 {
			continue
		}
		l.Report.Runs += len(d.queue)
		wg.Go(func() {
			if err := d.run(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("%s as %s: %w", d.world.Name, d.shape, err))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (d *worldDB) run() error {
	begin := d.world.begin()
	logical := func(events []Event) ([]Event, string) { return d.world.logical(d.shape, events) }
	for len(d.queue) > 0 {
		n, bytes := 0, 0
		for n < len(d.queue) && (n == 0 || bytes < exchangeBytes) {
			p := d.queue[n]
			contents, known := d.contents[p.script.Code.String()]
			if !known {
				contents = d.world.contents(d.shape, p.script.Code)
				d.contents[p.script.Code.String()] = contents
			}
			d.conn.queue(p.script, p.texts, begin, contents)
			bytes += len(begin) + len(contents)
			for _, t := range p.texts {
				bytes += len(t.Text) + len(t.Copy) + 100
			}
			n++
		}
		replies, err := d.conn.Replies()
		if err != nil {
			return fmt.Errorf("%w, among\n%s", err, d.queue[0].script)
		}
		for _, p := range d.queue[:n] {
			if p.outcome, replies, err = p.script.collect(replies, logical); err != nil {
				return err
			}
		}
		d.queue = d.queue[n:]
	}
	d.queue, d.runs = nil, map[string]*pending{}
	return nil
}
