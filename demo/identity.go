package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
)

// identity is what proves the two ends of a connection to each other. Files are read anew for each connection, so that
// replaced ones take effect without a restart.
type identity struct {
	caFile       string
	certFile     string
	keyFile      string
	passwordFile string
}

// authority is the only root that certificates of the other side may lead to.
func (i identity) authority() (*x509.CertPool, error) {
	pem, err := os.ReadFile(i.caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", i.caFile)
	}
	return pool, nil
}

// clientTLS is for a connection to `host`, which must prove that name.
func (i identity) clientTLS(host string) (*tls.Config, error) {
	authority, err := i.authority()
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(i.certFile, i.keyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		RootCAs:      authority,
		ServerName:   host,
		Certificates: []tls.Certificate{certificate},
	}, nil
}

// dial opens a TLS connection to host:port.
func (i identity) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	config, err := i.clientTLS(host)
	if err != nil {
		return nil, err
	}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: config}
	return dialer.DialContext(ctx, network, address)
}

func (i identity) password() (string, error) {
	content, err := os.ReadFile(i.passwordFile)
	return strings.TrimSpace(string(content)), err
}

// hide strikes the password out of a text that others may read.
func (i identity) hide(text string) string {
	password, _ := i.password()
	return hide(text, password)
}

func hide(text, secret string) string {
	if secret == "" {
		return text
	}
	return strings.ReplaceAll(text, secret, "(secret)")
}
