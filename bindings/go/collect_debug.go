//go:build keeldebug

package keel

import "runtime"

// collect runs the collector and waits for a cleanup that it queues, as those of forgotten objects are by then.
func collect() {
	ran := make(chan struct{})
	func() {
		runtime.AddCleanup(&struct{ sentinel [64]byte }{}, func(ran chan struct{}) { close(ran) }, ran)
	}()
	runtime.GC()
	<-ran
}
