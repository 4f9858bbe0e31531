package keel_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"keel"
)

func newBatch(t *testing.T, kind keel.BatchKind, rows int) *keel.Batch {
	batch := must(newRuntime(t).NewBatch(kind, rows))(t)
	t.Cleanup(batch.Close)
	return batch
}

func TestColumnsComeBackAsTheyWereSet(t *testing.T) {
	batch := newBatch(t, keel.BatchRollouts, 3)
	check(t, keel.SetRows(batch, "prompt", [][]int32{{1}, {2, 3}, {4, 5, 6}}))
	check(t, keel.SetRagged(batch, "response", []int32{7, 8, 9, 10}, []uint64{0, 2, 3, 4}))
	check(t, keel.Set(batch, "reward", []float32{0.5, -1, 2}))
	check(t, keel.Set(batch, "group", []uint64{1, 1, math.MaxUint64}))
	check(t, keel.SetRows(batch, "response_mask", [][]uint8{{1, 0}, {1}, {0}}))

	prompts := must(keel.Get[int32](batch, "prompt"))(t)
	equal(t, "rows", prompts.Rows, 3)
	for row, expected := range [][]int32{{1}, {2, 3}, {4, 5, 6}} {
		if !slices.Equal(prompts.Row(row), expected) {
			t.Fatal(row, prompts.Row(row))
		}
	}
	responses := must(keel.Get[int32](batch, "response"))(t)
	equal(t, "a ragged column", sprint(responses.Row(0), responses.Row(1), responses.Row(2)), "[7 8] [9] [10]")
	rewards := must(keel.Get[float32](batch, "reward"))(t)
	equal(t, "a column of numbers", sprint(rewards.Row(0), rewards.Row(2)), "[0.5] [2]")
	groups := must(keel.Get[uint64](batch, "group"))(t)
	equal(t, "the largest id", groups.Row(2)[0], uint64(math.MaxUint64))
	masks := must(keel.Get[uint8](batch, "response_mask"))(t)
	equal(t, "a mask", sprint(masks.Row(0), masks.Row(1)), "[1 0] [1]")
}

func TestEachTypeIsToldToKeel(t *testing.T) {
	batch := newBatch(t, keel.BatchRollouts, 1)
	for name, err := range map[string]error{
		"i32": keel.Set(batch, "reward", []int32{1}), "i64": keel.Set(batch, "reward", []int64{1}),
		"u64": keel.Set(batch, "reward", []uint64{1}), "u8": keel.Set(batch, "reward", []uint8{1}),
		"f32": keel.Set(batch, "group", []float32{1}), "utf8": batch.SetText("reward", []string{"1"}),
	} {
		if message := refused(t, err, keel.ErrInvalidArgument); !strings.HasSuffix(message, "got "+name) {
			t.Error(message)
		}
	}
}

func TestTextComesBackAsItWasSet(t *testing.T) {
	batch := newBatch(t, keel.BatchDemonstrations, 3)
	rows := []string{"", "Grüße, 世界 🙂", "\x00 in the middle"}
	check(t, batch.SetText("response", rows))
	if got := must(batch.Text("response"))(t); !slices.Equal(got, rows) {
		t.Fatalf("%q", got)
	}
	check(t, batch.ViewText("response", func(text keel.Column[byte]) error {
		equal(t, "a row of text", string(text.Row(1)), rows[1])
		return nil
	}))
	refused(t, batch.SetText("prompt", []string{"a", "\xff", "b"}), keel.ErrInvalidText)
}

func TestWrongColumnsAreRefused(t *testing.T) {
	batch := newBatch(t, keel.BatchRollouts, 2)
	check(t, keel.Set(batch, "reward", []float32{1, 2}))
	refusals := []struct {
		err    error
		status keel.Status
	}{
		{keel.Set[int32](batch, "prompt", nil), keel.ErrShape},
		{keel.Set(batch, "prompt", []int32{}), keel.ErrShape},
		{keel.Set(batch, "prompt", []int32{1, 2, 3}), keel.ErrShape},
		{keel.SetRagged(batch, "prompt", []int32{1, 2}, nil), keel.ErrShape},
		{keel.SetRagged(batch, "prompt", []int32{1, 2}, []uint64{0, 2}), keel.ErrShape},
		{keel.SetRagged(batch, "prompt", []int32{1, 2}, []uint64{0, 1, 2, 2}), keel.ErrShape},
		{keel.SetRagged(batch, "prompt", []int32{1, 2}, []uint64{0, 3, 2}), keel.ErrShape},
		{keel.SetRows(batch, "prompt", [][]int32{{1}}), keel.ErrShape},
		{batch.SetText("prompt", []string{"one"}), keel.ErrShape},
		{keel.Set(batch, "reward", []float32{1, float32(math.NaN())}), keel.ErrNonFinite},
		{keel.Set(batch, "reward", []int32{1, 2}), keel.ErrInvalidArgument},
		{keel.Set(batch, "no such column", []int32{1, 2}), keel.ErrInvalidArgument},
		{second(keel.Get[int32](batch, "no such column")), keel.ErrData},
		{second(keel.Get[int32](batch, "reward")), keel.ErrInvalidArgument},
		{second(keel.Get[int32](batch, "")), keel.ErrData},
		{second(batch.Text("reward")), keel.ErrInvalidArgument},
	}
	for index, one := range refusals {
		if !errors.Is(one.err, one.status) {
			t.Errorf("call %d: expected %v, got %v", index, one.status, one.err)
		}
	}
	host := newRuntime(t)
	for _, rows := range []int{-1, 0, math.MaxInt} {
		_, err := host.NewBatch(keel.BatchPrompts, rows)
		refused(t, err, keel.ErrInvalidArgument)
	}
	_, err := host.NewBatch(99, 1)
	refused(t, err, keel.ErrInvalidArgument)
}

func TestNothingChangesWhatIsBeingLookedAt(t *testing.T) {
	batch := newBatch(t, keel.BatchPrompts, 2)
	check(t, keel.Set(batch, "prompt", []int32{1, 2}))
	check(t, keel.View(batch, "prompt", func(prompts keel.Column[int32]) error {
		refused(t, keel.Set(batch, "prompt", []int32{3, 4}), keel.ErrConcurrent)
		equal(t, "another look", must(keel.Get[int32](batch, "prompt"))(t).Values[1], 2)
		live := keel.LiveHandles()
		batch.Close()
		equal(t, "handles in the view", keel.LiveHandles(), live)
		equal(t, "after Close", prompts.Values[0], 1)
		return nil
	}))
	refused(t, keel.Set(batch, "prompt", []int32{3, 4}), keel.ErrInvalidHandle)
}

func TestAViewEndsWithAnErrorOrAPanicOfItsFunction(t *testing.T) {
	batch := newBatch(t, keel.BatchPrompts, 1)
	check(t, keel.Set(batch, "prompt", []int32{1}))
	mine := errors.New("mine")
	if err := keel.View(batch, "prompt", func(keel.Column[int32]) error { return mine }); err != mine {
		t.Fatal(err)
	}
	func() {
		defer func() { equal(t, "the panic", recover(), any("mine")) }()
		_ = keel.View(batch, "prompt", func(keel.Column[int32]) error { panic("mine") })
	}()
	check(t, keel.Set(batch, "prompt", []int32{2}))
	before := keel.LiveHandles()
	batch.Close()
	equal(t, "handles", keel.LiveHandles(), before-1)
}
