package keel_test

import (
	"testing"
	"unsafe"

	"keel"
	"keel/internal/deleted"
)

// column is a tensor of [rows] that keel made; whoever gets it calls its deleter.
func column[T keel.Number](t *testing.T, name string, values []T) unsafe.Pointer {
	batch := newBatch(t, keel.BatchRollouts, len(values))
	check(t, keel.Set(batch, name, values))
	return must(batch.DLPack(name))(t)
}

func TestATensorBecomesAColumn(t *testing.T) {
	batch := newBatch(t, keel.BatchRollouts, 3)
	check(t, batch.SetDLPack("reward", column(t, "reward", []float32{1, 2, 3})))
	equal(t, "rewards", sprint(must(keel.Get[float32](batch, "reward"))(t).Values), "[1 2 3]")
	refused(t, batch.SetDLPack("reward", column(t, "reward", []float32{1})), keel.ErrShape)
	refused(t, batch.SetDLPack("reward", nil), keel.ErrNullPointer)
	_, err := batch.DLPack("response")
	refused(t, err, keel.ErrData)
	check(t, keel.View(batch, "reward", func(keel.Column[float32]) error {
		refused(t, batch.SetDLPack("reward", column(t, "reward", []float32{1, 2, 3})), keel.ErrConcurrent)
		return nil
	}))
}

// tensor is a DLManagedTensorVersioned as dlpack.h lays it out.
type tensor struct {
	version          [2]uint32
	context, deleter unsafe.Pointer
	flags            uint64
	data             unsafe.Pointer
	device           [2]int32
	axes             int32
	kind             [4]uint8
	shape, strides   unsafe.Pointer
	offset           uint64
}

// shaped gives a tensor two axes, whose lengths lie in memory of keel's.
func shaped(made unsafe.Pointer, shape []uint64) unsafe.Pointer {
	one := (*tensor)(made)
	one.axes, one.shape, one.strides = int32(len(shape)), unsafe.Pointer(unsafe.SliceData(shape)), nil
	return made
}

// A host may give a tensor whose memory is Go's, and take it back in Go.
func TestADeleterMayBeAGoFunction(t *testing.T) {
	before := deleted.Count.Load()
	given := func(values ...float32) unsafe.Pointer {
		made := column(t, "reward", values)
		(*tensor)(made).deleter = deleted.Deleter
		return made
	}
	batch := newBatch(t, keel.BatchRollouts, 3)
	check(t, batch.SetDLPack("reward", given(1, 2, 3)))
	refused(t, batch.SetDLPack("reward", given(1)), keel.ErrShape)
	check(t, keel.View(batch, "reward", func(keel.Column[float32]) error {
		refused(t, batch.SetDLPack("reward", given(1, 2, 3)), keel.ErrConcurrent)
		return nil
	}))
	refused(t, new(keel.Actor).ActDLPack(nil, []unsafe.Pointer{given(1)}, given(2), 0, 0), keel.ErrInvalidHandle)
	equal(t, "deleters called", deleted.Count.Load()-before, 5)
}

func TestSlotsActOnTensors(t *testing.T) {
	session := newSession(t, newRuntime(t), `{"config": {"model_type": "control", "hidden": [8],
		"observations": [{"type": "vector", "name": "place", "size": 1}],
		"actions": [{"type": "discrete", "name": "way", "choices": 2}]}}`, ppo)
	actor := must(session.NewActor(""))(t)
	defer actor.Close()
	shapes := newBatch(t, keel.BatchRollouts, 2)
	check(t, keel.Set(shapes, "group", []uint64{2, 1}))
	check(t, keel.View(shapes, "group", func(shape keel.Column[uint64]) error {
		slots := []uint32{0, 1}
		ways := func() unsafe.Pointer { return shaped(column(t, "finish_reason", []int32{1, 1}), shape.Values) }
		places := func() []unsafe.Pointer {
			return []unsafe.Pointer{shaped(column(t, "reward", []float32{1, 2}), shape.Values)}
		}
		check(t, actor.ActDLPack(slots, places(), ways(), 0, 0))
		refused(t, actor.ActDLPack(slots, places(), ways(), 0, 0), keel.ErrState)
		refused(t, actor.ActDLPack(slots, nil, ways(), 0, 0), keel.ErrShape)
		return nil
	}))
}
