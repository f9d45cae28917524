//go:build tools

// Package tools pins the NATS command line; the build compiles the package named here.
package tools

import _ "github.com/nats-io/natscli/nats"
