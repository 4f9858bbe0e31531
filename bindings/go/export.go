package keel

// #include <keel/keel.h>
import "C"

import (
	"runtime/debug"
	"unsafe"
)

// keelGoReward is what keel calls for rewards; 1 where they could not be given.
//
//export keelGoReward
func keelGoReward(rollouts C.keel_batch, rewards *C.float, count C.size_t, number C.uintptr_t) C.int32_t {
	judge := judgeOf(number)
	if judge == nil {
		return 1
	}
	borrowed := new(Batch)
	borrowed.value.Store(uint64(rollouts))
	defer borrowed.giveBack()
	if judge.score(borrowed, unsafe.Slice((*float32)(rewards), int(count))) != nil {
		return 1
	}
	return 0
}

// keelGoStart is what keel calls for a thread; 1 where there is none.
//
//export keelGoStart
func keelGoStart(work C.keel_thread_work, argument, starter C.uintptr_t) C.int32_t {
	if contained(func() error { return start(uintptr(starter), work, argument) }) != nil {
		return 1
	}
	return 0
}

// contained calls a function of the host's, none of whose panics may reach keel's frames.
func contained(call func() error) (err error) {
	returned := false
	defer func() {
		if value := recover(); value != nil {
			err = &Panic{value, debug.Stack()}
		} else if !returned {
			go panic("keel: a function that keel called ended its goroutine, which keel's own frames are on") // nobody recovers it
			select {}
		}
	}()
	err = call()
	returned = true
	return err
}
