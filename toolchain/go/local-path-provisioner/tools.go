//go:build tools

// Package tools pins the volume provisioner of a real node; the build compiles the packages named here.
package tools

import (
	_ "github.com/rancher/local-path-provisioner"
)
