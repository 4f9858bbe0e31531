//go:build keeldebug && unix

package keel_test

import (
	"runtime/debug"
	"testing"

	"keel"
)

var read int32

// stopped says whether a function touches memory that it may not.
func stopped(touch func()) (found bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { found = recover() != nil }()
	touch()
	return false
}

func TestAViewThatIsKeptIsFound(t *testing.T) {
	batch := newBatch(t, keel.BatchPrompts, 2)
	check(t, keel.SetRows(batch, "prompt", [][]int32{{1}, {2}}))
	var kept keel.Column[int32]
	check(t, keel.View(batch, "prompt", func(prompts keel.Column[int32]) error {
		kept = prompts
		if stopped(func() { read = prompts.Row(1)[0] }) {
			t.Error("it cannot be read in time")
		}
		if !stopped(func() { prompts.Values[0] = 9 }) {
			t.Error("it can be written")
		}
		return nil
	}))
	if !stopped(func() { read = kept.Values[0] }) || !stopped(func() { read = kept.Row(1)[0] }) {
		t.Error("it can be read afterwards")
	}
	equal(t, "what was written", must(keel.Get[int32](batch, "prompt"))(t).Values[0], 1)
}
