package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestAboutTellsHowTheRequestArrived(t *testing.T) {
	request := httptest.NewRequest("GET", "/", nil)
	request.Header.Set("X-Request-ID", "abc")
	request.Header.Set("X-Forwarded-For", "192.0.2.1")
	request.Header.Set("Authorization", "Bearer hunter2")
	own := ownSettings{name: "api", instance: "api-1"}
	code, body := ask(newApp(context.Background(), own, nil, silent), request)
	var got struct {
		Name, Instance string
		Headers        map[string]string
	}
	must(t, json.Unmarshal([]byte(body), &got))
	if code != http.StatusOK || got.Name != "api" || got.Instance != "api-1" || got.Headers["X-Request-ID"] != "abc" {
		t.Errorf("%d %s", code, body)
	}
	if strings.Contains(body, "hunter2") {
		t.Error("a header that is no gateway's is repeated")
	}
}

func TestLiveLooksAtNoService(t *testing.T) {
	asked := false
	down := &fake{called: "down", trip: func(context.Context, string) (trip, error) {
		asked = true
		return trip{}, net.ErrClosed
	}}
	app := newApp(context.Background(), ownSettings{}, []backend{down}, silent)
	if code, _ := ask(app, httptest.NewRequest("GET", "/live", nil)); code != http.StatusOK || asked {
		t.Errorf("%d, service asked: %t", code, asked)
	}
}

func TestStore(t *testing.T) {
	stored := &fake{called: "db", values: map[string][]byte{}}
	app := newApp(context.Background(), ownSettings{}, []backend{stored}, silent)
	steps := []struct {
		method, path, body string
		code               int
	}{
		{"GET", "/store/colour", "", http.StatusNotFound},
		{"PUT", "/store/colour", "green", http.StatusNoContent},
		{"GET", "/store/colour", "green", http.StatusOK},
		{"PUT", "/store/colour", strings.Repeat("x", largestValue+1), http.StatusRequestEntityTooLarge},
		{"PUT", "/store/no%20good", "x", http.StatusBadRequest},
		{"GET", "/store/colour", "green", http.StatusOK},
		{"DELETE", "/store/colour", "", http.StatusMethodNotAllowed},
	}
	for _, step := range steps {
		code, body := ask(app, httptest.NewRequest(step.method, step.path, strings.NewReader(step.body)))
		if code != step.code || (step.method == "GET" && code == http.StatusOK && body != step.body) {
			t.Errorf("%s %s: %d %q", step.method, step.path, code, body)
		}
	}
	without := newApp(context.Background(), ownSettings{}, nil, silent)
	if code, body := ask(without, httptest.NewRequest("GET", "/store/x", nil)); code != http.StatusNotFound {
		t.Errorf("without a PostgreSQL: %d %s", code, body)
	}
}

func TestLargeIsLargeAndCompressible(t *testing.T) {
	app := newApp(context.Background(), ownSettings{}, nil, silent)
	if _, body := ask(app, httptest.NewRequest("GET", "/large", nil)); len(body) != 64<<10 {
		t.Errorf("%d bytes", len(body))
	}
}

func TestMetricsCountByRoute(t *testing.T) {
	app := newApp(context.Background(), ownSettings{}, nil, silent)
	for _, path := range []string{"/live", "/live", "/made/up/1", "/made/up/2"} {
		ask(app, httptest.NewRequest("GET", path, nil))
	}
	text := scrape(app)
	for _, line := range []string{
		`demo_requests_total{code="200",route="GET /live"} 2`,
		`demo_requests_total{code="404",route="none"} 2`,
		`demo_request_duration_seconds_count{route="GET /live"} 2`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing", line)
		}
	}
}

func TestRequestsAreLoggedAsJSON(t *testing.T) {
	var out bytes.Buffer
	log, err := newLogger(&out, "")
	must(t, err)
	app := newApp(context.Background(), ownSettings{}, nil, log)
	ask(app, httptest.NewRequest("GET", "/live", nil))
	request := httptest.NewRequest("GET", "/large?token=hunter2", nil)
	request.Header.Set("X-Request-ID", "abc")
	ask(app, request)
	var line map[string]any
	must(t, json.Unmarshal(out.Bytes(), &line))
	if line["path"] != "/large" || line["request_id"] != "abc" || line["status"] != 200.0 {
		t.Errorf("%v", line)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error("the query is logged")
	}
	if _, err := newLogger(&out, "loud"); err == nil {
		t.Error("level loud accepted")
	}
}

func TestWebSocketEchoesUntilTheServerStops(t *testing.T) {
	stopping, stop := context.WithCancel(context.Background())
	app := newApp(stopping, ownSettings{}, nil, silent)
	server := httptest.NewServer(app.handler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// As a browser behind a gateway on a port of its own: Origin has the port, the host passed on has not.
	socket, _, err := websocket.Dial(ctx, server.URL+"/ws", &websocket.DialOptions{
		Host: "demo.example.com", HTTPHeader: http.Header{"Origin": {"https://demo.example.com:8443"}},
	})
	must(t, err)
	must(t, socket.Write(ctx, websocket.MessageText, []byte("hello")))
	kind, message, err := socket.Read(ctx)
	if err != nil || kind != websocket.MessageText || string(message) != "hello" {
		t.Fatalf("%v %q %v", kind, message, err)
	}
	stop()
	if _, _, err = socket.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the server stops, but the client learns %v", err)
	}
	must(t, app.waitForSockets(ctx))

	_, _, err = websocket.Dial(ctx, server.URL+"/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"https://elsewhere.example.com"}},
	})
	if err == nil {
		t.Error("another site's page may connect")
	}
}

func TestRequestsUnderWayFinishAfterTheSignal(t *testing.T) {
	files := newAuthority(t).issue(t, t.TempDir(), "server")
	reached, finish := make(chan struct{}), make(chan struct{})
	slow := &fake{called: "slow", values: map[string][]byte{"colour": []byte("green")}, beforeGet: func() {
		close(reached)
		<-finish
	}}
	own := ownSettings{port: freePort(t), files: files}
	env := map[string]string{
		"PORT": own.port, "TLS_CA_FILE": files.caFile, "TLS_CERT_FILE": files.certFile, "TLS_KEY_FILE": files.keyFile,
	}
	ctx, signal := context.WithCancel(context.Background())
	served, answered := make(chan error, 1), make(chan error, 1)
	go func() { served <- serve(ctx, own, []backend{slow}, silent) }()
	await(t, func() bool { return probe(env, "live") == nil })
	config, err := files.clientTLS("localhost")
	must(t, err)
	go func() {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		_, err := client.Get("https://localhost:" + own.port + "/store/colour")
		answered <- err
	}()
	<-reached
	signal()
	await(t, func() bool { return probe(env, "live") != nil })
	select {
	case err := <-served:
		t.Fatalf("stopped with %v while a request was under way", err)
	default:
	}
	close(finish)
	must(t, <-answered)
	must(t, <-served)
}

func ask(app *app, request *http.Request) (int, string) {
	recorder := httptest.NewRecorder()
	app.handler().ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	must(t, err)
	must(t, listener.Close())
	return port
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 10 s")
		}
	}
}
