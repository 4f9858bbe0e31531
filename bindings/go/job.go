package keel

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"
)

// Job is long work as a plan of slices: loading, generating, updating, saving. It is driven in one of three ways, with the
// same result: Run (here, to the end), Pump (here, in pieces of a time budget), Start (on a thread of keel's). One driver at
// a time; a second one gets [ErrConcurrent].
type Job struct {
	handle
	session *Session
	cause   cause
}

// JobState is where a job stands: JobPending and the others.
type JobState int32

// Report is how far a job is.
type Report struct {
	State          JobState
	Slices         uint64        // that the job has run
	Elapsed        time.Duration // that this call worked
	LongestSlice   time.Duration // of this call
	OptimizerSteps uint64        // that the job has applied
	Progress       float32       // the share that is done, from 0 to 1
}

// Pending says that the job has more to do.
func (r Report) Pending() bool { return r.State == JobPending }

// NeedsData says that there is nothing to do until more rows, rewards or answers are there; make another job then.
func (r Report) NeedsData() bool { return r.State == JobNeedData }

// Done says that the job is complete.
func (r Report) Done() bool { return r.State == JobDone }

// madeJob owns what a call made; session is whose reward function the job may call, or nil.
func madeJob(result rawResult, id uint64, session *Session) (*Job, error) {
	if err := failure(result); err != nil {
		return nil, err
	}
	made := &Job{session: session}
	return own(made, &made.handle, id, rawJobDestroy), nil
}

// madeJobIfAny is madeJob where a status above zero says that there is no job yet.
func madeJobIfAny(result rawResult, id uint64, session *Session) (*Job, bool, error) {
	if result.status > 0 {
		return nil, false, nil
	}
	job, err := madeJob(result, id, session)
	return job, err == nil, err
}

// Close ends the job; one that runs on keel's thread goes on to its end: cancel it first if it should not.
func (j *Job) Close() {
	rawJobDestroy(j.release())
	runtime.KeepAlive(j)
}

// ID returns the number that keel has for the job, the source of its events; 0 if it was closed.
func (j *Job) ID() uint64 { return j.value.Load() }

// Run drives the job to its end on this goroutine, or to where its session is paused, which the report tells. When ctx ends
// first the job is cancelled before its next slice, and the error is ctx's as well as [ErrCancelled]. A failed job returns
// its own error again and again; an error of a reward function is in it.
func (j *Job) Run(ctx context.Context) (Report, error) {
	return j.until(ctx, func() (Report, error) {
		reported := rawJobRun(j.id())
		runtime.KeepAlive(j)
		return told(&reported.report), j.failure(reported.result)
	})
}

// Start hands the job to a thread of keel's, or of [Runtime.SetThreadStarter]. Look after it with Poll or Wait, where what it
// publishes appears. Errors: [ErrState], it would call a reward function, or the runtime was shut down.
func (j *Job) Start() error {
	err := failure(rawJobStart(j.id()))
	runtime.KeepAlive(j)
	return err
}

// Pump drives the job on this goroutine for about the budget, at least one slice unless its session is paused; a budget of 0
// is a single slice. The report says whether it is to be called again.
func (j *Job) Pump(budget time.Duration) (Report, error) {
	reported := rawJobPump(j.id(), microseconds(budget))
	runtime.KeepAlive(j)
	return told(&reported.report), j.failure(reported.result)
}

// Poll returns where the job stands. It waits for no slice of this job.
func (j *Job) Poll() (Report, error) {
	var report rawReport
	result := rawJobPoll(j.id(), &report)
	runtime.KeepAlive(j)
	return told(&report), j.failure(result)
}

// Wait waits for a started job. When ctx ends first the job is cancelled, as of Run. The report is pending where nobody drives
// the job.
func (j *Job) Wait(ctx context.Context) (Report, error) {
	return j.until(ctx, func() (Report, error) { return j.WaitFor(math.MaxInt64) })
}

// WaitFor waits for a started job, but not longer than timeout; then the report is pending, and the job goes on.
func (j *Job) WaitFor(timeout time.Duration) (Report, error) {
	var report rawReport
	result := rawJobWait(j.id(), microseconds(timeout), &report)
	runtime.KeepAlive(j)
	return told(&report), j.failure(result)
}

// until makes a call that may last long, and cancels the job when ctx ends.
func (j *Job) until(ctx context.Context, call func() (Report, error)) (Report, error) {
	if ctx.Err() != nil {
		j.Cancel()
	}
	stop := context.AfterFunc(ctx, func() { j.Cancel() })
	report, err := call()
	stop()
	runtime.KeepAlive(j)
	if report.State == JobCancelled && err != nil && ctx.Err() != nil {
		return report, fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return report, err
}

// Stage returns what the job is at, in a few words, such as "score reference 3/8".
func (j *Job) Stage() (string, error) {
	text, err := readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawJobProgress(j.id(), nil, buffer, needed)
	})
	runtime.KeepAlive(j)
	return text, err
}

// Cancel ends the job before its next slice. Optimiser steps that were applied and rows that were pushed stay. Errors: of a
// job that has failed, its own.
func (j *Job) Cancel() error {
	err := failure(rawJobCancel(j.id()))
	runtime.KeepAlive(j)
	return err
}

// Err returns the error that ended the job, or nil.
func (j *Job) Err() error {
	err := j.failure(rawJobError(j.id()))
	runtime.KeepAlive(j)
	return err
}

// Batch returns the rows that the finished job made, such as the rollouts of [Session.Generate]: each time a batch of its
// own. Errors: [ErrState], it still runs, or makes none; or the job's own.
func (j *Job) Batch() (*Batch, error) {
	var id uint64
	err := j.failure(rawJobBatch(j.id(), &id))
	runtime.KeepAlive(j)
	if err != nil {
		return nil, err
	}
	return ownBatch(id), nil
}

// Model returns the model that the finished job read. Errors: [ErrState], it still runs, or reads none; or the job's own.
func (j *Job) Model() (*Model, error) {
	var id uint64
	err := j.failure(rawJobModel(j.id(), &id))
	runtime.KeepAlive(j)
	if err != nil {
		return nil, err
	}
	return ownModel(id), nil
}

// failure is the job's own error with what its reward function returned, wherever it is told.
func (j *Job) failure(result rawResult) error {
	return explained(failure(result), j.session, &j.cause)
}

// told is a report as Go has it; keel writes it also where the call failed.
func told(report *rawReport) Report {
	return Report{
		State:          JobState(report.state),
		Slices:         uint64(report.slices),
		Elapsed:        time.Duration(report.elapsed_us) * time.Microsecond,
		LongestSlice:   time.Duration(report.longest_slice_us) * time.Microsecond,
		OptimizerSteps: uint64(report.optimizer_steps),
		Progress:       float32(report.progress),
	}
}
