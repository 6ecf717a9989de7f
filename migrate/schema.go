package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// format is the version of what is stored in schema segue. A build refuses what a newer one has made.
const format = 6

// stateDDL makes the durable state. The tables are the control role's alone; what applications need of the schema is to call the guards and what converts values.
const stateDDL = `
REVOKE ALL ON SCHEMA segue FROM PUBLIC;
GRANT USAGE ON SCHEMA segue TO PUBLIC;

CREATE TABLE segue.epoch (
	one        boolean PRIMARY KEY DEFAULT true CHECK (one),
	format     integer NOT NULL,
	current    bigint NOT NULL,
	settled    bigint NOT NULL,  -- the last epoch that every live proxy had acknowledged
	holder     uuid,             -- the work that may write: every write is a compare-and-swap on it
	changed_at timestamptz NOT NULL DEFAULT now(),
	writer     uuid,             -- who wrote the current epoch: two histories may have the same numbers
	system     text,             -- the system identifier and the timeline of the server that it was last seen on
	timeline   bigint,
	branch     bigint,           -- the epoch by which it was last noted that the database went back to an earlier state
	moved_at   timestamptz       -- when that was noted; null once the current epoch was settled after it
);
COMMENT ON TABLE segue.epoch IS 'Segue: one row; grows by one with every phase change of any migration';

CREATE TABLE segue.migration (
	name         text PRIMARY KEY,
	seq          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
	table_oid    oid NOT NULL,
	definition   jsonb NOT NULL,
	live         boolean NOT NULL DEFAULT false,  -- registered: proxies have its lens
	phase        text NOT NULL DEFAULT 'pending',
	step         text NOT NULL DEFAULT '',
	proved       boolean NOT NULL DEFAULT false,
	changed      bigint NOT NULL DEFAULT 0,       -- the epoch of the last change of live, phase, step or proved
	prior        jsonb,                           -- what that change may be given up for; null: it cannot be
	old_nums     jsonb NOT NULL,                  -- attribute numbers of the old columns when it was started
	old_types    jsonb NOT NULL,                  -- and their types
	new_nums     jsonb,                           -- those of the new columns, while they stand
	guard        jsonb,                           -- the guard as it was made, while it stands
	relaxed      jsonb,                           -- what complete took off the old columns, so that rollback can put it back
	members      jsonb,                           -- attribute numbers of the old columns in partitions and children, from when they were dropped
	filled       oid[] NOT NULL DEFAULT '{}',     -- the relations that the backfill is through with
	cursor_of    oid,                             -- the one that it is at
	cursor       text[],                          -- the last primary key of that one that it has done
	rows_done    bigint NOT NULL DEFAULT 0,
	rows_total   bigint NOT NULL DEFAULT 0,
	rate         double precision NOT NULL DEFAULT 0,  -- rows a second
	throttled    text NOT NULL DEFAULT '',
	paused       boolean NOT NULL DEFAULT false,       -- nothing is filled or scanned while it is
	max_rows     bigint,                               -- rows a second at most, 0 for no limit; null: what the definition says
	scanned      jsonb,                                -- how far the scan under way is
	backfilled   boolean NOT NULL DEFAULT false,
	analyzed     boolean NOT NULL DEFAULT false,
	verified     jsonb,                           -- what the last scan found
	working      text NOT NULL DEFAULT '',        -- what is going on; it holds while the work's advisory lock is held
	error        text NOT NULL DEFAULT '',
	created_at   timestamptz NOT NULL DEFAULT now(),
	changed_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE segue.migration IS 'Segue: the migrations and where each stands';

CREATE TABLE segue.proxy (
	id         uuid PRIMARY KEY,
	host       text NOT NULL,
	build      text NOT NULL,
	ack        bigint NOT NULL,            -- no session of it runs under another epoch
	renewals   bigint NOT NULL DEFAULT 0,
	lease      double precision NOT NULL,  -- seconds
	sessions   bigint NOT NULL DEFAULT 0,  -- clients connected
	pids       integer[] NOT NULL DEFAULT '{}',  -- their server sessions at the last renewal
	latency    jsonb,                      -- what its clients' statements took between the last two renewals
	format     integer NOT NULL DEFAULT 4, -- of the state that its build knows
	joined_at  timestamptz NOT NULL DEFAULT now(),
	renewed_at timestamptz NOT NULL DEFAULT now(),
	standby      text,                     -- the address of the standby that its sessions are at; null: they are at the primary
	standby_host text,                     -- and the name that goes with it
	keeps        jsonb                     -- what keeps it from acknowledging, as seen at the standby at the last renewal
);
COMMENT ON TABLE segue.proxy IS 'Segue: the proxies that hold a lease';

CREATE TABLE segue.session (
	proxy         uuid NOT NULL REFERENCES segue.proxy ON DELETE CASCADE,
	pid           integer NOT NULL,
	backend_start timestamptz,             -- null where the control role may not see it
	registered_at timestamptz NOT NULL DEFAULT now(),
	behind        bigint,                  -- the epoch that it last kept its proxy from acknowledging
	PRIMARY KEY (proxy, pid)
);
COMMENT ON TABLE segue.session IS 'Segue: server sessions that have run statements on migrating tables';

CREATE TABLE segue.old_names (
	migration   text NOT NULL REFERENCES segue.migration ON DELETE CASCADE,
	application text NOT NULL,
	username    text NOT NULL,
	version     text NOT NULL,
	count       bigint NOT NULL,
	last_seen   timestamptz NOT NULL,
	PRIMARY KEY (migration, application, username, version)
);
COMMENT ON TABLE segue.old_names IS 'Segue: who still uses the old names';

CREATE TABLE segue.event (
	id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at        timestamptz NOT NULL DEFAULT clock_timestamp(),
	proxy     uuid,
	host      text NOT NULL,
	role      text NOT NULL DEFAULT current_user,
	migration text,
	action    text NOT NULL,
	detail    jsonb,
	actor     text                         -- who asked for it, on that host; null where nobody did
);
COMMENT ON TABLE segue.event IS 'Segue: who did what, when';

CREATE FUNCTION segue.fit(text, integer) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog AS $fit$
BEGIN
	IF length($1) <= $2 THEN
		RETURN $1;
	END IF;
	IF rtrim(substr($1, $2 + 1), ' ') <> '' THEN
		RAISE EXCEPTION USING ERRCODE = 'string_data_right_truncation', MESSAGE = format('value too long for type character varying(%s)', $2);
	END IF;
	RETURN left($1, $2);
END
$fit$;
COMMENT ON FUNCTION segue.fit(text, integer) IS 'Segue: a text as an assignment to a column of that length takes it';
GRANT EXECUTE ON FUNCTION segue.fit(text, integer) TO PUBLIC;

-- Volatile, so that nobody computes it beforehand: it stands in the branch of a CASE that is not to be taken.
CREATE FUNCTION segue.formless(anyelement, text) RETURNS anyelement LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $formless$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'data_exception', MESSAGE = format('the value of %s has no form in the other schema', $2),
		HINT = 'While the migration is under way, a value must come back as it was from what the other schema holds of it.', COLUMN = $2;
END
$formless$;
COMMENT ON FUNCTION segue.formless(anyelement, text) IS 'Segue: refuses a value that would not come back as it is';
GRANT EXECUTE ON FUNCTION segue.formless(anyelement, text) TO PUBLIC;

REVOKE ALL ON ALL TABLES IN SCHEMA segue FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA segue FROM PUBLIC;
`

