//go:build !keeldebug || !unix

package keel

// lend lends memory of keel's as it is.
func lend[T any](values []T) (lent []T, end func()) {
	return values, func() {}
}
