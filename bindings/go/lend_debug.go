//go:build keeldebug && unix

package keel

import (
	"syscall"
	"unsafe"
)

// lend lends a copy that cannot be written, and that nobody can read after end: whoever does stops there. Its addresses are
// never used again.
func lend[T any](values []T) (lent []T, end func()) {
	size := len(values) * int(unsafe.Sizeof(*new(T)))
	if size == 0 {
		return values, func() {}
	}
	pages, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	lent = unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(pages))), len(values))
	copy(lent, values)
	protect(pages, syscall.PROT_READ)
	return lent, func() { protect(pages, syscall.PROT_NONE) }
}

func protect(pages []byte, how int) {
	if err := syscall.Mprotect(pages, how); err != nil {
		panic(err)
	}
}
