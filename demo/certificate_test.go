package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestReplacedCertificateIsServed(t *testing.T) {
	folder, root := t.TempDir(), newAuthority(t)
	files := root.issue(t, folder, "first")
	address := serveTLS(t, files, false)
	if name := served(t, files, address); name != "first" {
		t.Fatalf("%s served", name)
	}
	root.issue(t, folder, "second")
	if name := served(t, files, address); name != "second" {
		t.Errorf("%s served after it was replaced", name)
	}
	key, err := os.ReadFile(files.keyFile)
	must(t, err)
	must(t, os.WriteFile(files.keyFile, []byte("half a k"), 0o600))
	if got, err := dialTLS(root.issue(t, t.TempDir(), "client"), address); err != nil || got != "second" {
		t.Errorf("%q, %v while the key did not fit", got, err)
	}
	must(t, os.WriteFile(files.keyFile, key, 0o600))
	root.issue(t, folder, "third")
	if name := served(t, files, address); name != "third" {
		t.Errorf("%s served after a bad one was replaced", name)
	}
}

func TestOnlyTLS13(t *testing.T) {
	files := newAuthority(t).issue(t, t.TempDir(), "server")
	address := serveTLS(t, files, false)
	config, err := files.clientTLS("localhost")
	must(t, err)
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if connection, err := tls.Dial("tcp", address, config); err == nil {
		_ = connection.Close()
		t.Error("TLS 1.2 accepted")
	}
	plain, err := http.Get("http://" + address + "/live")
	if err == nil && plain.StatusCode == http.StatusOK {
		t.Error("plaintext answered")
	}
}

func TestServerMustBeKnownAndNamed(t *testing.T) {
	files := newAuthority(t).issue(t, t.TempDir(), "server")
	address := serveTLS(t, files, false)
	stranger := newAuthority(t).issue(t, t.TempDir(), "client")
	if _, err := dialTLS(stranger, address); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("another root: %v", err)
	}
	connection, err := files.dial(context.Background(), "tcp", address)
	if err == nil {
		_ = connection.Close()
		t.Errorf("%s accepted, which is not in the certificate", address)
	}
}

func TestProbe(t *testing.T) {
	files := newAuthority(t).issue(t, t.TempDir(), "server")
	for _, mutual := range []bool{false, true} {
		_, port, err := net.SplitHostPort(serveTLS(t, files, mutual))
		must(t, err)
		env := map[string]string{
			"PORT": port, "TLS_CA_FILE": files.caFile, "TLS_CERT_FILE": files.certFile, "TLS_KEY_FILE": files.keyFile,
		}
		must(t, probe(env, "live"))
		if err := probe(env, "ready"); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("a service fails, but the probe says %v", err)
		}
		withoutCertificate, err := files.clientTLS("localhost")
		must(t, err)
		withoutCertificate.Certificates = nil
		client := http.Client{Transport: &http.Transport{TLSClientConfig: withoutCertificate}}
		answer, err := client.Get("https://localhost:" + port + "/live")
		if refused := err != nil; refused != mutual {
			t.Errorf("mutual is %t; a client without a certificate got %v, %v", mutual, answer, err)
		}
	}
}

// serveTLS runs a server whose one service fails, and returns its address.
func serveTLS(t *testing.T, files identity, mutual bool) string {
	t.Helper()
	certificate, err := newServerCertificate(files, mutual, silent)
	must(t, err)
	failing := &fake{called: "failing", trip: func(context.Context, string) (trip, error) { return trip{}, os.ErrClosed }}
	app := newApp(context.Background(), ownSettings{}, []backend{failing}, silent)
	server := newServer(app.handler(), certificate, silent)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// served is the common name of the certificate that a new connection gets.
func served(t *testing.T, files identity, address string) string {
	t.Helper()
	name, err := dialTLS(files, address)
	must(t, err)
	return name
}

func dialTLS(files identity, address string) (string, error) {
	config, err := files.clientTLS("localhost")
	if err != nil {
		return "", err
	}
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return "", err
	}
	defer func() { _ = connection.Close() }()
	return connection.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}
