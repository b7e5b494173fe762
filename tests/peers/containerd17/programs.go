//go:build tools

// Package programs names what ../build builds, so that go.mod and go.sum hold what it needs.
package programs

import (
	_ "github.com/containerd/containerd/cmd/containerd"
	_ "github.com/containerd/containerd/cmd/containerd-shim-runc-v2"
	_ "github.com/containerd/containerd/cmd/ctr"
)
