//go:build tools

// Package tools pins the operator of replicated PostgreSQL; the build compiles the packages named here.
package tools

import (
	_ "github.com/cloudnative-pg/cloudnative-pg/cmd/manager"
)
