//go:build tools

// Names what ../build builds besides this folder, so that go.mod and go.sum hold what it needs.
package main

import (
	_ "github.com/sigstore/cosign/v3/cmd/cosign"
)
