package keel_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"keel"
)

// collected runs the collector until so many handles live, or fails.
func collected(t *testing.T, expected uint64) {
	t.Helper()
	for range 1000 {
		runtime.GC()
		if keel.LiveHandles() == expected {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d handles live, expected %d", keel.LiveHandles(), expected)
}

// settled is how many handles live when nothing is left to collect.
func settled() uint64 {
	live := keel.LiveHandles()
	for still := 0; still < 5; still++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
		if now := keel.LiveHandles(); now != live {
			live, still = now, 0
		}
	}
	return live
}

func TestCloseEndsAHandleOnce(t *testing.T) {
	before := settled()
	host := must(keel.NewRuntime(""))(t)
	session := must(host.NewSession(grpo))(t)
	model := must(host.NewModel(language))(t)
	batch := must(host.NewBatch(keel.BatchPrompts, 2))(t)
	job := must(host.LoadModel("/nowhere", ""))(t)
	equal(t, "handles", keel.LiveHandles(), before+5)
	for range 3 {
		for _, one := range []interface{ Close() }{host, session, model, batch, job} {
			one.Close()
		}
		equal(t, "handles", keel.LiveHandles(), before)
	}
}

func TestAClosedObjectIsRefused(t *testing.T) {
	host := must(keel.NewRuntime(""))(t)
	session := newSession(t, host, control, ppo)
	actor := must(session.NewActor(""))(t)
	model, blob := must(session.Model(keel.RolePolicy))(t), must(session.Export())(t)
	batch, job := must(host.NewBatch(keel.BatchPrompts, 2))(t), must(session.Publish())(t)
	for _, one := range []interface{ Close() }{host, session, actor, model, blob, batch, job} {
		one.Close()
	}
	closed := []error{
		second(host.Devices()), host.Shutdown(0), second(host.NewBatch(keel.BatchPrompts, 1)),
		second(session.Metrics()), session.Pause(), second(session.Step()), second(session.Push(batch)),
		session.SetReward(func(*keel.Batch, []float32) error { return nil }),
		second(model.Info()), second(model.Encode("text", 0)),
		second(blob.Bytes()), second(batch.Rows()), keel.Set(batch, "prompt", []int32{1, 2}), second(keel.Get[int32](batch, "prompt")),
		second(job.Run(context.Background())), second(job.Poll()), job.Cancel(), job.Err(),
		keel.Act(actor, []uint32{0}, [][2]float32{{}}, []int32{0}, 0), second(new(keel.Batch).Rows()), second(new(keel.Session).Step()),
		new(keel.Session).SetReward(nil),
	}
	for index, err := range closed {
		if message := refused(t, err, keel.ErrInvalidHandle); message == "" {
			t.Errorf("call %d says nothing", index)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTheCollectorEndsWhatWasForgotten(t *testing.T) {
	before := settled()
	func() {
		host := must(keel.NewRuntime(""))(t)
		session := must(host.NewSession(ppo))(t)
		check(t, session.SetModel(keel.RolePolicy, must(host.NewModel(control))(t)))
		must(session.NewActor(""))(t)
		must(session.Publish())(t)
		must(session.Export())(t)
		must(host.NewBatch(keel.BatchPrompts, 1))(t)
	}()
	collected(t, before)
}

// Each call is the last that anybody does with its object: under keeldebug the collector comes between the reading of the
// handle and the call that gets it.
func TestAnObjectLivesUntilItsLastCallReturns(t *testing.T) {
	host := newRuntime(t)
	session, long := longJob(t, host)
	acting := newSession(t, host, control, ppo)
	runtimes := func() *keel.Runtime { return must(keel.NewRuntime(""))(t) }
	models := func() *keel.Model { return must(host.NewModel(language))(t) }
	sessions := func() *keel.Session { return must(host.NewSession(grpo))(t) }
	jobs := func() *keel.Job { return must(session.Publish())(t) }
	batches := func() *keel.Batch {
		batch := must(host.NewBatch(keel.BatchPrompts, 1))(t)
		check(t, keel.Set(batch, "prompt", []int32{1}))
		return batch
	}
	actors := func() *keel.Actor { return must(acting.NewActor(`{"recorded": false}`))(t) }
	calls := []func() error{
		func() error { return second(runtimes().Devices()) },
		func() error { return second(runtimes().Memory()) },
		func() error { return second(runtimes().NewModel(language)) },
		func() error { return second(runtimes().NewBatch(keel.BatchPrompts, 1)) },
		func() error { return second(runtimes().NewSession(grpo)) },
		func() error { return second(models().Info()) },
		func() error { return models().Save(t.TempDir()) },
		func() error { return second(sessions().Config()) },
		func() error { return second(sessions().Metrics()) },
		func() error { return sessions().SetModel(keel.RolePolicy, models()) },
		func() error { return sessions().Pause() },
		func() error { return sessions().Clear() },
		func() error { return sessions().SetReward(func(*keel.Batch, []float32) error { return nil }) },
		func() error { return second(jobs().Poll()) },
		func() error { return second(jobs().Pump(0)) },
		func() error { return second(jobs().Run(context.Background())) },
		func() error { return second(jobs().Wait(context.Background())) },
		func() error { return second(jobs().Stage()) },
		func() error { return jobs().Cancel() },
		func() error { return second(batches().Rows()) },
		func() error { return keel.Set(batches(), "prompt", []int32{2}) },
		func() error { return second(keel.Get[int32](batches(), "prompt")) },
		func() error { return second(session.Generate(batches(), `{"max_new_tokens": 1}`)) },
		func() error { return second(must(session.Export())(t).Bytes()) },
		func() error { return keel.Act(actors(), []uint32{0}, [][2]float32{{}}, []int32{0}, 0) },
	}
	for index, call := range calls {
		if err := call(); err != nil {
			t.Errorf("call %d: %v", index, err)
		}
	}
	check(t, long.Cancel())
}

func TestASessionWithARewardIsCollected(t *testing.T) {
	before := settled()
	func() {
		session := must(must(keel.NewRuntime(""))(t).NewSession(grpo))(t)
		check(t, session.SetReward(func(*keel.Batch, []float32) error { return nil }))
	}()
	collected(t, before)
}

// Goroutines make, use, close and forget, while the collector runs without end.
func TestAStormOfForgottenObjects(t *testing.T) {
	host := newRuntime(t)
	before := settled()
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for object := range objects / 8 {
				if err := forgotten(host, worker+object); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	group.Wait()
	close(stop)
	collected(t, before)
}

func forgotten(host *keel.Runtime, number int) error {
	batch, err := host.NewBatch(keel.BatchPrompts, 2)
	if err != nil {
		return err
	}
	if number%3 == 0 {
		defer batch.Close()
	}
	if err := keel.Set(batch, "prompt", []int32{int32(number), 4}); err != nil {
		return err
	}
	return keel.View(batch, "prompt", func(prompts keel.Column[int32]) error {
		if prompts.Row(0)[0] != int32(number) {
			panic(prompts)
		}
		return nil
	})
}

// Goroutines call and close the same objects at once: each call is done, or says why not.
func TestAStormOnSharedObjects(t *testing.T) {
	host := newRuntime(t)
	for range 20 {
		session, job := longJob(t, host)
		acting := newSession(t, host, control, ppo)
		actor := must(acting.NewActor(`{"recorded": false}`))(t)
		batch := newPrompts(t, host, 4)
		calls := []func() error{
			func() error { return second(batch.Rows()) },
			func() error { return keel.Set(batch, "prompt", []int32{1, 1, 2, 2}) },
			func() error { return second(keel.Get[int32](batch, "prompt")) },
			func() error { return second(session.Push(batch)) },
			func() error { return second(session.Metrics()) },
			func() error { return second(job.Pump(0)) },
			func() error { return second(job.Poll()) },
			func() error { return second(job.Stage()) },
			func() error {
				return keel.Act(actor, []uint32{0}, [][2]float32{{}}, []int32{0}, keel.ActUnrecorded)
			},
			func() error { return session.SetReward(func(*keel.Batch, []float32) error { return nil }) },
		}
		var group sync.WaitGroup
		for worker := range 8 {
			group.Add(1)
			go func() {
				defer group.Done()
				for round := range objects / 20 {
					err := calls[(worker+round)%len(calls)]()
					if err != nil && !slices.ContainsFunc(expected, func(status keel.Status) bool { return errors.Is(err, status) }) {
						t.Error(err)
					}
				}
			}()
		}
		for _, one := range []interface{ Close() }{batch, job, actor, session, acting} {
			time.Sleep(time.Millisecond)
			one.Close()
		}
		group.Wait()
	}
}

// What a call may be told where others close, change or drive the same object; the rows of prompts are none to push.
var expected = []keel.Status{keel.ErrInvalidHandle, keel.ErrConcurrent, keel.ErrData, keel.ErrState}
