package keel

import (
	"io"
	"runtime"
	"unsafe"
)

// Blob is bytes that keel made: what [Session.Export] returns.
type Blob struct {
	handle
	lending
}

// Close ends the blob. Views that are being looked at live until their functions return.
func (b *Blob) Close() {
	b.retire(b.release(), rawBlobDestroy)
	runtime.KeepAlive(b)
}

// ID returns the number that keel has for the blob; 0 if it was closed.
func (b *Blob) ID() uint64 { return b.value.Load() }

// Bytes returns a copy of the bytes.
func (b *Blob) Bytes() ([]byte, error) {
	var copied []byte
	err := b.looked(func(bytes []byte) error {
		copied = append([]byte{}, bytes...)
		return nil
	})
	return copied, err
}

// View has use look at the bytes where they lie in keel's memory, and returns what it returns. They are only to be read, and
// end when use returns.
func (b *Blob) View(use func([]byte) error) error {
	return b.looked(func(bytes []byte) error {
		lent, end := lend(bytes)
		defer end()
		return use(lent)
	})
}

// WriteTo writes the bytes to a file or another writer, without copying them first.
func (b *Blob) WriteTo(writer io.Writer) (written int64, err error) {
	err = b.View(func(bytes []byte) error {
		count, err := writer.Write(bytes)
		written = int64(count)
		return err
	})
	return written, err
}

func (b *Blob) looked(use func([]byte) error) error {
	b.look()
	defer b.done(rawBlobDestroy)
	var data unsafe.Pointer
	var size rawSize
	err := failure(rawBlobData(b.id(), &data, &size))
	if err == nil {
		err = use(unsafe.Slice((*byte)(data), int(size)))
	}
	runtime.KeepAlive(b)
	return err
}
