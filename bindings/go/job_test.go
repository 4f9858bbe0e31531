package keel_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"keel"
)

func TestThreeDriversComeToTheSame(t *testing.T) {
	host := newRuntime(t)
	drivers := map[string]func(job *keel.Job) (keel.Report, error){
		"Run": func(job *keel.Job) (keel.Report, error) { return job.Run(context.Background()) },
		"Pump": func(job *keel.Job) (keel.Report, error) {
			for {
				report, err := job.Pump(time.Millisecond)
				if err != nil || !report.Pending() {
					return report, err
				}
			}
		},
		"Start": func(job *keel.Job) (keel.Report, error) {
			if err := job.Start(); err != nil {
				return keel.Report{}, err
			}
			return job.Wait(context.Background())
		},
	}
	states := map[uint64]bool{}
	for name, drive := range drivers {
		session := newSession(t, host, language, grpo)
		must(session.Push(rewarded(t, sampled(t, session, newPrompts(t, host, 8)))))(t)
		job, ok, err := session.Update()
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		report := must(drive(job))(t)
		if !report.Done() || report.Progress != 1 || report.Slices == 0 || report.OptimizerSteps == 0 {
			t.Fatalf("%s: %+v", name, report)
		}
		check(t, job.Err())
		states[must(session.StateHash())(t)] = true
		job.Close()
	}
	equal(t, "states", len(states), 1)
}

// bothErrors checks that a job was cancelled because a context ended.
func bothErrors(t *testing.T, err, of error) {
	t.Helper()
	if !errors.Is(err, of) || !errors.Is(err, keel.ErrCancelled) {
		t.Fatalf("expected %v and ErrCancelled, got %v", of, err)
	}
}

func TestACancelledContextCancelsWhatRuns(t *testing.T) {
	_, job := longJob(t, newRuntime(t))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for {
			if report, err := job.Poll(); err != nil || report.Slices > 0 {
				break
			}
		}
		cancel()
	}()
	report, err := job.Run(ctx)
	bothErrors(t, err, context.Canceled)
	equal(t, "state", report.State, keel.JobCancelled)
	if report.Progress >= 1 {
		t.Fatal("it ran to its end")
	}
	refused(t, job.Err(), keel.ErrCancelled)
	_, err = job.Run(context.Background())
	refused(t, err, keel.ErrCancelled)
}

func TestAContextThatHasEndedLetsNothingRun(t *testing.T) {
	_, job := longJob(t, newRuntime(t))
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	report, err := job.Run(ctx)
	bothErrors(t, err, context.DeadlineExceeded)
	equal(t, "slices", report.Slices, 0)
}

func TestAContextThatEndsLeavesAFinishedJobAlone(t *testing.T) {
	host := newRuntime(t)
	session := newSession(t, host, language, grpo)
	job := must(session.Publish())(t)
	defer job.Close()
	must(job.Run(context.Background()))(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if report := must(job.Run(ctx))(t); !report.Done() {
		t.Fatal(report)
	}
}

func TestACancelledContextCancelsWhatWasStarted(t *testing.T) {
	session, job := longJob(t, newRuntime(t))
	check(t, session.Pause())
	check(t, job.Start())
	report := must(job.WaitFor(time.Millisecond))(t)
	equal(t, "state", report.State, keel.JobPending)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := job.Wait(ctx)
	bothErrors(t, err, context.DeadlineExceeded)
}

func TestWaitReturnsWhereNobodyDrives(t *testing.T) {
	_, job := longJob(t, newRuntime(t))
	equal(t, "state", must(job.Wait(context.Background()))(t).State, keel.JobPending)
}

func TestAPausedJobIsPending(t *testing.T) {
	session, job := longJob(t, newRuntime(t))
	check(t, session.Pause())
	equal(t, "state", must(job.Run(context.Background()))(t).State, keel.JobPending)
	equal(t, "state", must(job.Pump(-time.Second))(t).Slices, 0)
	check(t, session.Resume())
	equal(t, "slices of a budget below nothing", must(job.Pump(-time.Second))(t).Slices, 1)
	if stage := must(job.Stage())(t); stage == "" {
		t.Fatal("no stage")
	}
	check(t, job.Cancel())
}

func TestAJobHasOneDriver(t *testing.T) {
	_, job := longJob(t, newRuntime(t))
	check(t, job.Start())
	_, err := job.Run(context.Background())
	refused(t, err, keel.ErrConcurrent)
	check(t, job.Cancel())
	_, err = job.Wait(context.Background())
	refused(t, err, keel.ErrCancelled)
}

func TestAFailedJobSaysWhy(t *testing.T) {
	job := must(newRuntime(t).LoadModel("/no/such/model", ""))(t)
	defer job.Close()
	for range 2 {
		_, err := job.Run(context.Background())
		refused(t, err, keel.ErrFile)
	}
	refused(t, job.Err(), keel.ErrFile)
	refused(t, second(job.Model()), keel.ErrFile)
}

func TestEventsAreTaken(t *testing.T) {
	host := newRuntime(t)
	session := newSession(t, host, language, grpo)
	must(session.Push(rewarded(t, sampled(t, session, newPrompts(t, host, 8)))))(t)
	if report := must(session.Step())(t); !report.Done() {
		t.Fatal(report)
	}
	event, ok, err := host.NextEvent(session.ID())
	if err != nil || !ok || event[0] != '{' {
		t.Fatal(event, ok, err)
	}
	for ok {
		_, ok, err = host.NextEvent(0)
		check(t, err)
	}
}

func TestStartedJobsRunOnGoroutinesOfTheHost(t *testing.T) {
	host := newRuntime(t)
	session := newSession(t, host, language, grpo)
	var works sync.WaitGroup
	check(t, host.SetThreadStarter(func(work func()) error {
		works.Add(1)
		go func() {
			defer works.Done()
			work()
		}()
		return nil
	}))
	job := must(session.Generate(newPrompts(t, host, 2), `{"max_new_tokens": 2}`))(t)
	defer job.Close()
	check(t, job.Start())
	if report := must(job.Wait(context.Background()))(t); !report.Done() {
		t.Fatal(report)
	}
	works.Wait()
	for _, refuse := range []func(func()) error{
		func(func()) error { return errors.New("no thread") },
		func(func()) error { panic("no thread") },
	} {
		check(t, host.SetThreadStarter(refuse))
		job := must(session.Publish())(t)
		refused(t, job.Start(), keel.ErrCallback)
		job.Close()
	}
	check(t, host.SetThreadStarter(nil))
	check(t, host.Shutdown(time.Minute))
}
