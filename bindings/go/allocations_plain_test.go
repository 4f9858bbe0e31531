//go:build !race && !keeldebug

// What a call allocates and copies; watched calls do both.
package keel_test

import (
	"testing"

	"keel"
)

func TestActingAllocatesNothing(t *testing.T) {
	_, actor := newActor(t)
	slots, places, ways := []uint32{0, 1}, []place{{}, {}}, []way{{}, {}}
	rewards, running := []float32{0, 0}, []keel.EpisodeStatus{keel.EpisodeRunning, keel.EpisodeRunning}
	equal(t, "Act and Observe allocate", testing.AllocsPerRun(100, func() {
		check(t, keel.Act(actor, slots, places, ways, 0))
		check(t, keel.Observe[place](actor, slots, rewards, running, nil))
	}), 0)
	_, job := longJob(t, newRuntime(t))
	equal(t, "Poll allocates", testing.AllocsPerRun(100, func() { must(job.Poll())(t) }), 0)
	equal(t, "Pump allocates", testing.AllocsPerRun(10, func() { must(job.Pump(0))(t) }), 0)
	check(t, job.Cancel())
}

func TestSettingCopiesNothing(t *testing.T) {
	batch := newBatch(t, keel.BatchPrompts, 1000)
	tokens, offsets := make([]int32, 1000), make([]uint64, 1001)
	for row := range tokens {
		offsets[row+1] = uint64(row + 1)
	}
	calls := map[string]func(){
		"Set":       func() { check(t, keel.Set(batch, "prompt", tokens)) },
		"SetRagged": func() { check(t, keel.SetRagged(batch, "prompt", tokens, offsets)) },
		"Rows":      func() { must(batch.Rows())(t) },
	}
	for name, call := range calls {
		equal(t, name+" allocates", testing.AllocsPerRun(100, call), 0)
	}
	view := func() {
		check(t, keel.View(batch, "prompt", func(prompts keel.Column[int32]) error { return nil }))
	}
	if allocated := testing.AllocsPerRun(100, view); allocated > 8 {
		t.Fatalf("View allocates %v times", allocated)
	}
}
