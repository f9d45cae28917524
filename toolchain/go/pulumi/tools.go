//go:build tools

// Package tools pins the Pulumi command line; the build compiles the package named here.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
