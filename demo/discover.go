package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
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

// edges are the services that the environment variables describe, each kind sorted by name.
type edges struct {
	postgres []postgresEdge
	redis    []redisEdge
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

// discoverEdges finds services by what their settings look like: X_HOST with X_SSLMODE is a PostgreSQL, X_HOST with
// X_TLS=mutual and X_USERNAME a Redis. Other variables are nobody's business. All problems are reported at once.
func discoverEdges(env map[string]string) (edges, error) {
	var found edges
	var problems []error
	for variable := range env {
		prefix, isHost := strings.CutSuffix(variable, "_HOST")
		if !isHost {
			continue
		}
		settings := &variables{env: env, prefix: prefix}
		switch {
		case settings.has("SSLMODE"):
			found.postgres = append(found.postgres, settings.postgres())
		case env[prefix+"_TLS"] == "mutual" && settings.has("USERNAME"):
			found.redis = append(found.redis, settings.redis())
		}
		problems = append(problems, settings.problems...)
	}
	slices.SortFunc(found.postgres, func(a, b postgresEdge) int { return cmp.Compare(a.name, b.name) })
	slices.SortFunc(found.redis, func(a, b redisEdge) int { return cmp.Compare(a.name, b.name) })
	slices.SortFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return found, errors.Join(problems...)
}

// variables reads the variables that begin with one prefix and remembers what is wrong with them.
type variables struct {
	env      map[string]string
	prefix   string
	problems []error
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

func (v *variables) edge(user string) edge {
	files := v.files()
	files.passwordFile = v.text("PASSWORD_FILE")
	return edge{
		name:     strings.ReplaceAll(strings.ToLower(v.prefix), "_", "-"),
		address:  net.JoinHostPort(v.text("HOST"), v.text("PORT")),
		user:     v.text(user),
		poolSize: v.number("POOL_SIZE", defaultPoolSize),
		identity: files,
	}
}

func (v *variables) files() identity {
	return identity{caFile: v.text("CA_FILE"), certFile: v.text("CERT_FILE"), keyFile: v.text("KEY_FILE")}
}

func (v *variables) has(setting string) bool {
	return v.env[v.prefix+"_"+setting] != ""
}

// text is a setting that must be there.
func (v *variables) text(setting string) string {
	if !v.has(setting) {
		v.problems = append(v.problems, fmt.Errorf("%s_%s is missing; the platform sets it", v.prefix, setting))
	}
	return v.env[v.prefix+"_"+setting]
}

// number is a positive whole number, or what holds where the setting isn't there.
func (v *variables) number(setting string, otherwise int) int {
	if !v.has(setting) {
		return otherwise
	}
	variable := v.prefix + "_" + setting
	number, err := strconv.ParseInt(v.env[variable], 10, 32)
	if err != nil || number < 1 {
		v.wrong(variable, v.env[variable], "a whole number of at least 1")
	}
	return int(number)
}

func (v *variables) wrong(variable, given, allowed string) {
	v.problems = append(v.problems, fmt.Errorf("%s: %q given; allowed: %s", variable, given, allowed))
}
