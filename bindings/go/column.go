package keel

import (
	"runtime"
	"unsafe"
)

// Number is what the columns of batches hold: tokens and small numbers as int32, ids as uint64, rewards as float32, masks and
// images as uint8.
type Number interface {
	int32 | int64 | uint64 | float32 | uint8
}

// Column is one column of a batch.
type Column[T any] struct {
	Values  []T      // of all rows, one after the other
	Offsets []uint64 // where each row begins, and the end: rows + 1; nil where each row has as many values
	Rows    int
}

// Row returns the values of one row.
func (c Column[T]) Row(index int) []T {
	from, to := c.bounds(index)
	return c.Values[from:to:to]
}

func (c Column[T]) bounds(row int) (from, to int) {
	if c.Offsets != nil {
		return int(c.Offsets[row]), int(c.Offsets[row+1])
	}
	width := len(c.Values) / c.Rows
	return row * width, (row + 1) * width
}

// Set sets a column with as many values in each row, len(values)/rows, or replaces it. Errors: [ErrShape], [ErrData],
// [ErrNonFinite]; [ErrConcurrent], somebody changes or looks at the batch.
func Set[T Number](batch *Batch, column string, values []T) error {
	return set(batch, column, typeOf[T](), values, nil)
}

// SetRagged sets a column whose row r is values[offsets[r]:offsets[r+1]]; there are rows + 1 offsets. Errors as of [Set].
func SetRagged[T Number](batch *Batch, column string, values []T, offsets []uint64) error {
	return setRagged(batch, column, typeOf[T](), values, offsets)
}

// SetRows sets a column from a slice for each row, which it lays one after the other first. Errors as of [Set].
func SetRows[T Number](batch *Batch, column string, rows [][]T) error {
	values, offsets := laid(rows, func(all []T, row []T) []T { return append(all, row...) })
	return setRagged(batch, column, typeOf[T](), values, offsets)
}

// SetText sets a column of text, one for each row, which it lays one after the other first. Errors as of [Set], and
// [ErrInvalidText].
func (b *Batch) SetText(column string, rows []string) error {
	text, offsets := laid(rows, func(all []byte, row string) []byte { return append(all, row...) })
	return setRagged(b, column, typeUTF8, text, offsets)
}

// Get returns a copy of a column. Errors: [ErrData], there is no such column; [ErrInvalidArgument], it holds another type;
// [ErrConcurrent], somebody changes the batch.
func Get[T Number](batch *Batch, column string) (Column[T], error) {
	var copied Column[T]
	err := looked(batch, column, typeOf[T](), func(seen Column[T]) error {
		copied = Column[T]{append([]T(nil), seen.Values...), append([]uint64(nil), seen.Offsets...), seen.Rows}
		return nil
	})
	return copied, err
}

// View has use look at a column where it lies in keel's memory, and returns what it returns. The slices are only to be
// read, and end when use returns; meanwhile nothing can change the batch. Errors as of [Get].
func View[T Number](batch *Batch, column string, use func(Column[T]) error) error {
	return viewed(batch, column, typeOf[T](), use)
}

// Text returns a copy of a column of text, a string for each row; tokens that a model of this process sampled are decoded,
// without special tokens. Errors as of [Get], and [ErrState], tokens without a tokenizer.
func (b *Batch) Text(column string) ([]string, error) {
	var rows []string
	err := looked(b, column, typeUTF8, func(seen Column[byte]) error {
		text := string(seen.Values)
		rows = make([]string, seen.Rows)
		for row := range rows {
			from, to := seen.bounds(row)
			rows[row] = text[from:to]
		}
		return nil
	})
	return rows, err
}

// ViewText is [View] of a column of text, in UTF-8. Errors as of [Batch.Text].
func (b *Batch) ViewText(column string, use func(Column[byte]) error) error {
	return viewed(b, column, typeUTF8, use)
}

func typeOf[T Number]() int32 {
	var value T
	switch any(value).(type) {
	case int32:
		return typeI32
	case int64:
		return typeI64
	case uint64:
		return typeU64
	case float32:
		return typeF32
	}
	return typeU8
}

// laid lays rows one after the other, and says where each begins.
func laid[T any, Row []T | string](rows []Row, add func([]T, Row) []T) ([]T, []uint64) {
	offsets := make([]uint64, len(rows)+1)
	for row := range rows {
		offsets[row+1] = offsets[row] + uint64(len(rows[row]))
	}
	values := make([]T, 0, offsets[len(rows)])
	for _, row := range rows {
		values = add(values, row)
	}
	return values, offsets
}

// setRagged is set with offsets, whose number C would have to believe.
func setRagged[T any](batch *Batch, column string, kind int32, values []T, offsets []uint64) error {
	rows, err := batch.Rows()
	if err != nil {
		return err
	}
	if len(offsets) != rows+1 {
		return wrong(ErrShape, "%s: expected %d offsets for %d rows, got %d", column, rows+1, rows, len(offsets))
	}
	return set(batch, column, kind, values, offsets)
}

func set[T any](batch *Batch, column string, kind int32, values []T, offsets []uint64) error {
	if !batch.change() {
		return wrong(ErrConcurrent, "batch: another function looks at this batch or changes it")
	}
	defer batch.changed(rawBatchDestroy)
	result := rawBatchSet(batch.id(), column, kind, unsafe.Pointer(unsafe.SliceData(values)), len(values), unsafe.SliceData(offsets))
	runtime.KeepAlive(batch)
	return failure(result)
}

// viewed has a function of the host's look at a column: at memory that a build with keeldebug watches.
func viewed[T any](batch *Batch, column string, kind int32, use func(Column[T]) error) error {
	return looked(batch, column, kind, func(seen Column[T]) error {
		values, end := lend(seen.Values)
		defer end()
		offsets, end := lend(seen.Offsets)
		defer end()
		return use(Column[T]{values, offsets, seen.Rows})
	})
}

// looked has a function look at a column where it lies.
func looked[T any](batch *Batch, column string, kind int32, use func(Column[T]) error) error {
	defer batch.done(rawBatchDestroy)
	if !batch.look() {
		return wrong(ErrConcurrent, "batch: another function changes this batch")
	}
	rows, err := batch.Rows()
	if err != nil {
		return err
	}
	var values unsafe.Pointer
	var offsets unsafe.Pointer
	var count rawSize
	err = failure(rawBatchGet(batch.id(), column, &kind, &values, &count, &offsets))
	if err == nil {
		err = use(seen[T](values, int(count), offsets, rows))
	}
	runtime.KeepAlive(batch)
	return err
}

func seen[T any](values unsafe.Pointer, count int, offsets unsafe.Pointer, rows int) Column[T] {
	column := Column[T]{Values: unsafe.Slice((*T)(values), count), Rows: rows}
	if offsets != nil {
		column.Offsets = unsafe.Slice((*uint64)(offsets), rows+1)
	}
	return column
}
