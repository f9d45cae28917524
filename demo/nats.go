package main

import (
	"context"
	"crypto/tls"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

type natsServer struct {
	settings   natsEdge
	connecting sync.Mutex
	connection *nats.Conn
}

func newNats(settings natsEdge) *natsServer { return &natsServer{settings: settings} }

func (n *natsServer) name() string            { return n.settings.name }
func (n *natsServer) kind() string            { return "nats" }
func (n *natsServer) hide(text string) string { return text }

func (n *natsServer) close() {
	n.connecting.Lock()
	defer n.connecting.Unlock()
	if n.connection != nil {
		n.connection.Close()
	}
}

// roundTrip publishes a message, waits until the stream has it, and fetches it again. The counter is the stream's own.
func (n *natsServer) roundTrip(ctx context.Context, nonce string) (trip, error) {
	connection, err := n.connect()
	if err != nil {
		return trip{}, err
	}
	stream, err := jetstream.New(connection)
	if err != nil {
		return trip{}, err
	}
	acknowledged, err := stream.Publish(ctx, n.settings.subject, []byte(nonce))
	if err != nil {
		return trip{}, err
	}
	done := trip{By: "message", Written: value{nonce, int64(acknowledged.Sequence)}}
	durable, err := stream.Consumer(ctx, n.settings.stream, n.settings.durable)
	if err != nil {
		return trip{}, err
	}
	done.Read, err = fetch(ctx, durable, nonce)
	return done, err
}

// connect gives the one connection, which finds another server by itself when it loses its own.
func (n *natsServer) connect() (*nats.Conn, error) {
	n.connecting.Lock()
	defer n.connecting.Unlock()
	if n.connection != nil {
		return n.connection, nil
	}
	connection, err := nats.Connect(strings.Join(n.settings.servers, ","),
		nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13}),
		nats.RootCAs(n.settings.identity.caFile),
		nats.ClientCert(n.settings.identity.certFile, n.settings.identity.keyFile),
		nats.TLSHandshakeFirst(),
		nats.CustomInboxPrefix(n.settings.inboxPrefix),
		nats.Timeout(patience),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(patience),
		nats.Name("demo"),
	)
	if err == nil {
		n.connection = connection
	}
	return connection, err
}

// fetch looks for the message among those of other instances, which it gives back.
func fetch(ctx context.Context, durable jetstream.Consumer, nonce string) (value, error) {
	for {
		batch, err := durable.Fetch(1, jetstream.FetchContext(ctx))
		if err != nil {
			return value{}, err
		}
		for message := range batch.Messages() {
			told, err := message.Metadata()
			if err != nil {
				return value{}, err
			}
			switch {
			case string(message.Data()) == nonce:
				return value{nonce, int64(told.Sequence.Stream)}, message.DoubleAck(ctx)
			case time.Since(told.Timestamp) > 2*deadline:
				// Nobody waits for it any more.
				_ = message.Ack()
			default:
				_ = message.NakWithDelay(betweenLooks)
			}
		}
		if err := batch.Error(); err != nil {
			return value{}, err
		}
		if err := ctx.Err(); err != nil {
			return value{}, err
		}
	}
}
