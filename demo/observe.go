package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newLogger writes JSON lines. Its level is info where the one given is empty, and where it is wrong besides the error.
func newLogger(out io.Writer, level string) (*slog.Logger, error) {
	var least slog.Level
	err := least.UnmarshalText([]byte(cmp.Or(level, "info")))
	if err != nil {
		err = fmt.Errorf("LOG_LEVEL: %q given; allowed: debug, info, warn or error", level)
	}
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: least})), err
}

// metrics are the app's own figures, for Prometheus.
type metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	up         *prometheus.GaugeVec
	roundTrips *prometheus.GaugeVec
}

func newMetrics() *metrics {
	service := []string{"service", "kind"}
	made := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "demo_requests_total", Help: "Requests answered.",
		}, []string{"route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "demo_request_duration_seconds", Help: "Time to answer a request; WebSockets are not counted.",
		}, []string{"route"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "demo_service_up", Help: "Whether the last round trip to a service succeeded.",
		}, service),
		roundTrips: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "demo_service_round_trip_seconds", Help: "Time of the last round trip to a service.",
		}, service),
	}
	made.registry.MustRegister(
		made.requests, made.durations, made.up, made.roundTrips,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return made
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) checked(result check) {
	up := 0.0
	if result.OK {
		up = 1
	}
	m.up.WithLabelValues(result.Service, result.Kind).Set(up)
	m.roundTrips.WithLabelValues(result.Service, result.Kind).Set(result.RoundTripMS / 1000)
}

// observe counts and logs each request. Probes and scrapes are logged at level debug, for they come all the time.
func (a *app) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		recorder := &recorder{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(recorder, r)
		taken := time.Since(started)
		// The pattern, not the path, so that clients can't make up more and more series.
		route := cmp.Or(r.Pattern, "none")
		a.metrics.requests.WithLabelValues(route, strconv.Itoa(recorder.code)).Inc()
		if recorder.code != http.StatusSwitchingProtocols {
			a.metrics.durations.WithLabelValues(route).Observe(taken.Seconds())
		}
		level := slog.LevelInfo
		if route == "GET /live" || route == "GET /ready" || route == "GET /metrics" {
			level = slog.LevelDebug
		}
		a.log.Log(r.Context(), level, "request",
			"method", r.Method, "path", r.URL.Path, "status", recorder.code, "ms", float64(taken.Microseconds())/1000,
			"remote", r.RemoteAddr, "request_id", r.Header.Get("X-Request-ID"))
	})
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap gives http.ResponseController the writer below, which can be taken over for a WebSocket.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
