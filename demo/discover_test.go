package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

var single = map[string]string{
	"CACHE_HOST": "cache.test.svc", "CACHE_PORT": "6379", "CACHE_USERNAME": "api", "CACHE_TLS": "mutual",
	"CACHE_TTL_SECONDS": "1800", "CACHE_PASSWORD_FILE": "/run/groundwork/cache/password",
	"CACHE_URL_FILE": "/run/groundwork/cache/url", "CACHE_CA_FILE": "/run/groundwork/cache/ca.crt",
	"CACHE_CERT_FILE": "/run/groundwork/cache/tls.crt", "CACHE_KEY_FILE": "/run/groundwork/cache/tls.key",
}

var replicated = map[string]string{
	"JOB_QUEUE_HOST": "job-queue.test.svc", "JOB_QUEUE_PORT": "6379", "JOB_QUEUE_USERNAME": "api", "JOB_QUEUE_TLS": "mutual",
	"JOB_QUEUE_SENTINELS": "a:26379,b:26379,c:26379", "JOB_QUEUE_SENTINEL_MASTER": "job-queue",
	"JOB_QUEUE_SENTINEL_USERNAME": "api", "JOB_QUEUE_PASSWORD_FILE": "/p", "JOB_QUEUE_CA_FILE": "/ca",
	"JOB_QUEUE_CERT_FILE": "/crt", "JOB_QUEUE_KEY_FILE": "/key",
}

func TestNoServices(t *testing.T) {
	found, err := discoverEdges(map[string]string{
		"PORT": "8443", "HOST": "x", "GIT_TLS": "mutual",
		"SMTP_HOST": "mail", "SMTP_TLS": "server", "SMTP_USERNAME": "postmaster",
	})
	if err != nil || len(found.postgres)+len(found.redis) != 0 {
		t.Fatalf("%+v, %v", found, err)
	}
}

func TestWhatAnAppReceives(t *testing.T) {
	found, err := discoverEdges(golden(t))
	must(t, err)
	if len(found.postgres) != 1 || len(found.redis) != 1 {
		t.Fatalf("found %+v; the golden file has a PostgreSQL and a Redis", found)
	}
	folder := "/run/groundwork/postgres/"
	want := postgresEdge{edge{
		name: "postgres", address: "postgres.groundwork-test.svc:5432", user: "api", poolSize: 20,
		identity: identity{folder + "ca.crt", folder + "tls.crt", folder + "tls.key", folder + "password"},
	}, "api"}
	if found.postgres[0] != want {
		t.Errorf("found %+v; want %+v", found.postgres[0], want)
	}
	if queue := found.redis[0]; queue.address != "queue.groundwork-test.svc:6379" || queue.ttl != time.Hour {
		t.Errorf("found %+v", queue)
	}
}

func TestSingleAndReplicatedRedis(t *testing.T) {
	env := maps.Clone(single)
	maps.Copy(env, replicated)
	found, err := discoverEdges(env)
	must(t, err)
	if len(found.redis) != 2 || found.redis[0].name != "cache" || found.redis[1].name != "job-queue" {
		t.Fatalf("found %+v; want cache and job-queue, in that order", found.redis)
	}
	cache, queue := found.redis[0], found.redis[1]
	if cache.ttl != 30*time.Minute || len(cache.sentinels) != 0 || cache.poolSize != defaultPoolSize {
		t.Errorf("cache: %+v", cache)
	}
	if !reflect.DeepEqual(queue.sentinels, []string{"a:26379", "b:26379", "c:26379"}) || queue.master != "job-queue" {
		t.Errorf("queue: %+v", queue)
	}
}

