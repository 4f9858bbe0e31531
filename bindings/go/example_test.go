package keel_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"keel"
)

const tinyLanguage = `{
	"config": {
		"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 32,
		"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64
	}
}`

const tinyControl = `{
	"config": {
		"model_type": "control", "hidden": [8],
		"observations": [{"type": "vector", "name": "place", "size": 2}],
		"actions": [{"type": "discrete", "name": "way", "choices": 2}]
	}
}`

// exampleSession is a session with a policy; a host checks each error.
func exampleSession(host *keel.Runtime, modelJSON, sessionJSON string) *keel.Session {
	policy, err := host.NewModel(modelJSON)
	if err != nil {
		log.Fatal(err)
	}
	defer policy.Close()
	session, err := host.NewSession(sessionJSON)
	if err != nil {
		log.Fatal(err)
	}
	if err := session.SetModel(keel.RolePolicy, policy); err != nil {
		log.Fatal(err)
	}
	return session
}

func exampleRuntime() *keel.Runtime {
	host, err := keel.NewRuntime("")
	if err != nil {
		log.Fatal(err)
	}
	return host
}

// A failed call says what is wrong, and each status can be asked for.
func ExampleError() {
	_, err := keel.NewRuntime(`{"learner_threads": 1}`)
	var failed *keel.Error
	if errors.Is(err, keel.ErrConfig) && errors.As(err, &failed) {
		fmt.Println(failed.Status, failed.Message)
	}
	// Output: KEEL_E_CONFIG /learner_threads: expected an object, got 1
}

// Responses are sampled, rewarded by how many of their tokens are even, and learned from.
func ExampleSession_Generate() {
	host := exampleRuntime()
	defer host.Close()
	session := exampleSession(host, tinyLanguage, `{"algorithm": {"type": "grpo"}, "threads": 1}`)
	defer session.Close()

	prompts, err := host.NewBatch(keel.BatchPrompts, 4)
	if err != nil {
		log.Fatal(err)
	}
	defer prompts.Close()
	if err := keel.SetRows(prompts, "prompt", [][]int32{{3, 4}, {3, 4}, {3, 4}, {3, 4}}); err != nil {
		log.Fatal(err)
	}
	job, err := session.Generate(prompts, `{"max_new_tokens": 8}`)
	if err != nil {
		log.Fatal(err)
	}
	defer job.Close()
	if _, err := job.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	rollouts, err := job.Batch()
	if err != nil {
		log.Fatal(err)
	}
	defer rollouts.Close()

	rewards := make([]float32, 4)
	err = keel.View(rollouts, "response", func(responses keel.Column[int32]) error {
		for row := range rewards {
			for _, token := range responses.Row(row) {
				rewards[row] += float32(1 - token%2)
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := errors.Join(
		keel.Set(rollouts, "reward", rewards),
		keel.Set(rollouts, "group", []uint64{0, 0, 0, 0}),
	); err != nil {
		log.Fatal(err)
	}
	if _, err := session.Push(rollouts); err != nil {
		log.Fatal(err)
	}
	report, err := session.Step()
	fmt.Println(report.Done(), err)
	// Output: true <nil>
}

// A job is driven in pieces between the frames of a game.
func ExampleJob_Pump() {
	host := exampleRuntime()
	defer host.Close()
	session := exampleSession(host, tinyLanguage, `{"algorithm": {"type": "sft"}, "threads": 1}`)
	defer session.Close()
	job, err := session.Publish()
	if err != nil {
		log.Fatal(err)
	}
	defer job.Close()
	for {
		report, err := job.Pump(2 * time.Millisecond)
		if err != nil {
			log.Fatal(err)
		}
		if !report.Pending() {
			fmt.Println("done:", report.Done())
			break
		}
		// here the game draws its frame
	}
	// Output: done: true
}

// A context that ends cancels the job.
func ExampleJob_Run() {
	host := exampleRuntime()
	defer host.Close()
	session := exampleSession(host, tinyLanguage, `{"algorithm": {"type": "sft"}, "threads": 1}`)
	defer session.Close()
	job, err := session.Publish()
	if err != nil {
		log.Fatal(err)
	}
	defer job.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = job.Run(ctx)
	fmt.Println(errors.Is(err, context.Canceled), errors.Is(err, keel.ErrCancelled))
	// Output: true true
}

// A judge in Go scores rollouts in the middle of an update; its error comes back from the job.
func ExampleSession_SetReward() {
	host := exampleRuntime()
	defer host.Close()
	session := exampleSession(host, tinyLanguage, `{"algorithm": {"type": "grpo"}}`)
	defer session.Close()
	err := session.SetReward(func(rollouts *keel.Batch, rewards []float32) error {
		return keel.View(rollouts, "response", func(responses keel.Column[int32]) error {
			for row := range rewards {
				rewards[row] = float32(len(responses.Row(row)))
			}
			return nil
		})
	})
	fmt.Println(err)
	// Output: <nil>
}

// Two walkers act; the records of observations and actions are plain structs.
func ExampleAct() {
	type place struct{ x, y float32 }
	type way struct{ choice int32 }
	host := exampleRuntime()
	defer host.Close()
	session := exampleSession(host, tinyControl, `{"algorithm": {"type": "control_ppo", "rollout_steps": 8, "minibatches": 1}}`)
	defer session.Close()
	actor, err := session.NewActor("")
	if err != nil {
		log.Fatal(err)
	}
	defer actor.Close()

	slots, ways := []uint32{0, 1}, make([]way, 2)
	if err := keel.Act(actor, slots, []place{{0, 1}, {1, 0}}, ways, 0); err != nil {
		log.Fatal(err)
	}
	status := []keel.EpisodeStatus{keel.EpisodeRunning, keel.EpisodeTruncated}
	err = keel.Observe(actor, slots, []float32{0, 1}, status, []place{{2, 2}})
	fmt.Println(len(ways), err)
	// Output: 2 <nil>
}

// Text is laid one row after the other; tokens that a model with a tokenizer sampled come back as text.
func ExampleBatch_Text() {
	host := exampleRuntime()
	defer host.Close()
	batch, err := host.NewBatch(keel.BatchDemonstrations, 2)
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()
	if err := batch.SetText("prompt", []string{"Good morning", "Grüß Gott"}); err != nil {
		log.Fatal(err)
	}
	rows, err := batch.Text("prompt")
	fmt.Println(rows[1], err)
	// Output: Grüß Gott <nil>
}
