package keel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"keel"
)

// A tiny language model, a tiny control network, and sessions of them.
const (
	language = `{"config": {"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 32,
		"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64}}`
	control = `{"config": {"model_type": "control", "hidden": [8],
		"observations": [{"type": "vector", "name": "place", "size": 2}],
		"actions": [{"type": "discrete", "name": "way", "choices": 2}]}}`
	grpo = `{"algorithm": {"type": "grpo"}, "threads": 1}`
	ppo  = `{"algorithm": {"type": "control_ppo", "rollout_steps": 8, "minibatches": 1}}`
)

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return value
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that a call failed with a status, and returns its message.
func refused(t testing.TB, err error, status keel.Status) string {
	t.Helper()
	var failed *keel.Error
	if !errors.Is(err, status) || !errors.As(err, &failed) {
		t.Fatalf("expected %v, got %v", status, err)
	}
	return failed.Message
}

func newRuntime(t testing.TB) *keel.Runtime {
	host := must(keel.NewRuntime(""))(t)
	t.Cleanup(host.Close)
	return host
}

func newSession(t testing.TB, host *keel.Runtime, model, json string) *keel.Session {
	policy := must(host.NewModel(model))(t)
	defer policy.Close()
	session := must(host.NewSession(json))(t)
	t.Cleanup(session.Close)
	check(t, session.SetModel(keel.RolePolicy, policy))
	return session
}

func newPrompts(t testing.TB, host *keel.Runtime, rows int) *keel.Batch {
	prompts := must(host.NewBatch(keel.BatchPrompts, rows))(t)
	t.Cleanup(prompts.Close)
	tokens := make([]int32, rows)
	for row := range tokens {
		tokens[row] = int32(3 + row/2)
	}
	check(t, keel.Set(prompts, "prompt", tokens))
	return prompts
}

// sampled is the rollouts of a finished generation, in groups of two, without rewards.
func sampled(t testing.TB, session *keel.Session, prompts *keel.Batch) *keel.Batch {
	job := must(session.Generate(prompts, `{"max_new_tokens": 4}`))(t)
	defer job.Close()
	must(job.Run(context.Background()))(t)
	rollouts := must(job.Batch())(t)
	t.Cleanup(rollouts.Close)
	groups := make([]uint64, must(rollouts.Rows())(t))
	for row := range groups {
		groups[row] = uint64(row / 2)
	}
	check(t, keel.Set(rollouts, "group", groups))
	return rollouts
}

// rewarded gives rollouts rewards that differ.
func rewarded(t testing.TB, rollouts *keel.Batch) *keel.Batch {
	rewards := make([]float32, must(rollouts.Rows())(t))
	for row := range rewards {
		rewards[row] = float32(row % 2)
	}
	check(t, keel.Set(rollouts, "reward", rewards))
	return rollouts
}

// longJob is an update that takes thousands of slices.
func longJob(t testing.TB, host *keel.Runtime) (*keel.Session, *keel.Job) {
	session := newSession(t, host, language, `{"algorithm": {"type": "grpo", "epochs": 1000}, "threads": 1}`)
	must(session.Push(rewarded(t, sampled(t, session, newPrompts(t, host, 16)))))(t)
	job, ok, err := session.Update()
	check(t, err)
	if !ok {
		t.Fatal("the update wants more rows")
	}
	t.Cleanup(job.Close)
	return session, job
}

func equal[T comparable](t testing.TB, what string, got, expected T) {
	t.Helper()
	if got != expected {
		t.Fatalf("%s: expected %v, got %v", what, expected, got)
	}
}

func sprint(values ...any) string { return fmt.Sprint(values...) }
