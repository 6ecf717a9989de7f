// Package migrate carries migrations through their phases and keeps a proxy's place among the proxies: it is everything that touches the
// control connection. How statements are rewritten meanwhile is left to package rewrite, clients' connections to package proxy.
//
// One Controller belongs to one proxy. What it decides by is in schema segue of the migrated database, never in memory alone: so any proxy goes
// on where another one died, and two of them cannot disagree.
package migrate
