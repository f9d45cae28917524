package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	counterKey = "demo:counter"
	readyKey   = "demo:ready:"
	// longestKept bounds what checks leave behind where keys are never evicted.
	longestKept = time.Minute
	// A frozen server takes connections and never answers. The library leaves a frozen Sentinel for another one only if
	// a read, one retry and its handshake (three times patience at most) fail while looking for the master is allowed
	// to go on, which is as long as a dial may take; so waits are short and retries few.
	patience         = 400 * time.Millisecond
	lookingForMaster = 1500 * time.Millisecond
	retries          = 1
	// noPoolOfItsOwn: pipelines share the one pool, whose size is the limit for all.
	noPoolOfItsOwn = -1
)

type redisServer struct {
	settings redisEdge
	client   *redis.Client
	// messagesOnly: keys are refused, as they are where the Redis is for messages.
	messagesOnly atomic.Bool
	messages     atomic.Int64
	// subscriptions has room for as many as may be open at once; each is a connection outside the pool.
	subscriptions chan struct{}
}

func newRedis(settings redisEdge) (*redisServer, error) {
	server := &redisServer{settings: settings, subscriptions: make(chan struct{}, settings.poolSize)}
	if len(settings.sentinels) == 0 {
		server.client = redis.NewClient(&redis.Options{
			Addr:                       settings.address,
			Dialer:                     settings.identity.dial,
			CredentialsProviderContext: server.credentials,
			PoolSize:                   settings.poolSize,
			PipelinePoolSize:           noPoolOfItsOwn,
			ReadTimeout:                patience,
			ContextTimeoutEnabled:      true,
			// A feature of hosted servers; others log a refused command for each connection.
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		return server, nil
	}
	// The library takes the Sentinels' password once, unlike the servers'.
	password, err := settings.identity.password()
	server.client = redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:                 settings.master,
		SentinelAddrs:              settings.sentinels,
		SentinelUsername:           settings.sentinelUser,
		SentinelPassword:           password,
		Dialer:                     settings.identity.dial,
		CredentialsProviderContext: server.credentials,
		PoolSize:                   settings.poolSize,
		PipelinePoolSize:           noPoolOfItsOwn,
		ReadTimeout:                patience,
		DialTimeout:                lookingForMaster,
		DialerRetries:              retries,
		MaxRetries:                 retries,
		ContextTimeoutEnabled:      true,
	})
	return server, err
}

func (r *redisServer) name() string            { return r.settings.name }
func (r *redisServer) kind() string            { return "redis" }
func (r *redisServer) hide(text string) string { return r.settings.identity.hide(text) }
func (r *redisServer) close()                  { _ = r.client.Close() }

func (r *redisServer) credentials(context.Context) (string, string, error) {
	password, err := r.settings.identity.password()
	return r.settings.user, password, err
}

// roundTrip goes through a key or, where the user may not have keys, through a channel.
func (r *redisServer) roundTrip(ctx context.Context, nonce string) (trip, error) {
	if !r.messagesOnly.Load() {
		done, err := r.throughKey(ctx, nonce)
		if !redis.IsPermissionError(err) {
			return done, err
		}
		// Remembered: each attempt would leave an entry in the server's log of refusals.
		r.messagesOnly.Store(true)
	}
	return r.throughChannel(ctx, nonce)
}

// throughKey counts in a key that all instances share. Both expire; a counter in use doesn't.
func (r *redisServer) throughKey(ctx context.Context, nonce string) (trip, error) {
	counter, err := r.client.Incr(ctx, counterKey).Result()
	if err != nil {
		return trip{}, err
	}
	written := value{nonce, counter}
	key := readyKey + nonce
	var got *redis.StringCmd
	_, err = r.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Expire(ctx, counterKey, r.settings.ttl)
		pipe.Set(ctx, key, written.String(), min(r.settings.ttl, longestKept))
		got = pipe.Get(ctx, key)
		return nil
	})
	if err != nil {
		return trip{}, err
	}
	read, err := parseValue(got.Val())
	return trip{"key", written, read}, err
}

// throughChannel counts in this process, since the server keeps nothing.
func (r *redisServer) throughChannel(ctx context.Context, nonce string) (trip, error) {
	select {
	case r.subscriptions <- struct{}{}:
		defer func() { <-r.subscriptions }()
	case <-ctx.Done():
		return trip{}, ctx.Err()
	}
	written := value{nonce, r.messages.Add(1)}
	channel := readyKey + nonce
	subscription := r.client.Subscribe(ctx, channel)
	defer func() { _ = subscription.Close() }()
	if _, err := subscription.Receive(ctx); err != nil {
		return trip{}, err
	}
	if err := r.client.Publish(ctx, channel, written.String()).Err(); err != nil {
		return trip{}, err
	}
	message, err := subscription.ReceiveMessage(ctx)
	if err != nil {
		return trip{}, err
	}
	read, err := parseValue(message.Payload)
	return trip{"message", written, read}, err
}

func (v value) String() string { return fmt.Sprintf("%s %d", v.Nonce, v.Counter) }

func parseValue(text string) (value, error) {
	nonce, count, _ := strings.Cut(text, " ")
	counter, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		return value{}, fmt.Errorf("%q came back, which is not what is written here", text)
	}
	return value{nonce, counter}, nil
}

// useLogger makes the library log as the app does.
func useLogger(log *slog.Logger) { redis.SetLogger(libraryLogger{log}) }

type libraryLogger struct{ log *slog.Logger }

func (l libraryLogger) Printf(_ context.Context, format string, values ...any) {
	l.log.Info(fmt.Sprintf(format, values...), "library", "go-redis")
}
