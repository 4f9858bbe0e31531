package keel

// #include "callback.h"
import "C"

import (
	"runtime"
	"runtime/cgo"
)

// SetThreadStarter has started jobs run on goroutines of the host's: starter is called in [Job.Start], has some goroutine call
// work soon, and returns at once; an error or a panic refuses, and the job is not started ([ErrCallback]). Work has its
// operating system thread for itself until it returns, when no started job waits. Nil brings keel's own threads back. What a
// starter refers to is kept as long as the process lives.
func (r *Runtime) SetThreadStarter(starter func(work func()) error) error {
	var callback C.keel_thread_starter
	var number cgo.Handle
	if starter != nil {
		callback, number = C.keel_thread_starter(C.go_start), cgo.NewHandle(starter)
	}
	err := failure(rawRuntimeSetThreadStarter(r.id(), callback, uintptr(number)))
	runtime.KeepAlive(r)
	return err
}

// start asks a starter for a thread that does keel's work.
func start(number uintptr, work C.keel_thread_work, argument C.uintptr_t) error {
	return cgo.Handle(number).Value().(func(func()) error)(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		C.go_work(work, argument)
	})
}
