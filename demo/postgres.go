package main

import (
	"context"
	"errors"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	createTables = `
CREATE TABLE IF NOT EXISTS demo_ready (
  counter  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  nonce    text NOT NULL,
  instance text NOT NULL,
  written  timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS demo_store (
  key     text PRIMARY KEY,
  value   bytea NOT NULL,
  written timestamptz NOT NULL DEFAULT now()
)`
	// Two instances that create a table at once would fail over one another, IF NOT EXISTS or not.
	oneAtATime = `SELECT pg_advisory_xact_lock(hashtext('demo tables'))`

	insertRow = `INSERT INTO demo_ready (nonce, instance) VALUES ($1, $2) RETURNING counter`
	selectRow = `SELECT nonce, counter FROM demo_ready WHERE counter = $1`
	// Keeps the newest hundred rows; instances don't wait for one another.
	deleteRows = `DELETE FROM demo_ready WHERE counter IN
(SELECT counter FROM demo_ready WHERE counter <= $1 - 100 ORDER BY counter LIMIT 1000 FOR UPDATE SKIP LOCKED)`

	putValue = `INSERT INTO demo_store (key, value) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, written = now()`
	getValue = `SELECT value FROM demo_store WHERE key = $1`

	undefinedTable = "42P01"
)

type postgres struct {
	settings postgresEdge
	instance string
	pool     *pgxpool.Pool
}

func newPostgres(settings postgresEdge, instance string) (*postgres, error) {
	address := url.URL{
		Scheme:   "postgresql",
		User:     url.User(settings.user),
		Host:     settings.address,
		Path:     settings.database,
		RawQuery: "sslmode=verify-full",
	}
	config, err := pgxpool.ParseConfig(address.String())
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(settings.poolSize)
	config.ConnConfig.ConnectTimeout = deadline
	// Statements prepared by name would not survive a pooler that gives connections back after each transaction.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.ConnConfig.RuntimeParams["application_name"] = "demo"
	config.BeforeConnect = func(_ context.Context, connection *pgx.ConnConfig) error {
		var tlsErr, passwordErr error
		connection.TLSConfig, tlsErr = settings.identity.clientTLS(connection.Host)
		connection.Password, passwordErr = settings.identity.password()
		return errors.Join(tlsErr, passwordErr)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	return &postgres{settings, instance, pool}, err
}

func (p *postgres) name() string            { return p.settings.name }
func (p *postgres) kind() string            { return "postgres" }
func (p *postgres) hide(text string) string { return p.settings.identity.hide(text) }
func (p *postgres) close()                  { p.pool.Close() }

// roundTrip writes a row and reads it back in one transaction. The counter is the table's own, so it grows with every
// instance's rows.
func (p *postgres) roundTrip(ctx context.Context, nonce string) (trip, error) {
	done := trip{By: "row", Written: value{Nonce: nonce}}
	err := p.withTables(ctx, func() error {
		return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
			row := tx.QueryRow(ctx, insertRow, nonce, p.instance)
			if err := row.Scan(&done.Written.Counter); err != nil {
				return err
			}
			row = tx.QueryRow(ctx, selectRow, done.Written.Counter)
			if err := row.Scan(&done.Read.Nonce, &done.Read.Counter); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, deleteRows, done.Written.Counter)
			return err
		})
	})
	return done, err
}

func (p *postgres) put(ctx context.Context, key string, content []byte) error {
	return p.withTables(ctx, func() error {
		_, err := p.pool.Exec(ctx, putValue, key, content)
		return err
	})
}

func (p *postgres) get(ctx context.Context, key string) ([]byte, bool, error) {
	var content []byte
	err := p.withTables(ctx, func() error { return p.pool.QueryRow(ctx, getValue, key).Scan(&content) })
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	return content, err == nil, err
}

// withTables does work and, where a table turns out to be missing, creates the tables and does it once more.
func (p *postgres) withTables(ctx context.Context, work func() error) error {
	err := work()
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != undefinedTable {
		return err
	}
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, oneAtATime); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, createTables)
		return err
	})
	if err != nil {
		return err
	}
	return work()
}
