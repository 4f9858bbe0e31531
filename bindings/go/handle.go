package keel

import (
	"runtime"
	"sync/atomic"
)

// handle owns one handle of keel's: a number, which keel itself checks at every call. Each noun embeds one.
//
// Between reading the number and the end of the call that gets it the noun could become unreachable, and its handle be
// destroyed; so every function that reads one ends with runtime.KeepAlive of the noun (lifetime_test.go looks after that).
// No Go memory but a call's own arguments ever reaches keel, so nothing needs a runtime.Pinner.
type handle struct {
	value atomic.Uint64
	net   runtime.Cleanup
}

// own makes the noun the owner of a new handle, which the collector destroys if nobody else does.
func own[Noun any](noun *Noun, owned *handle, value uint64, destroy func(uint64)) *Noun {
	owned.value.Store(value)
	owned.net = runtime.AddCleanup(noun, destroy, value)
	return noun
}

// id reads the handle; 0 if it was closed, which keel refuses.
func (h *handle) id() uint64 {
	value := h.value.Load()
	collect()
	return value
}

// release takes the handle away, once: 0 afterwards. The caller destroys it.
func (h *handle) release() uint64 {
	value := h.value.Swap(0)
	if value != 0 {
		h.net.Stop()
	}
	return value
}
