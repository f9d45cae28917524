package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

const (
	createRows = `CREATE TABLE IF NOT EXISTS demo_ready (nonce String, counter Int64, written DateTime DEFAULT now())
ENGINE = MergeTree ORDER BY counter TTL written + INTERVAL 1 HOUR`
	// The default profile acknowledges what it has not written yet; this waits until it is.
	insertNonce = `INSERT INTO demo_ready (nonce, counter) SETTINGS async_insert = 0 VALUES (?, ?)`
	selectNonce = `SELECT nonce, counter FROM demo_ready WHERE nonce = ? AND counter = ?`

	unknownTable = 60
)

// clickhouseServer is asked by ClickHouse's own protocol, over one connection: what it writes is on the server that it
// reads from, though others may have the same name.
type clickhouseServer struct {
	settings   clickhouseEdge
	connecting sync.Mutex
	connection driver.Conn
}

func newClickhouse(settings clickhouseEdge) *clickhouseServer {
	return &clickhouseServer{settings: settings}
}

func (c *clickhouseServer) name() string            { return c.settings.name }
func (c *clickhouseServer) kind() string            { return "clickhouse" }
func (c *clickhouseServer) hide(text string) string { return c.settings.identity.hide(text) }

func (c *clickhouseServer) close() {
	c.connecting.Lock()
	defer c.connecting.Unlock()
	if c.connection != nil {
		_ = c.connection.Close()
	}
}

// roundTrip writes a row and reads it back. The counter is the time.
func (c *clickhouseServer) roundTrip(ctx context.Context, nonce string) (trip, error) {
	connection, err := c.connect()
	if err != nil {
		return trip{}, err
	}
	done := trip{By: "row", Written: value{nonce, time.Now().UnixNano()}}
	err = connection.Exec(ctx, insertNonce, nonce, done.Written.Counter)
	if refused := (*clickhouse.Exception)(nil); errors.As(err, &refused) && refused.Code == unknownTable {
		if err = connection.Exec(ctx, createRows); err == nil {
			err = connection.Exec(ctx, insertNonce, nonce, done.Written.Counter)
		}
	}
	if err != nil {
		return trip{}, err
	}
	row := connection.QueryRow(ctx, selectNonce, nonce, done.Written.Counter)
	return done, row.Scan(&done.Read.Nonce, &done.Read.Counter)
}

// connect prepares the connection, which is dialled when it is used, and again where it was lost.
func (c *clickhouseServer) connect() (driver.Conn, error) {
	c.connecting.Lock()
	defer c.connecting.Unlock()
	if c.connection != nil {
		return c.connection, nil
	}
	password, err := c.settings.identity.password()
	if err != nil {
		return nil, err
	}
	connection, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{c.settings.address},
		Auth: clickhouse.Auth{Database: c.settings.database, Username: c.settings.user, Password: password},
		DialContext: func(ctx context.Context, address string) (net.Conn, error) {
			return c.settings.identity.dial(ctx, "tcp", address)
		},
		MaxOpenConns: 1,
		MaxIdleConns: 1,
		ClientInfo:   clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{"demo", version}}},
	})
	if err == nil {
		c.connection = connection
	}
	return connection, err
}
