package keel

import (
	"runtime"
	"time"
)

// Runtime is the devices, keel's own threads and the events. A process needs one.
type Runtime struct{ handle }

// NewRuntime makes a runtime from the configuration "runtime". The first one of a process decides whether CUDA is loaded.
// Errors: [ErrVersion] where the library is older than this package, [ErrConfig], [ErrDevice], [ErrUnsupported].
func NewRuntime(json string) (*Runtime, error) {
	var id uint64
	if err := failure(rawRuntimeCreate(abiVersion, json, &id)); err != nil {
		return nil, err
	}
	made := new(Runtime)
	return own(made, &made.handle, id, rawRuntimeDestroy), nil
}

// Close ends the runtime. What was made from it goes on.
func (r *Runtime) Close() {
	rawRuntimeDestroy(r.release())
	runtime.KeepAlive(r)
}

// ID returns the number that keel has for the runtime; 0 if it was closed.
func (r *Runtime) ID() uint64 { return r.value.Load() }

// Shutdown stops the jobs on keel's threads at their next slice and waits for the threads, at most timeout. No job can be
// started on a thread again. Errors: [ErrTimeout], a slice still runs; call again.
func (r *Runtime) Shutdown(timeout time.Duration) error {
	err := failure(rawRuntimeShutdown(r.id(), microseconds(timeout)))
	runtime.KeepAlive(r)
	return err
}

// NextEvent takes the oldest event of a session or job, by its ID, or with 0 of any; ok is false where there is none.
func (r *Runtime) NextEvent(source uint64) (json string, ok bool, err error) {
	json, ok, err = read(func(buffer []byte, needed *rawSize) rawResult {
		return rawRuntimeNextEvent(r.id(), source, buffer, needed)
	})
	runtime.KeepAlive(r)
	return json, ok, err
}

// Devices returns the devices that a configuration may name, as JSON: ["cpu", "cuda:0"].
func (r *Runtime) Devices() (string, error) {
	text, err := readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawRuntimeDevices(r.id(), buffer, needed)
	})
	runtime.KeepAlive(r)
	return text, err
}

// Memory returns what memory the process uses, in bytes, as JSON.
func (r *Runtime) Memory() (string, error) {
	text, err := readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawRuntimeMemory(r.id(), buffer, needed)
	})
	runtime.KeepAlive(r)
	return text, err
}

// microseconds is a time as keel counts it; one that has passed already is none.
func microseconds(time time.Duration) uint64 {
	return uint64(max(time.Microseconds(), 0))
}
