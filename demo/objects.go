package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// objectStore is a bucket and the folder in it that is this app's.
type objectStore struct {
	settings objectsEdge
	client   *minio.Client
	idle     *http.Transport
	key      string
	// trips has one at a time: what another one writes to the key in between is what would be read.
	trips sync.Mutex
}

func newObjects(settings objectsEdge, instance string) (*objectStore, error) {
	endpoint, err := url.Parse(settings.endpoint)
	if err != nil {
		return nil, err
	}
	lookup := minio.BucketLookupDNS
	if settings.addressing == "path" {
		lookup = minio.BucketLookupPath
	}
	idle := &http.Transport{DialTLSContext: settings.dial, MaxIdleConnsPerHost: settings.poolSize}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:        credentials.New(&keyPair{settings.keyFile, settings.secretFile}),
		Secure:       true,
		Region:       settings.region,
		BucketLookup: lookup,
		Transport:    idle,
		MaxRetries:   1,
	})
	key := settings.prefix + "demo/" + instance
	return &objectStore{settings: settings, client: client, idle: idle, key: key}, err
}

func (o *objectStore) name() string { return o.settings.name }
func (o *objectStore) kind() string { return "objects" }
func (o *objectStore) close()       { o.idle.CloseIdleConnections() }

func (o *objectStore) hide(text string) string {
	secret, _ := content(o.settings.secretFile)
	return hide(text, secret)
}

// roundTrip writes an object and reads it back. The counter is the time.
func (o *objectStore) roundTrip(ctx context.Context, nonce string) (trip, error) {
	o.trips.Lock()
	defer o.trips.Unlock()
	done := trip{By: "object", Written: value{nonce, time.Now().UnixNano()}}
	text := done.Written.String()
	_, err := o.client.PutObject(
		ctx, o.settings.bucket, o.key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{},
	)
	if err != nil {
		return trip{}, err
	}
	object, err := o.client.GetObject(ctx, o.settings.bucket, o.key, minio.GetObjectOptions{})
	if err != nil {
		return done, err
	}
	defer object.Close()
	read, err := io.ReadAll(object)
	if err != nil {
		return done, err
	}
	done.Read, err = parseValue(string(read))
	return done, err
}

// dial opens a TLS connection to host:port. Without a root of its own the store's leads to one that everybody trusts.
func (o objectsEdge) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if o.caFile != "" {
		config.MinVersion = tls.VersionTLS13
		if config.RootCAs, err = (identity{caFile: o.caFile}).authority(); err != nil {
			return nil, err
		}
	}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: config}
	return dialer.DialContext(ctx, network, address)
}

// keyPair reads the files anew for each request, so that a replaced key takes effect without a restart.
type keyPair struct{ keyFile, secretFile string }

func (k *keyPair) IsExpired() bool { return true }

func (k *keyPair) Retrieve() (credentials.Value, error) {
	key, err := content(k.keyFile)
	if err != nil {
		return credentials.Value{}, err
	}
	secret, err := content(k.secretFile)
	return credentials.Value{AccessKeyID: key, SecretAccessKey: secret, SignerType: credentials.SignatureV4}, err
}

func (k *keyPair) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return k.Retrieve()
}

func content(file string) (string, error) {
	found, err := os.ReadFile(file)
	return strings.TrimSpace(string(found)), err
}
