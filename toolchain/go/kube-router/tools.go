//go:build tools

// Package tools pins the program that enforces network policies on a real node; the build compiles the packages named here.
package tools

import (
	_ "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"
)
