package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// backend is a service that the app uses.
type backend interface {
	name() string
	kind() string
	// roundTrip writes a value that holds nonce and reads it back. It stops when ctx ends.
	roundTrip(ctx context.Context, nonce string) (trip, error)
	// hide strikes the service's secrets out of a text.
	hide(text string) string
	close()
}

// trip is what went to a service and what came back.
type trip struct {
	// By is the way: a row, a key, a message, a record or an object.
	By      string `json:"by"`
	Written value  `json:"written"`
	Read    value  `json:"read"`
}

// value is never the same twice: the nonce is random, and the counter of a service only grows.
type value struct {
	Nonce   string `json:"nonce"`
	Counter int64  `json:"counter"`
}

// store keeps values by key.
type store interface {
	backend
	put(ctx context.Context, key string, content []byte) error
	// get also says whether there is such a key.
	get(ctx context.Context, key string) ([]byte, bool, error)
}

// connect prepares a pool for each service. Nothing is dialled yet: a service that is down is /ready's to tell.
func connect(found edges, instance string, log *slog.Logger) ([]backend, error) {
	useLogger(log)
	var backends []backend
	var problems []error
	add := func(name string, made backend, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		} else {
			backends = append(backends, made)
		}
	}
	for _, settings := range found.postgres {
		postgres, err := newPostgres(settings, instance)
		add(settings.name, postgres, err)
	}
	for _, settings := range found.redis {
		redis, err := newRedis(settings)
		add(settings.name, redis, err)
	}
	for _, settings := range found.rabbitmq {
		add(settings.name, newRabbitmq(settings), nil)
	}
	for _, settings := range found.nats {
		add(settings.name, newNats(settings), nil)
	}
	for _, settings := range found.kafka {
		kafka, err := newKafka(settings)
		add(settings.name, kafka, err)
	}
	for _, settings := range found.clickhouse {
		add(settings.name, newClickhouse(settings), nil)
	}
	for _, settings := range found.objects {
		objects, err := newObjects(settings, instance)
		add(settings.name, objects, err)
	}
	return backends, errors.Join(problems...)
}

// firstStore is where /store keeps its values, or nil.
func firstStore(backends []backend) store {
	for _, backend := range backends {
		if found, is := backend.(store); is {
			return found
		}
	}
	return nil
}

func names(backends []backend) []string {
	found := make([]string, len(backends))
	for index, backend := range backends {
		found[index] = backend.name()
	}
	return found
}

func closeAll(backends []backend) {
	for _, backend := range backends {
		backend.close()
	}
}
