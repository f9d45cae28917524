//go:build tools

// Package tools pins the Kubernetes programs of a real node; the build compiles the packages named here.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
