package main

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPoolSize = 10
	defaultTTL      = time.Hour
)

// ownSettings is what the server itself needs.
type ownSettings struct {
	name     string
	instance string
	port     string
	files    identity
	// mutual: clients without a certificate are refused.
	mutual bool
}

// edge is what settings of every kind of service have in common.
type edge struct {
	// name of the service, as in the environment's configuration.
	name string
	// address is host:port.
	address string
	user    string
	// poolSize is the largest number of connections.
	poolSize int
	identity identity
}

// postgresEdge holds the settings of a PostgreSQL.
type postgresEdge struct {
	edge
	database string
}

// redisEdge holds the settings of a Redis.
type redisEdge struct {
	edge
	// ttl is the time after which keys expire.
	ttl time.Duration
	// sentinels are host:port addresses; empty where there is a single server.
	sentinels    []string
	master       string
	sentinelUser string
}

// rabbitmqEdge holds the settings of a RabbitMQ.
type rabbitmqEdge struct {
	edge
	vhost string
	// exchange and queue, which is bound to it by its own name, are this app's own choice.
	exchange, queue string
}

// natsEdge holds the settings of a NATS, whose servers know the app by its certificate.
type natsEdge struct {
	name        string
	servers     []string
	inboxPrefix string
	identity    identity
	// subject of a stream and a durable consumer that gives all of it are this app's own choice.
	subject, stream, durable string
}

// kafkaEdge holds the settings of a Kafka, whose servers know the app by its certificate.
type kafkaEdge struct {
	name     string
	servers  []string
	identity identity
	// topic is this app's own choice. It joins no group, so the prefix of its groups is of no use to it.
	topic string
}

// clickhouseEdge holds the settings of a ClickHouse.
type clickhouseEdge struct {
	edge
	database string
}

// objectsEdge holds the settings of an object store, which knows the app by what it signs its requests with.
type objectsEdge struct {
	name string
	// endpoint is https://host:port.
	endpoint, region, bucket string
	// prefix is what the app's keys begin with; empty where the bucket is its own.
	prefix string
	// addressing is path or virtual: where a request names the bucket.
	addressing          string
	keyFile, secretFile string
	// caFile is empty where the store's certificate leads to a root that everybody trusts.
	caFile   string
	poolSize int
}

// edges are the services that the environment variables describe, each kind in the order of its variables.
type edges struct {
	postgres   []postgresEdge
	redis      []redisEdge
	rabbitmq   []rabbitmqEdge
	nats       []natsEdge
	kafka      []kafkaEdge
	clickhouse []clickhouseEdge
	objects    []objectsEdge
}

// discoverOwn reads the server's own settings.
func discoverOwn(env map[string]string) (ownSettings, error) {
	host, err := os.Hostname()
	if err != nil {
		return ownSettings{}, err
	}
	found := &variables{env: env, prefix: "TLS"}
	own := ownSettings{
		name:     cmp.Or(env["OTEL_SERVICE_NAME"], "demo"),
		instance: host,
		port:     env["PORT"],
		files:    found.files(),
	}
	if number, err := strconv.Atoi(own.port); err != nil || number < 1 || number > 65535 {
		found.wrong("PORT", own.port, "a port from 1 to 65535")
	}
	if own.mutual, err = strconv.ParseBool(cmp.Or(env["MUTUAL"], "false")); err != nil {
		found.wrong("MUTUAL", env["MUTUAL"], "true or false")
	}
	return own, errors.Join(found.problems...)
}

