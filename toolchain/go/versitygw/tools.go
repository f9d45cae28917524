//go:build tools

// Package tools pins the S3 gateway; the build compiles the package named here.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"
