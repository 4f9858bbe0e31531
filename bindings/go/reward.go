package keel

// #include "callback.h"
import "C"

import (
	"runtime"
	"runtime/cgo"
	"sync/atomic"
)

// Reward scores rollouts: it writes one reward for each row, in place of NaN. The batch and the slice end when
// it returns; other goroutines that look at the batch are waited for. An error or a panic ends the update with [ErrCallback], in
// which it is found again. It must not end its goroutine (runtime.Goexit, testing.T.FailNow): keel's frames lie on its stack,
// and the process could only stop.
type Reward func(rollouts *Batch, rewards []float32) error

// SetReward has an update that is driven by Run, Pump or Step call a function, on the goroutine that drives it, for rows that
// have no reward yet; nil removes it. It returns when no other goroutine is inside the function before, so hold no lock that
// this one takes. A function that refers to the session keeps it until Close.
func (s *Session) SetReward(reward Reward) error {
	if s.judge == nil {
		return wrong(ErrInvalidHandle, "session: expected a session, got the zero value")
	}
	var callback C.keel_reward_callback
	if reward != nil {
		callback = C.keel_reward_callback(C.go_reward)
		s.judge.reward.Store(&reward)
	}
	err := failure(rawSessionSetCallback(s.id(), callbackReward, callback, uintptr(s.judge.number)))
	runtime.KeepAlive(s)
	if err == nil && reward == nil {
		s.judge.reward.Store(nil)
	}
	return err
}

// cause is what a reward function returned or panicked with, or nil.
type cause = atomic.Pointer[error]

// explained is an error of a job with what its session's reward function returned, where that ended it: once from the judge,
// then as the job keeps it.
func explained(err error, session *Session, kept *cause) error {
	failed, is := err.(*Error)
	if !is || failed.Status != ErrCallback || session == nil {
		return err
	}
	if kept.Load() == nil {
		found := session.judge.cause.Load()
		kept.CompareAndSwap(nil, found)
		session.judge.cause.CompareAndSwap(found, nil)
	}
	if found := kept.Load(); found != nil {
		failed.Cause = *found
	}
	return err
}

// judge is what keel knows of a session's reward function: a number that stays until the session ends. It does not refer to
// the session, which the collector could never find else.
type judge struct {
	number cgo.Handle
	reward atomic.Pointer[Reward]
	cause  cause
}

func newJudge() *judge {
	made := new(judge)
	made.number = cgo.NewHandle(made)
	return made
}

// dismiss has a session call the judge no more.
func (j *judge) dismiss(session uint64) {
	if j.reward.Load() != nil {
		rawFree(rawSessionSetCallback(session, callbackReward, nil, 0).message)
	}
	j.number.Delete()
}

// score calls the host's function; what it returns or panics with is kept for whoever drives the job.
func (j *judge) score(rollouts *Batch, rewards []float32) error {
	err := contained(func() error { return (*j.reward.Load())(rollouts, rewards) })
	if err != nil {
		j.cause.Store(&err)
	}
	return err
}

// judgeOf is nil where a session was closed in this very moment, and its number stands for no judge any more.
func judgeOf(number C.uintptr_t) (found *judge) {
	defer func() { _ = recover() }()
	return cgo.Handle(number).Value().(*judge)
}