// discoverEdges finds services by what their settings look like: X_HOST with X_SSLMODE is a PostgreSQL, with X_VHOST a
// RabbitMQ, with X_INBOX_PREFIX a NATS, with X_GROUP_PREFIX a Kafka, with X_HTTPS_PORT a ClickHouse, with X_TLS=mutual
// and X_USERNAME a Redis; X_ADDRESSING is that of an object store. Other variables are nobody's business. All problems
// are reported at once.
func discoverEdges(env map[string]string) (edges, error) {
	var found edges
	var problems []error
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		if prefix, isStore := strings.CutSuffix(variable, "_ADDRESSING"); isStore {
			settings := &variables{env: env, prefix: prefix}
			found.objects = append(found.objects, settings.objects())
			problems = append(problems, settings.problems...)
		}
		prefix, isHost := strings.CutSuffix(variable, "_HOST")
		if !isHost {
			continue
		}
		settings := &variables{env: env, prefix: prefix}
		switch {
		case settings.has("SSLMODE"):
			found.postgres = append(found.postgres, settings.postgres())
		case settings.has("VHOST"):
			found.rabbitmq = append(found.rabbitmq, settings.rabbitmq())
		case settings.has("INBOX_PREFIX"):
			found.nats = append(found.nats, settings.nats())
		case settings.has("GROUP_PREFIX"):
			found.kafka = append(found.kafka, settings.kafka())
		case settings.has("HTTPS_PORT"):
			found.clickhouse = append(found.clickhouse, settings.clickhouse())
		case env[prefix+"_TLS"] == "mutual" && settings.has("USERNAME"):
			found.redis = append(found.redis, settings.redis())
		}
		problems = append(problems, settings.problems...)
	}
	slices.SortFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return found, errors.Join(problems...)
}

func (v *variables) postgres() postgresEdge {
	if mode := v.env[v.prefix+"_SSLMODE"]; mode != "verify-full" {
		v.wrong(v.prefix+"_SSLMODE", mode, "verify-full")
	}
	return postgresEdge{edge: v.edge("USER"), database: v.text("DATABASE")}
}

func (v *variables) redis() redisEdge {
	found := redisEdge{edge: v.edge("USERNAME"), ttl: defaultTTL}
	if v.has("TTL_SECONDS") {
		found.ttl = time.Duration(v.number("TTL_SECONDS", 0)) * time.Second
	}
	if v.has("SENTINELS") {
		found.sentinels = strings.Split(v.text("SENTINELS"), ",")
		found.master, found.sentinelUser = v.text("SENTINEL_MASTER"), v.text("SENTINEL_USERNAME")
	}
	return found
}

func (v *variables) rabbitmq() rabbitmqEdge {
	return rabbitmqEdge{
		edge: v.edge("USERNAME"), vhost: v.text("VHOST"), exchange: v.chosen("EXCHANGE"), queue: v.chosen("QUEUE"),
	}
}

func (v *variables) nats() natsEdge {
	return natsEdge{
		name: v.service(), servers: strings.Split(v.text("SERVERS"), ","), inboxPrefix: v.text("INBOX_PREFIX"),
		identity: v.files(), subject: v.chosen("SUBJECT"), stream: v.chosen("STREAM"), durable: v.chosen("DURABLE"),
	}
}

func (v *variables) kafka() kafkaEdge {
	return kafkaEdge{
		name: v.service(), servers: strings.Split(v.text("BOOTSTRAP_SERVERS"), ","),
		identity: v.files(), topic: v.chosen("TOPIC"),
	}
}

func (v *variables) clickhouse() clickhouseEdge {
	return clickhouseEdge{edge: v.edge("USER"), database: v.text("DATABASE")}
}

func (v *variables) objects() objectsEdge {
	return objectsEdge{
		name: v.service(), endpoint: v.text("ENDPOINT"), region: v.text("REGION"), bucket: v.text("BUCKET"),
		prefix: v.env[v.prefix+"_PREFIX"], addressing: v.text("ADDRESSING"), caFile: v.env[v.prefix+"_CA_FILE"],
		keyFile: v.text("ACCESS_KEY_ID_FILE"), secretFile: v.text("SECRET_ACCESS_KEY_FILE"),
		poolSize: v.number("POOL_SIZE", defaultPoolSize),
	}
}
