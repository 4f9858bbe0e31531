package keel

import (
	"runtime"
	"time"
)

// Batch is rows of named columns, what is pushed to sessions and what their jobs make. [Set] and its siblings fill it, [Get]
// and its siblings read it; ConfigSchema("columns") is the table of columns.
type Batch struct {
	handle
	lending
}

// BatchKind says what the rows of a batch are: BatchPrompts and the others.
type BatchKind int32

func ownBatch(id uint64) *Batch {
	made := new(Batch)
	return own(made, &made.handle, id, rawBatchDestroy)
}

func madeBatch(result rawResult, id uint64) (*Batch, error) {
	if err := failure(result); err != nil {
		return nil, err
	}
	return ownBatch(id), nil
}

// NewBatch makes an empty batch. Errors: [ErrInvalidArgument].
func (r *Runtime) NewBatch(kind BatchKind, rows int) (*Batch, error) {
	if rows < 0 {
		return nil, wrong(ErrInvalidArgument, "rows: expected 0 or more, got %d", rows)
	}
	var id uint64
	result := rawBatchCreate(r.id(), int32(kind), uint64(rows), &id)
	runtime.KeepAlive(r)
	return madeBatch(result, id)
}

// Close ends the batch; what was pushed was copied. Views that are being looked at live until their functions return.
func (b *Batch) Close() {
	b.retire(b.release(), rawBatchDestroy)
	runtime.KeepAlive(b)
}

// giveBack ends a borrowed batch, when nobody on another goroutine looks at it any more: keel frees it then.
func (b *Batch) giveBack() {
	for !b.change() {
		time.Sleep(100 * time.Microsecond)
	}
	b.value.Store(0)
	b.changed(rawBatchDestroy)
}

// ID returns the number that keel has for the batch; 0 if it was closed.
func (b *Batch) ID() uint64 { return b.value.Load() }

// Rows returns how many rows the batch has.
func (b *Batch) Rows() (int, error) {
	var rows uint64
	err := failure(rawBatchRows(b.id(), &rows))
	runtime.KeepAlive(b)
	return int(rows), err
}
