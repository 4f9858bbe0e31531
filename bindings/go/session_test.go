package keel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"keel"
)

// done runs what a call made to its end.
func done(t *testing.T, job *keel.Job, err error) {
	t.Helper()
	check(t, err)
	defer job.Close()
	if report := must(job.Run(context.Background()))(t); !report.Done() {
		t.Fatal(report)
	}
}

func TestAStateIsSavedAndComesBack(t *testing.T) {
	host := newRuntime(t)
	session := newSession(t, host, language, grpo)
	path := filepath.Join(t.TempDir(), "état.keel")
	job, err := session.Save(path)
	done(t, job, err)
	first := must(session.StateHash())(t)
	blob := must(session.Export())(t)
	defer blob.Close()
	exported := must(blob.Bytes())(t)

	must(session.Push(rewarded(t, sampled(t, session, newPrompts(t, host, 8)))))(t)
	must(session.Step())(t)
	if must(session.StateHash())(t) == first {
		t.Fatal("nothing was learned")
	}
	job, err = session.Restore(path)
	done(t, job, err)
	equal(t, "the restored state", must(session.StateHash())(t), first)

	opened := must(host.OpenSession(path))(t)
	defer opened.Close()
	equal(t, "the opened state", must(opened.StateHash())(t), first)
	check(t, opened.Import(exported))
	equal(t, "the imported state", must(opened.StateHash())(t), first)
	refused(t, opened.Import(exported[:100]), keel.ErrFormat)
	refused(t, opened.Import(nil), keel.ErrFormat)

	var written bytes.Buffer
	equal(t, "bytes written", must(blob.WriteTo(&written))(t), int64(len(exported)))
	equal(t, "what was written", bytes.Equal(written.Bytes(), exported), true)
	_, err = host.OpenSession("/no/such/file")
	refused(t, err, keel.ErrFile)
}

func TestASessionTellsWhatItIs(t *testing.T) {
	host := newRuntime(t)
	session := newSession(t, host, control, ppo)
	for name, text := range map[string]string{
		"Config": must(session.Config())(t), "Layout": must(session.Layout())(t), "Metrics": must(session.Metrics())(t),
		"Devices": must(host.Devices())(t), "Memory": must(host.Memory())(t), "BuildInfo": must(keel.BuildInfo())(t),
		"ConfigSchema": must(keel.ConfigSchema("session"))(t),
	} {
		if !json.Valid([]byte(text)) {
			t.Errorf("%s: %q", name, text)
		}
	}
	if len(must(keel.ConfigSchema("session"))(t)) < 10_000 {
		t.Fatal("a long text was cut")
	}
	if version := keel.Version(); strings.Count(version, ".") != 2 || keel.ABIVersion() == 0 {
		t.Fatal(version)
	}
}

func TestALiveSessionIsChanged(t *testing.T) {
	host := newRuntime(t)
	session := newSession(t, host, language, `{"algorithm": {"type": "grpo"}, "kept_versions": 2, "threads": 1}`)
	job, err := session.Configure(`{"optimizer": {"learning_rate": 0.125}}`)
	done(t, job, err)
	if config := must(session.Config())(t); !strings.Contains(config, "0.125") {
		t.Fatal(config)
	}
	_, err = session.Configure(`{"algorithm": {"type": "sft"}}`)
	refused(t, err, keel.ErrConfig)
	must(session.Push(rewarded(t, sampled(t, session, newPrompts(t, host, 8)))))(t)
	must(session.Step())(t)
	job, err = session.Publish()
	done(t, job, err)
	job, err = session.RollBack(1)
	done(t, job, err)
	_, err = session.RollBack(99)
	refused(t, err, keel.ErrInvalidArgument)
	check(t, session.Clear())
	_, ok, err := session.Evaluate()
	if err == nil && ok {
		t.Fatal("there is nothing to evaluate")
	}
}

func TestAFullQueueIsAnError(t *testing.T) {
	host := newRuntime(t)
	session := newSession(t, host, language, `{"algorithm": {"type": "grpo"}, "threads": 1, "queue_capacity": 6}`)
	_, err := session.Push(sampled(t, session, newPrompts(t, host, 8)))
	if message := refused(t, err, keel.ErrFull); !strings.Contains(message, "6") {
		t.Fatal(message)
	}
	equal(t, "Error()", strings.HasPrefix(err.Error(), "KEEL_FULL: "), true)

	acting := newSession(t, host, control, `{"algorithm": {"type": "control_ppo", "rollout_steps": 8, "minibatches": 1}, "queue_capacity": 8}`)
	actor := must(acting.NewActor(""))(t)
	defer actor.Close()
	slots, running := []uint32{0}, []keel.EpisodeStatus{keel.EpisodeRunning}
	for err = nil; err == nil; {
		if err = keel.Act(actor, slots, [][2]float32{{}}, []int32{0}, 0); err == nil {
			err = keel.Observe[[2]float32](actor, slots, []float32{1}, running, nil)
		}
	}
	refused(t, err, keel.ErrFull)
}

func TestWrongSessionsAreRefused(t *testing.T) {
	host := newRuntime(t)
	_, err := host.NewSession(`{"algorithm": {"type": "grop"}}`)
	if message := refused(t, err, keel.ErrConfig); !strings.Contains(message, "grpo") {
		t.Fatal(message)
	}
	session := must(host.NewSession(grpo))(t)
	defer session.Close()
	_, err = session.Model(keel.RolePolicy)
	refused(t, err, keel.ErrState)
	_, err = session.NewActor("")
	refused(t, err, keel.ErrState)
	_, err = session.Layout()
	refused(t, err, keel.ErrState)
	batch := newPrompts(t, host, 2)
	_, err = session.Push(batch)
	refused(t, err, keel.ErrData)
	policy := must(host.NewModel(language))(t)
	defer policy.Close()
	refused(t, session.SetModel(77, policy), keel.ErrInvalidArgument)
	check(t, session.SetModel(keel.RolePolicy, policy))
	_, err = session.Generate(batch, `{"max_new_tokens": -1}`)
	refused(t, err, keel.ErrConfig)
	refused(t, session.Reward([]uint64{1}, nil), keel.ErrShape)
	refused(t, session.Reward([]uint64{1}, []float32{1}), keel.ErrData)
	check(t, session.Reward(nil, nil))
}
