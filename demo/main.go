// Command demo is a small application that shows what the platform hands to an app, by using all of it.
//
// It serves HTTPS with the certificate it is given, finds the services that it uses by its environment variables, and
// proves each of them on request: /ready writes something new to every service and reads it back.
// It keeps nothing of its own, has no plaintext port, and needs no writable file system.
//
//	demo                    serve
//	demo probe live|ready   ask the server in this container, for health checks by command
//
// Settings, besides those of its edges: PORT, TLS_CERT_FILE, TLS_KEY_FILE, TLS_CA_FILE, OTEL_SERVICE_NAME (the name it
// answers with), LOG_LEVEL (debug, info, warn or error; info) and MUTUAL (true: refuse clients without a certificate).
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// version is set by the linker.
var version = "unreleased"

// graceful is how long requests may take to finish after SIGTERM.
const graceful = 20 * time.Second

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	env := environment(os.Environ())
	switch args := os.Args[1:]; {
	case len(args) == 0:
		os.Exit(run(env))
	case len(args) == 2 && args[0] == "probe" && (args[1] == "live" || args[1] == "ready"):
		if err := probe(env, args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
	default:
		fmt.Fprintf(os.Stderr, "%s given; allowed: no argument (serve), probe live, probe ready\n", strings.Join(args, " "))
		os.Exit(exitUsage)
	}
}

// environment turns NAME=VALUE lines into a map.
func environment(lines []string) map[string]string {
	env := make(map[string]string, len(lines))
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	return env
}

// run serves until SIGTERM or SIGINT and returns the exit code.
func run(env map[string]string) int {
	log, err := newLogger(os.Stdout, env["LOG_LEVEL"])
	if err != nil {
		log.Error("wrong setting", "error", err.Error())
		return exitUsage
	}
	own, err := discoverOwn(env)
	edges, edgesErr := discoverEdges(env)
	if err = errors.Join(err, edgesErr); err != nil {
		log.Error("wrong settings", "error", err.Error())
		return exitUsage
	}
	backends, err := connect(edges, own.instance, log)
	if err != nil {
		log.Error("cannot use a service", "error", err.Error())
		return exitFailed
	}
	defer closeAll(backends)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := serve(ctx, own, backends, log); err != nil {
		log.Error("stopped", "error", err.Error())
		return exitFailed
	}
	return 0
}

// serve answers requests until ctx ends, then lets those under way finish.
func serve(ctx context.Context, own ownSettings, backends []backend, log *slog.Logger) error {
	certificate, err := newServerCertificate(own.files, own.mutual, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+own.port)
	if err != nil {
		return err
	}
	app := newApp(ctx, own, backends, log)
	server := newServer(app.handler(), certificate, log)
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	log.Info("serving", "port", own.port, "services", names(backends), "version", version)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping", "seconds", graceful.Seconds())
	limit, cancel := context.WithTimeout(context.Background(), graceful)
	defer cancel()
	return errors.Join(server.Shutdown(limit), app.waitForSockets(limit))
}

func newServer(handler http.Handler, certificate *serverCertificate, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		TLSConfig:         certificate.config(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		// Longer than a gateway keeps idle connections, so that it is never the server that closes one just taken.
		IdleTimeout:    75 * time.Second,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
