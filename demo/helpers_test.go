package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var silent = slog.New(slog.NewJSONHandler(io.Discard, nil))

// authority issues certificates for tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	made := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	made.certificate = sign(t, template, template, made.key, made.key)
	return made
}

// issue writes ca.crt, tls.crt and tls.key of a certificate for localhost into a folder.
func (a *authority) issue(t *testing.T, folder, commonName string) identity {
	t.Helper()
	key := newKey(t)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	leaf := sign(t, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: commonName}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, key, a.key)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	made := identity{
		caFile: filepath.Join(folder, "ca.crt"), certFile: filepath.Join(folder, "tls.crt"),
		keyFile: filepath.Join(folder, "tls.key"), passwordFile: filepath.Join(folder, "password"),
	}
	writePEM(t, made.caFile, "CERTIFICATE", a.certificate.Raw)
	writePEM(t, made.certFile, "CERTIFICATE", leaf.Raw)
	writePEM(t, made.keyFile, "PRIVATE KEY", private)
	return made
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	must(t, err)
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	return certificate
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fake is a service that lives in memory and can be told to fail.
type fake struct {
	called string
	secret string
	trip   func(ctx context.Context, nonce string) (trip, error)
	values map[string][]byte
	// beforeGet is called before a value is looked up.
	beforeGet func()
}

func (f *fake) name() string            { return f.called }
func (f *fake) kind() string            { return "fake" }
func (f *fake) close()                  {}
func (f *fake) hide(text string) string { return hide(text, f.secret) }

func (f *fake) roundTrip(ctx context.Context, nonce string) (trip, error) {
	if f.trip != nil {
		return f.trip(ctx, nonce)
	}
	sent := value{nonce, 1}
	return trip{"row", sent, sent}, nil
}

func (f *fake) put(_ context.Context, key string, content []byte) error {
	f.values[key] = content
	return nil
}

func (f *fake) get(_ context.Context, key string) ([]byte, bool, error) {
	if f.beforeGet != nil {
		f.beforeGet()
	}
	content, found := f.values[key]
	return content, found, nil
}