func TestMessagingServices(t *testing.T) {
	files := func(prefix string) map[string]string {
		return map[string]string{prefix + "_CA_FILE": "/ca", prefix + "_CERT_FILE": "/crt", prefix + "_KEY_FILE": "/key"}
	}
	env := map[string]string{
		"EVENTS_HOST": "events.test.svc", "EVENTS_PORT": "5671", "EVENTS_USERNAME": "api", "EVENTS_TLS": "mutual",
		"EVENTS_VHOST": "groundwork", "EVENTS_PASSWORD_FILE": "/p", "EVENTS_EXCHANGE": "demo", "EVENTS_QUEUE": "ready",
		"BUS_HOST": "bus.test.svc", "BUS_TLS": "mutual", "BUS_SERVERS": "tls://a:4222,tls://b:4222",
		"BUS_INBOX_PREFIX": "_INBOX_api", "BUS_SUBJECT": "demo", "BUS_STREAM": "DEMO", "BUS_DURABLE": "ready",
		"LOG_HOST": "log.test.svc", "LOG_PORT": "9093", "LOG_TLS": "mutual", "LOG_SECURITY_PROTOCOL": "SSL",
		"LOG_BOOTSTRAP_SERVERS": "a:9093,b:9093", "LOG_GROUP_PREFIX": "api.", "LOG_TOPIC": "demo",
	}
	maps.Copy(env, files("EVENTS"))
	maps.Copy(env, files("BUS"))
	maps.Copy(env, files("LOG"))
	found, err := discoverEdges(env)
	must(t, err)
	known := identity{caFile: "/ca", certFile: "/crt", keyFile: "/key"}
	bus := natsEdge{"bus", []string{"tls://a:4222", "tls://b:4222"}, "_INBOX_api", known, "demo", "DEMO", "ready"}
	if !reflect.DeepEqual(found.nats, []natsEdge{bus}) {
		t.Errorf("found %+v; want %+v", found.nats, bus)
	}
	log := kafkaEdge{"log", []string{"a:9093", "b:9093"}, known, "demo"}
	if !reflect.DeepEqual(found.kafka, []kafkaEdge{log}) {
		t.Errorf("found %+v; want %+v", found.kafka, log)
	}
	known.passwordFile = "/p"
	events := rabbitmqEdge{edge{"events", "events.test.svc:5671", "api", defaultPoolSize, known}, "groundwork", "demo", "ready"}
	if len(found.redis) != 0 || !reflect.DeepEqual(found.rabbitmq, []rabbitmqEdge{events}) {
		t.Errorf("found %+v and %+v; want %+v", found.redis, found.rabbitmq, events)
	}
	for _, chosen := range []string{"EVENTS_QUEUE", "LOG_TOPIC"} {
		lacking := maps.Clone(env)
		delete(lacking, chosen)
		want := chosen + " is missing; set it under `env` of this app"
		if _, err := discoverEdges(lacking); err == nil || err.Error() != want {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func TestClickhouse(t *testing.T) {
	env := map[string]string{
		"STORE_HOST": "store.test.svc", "STORE_PORT": "9440", "STORE_HTTPS_PORT": "8443", "STORE_TLS": "mutual",
		"STORE_USER": "api", "STORE_DATABASE": "api", "STORE_PASSWORD_FILE": "/p", "STORE_CA_FILE": "/ca",
		"STORE_CERT_FILE": "/crt", "STORE_KEY_FILE": "/key",
	}
	found, err := discoverEdges(env)
	must(t, err)
	files := identity{"/ca", "/crt", "/key", "/p"}
	store := clickhouseEdge{edge{"store", "store.test.svc:9440", "api", defaultPoolSize, files}, "api"}
	if len(found.redis) != 0 || !reflect.DeepEqual(found.clickhouse, []clickhouseEdge{store}) {
		t.Errorf("found %+v and %+v; want %+v", found.redis, found.clickhouse, store)
	}
	delete(env, "STORE_DATABASE")
	want := "STORE_DATABASE is missing; the platform sets it"
	if _, err := discoverEdges(env); err == nil || err.Error() != want {
		t.Errorf("%v; want %s", err, want)
	}
}

func TestObjectStores(t *testing.T) {
	env := map[string]string{
		"MEDIA_ENDPOINT": "https://media.test.svc:9000", "MEDIA_REGION": "eu-central-1", "MEDIA_BUCKET": "api",
		"MEDIA_PREFIX": "", "MEDIA_ADDRESSING": "path", "MEDIA_CA_FILE": "/ca",
		"MEDIA_ACCESS_KEY_ID_FILE": "/id", "MEDIA_SECRET_ACCESS_KEY_FILE": "/secret",
	}
	media := objectsEdge{
		name: "media", endpoint: "https://media.test.svc:9000", region: "eu-central-1", bucket: "api",
		addressing: "path", keyFile: "/id", secretFile: "/secret", caFile: "/ca", poolSize: defaultPoolSize,
	}
	found, err := discoverEdges(env)
	must(t, err)
	if !reflect.DeepEqual(found.objects, []objectsEdge{media}) {
		t.Errorf("found %+v; want %+v", found.objects, media)
	}
	delete(env, "MEDIA_BUCKET")
	if _, err := discoverEdges(env); err == nil || err.Error() != "MEDIA_BUCKET is missing; the platform sets it" {
		t.Error(err)
	}
}

func TestAReplacedKeyPairTakesEffect(t *testing.T) {
	folder := t.TempDir()
	pair := &keyPair{filepath.Join(folder, "id"), filepath.Join(folder, "secret")}
	must(t, os.WriteFile(pair.keyFile, []byte("api\n"), 0o600))
	for _, secret := range []string{"old", "new"} {
		must(t, os.WriteFile(pair.secretFile, []byte(secret), 0o600))
		found, err := pair.Retrieve()
		must(t, err)
		if found.AccessKeyID != "api" || found.SecretAccessKey != secret || !pair.IsExpired() {
			t.Errorf("found %+v; want api and %s", found, secret)
		}
	}
}

func TestServicesAreSortedByName(t *testing.T) {
	env := map[string]string{}
	for _, prefix := range []string{"E", "D", "C", "B", "A"} {
		for variable, value := range single {
			env[prefix+strings.TrimPrefix(variable, "CACHE")] = value
		}
		env[prefix+"_DB_HOST"], env[prefix+"_DB_SSLMODE"] = "db", "verify-full"
	}
	found, _ := discoverEdges(env)
	var order string
	for index, redis := range found.redis {
		order += redis.name + " " + found.postgres[index].name + " "
	}
	if order != "a a-db b b-db c c-db d d-db e e-db " {
		t.Error(order)
	}
}

func TestWrongSettingsAreAllNamed(t *testing.T) {
	env := maps.Clone(single)
	maps.Copy(env, replicated)
	delete(env, "JOB_QUEUE_SENTINEL_MASTER")
	delete(env, "CACHE_PASSWORD_FILE")
	env["CACHE_TTL_SECONDS"] = "soon"
	env["DB_HOST"], env["DB_SSLMODE"] = "db", "require"
	_, err := discoverEdges(env)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{
		"JOB_QUEUE_SENTINEL_MASTER is missing", "CACHE_PASSWORD_FILE is missing", `CACHE_TTL_SECONDS: "soon" given`,
		`DB_SSLMODE: "require" given; allowed: verify-full`, "DB_DATABASE is missing",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not in:\n%v", name, err)
		}
	}
}

func TestOwnSettings(t *testing.T) {
	env := golden(t)
	own, err := discoverOwn(env)
	must(t, err)
	if own.port != "8443" || own.name != "api" || own.files.certFile != "/run/groundwork/tls/tls.crt" || own.mutual {
		t.Errorf("found %+v", own)
	}
	for name, wrong := range map[string]string{"PORT": "0", "MUTUAL": "perhaps", "TLS_KEY_FILE": ""} {
		broken := maps.Clone(env)
		broken[name] = wrong
		if _, err := discoverOwn(broken); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%q: %v", name, wrong, err)
		}
	}
}

// golden reads the variables that the platform's own catalogue of behaviour says an app receives.
func golden(t *testing.T) map[string]string {
	t.Helper()
	content, err := os.ReadFile("../tests/golden/app/scaled_with_edges.kubernetes.yaml")
	must(t, err)
	env := map[string]string{}
	variable := regexp.MustCompile(`- name: ([A-Z][A-Z0-9_]*)\n +value: '?([^'\n]*)'?\n`)
	for _, match := range variable.FindAllStringSubmatch(string(content), -1) {
		env[match[1]] = match[2]
	}
	return env
}
