package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// betweenLooks is the shortest pause before a queue is looked at again.
const betweenLooks = 5 * time.Millisecond

type rabbitmq struct {
	settings  rabbitmqEdge
	published atomic.Int64
	// turn is held by whoever uses the channel: deliveries are acknowledged on the one that they came by.
	turn    chan struct{}
	channel *amqp.Channel
	closing func() error
}

func newRabbitmq(settings rabbitmqEdge) *rabbitmq {
	return &rabbitmq{settings: settings, turn: make(chan struct{}, 1)}
}

func (r *rabbitmq) name() string            { return r.settings.name }
func (r *rabbitmq) kind() string            { return "rabbitmq" }
func (r *rabbitmq) hide(text string) string { return r.settings.identity.hide(text) }

func (r *rabbitmq) close() {
	r.turn <- struct{}{}
	r.disconnect()
}

// roundTrip publishes a message, waits until the broker has it safe, and takes it from the queue again.
func (r *rabbitmq) roundTrip(ctx context.Context, nonce string) (trip, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return trip{}, ctx.Err()
	}
	if r.channel == nil || r.channel.IsClosed() {
		r.disconnect()
		if err := r.connect(ctx); err != nil {
			return trip{}, err
		}
	}
	done := trip{By: "message", Written: value{nonce, r.published.Add(1)}}
	var err error
	if err = r.publish(ctx, done.Written.String()); err == nil {
		done.Read, err = r.take(ctx, nonce)
	}
	if err != nil {
		// A channel in doubt would give the next one what is not its own.
		r.disconnect()
	}
	return done, err
}

func (r *rabbitmq) connect(ctx context.Context) error {
	password, err := r.settings.identity.password()
	if err != nil {
		return err
	}
	connection, err := amqp.DialConfig("amqp://"+r.settings.address, amqp.Config{
		SASL:  []amqp.Authentication{&amqp.PlainAuth{Username: r.settings.user, Password: password}},
		Vhost: r.settings.vhost,
		// The connection that this gives is TLS already.
		Dial: func(network, address string) (net.Conn, error) {
			return r.settings.identity.dial(ctx, network, address)
		},
	})
	if err != nil {
		return err
	}
	r.closing = connection.Close
	if r.channel, err = connection.Channel(); err == nil {
		err = r.channel.Confirm(false)
	}
	if err != nil {
		r.disconnect()
	}
	return err
}

func (r *rabbitmq) disconnect() {
	if r.closing != nil {
		_ = r.closing()
	}
	r.channel, r.closing = nil, nil
}

func (r *rabbitmq) publish(ctx context.Context, body string) error {
	message := amqp.Publishing{DeliveryMode: amqp.Persistent, Timestamp: time.Now(), Body: []byte(body)}
	confirmation, err := r.channel.PublishWithDeferredConfirmWithContext(
		ctx, r.settings.exchange, r.settings.queue, true, false, message)
	if err != nil {
		return err
	}
	confirmed, err := confirmation.WaitContext(ctx)
	if err == nil && !confirmed {
		err = errors.New("the broker did not take the message")
	}
	return err
}

// take looks for the message among those of other instances, which it gives back.
func (r *rabbitmq) take(ctx context.Context, nonce string) (value, error) {
	var others []amqp.Delivery
	defer func() { giveBack(others) }()
	for {
		delivery, found, err := r.channel.Get(r.settings.queue, false)
		if err != nil {
			return value{}, err
		}
		if !found {
			// Two instances that wait for each other's message would wait for ever.
			giveBack(others)
			others = nil
			if err := pause(ctx, betweenLooks+rand.N(betweenLooks)); err != nil {
				return value{}, err
			}
			continue
		}
		read, err := parseValue(string(delivery.Body))
		switch {
		case err == nil && read.Nonce == nonce:
			return read, delivery.Ack(false)
		case err != nil || time.Since(delivery.Timestamp) > 2*deadline:
			// Nobody waits for it any more.
			_ = delivery.Ack(false)
		default:
			others = append(others, delivery)
		}
	}
}

func giveBack(deliveries []amqp.Delivery) {
	for _, delivery := range deliveries {
		_ = delivery.Nack(false, true)
	}
}

func pause(ctx context.Context, duration time.Duration) error {
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
