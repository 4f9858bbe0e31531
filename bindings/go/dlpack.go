package keel

import (
	"runtime"
	"unsafe"
)

// SetDLPack sets a column from a DLManagedTensorVersioned in host memory, [rows] or [rows, width] of int32, int64, float32
// or uint8, in C's memory or pinned. Keel owns the tensor from here on, whatever the error: its deleter, which may be a Go
// function, is called exactly once. Errors as of [Set], and [ErrUnsupported], another type or layout.
func (b *Batch) SetDLPack(column string, tensor unsafe.Pointer) error {
	if !b.change() {
		rawFree(rawBatchSetDlpack(0, column, tensor, 0).message)
		return wrong(ErrConcurrent, "batch: another function looks at this batch or changes it")
	}
	defer b.changed(rawBatchDestroy)
	err := failure(rawBatchSetDlpack(b.id(), column, tensor, 0))
	runtime.KeepAlive(b)
	return err
}

// DLPack returns a copy of a column as a DLManagedTensorVersioned in host memory, [rows], or [count] if it is ragged. The
// caller calls its deleter. Errors: [ErrData], there is no such column; [ErrUnsupported], it holds text or uint64.
func (b *Batch) DLPack(column string) (unsafe.Pointer, error) {
	var tensor unsafe.Pointer
	err := failure(rawBatchGetDlpack(b.id(), column, &tensor))
	runtime.KeepAlive(b)
	return tensor, err
}

// ActDLPack is [Act] on DLManagedTensorVersioned of the host's, on the CPU or a CUDA device: one for each observation group of
// the layout, in its order, and one that the actions are written into. All are taken over, whatever the error. Stream is the
// cudaStream_t behind whose work they are, 0 for CUDA's default. Errors as of Act, and [ErrVersion], [ErrDevice],
// [ErrUnsupported].
func (a *Actor) ActDLPack(slots []uint32, observations []unsafe.Pointer, actions unsafe.Pointer, stream uintptr, flags ActFlags) error {
	result := rawActorActDlpack(a.id(), unsafe.SliceData(slots), len(slots), unsafe.SliceData(observations), len(observations),
		actions, stream, uint32(flags), nil)
	runtime.KeepAlive(a)
	return failure(result)
}
