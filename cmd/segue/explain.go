package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"segue/config"
	"segue/migrate"
	"segue/proxy"
	"segue/rewrite"
	"segue/rewrite/catalog"
	"segue/rewrite/lens"
)

// explainOptions are the flags of explain.
type explainOptions struct {
	file, phase, step, version, control string
	proved                              bool
	columns, path                       []string
}

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain SQL | -",
		Short: "Show a statement as the server would get it",
		Long: `Show a statement as the server would get it, how its code reads and writes the columns that migrate, and for a refusal where
it is and why. With - the statement is read from standard input.

Without --migration, a proxy is asked, for the migrations as they stand. With it, no proxy is needed: the statement is planned for the phase that
--phase gives, over a table that has just the columns that the migration and --columns name, or over the tables of --control.`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	var o explainOptions
	admin, asJSON := adminFlag(cmd), jsonFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&o.version, "version", "", "the version that the statement is written for: old, new, auto or a migration's name")
	f.StringSliceVar(&o.path, "path", []string{"public"}, "the search path")
	f.StringVar(&o.file, "migration", "", "plan for the migration of that file, without a proxy")
	f.StringVar(&o.phase, "phase", "dual-write", "with --migration: the phase")
	f.StringVar(&o.step, "step", "", "with --migration: the step within the phase: both-unique, infer-new, write-new or write-old")
	f.BoolVar(&o.proved, "proved", false, "with --migration: all rows are known to agree")
	f.StringSliceVar(&o.columns, "columns", nil, "with --migration: the table's other columns")
	f.StringVar(&o.control, "control", "", "with --migration: read the tables from this database")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.file == "" && cmd.Flags().Changed("phase") {
			return usageError{errors.New("--phase goes with --migration FILE only")}
		}
		sql, err := statement(cmd.InOrStdin(), args[0])
		if err != nil {
			return err
		}
		req := proxy.ExplainRequest{SQL: sql, Version: lens.Version(o.version), Path: o.path}
		e, err := o.explain(cmd.Context(), newClient(*admin), req)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(e)
		}
		_, err = io.WriteString(cmd.OutOrStdout(), explanationText(sql, e))
		return err
	}
	return cmd
}

func (o *explainOptions) explain(ctx context.Context, c *client, req proxy.ExplainRequest) (*proxy.Explanation, error) {
	if o.file == "" {
		if o.control != "" || len(o.columns) > 0 || o.step != "" || o.proved {
			return nil, usageError{errors.New("--control, --columns, --step and --proved go with --migration FILE only")}
		}
		var e proxy.Explanation
		if err := c.call(ctx, "POST", "/v1/explain", &req, &e); err != nil {
			return nil, err
		}
		return &e, nil
	}
	state, err := o.state(ctx)
	if err != nil {
		return nil, err
	}
	if req.Version == "" {
		req.Version = lens.Auto
	}
	return proxy.Explain(state, req)
}

// state makes the state that the flags describe.
func (o *explainOptions) state(ctx context.Context) (*rewrite.State, error) {
	def, err := config.ReadDefinition(o.file)
	if err != nil {
		return nil, err
	}
	stage := lens.Stage{Proved: o.proved}
	if stage.Phase, err = lens.ParsePhase(o.phase); err != nil {
		return nil, usageError{fmt.Errorf("--phase: %w", err)}
	}
	if err := stage.Step.UnmarshalText([]byte(o.step)); err != nil {
		return nil, usageError{fmt.Errorf("--step: %w; the steps are both-unique, infer-new, write-new, write-old", err)}
	}
	var cat *catalog.Catalog
	var rel *catalog.Relation
	if o.control == "" {
		if rel, err = namedColumns(def, o.columns); err != nil {
			return nil, err
		}
		cat = catalog.New([]*catalog.Relation{rel}, nil, nil)
	} else {
		ctx, cancel := context.WithTimeout(ctx, catalogTimeout)
		defer cancel()
		if cat, err = migrate.ReadCatalog(ctx, o.control); err != nil {
			return nil, err
		}
		if rel = cat.Relation(def.Table.Schema, def.Table.Name); rel == nil {
			return nil, fmt.Errorf("migration %s: the database of --control has no table %s", def.Name, def.Table)
		}
	}
	m, err := reshape(rel, def, stage)
	if err != nil {
		return nil, err
	}
	if def.SplitTable != nil {
		cat = withTarget(cat, rel, m)
	}
	return rewrite.NewState(1, cat, []rewrite.Migration{*m})
}

// catalogTimeout bounds reading the tables of --control.
const catalogTimeout = 30 * time.Second

