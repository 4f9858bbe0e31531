//go:build !race && !keeldebug

package keel_test

// How much of everything the storms do.
const (
	goroutines = 100_000
	objects    = 4_000
)