// createState makes schema segue where it is missing; proxies that start at once wait for the first of them.
func createState(ctx context.Context, conn *pgx.Conn) error {
	found, err := stateFormat(ctx, conn)
	if err != nil || found == format {
		return err
	}
	err = inTx(ctx, conn, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, 0)", lockCreate); err != nil {
			return err
		}
		found, err := stateFormat(ctx, tx)
		if err != nil || found == format {
			return err
		}
		if found > 0 {
			return upgrade(ctx, tx, found)
		}
		var exists bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'segue')").Scan(&exists); err != nil {
			return err
		}
		if !exists {
			if _, err := tx.Exec(ctx, "CREATE SCHEMA segue; COMMENT ON SCHEMA segue IS 'Segue: migrations under way'"); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, stateDDL); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO segue.epoch (format, current, settled) VALUES ($1, 1, 1)", format)
		return err
	})
	if sqlState(err) == "42501" {
		var role, database string
		if err2 := conn.QueryRow(ctx, "SELECT quote_ident(current_user), quote_ident(current_database())").Scan(&role, &database); err2 != nil {
			return errors.Join(err, err2)
		}
		return fmt.Errorf("making schema segue: %w; let the control role: GRANT CREATE ON DATABASE %s TO %s", err, database, role)
	}
	if err != nil {
		return fmt.Errorf("making schema segue: %w", err)
	}
	return nil
}

// oldest is the oldest format that is brought up to date in place.
const oldest = 4

// upgrades bring the state from a format to the next one. They only add what proxies of the build before do not need, and read past: such proxies go on until they are
// restarted, and a build that is older than the format refuses to start. The first one is from oldest.
var upgrades = []string{`
ALTER TABLE segue.epoch ADD writer uuid, ADD system text, ADD timeline bigint, ADD branch bigint, ADD moved_at timestamptz;
ALTER TABLE segue.migration ADD paused boolean NOT NULL DEFAULT false, ADD max_rows bigint, ADD scanned jsonb;
ALTER TABLE segue.proxy ADD pids integer[] NOT NULL DEFAULT '{}', ADD latency jsonb, ADD format integer NOT NULL DEFAULT 4;
ALTER TABLE segue.session ADD behind bigint;
ALTER TABLE segue.event ADD actor text;
`, `
ALTER TABLE segue.proxy ADD standby text, ADD standby_host text, ADD keeps jsonb;
`}

// upgrade brings the state up to date.
func upgrade(ctx context.Context, tx pgx.Tx, from int) error {
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
		return err
	}
	for _, ddl := range upgrades[from-oldest:] {
		if _, err := tx.Exec(ctx, ddl); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, "UPDATE segue.epoch SET format = $1", format)
	return err
}

// stateFormat gives the format of the state that is there, 0 where none is, and an error where it is not one that this build knows.
func stateFormat(ctx context.Context, q queryer) (int, error) {
	var exists bool
	// Not to_regclass: it answers from a cache, which in a transaction that waited for the creator's lock does not know of what that one made.
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'segue') AND relname = 'epoch')").Scan(&exists); err != nil {
		return 0, fmt.Errorf("looking for schema segue: %w", err)
	}
	if !exists {
		return 0, nil
	}
	var f int
	err := q.QueryRow(ctx, "SELECT format FROM segue.epoch").Scan(&f)
	switch {
	case sqlState(err) == "42501":
		return 0, fmt.Errorf("reading schema segue: %w; it belongs to another role: connect as the control role that made it", err)
	case err != nil:
		return 0, fmt.Errorf("reading schema segue: %w", err)
	case f > format:
		return 0, fmt.Errorf("schema segue has format %d, which a newer build has made, and this build knows formats up to %d: run that build", f, format)
	case f < oldest:
		return 0, fmt.Errorf("schema segue has format %d, and this build brings formats from %d on up to date: finish the migrations with the build that made it, DROP SCHEMA segue CASCADE, and start this one", f, oldest)
	}
	return f, nil
}
