package keel_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keel"
)

// unrewarded is a session with rollouts that wait for rewards.
func unrewarded(t *testing.T) *keel.Session {
	host := newRuntime(t)
	session := newSession(t, host, language, grpo)
	must(session.Push(sampled(t, session, newPrompts(t, host, 8))))(t)
	return session
}

func score(rollouts *keel.Batch, rewards []float32) error {
	for row := range rewards {
		rewards[row] = float32(row % 2)
	}
	return nil
}

// updated makes an update and runs it.
func updated(t *testing.T, session *keel.Session) (*keel.Job, error) {
	job, ok, err := session.Update()
	check(t, err)
	if !ok {
		t.Fatal("the update wants more rows")
	}
	t.Cleanup(job.Close)
	_, err = job.Run(context.Background())
	return job, err
}

func TestAFunctionScoresRollouts(t *testing.T) {
	session := unrewarded(t)
	var kept *keel.Batch
	var rows, tokens int
	check(t, session.SetReward(func(rollouts *keel.Batch, rewards []float32) error {
		kept, rows = rollouts, len(rewards)
		tokens = len(must(keel.Get[int32](rollouts, "response"))(t).Values)
		return score(rollouts, rewards)
	}))
	_, err := updated(t, session)
	check(t, err)
	equal(t, "rows", rows, 8)
	equal(t, "tokens", tokens, 32)
	_, err = kept.Rows()
	refused(t, err, keel.ErrInvalidHandle)
	refused(t, second(keel.Get[int32](kept, "response")), keel.ErrInvalidHandle)
}

func TestAnErrorOfARewardIsFoundInThatOfTheJob(t *testing.T) {
	session := unrewarded(t)
	mine := errors.New("the judge is out")
	check(t, session.SetReward(func(*keel.Batch, []float32) error { return mine }))
	job, err := updated(t, session)
	for _, one := range []error{err, job.Err(), second(job.Poll()), second(job.WaitFor(0)), second(job.Batch())} {
		refused(t, one, keel.ErrCallback)
		if !errors.Is(one, mine) {
			t.Fatal(one)
		}
	}
	check(t, session.SetReward(score))
	_, err = updated(t, session)
	check(t, err)
}

func TestAPanicOfARewardIsAnError(t *testing.T) {
	mine := errors.New("broken")
	for _, value := range []any{"broken", mine} {
		session := unrewarded(t)
		check(t, session.SetReward(func(_ *keel.Batch, rewards []float32) error { panic(value) }))
		_, err := session.Step()
		refused(t, err, keel.ErrCallback)
		var panicked *keel.Panic
		if !errors.As(err, &panicked) || panicked.Value != value || len(panicked.Stack) == 0 {
			t.Fatal(err)
		}
		equal(t, "the panic's error", errors.Is(err, mine), value == any(mine))
	}
}

// A goroutine cannot end below keel's frames: the process says so, in place of waiting for ever, whoever recovers.
func TestARewardThatEndsItsGoroutineStopsTheProcess(t *testing.T) {
	if os.Getenv("KEEL_TEST_GOEXIT") != "" {
		session := unrewarded(t)
		check(t, session.SetReward(func(*keel.Batch, []float32) error {
			runtime.Goexit()
			return nil
		}))
		defer func() { _ = recover() }()
		must(session.Step())(t)
	}
	again := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	again.Env = append(os.Environ(), "KEEL_TEST_GOEXIT=1")
	told, err := again.CombinedOutput()
	if err == nil || !strings.Contains(string(told), "ended its goroutine") {
		t.Fatalf("%v: %s", err, told)
	}
}

func TestAnIndexBeyondTheRewardsIsAnError(t *testing.T) {
	session := unrewarded(t)
	check(t, session.SetReward(func(_ *keel.Batch, rewards []float32) error {
		rewards[len(rewards)] = 1
		return nil
	}))
	_, err := session.Step()
	refused(t, err, keel.ErrCallback)
}

func TestARewardMayReplaceAndCloseFromWithin(t *testing.T) {
	session := unrewarded(t)
	calls := 0
	check(t, session.SetReward(func(rollouts *keel.Batch, rewards []float32) error {
		calls++
		rollouts.Close()
		if err := session.SetReward(nil); err != nil {
			return err
		}
		return score(rollouts, rewards)
	}))
	_, err := updated(t, session)
	check(t, err)
	equal(t, "calls", calls, 1)

	closing := unrewarded(t)
	check(t, closing.SetReward(func(rollouts *keel.Batch, rewards []float32) error {
		closing.Close()
		return score(rollouts, rewards)
	}))
	job, ok, err := closing.Update()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer job.Close()
	if _, err := job.Run(context.Background()); err != nil && !errors.Is(err, keel.ErrCancelled) && !errors.Is(err, keel.ErrInvalidHandle) {
		t.Fatal(err)
	}
}

// One goroutine updates while another sets and removes the function: who is called is always the host's own.
func TestARewardMayBeRemovedWhileAnotherGoroutineUpdates(t *testing.T) {
	session := unrewarded(t)
	mine := errors.New("the judge is out")
	judge := func(*keel.Batch, []float32) error { return mine }
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		defer group.Done()
		for reward := keel.Reward(judge); ; {
			select {
			case <-stop:
				return
			default:
			}
			if err := session.SetReward(reward); err != nil {
				t.Error(err)
			}
			if reward == nil {
				reward = judge
			} else {
				reward = nil
			}
		}
	}()
	for range objects {
		if _, err := session.Step(); errors.Is(err, keel.ErrCallback) && !errors.Is(err, mine) {
			t.Error(err)
			break
		}
	}
	close(stop)
	group.Wait()
}

// What other goroutines look at is not taken away when the function returns.
func TestAnUpdateWaitsForWhoLooksAtRollouts(t *testing.T) {
	session := unrewarded(t)
	var ended atomic.Bool
	looking := make(chan struct{})
	check(t, session.SetReward(func(rollouts *keel.Batch, rewards []float32) error {
		go keel.View(rollouts, "response", func(keel.Column[int32]) error {
			close(looking)
			time.Sleep(20 * time.Millisecond)
			ended.Store(true)
			return nil
		})
		<-looking
		return score(rollouts, rewards)
	}))
	must(session.Step())(t)
	equal(t, "the look ended before the update", ended.Load(), true)
}

func TestAJobWithARewardRunsOnTheHostOnly(t *testing.T) {
	session := unrewarded(t)
	check(t, session.SetReward(score))
	job, ok, err := session.Update()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer job.Close()
	refused(t, job.Start(), keel.ErrState)
}

func TestQueriesAreAnswered(t *testing.T) {
	session := unrewarded(t)
	_, ok, err := session.Update()
	check(t, err)
	equal(t, "an update without rewards", ok, false)
	if report := must(session.Step())(t); !report.NeedsData() {
		t.Fatal(report)
	}
	queries, ok, err := session.TakeQueries()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer queries.Close()
	_, ok, err = session.TakeQueries()
	if err != nil || ok {
		t.Fatal(ok, err)
	}
	ids := must(keel.Get[uint64](queries, "id"))(t).Values
	refused(t, session.Answer(ids, make([]float32, len(ids)-1)), keel.ErrShape)
	refused(t, session.Answer([]uint64{999}, []float32{1}), keel.ErrData)
	rewards := make([]float32, len(ids))
	check(t, score(nil, rewards))
	check(t, session.Answer(ids, rewards))
	slices.Reverse(rewards)
	check(t, session.Reward(ids, rewards))
	_, err = updated(t, session)
	check(t, err)
}
