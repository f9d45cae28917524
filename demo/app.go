package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

const (
	largestValue   = 64 << 10
	largestMessage = 64 << 10
)

var (
	storeKey = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	large    = []byte(strings.Repeat("The quick brown fox jumps over the lazy dog near the bank. 0123\n", 1024))
	// forwarded are the headers that a gateway sets about the client.
	forwarded = []string{
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Real-IP", "X-Request-ID",
	}
)

// app answers requests.
type app struct {
	own      ownSettings
	backends []backend
	store    store
	log      *slog.Logger
	metrics  *metrics
	// stopping ends when the server is to stop; open WebSockets are closed then.
	stopping context.Context
	sockets  sync.WaitGroup
}

func newApp(stopping context.Context, own ownSettings, backends []backend, log *slog.Logger) *app {
	return &app{
		own: own, backends: backends, store: firstStore(backends), log: log, metrics: newMetrics(), stopping: stopping,
	}
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.about)
	mux.HandleFunc("GET /live", a.live)
	mux.HandleFunc("GET /ready", a.ready)
	mux.HandleFunc("GET /large", a.large)
	mux.HandleFunc("GET /ws", a.echo)
	mux.HandleFunc("GET /store/{key}", a.read)
	mux.HandleFunc("PUT /store/{key}", a.write)
	mux.Handle("GET /metrics", a.metrics.handler())
	return a.observe(mux)
}

// about tells who answers and how the request arrived.
func (a *app) about(w http.ResponseWriter, r *http.Request) {
	headers := map[string]string{"Host": r.Host}
	for _, name := range forwarded {
		if value := r.Header.Get(name); value != "" {
			headers[name] = value
		}
	}
	client := ""
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		client = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	answer(w, http.StatusOK, map[string]any{
		"name": a.own.name, "version": version, "instance": a.own.instance,
		"remote": r.RemoteAddr, "client": client, "protocol": r.Proto, "headers": headers,
	})
}

// live says that the process works, and looks at nothing beyond it.
func (a *app) live(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]bool{"live": true})
}

func (a *app) ready(w http.ResponseWriter, r *http.Request) {
	result := checkAll(r.Context(), a.backends)
	for _, check := range result.Checks {
		a.metrics.checked(check)
		if !check.OK {
			a.log.Warn("service failed", "service", check.Service, "kind", check.Kind, "reason", check.Reason)
		}
	}
	status := http.StatusOK
	if !result.Ready {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, result)
}

// large is a text worth compressing.
func (a *app) large(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(large)
}

func (a *app) write(w http.ResponseWriter, r *http.Request) {
	if !a.storable(w, r) {
		return
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestValue))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, "a value has at most 65536 bytes")
		return
	} else if err != nil {
		refuse(w, http.StatusBadRequest, "the request ended before its body did")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	if err := a.store.put(ctx, r.PathValue("key"), content); err != nil {
		refuse(w, http.StatusServiceUnavailable, a.store.hide(oneLine(err)))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *app) read(w http.ResponseWriter, r *http.Request) {
	if !a.storable(w, r) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	content, found, err := a.store.get(ctx, r.PathValue("key"))
	switch {
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, a.store.hide(oneLine(err)))
	case !found:
		refuse(w, http.StatusNotFound, "no such key")
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(content)
	}
}

// storable answers and returns false where there is no store or the key is none.
func (a *app) storable(w http.ResponseWriter, r *http.Request) bool {
	if a.store == nil {
		refuse(w, http.StatusNotFound, "there is no store: the app uses no PostgreSQL")
		return false
	}
	if !storeKey.MatchString(r.PathValue("key")) {
		refuse(w, http.StatusBadRequest, "a key has 1 to 128 letters, digits, dots, dashes or underscores")
		return false
	}
	return true
}

// echo sends every WebSocket message back until one side ends.
func (a *app) echo(w http.ResponseWriter, r *http.Request) {
	a.sockets.Add(1)
	defer a.sockets.Done()
	// The gateway passes the host on without its port, which browsers have in Origin.
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: []string{r.Host + ":*"}})
	if err != nil {
		return
	}
	defer func() { _ = socket.CloseNow() }()
	socket.SetReadLimit(largestMessage)
	defer context.AfterFunc(a.stopping, func() { _ = socket.Close(websocket.StatusGoingAway, "stopping") })()
	for {
		kind, message, err := socket.Read(r.Context())
		if err != nil {
			return
		}
		if err := socket.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

// waitForSockets returns once every WebSocket is closed, or with an error once ctx ends.
func (a *app) waitForSockets(ctx context.Context) error {
	closed := make(chan struct{})
	go func() {
		a.sockets.Wait()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return errors.New("WebSockets were still open")
	}
}

func refuse(w http.ResponseWriter, status int, reason string) {
	answer(w, status, map[string]string{"error": reason})
}

func answer(w http.ResponseWriter, status int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(content)
}
