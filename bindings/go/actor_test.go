package keel_test

import (
	"errors"
	"math"
	"sync"
	"testing"

	"keel"
)

type place struct{ x, y float32 }

type way struct{ choice int32 }

func newActor(t *testing.T) (*keel.Session, *keel.Actor) {
	session := newSession(t, newRuntime(t), control, ppo)
	actor := must(session.NewActor(""))(t)
	t.Cleanup(actor.Close)
	return session, actor
}

func TestSlotsActAndAreObserved(t *testing.T) {
	session, actor := newActor(t)
	slots, actions := []uint32{3, 7}, []way{{-1}, {-1}}
	for step := range 8 {
		check(t, keel.Act(actor, slots, []place{{1, 2}, {3, 4}}, actions, 0))
		for _, action := range actions {
			if action.choice != 0 && action.choice != 1 {
				t.Fatal(action)
			}
		}
		status, final := []keel.EpisodeStatus{keel.EpisodeRunning, keel.EpisodeRunning}, []place(nil)
		if step%3 == 2 {
			status, final = []keel.EpisodeStatus{keel.EpisodeTerminated, keel.EpisodeTruncated}, []place{{5, 6}}
		}
		check(t, keel.Observe(actor, slots, []float32{1, 0}, status, final))
	}
	if report := must(session.Step())(t); !report.Done() {
		t.Fatal(report)
	}
	check(t, keel.Act(actor, slots, []place{{1, 2}, {3, 4}}, actions, keel.ActGreedy|keel.ActUnrecorded))
	given := []way{{1}, {0}}
	check(t, keel.Act(actor, slots, []place{{1, 2}, {3, 4}}, given, keel.ActGiven))
	equal(t, "a given action", given[0].choice, 1)
}

func TestWrongActsAreRefused(t *testing.T) {
	_, actor := newActor(t)
	slots, places, ways := []uint32{0, 1}, []place{{}, {}}, []way{{}, {}}
	nan := float32(math.NaN())
	var none []keel.EpisodeStatus
	running := []keel.EpisodeStatus{keel.EpisodeRunning, keel.EpisodeRunning}
	refusals := []struct {
		err    error
		status keel.Status
	}{
		{keel.Act(actor, slots, places[:1], ways, 0), keel.ErrShape},
		{keel.Act(actor, slots, []place(nil), ways, 0), keel.ErrShape},
		{keel.Act(actor, slots, places, ways[:1], 0), keel.ErrShape},
		{keel.Act(actor, slots, places, []way(nil), 0), keel.ErrShape},
		{keel.Act(actor, slots, [][3]float32{{}, {}}, ways, 0), keel.ErrShape},
		{keel.Act(actor, slots, []struct{}{{}, {}}, ways, 0), keel.ErrShape},
		{keel.Act(actor, slots, []place{{nan, 0}, {}}, ways, 0), keel.ErrNonFinite},
		{keel.Act(actor, []uint32{1, 1}, places, ways, 0), keel.ErrInvalidArgument},
		{keel.Act(actor, slots, places, ways, 1<<30), keel.ErrInvalidArgument},
		{keel.Act(actor, slots, []*place{{}, {}}, ways, 0), keel.ErrInvalidArgument},
		{keel.Act(actor, slots, []string{"", ""}, ways, 0), keel.ErrInvalidArgument},
		{keel.Act(actor, slots, []any{1, 2}, ways, 0), keel.ErrInvalidArgument},
		{keel.Act(actor, slots, places, []struct{ choices []int32 }{{}, {}}, 0), keel.ErrInvalidArgument},
		{keel.Act(actor, slots, []struct{ all [2]map[int]int }{{}, {}}, ways, 0), keel.ErrInvalidArgument},
		{keel.Observe[place](actor, slots, []float32{1, 1}, running, nil), keel.ErrState},
		{keel.Observe[place](actor, slots, []float32{1, 1}, none, nil), keel.ErrShape},
		{keel.Observe[place](actor, slots, []float32{1, 1}, running[:1], nil), keel.ErrShape},
		{keel.Observe[place](actor, slots, []float32{1}, running, nil), keel.ErrShape},
		{keel.Observe[*place](actor, slots, []float32{1, 1}, running, nil), keel.ErrInvalidArgument},
	}
	for index, one := range refusals {
		if !errors.Is(one.err, one.status) {
			t.Errorf("call %d: expected %v, got %v", index, one.status, one.err)
		}
	}
	check(t, keel.Act(actor, slots, places, ways, 0))
	refused(t, keel.Act(actor, slots, places, ways, 0), keel.ErrState)
	refused(t, keel.Observe[place](actor, slots, []float32{nan, 1}, running, nil), keel.ErrNonFinite)
	refused(t, keel.Observe[place](actor, slots, []float32{1, 1}, []keel.EpisodeStatus{9, 0}, nil), keel.ErrInvalidArgument)
	truncated := []keel.EpisodeStatus{keel.EpisodeTruncated, keel.EpisodeRunning}
	refused(t, keel.Observe[place](actor, slots, []float32{1, 1}, truncated, nil), keel.ErrShape)
}

func TestActorsActAtOnce(t *testing.T) {
	session, _ := newActor(t)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			actor, err := session.NewActor("")
			if err != nil {
				t.Error(err)
				return
			}
			defer actor.Close()
			slots, ways := []uint32{uint32(worker)}, []way{{}}
			for step := range 50 {
				err := errors.Join(
					keel.Act(actor, slots, []place{{float32(step), 0}}, ways, 0),
					keel.Observe[place](actor, slots, []float32{1}, []keel.EpisodeStatus{keel.EpisodeRunning}, nil))
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
}
