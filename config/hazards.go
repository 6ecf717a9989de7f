package config

import "slices"

// The hazards that `segue check` names, and that a definition's `allow` takes. The names stay the same.
const (
	HazardLossy             = "lossy"               // what went in need not come back
	HazardOneWay            = "one-way"             // an old column has no `down`
	HazardUpdateTriggers    = "update-triggers"     // the backfill fires the table's own UPDATE triggers
	HazardBeforeTriggers    = "before-triggers"     // they change migrating columns, or may
	HazardDependents        = "dependents"          // complete waits until they use the new columns
	HazardFunctions         = "functions"           // their text names the table and an old column, and nothing waits for them
	HazardBypassSessions    = "bypass-sessions"     // sessions that are no proxy's
	HazardBypassFunctions   = "bypass-functions"    // they write the table from inside the server
	HazardBypassTriggers    = "bypass-triggers"     // of other tables, likewise
	HazardBypassViews       = "bypass-views"        // views that rows are written through
	HazardBypassForeignKeys = "bypass-foreign-keys" // their actions write an old column
	HazardUnmirroredIndexes = "unmirrored-indexes"  // the new side gets none in their place
	HazardSlowLookups       = "slow-lookups"        // new code's lookups read the whole table until reads switch
	HazardPublications      = "publications"        // subscribers need the new column first
	HazardNoStats           = "no-stats"            // the control role lacks pg_read_all_stats
	HazardNoSignal          = "no-signal"           // the control role lacks pg_signal_backend
)

// Hazards lists all of them.
var Hazards = []string{
	HazardLossy, HazardOneWay, HazardUpdateTriggers, HazardBeforeTriggers, HazardDependents, HazardFunctions, HazardBypassSessions, HazardBypassFunctions, HazardBypassTriggers,
	HazardBypassViews, HazardBypassForeignKeys, HazardUnmirroredIndexes, HazardSlowLookups, HazardPublications, HazardNoStats, HazardNoSignal,
}

// knownHazard says whether a word is one of them.
func knownHazard(word string) bool { return slices.Contains(Hazards, word) }
