//go:build race || keeldebug

package keel_test

// How much of everything the storms do where each call is watched, which also allocates.
const (
	goroutines = 2_000
	objects    = 300
)
