package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// probe asks the server on this machine for /live or /ready and fails unless the answer is 200. It presents the
// server's own certificate, so it also works where clients without one are refused.
func probe(env map[string]string, what string) error {
	own, err := discoverOwn(env)
	if err != nil {
		return err
	}
	config, err := own.files.clientTLS("localhost")
	if err != nil {
		return err
	}
	client := http.Client{Timeout: deadline + time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	answer, err := client.Get("https://" + net.JoinHostPort("127.0.0.1", own.port) + "/" + what)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(body))), err)
	}
	return errors.Join(err, answer.Body.Close())
}