// namedColumns makes a table of just the columns that are named, which are of type text.
func namedColumns(def *lens.Definition, others []string) (*catalog.Relation, error) {
	const firstUserOID, textOID = 16384, 25
	group, err := def.Group()
	if err != nil {
		return nil, fmt.Errorf("migration %s: %w", def.Name, err)
	}
	rel := &catalog.Relation{OID: firstUserOID, Schema: def.Table.Schema, Name: def.Table.Name, Kind: catalog.Table}
	add := func(name string) {
		if name != "" && rel.Column(name) == nil {
			rel.Columns = append(rel.Columns, catalog.Column{
				Name: name, Num: int16(len(rel.Columns) + 1), Type: catalog.Type{OID: textOID, Mod: -1, SQL: "text"},
			})
		}
	}
	for _, name := range others {
		add(strings.TrimSpace(name))
	}
	for _, o := range group.Old {
		add(o.Name)
	}
	for _, name := range group.Stay {
		add(name)
	}
	if def.SplitTable != nil {
		for _, p := range def.SplitTable.KeyPairs() {
			add(p.From)
		}
	}
	return rel, nil
}

// withTarget brings in the table that columns of a split move to, where it does not stand and would at the stage.
func withTarget(cat *catalog.Catalog, rel *catalog.Relation, m *rewrite.Migration) *catalog.Catalog {
	s := m.Definition.SplitTable
	if m.Stage.Phase == lens.Pending || cat.Relation(s.To.Schema, s.To.Name) != nil {
		return cat
	}
	types := map[string]catalog.Type{}
	for _, p := range append(s.KeyPairs(), s.ColumnPairs()...) {
		types[p.To] = m.OldTypes[p.From]
		if c := rel.Column(p.From); c != nil {
			types[p.To] = c.Type
		}
	}
	to := &catalog.Relation{OID: rel.OID + 1, Schema: s.To.Schema, Name: s.To.Name, Kind: catalog.Table}
	for cat.ByOID(to.OID) != nil {
		to.OID++
	}
	for i, name := range s.Created() {
		t, known := types[name]
		if !known {
			t = catalog.Type{Mod: -1}
		}
		to.Columns = append(to.Columns, catalog.Column{Name: name, Num: int16(i + 1), Type: t})
	}
	return cat.With(to)
}

// reshape gives the relation, which nobody else uses yet, the columns that it has at a stage, whichever it has now. It gives the migration as
// it stands there.
func reshape(rel *catalog.Relation, def *lens.Definition, stage lens.Stage) (*rewrite.Migration, error) {
	group, err := def.Group()
	if err != nil {
		return nil, fmt.Errorf("migration %s: %w", def.Name, err)
	}
	m := &rewrite.Migration{Definition: def, Stage: stage, OldNums: map[string]int16{}, OldTypes: map[string]catalog.Type{}, Seq: 1}
	for _, name := range group.Stay {
		if rel.Column(name) == nil {
			return nil, fmt.Errorf("migration %s: table %s has no column %s", def.Name, def.Table, catalog.QuoteIdent(name))
		}
	}
	gone := map[string]bool{}
	var old []catalog.Column
	for _, o := range group.Old {
		c := rel.Column(o.Name)
		switch {
		case c != nil:
			old = append(old, *c)
		case group.Same && rel.Column(group.New[0].Name) != nil: // the migration is complete there
			made := *rel.Column(group.New[0].Name)
			made.Name = o.Name
			rel.Columns = append([]catalog.Column{made}, rel.Columns...)
			old = append(old, made)
		default:
			return nil, fmt.Errorf("migration %s: table %s has no column %s", def.Name, def.Table, catalog.QuoteIdent(o.Name))
		}
		m.OldNums[o.Name], m.OldTypes[o.Name] = old[len(old)-1].Num, old[len(old)-1].Type
		gone[o.Name] = stage.Phase >= lens.Complete && stage.Step != lens.WriteNew
	}
	for _, n := range group.New {
		gone[n.Name] = stage.Phase == lens.Pending
		if rel.Column(n.Name) != nil {
			continue
		}
		made := catalog.Column{}
		if len(old) > 0 {
			made = old[0]
		}
		made.Name, made.Num = n.Name, 1
		if last := len(rel.Columns); last > 0 {
			made.Num = rel.Columns[last-1].Num + 1
		}
		if n.Type != "" {
			made.Type, made.Default = catalog.Type{Mod: -1, SQL: n.Type}, ""
		}
		rel.Columns = append(rel.Columns, made)
	}
	rel.Columns = slices.DeleteFunc(rel.Columns, func(c catalog.Column) bool { return gone[c.Name] })
	return m, nil
}

// maxStatement bounds a statement from standard input, in bytes; longer ones are not planned.
const maxStatement = 16 << 20

// statement gives the statement that is to be explained: the argument, or what standard input has.
func statement(in io.Reader, arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	b, err := io.ReadAll(io.LimitReader(in, maxStatement+1))
	if err != nil {
		return "", fmt.Errorf("reading the statement from standard input: %w", err)
	}
	if len(b) > maxStatement {
		return "", fmt.Errorf("the statement on standard input is longer than %d bytes, which no proxy plans", maxStatement)
	}
	return strings.TrimRight(string(b), "\n"), nil
}
