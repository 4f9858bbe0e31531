// Package deleted counts what a deleter of DLPack that is a Go function is called with: for tests, which may not use cgo.
package deleted

// extern void keelTestDelete(void *tensor);
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// Count is how often the deleter was called.
var Count atomic.Int64

// Deleter is the function as C calls it.
var Deleter = unsafe.Pointer(C.keelTestDelete)

//export keelTestDelete
func keelTestDelete(unsafe.Pointer) { Count.Add(1) }
