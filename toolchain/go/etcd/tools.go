//go:build tools

// Package tools pins etcd, the store of the embedded cluster; the build compiles the package named here.
package tools

import _ "go.etcd.io/etcd/server/v3"
