package keel

// #include <keel/keel.h>
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// keelGoReward is what keel calls for a reward. It returns 1 also where the session was closed in this very moment, and its
// number stands for no judge any more.
//
//export keelGoReward
func keelGoReward(rollouts C.keel_batch, rewards *C.float, count C.size_t, number C.uintptr_t) (status C.int32_t) {
	defer func() {
		if recover() != nil {
			status = 1
		}
	}()
	borrowed := new(Batch)
	borrowed.value.Store(uint64(rollouts))
	defer borrowed.value.Store(0)
	err := cgo.Handle(number).Value().(*judge).score(borrowed, unsafe.Slice((*float32)(rewards), int(count)))
	if err != nil {
		return 1
	}
	return 0
}

// keelGoStart is what keel calls for a thread.
//
//export keelGoStart
func keelGoStart(work C.keel_thread_work, argument, starter C.uintptr_t) C.int32_t {
	return start(uintptr(starter), work, argument)
}
