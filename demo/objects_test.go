package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bucket answers as a store does that has one object.
type bucket struct {
	content []byte
	lock    sync.Mutex
}

func (b *bucket) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	b.lock.Lock()
	defer b.lock.Unlock()
	answer.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	answer.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	if request.Method == http.MethodPut {
		b.content, _ = io.ReadAll(request.Body)
		return
	}
	_, _ = answer.Write(b.content)
}

func TestProbesAtTheSameTimeReadWhatTheyHaveWritten(t *testing.T) {
	folder := t.TempDir()
	made := newAuthority(t).issue(t, folder, "store")
	pair, err := tls.LoadX509KeyPair(made.certFile, made.keyFile)
	must(t, err)
	server := httptest.NewUnstartedServer(&bucket{})
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	key := filepath.Join(folder, "key")
	must(t, os.WriteFile(key, []byte("key"), 0o600))
	port := server.URL[strings.LastIndex(server.URL, ":")+1:]
	store, err := newObjects(objectsEdge{
		name: "store", endpoint: "https://localhost:" + port, region: "eu-central-1", bucket: "api",
		addressing: "path", keyFile: key, secretFile: key, caFile: made.caFile, poolSize: 8,
	}, "api-0")
	must(t, err)
	defer store.close()

	var probes sync.WaitGroup
	for number := range 32 {
		probes.Go(func() {
			done, err := store.roundTrip(t.Context(), fmt.Sprint(number))
			if err != nil || done.Read != done.Written {
				t.Errorf("%v: wrote %v, read %v", err, done.Written, done.Read)
			}
		})
	}
	probes.Wait()
}
