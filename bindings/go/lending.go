package keel

import "sync/atomic"

// lending counts who looks at memory of keel's that an object lends, so that it is neither changed nor freed meanwhile.
type lending struct {
	lookers atomic.Int64  // how many look; below zero while somebody changes it
	retired atomic.Uint64 // the handle to destroy when nobody looks or changes any more
}

const changing = -1 << 32

// look begins to look; false where somebody changes it. Either way done ends it.
func (l *lending) look() bool {
	return l.lookers.Add(1) > 0
}

// done ends a look.
func (l *lending) done(destroy func(uint64)) {
	l.end(1, destroy)
}

// change begins to change; false where somebody looks or changes.
func (l *lending) change() bool {
	return l.lookers.CompareAndSwap(0, changing)
}

// changed ends a change.
func (l *lending) changed(destroy func(uint64)) {
	l.end(changing, destroy)
}

// retire destroys a handle as soon as nobody looks or changes.
func (l *lending) retire(id uint64, destroy func(uint64)) {
	l.retired.CompareAndSwap(0, id)
	l.lookers.Add(1)
	l.end(1, destroy)
}

func (l *lending) end(share int64, destroy func(uint64)) {
	if l.lookers.Add(-share) == 0 && l.retired.Load() != 0 {
		destroy(l.retired.Swap(0))
	}
}
