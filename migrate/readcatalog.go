package migrate

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"segue/rewrite/catalog"
)

// ReadCatalog reads a database's catalog, for planning statements without a proxy. It changes nothing in the database, and the caller
// is the catalog's only user.
func ReadCatalog(ctx context.Context, dsn string) (cat *catalog.Catalog, err error) {
	base, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := (&Controller{base: base}).connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeConn(conn)) }()
	err = inTx(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		cat, err = loadCatalog(ctx, tx)
		return err
	})
	return cat, err
}
