// Two tiny runs in this process: a language model is aligned, then a walker learns its way. The same program stands beside
// this one in C, C++, Rust and C#; all print the same numbers.
package main

import (
	"fmt"
	"log"
	"time"

	"keel"
)

const (
	rows    = 16
	rounds  = 4
	walkers = 4
	places  = 8
	longest = 16
	steps   = 64
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d handles left\n", keel.LiveHandles())
}

func run() error {
	host, err := keel.NewRuntime("")
	if err != nil {
		return err
	}
	defer host.Close()
	if err := align(host); err != nil {
		return err
	}
	return control(host)
}

// align samples responses and rewards those with more even tokens more; GRPO makes them likelier.
func align(host *keel.Runtime) error {
	session, err := sessionOf(host, `{
		"config": {
			"model_type": "llama", "vocab_size": 32, "hidden_size": 32, "intermediate_size": 64,
			"num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64
		},
		"initialization": "fan_in"
	}`, `{"algorithm": {"type": "grpo"}, "optimizer": {"learning_rate": 0.01}, "threads": 1}`)
	if err != nil {
		return err
	}
	defer session.Close()

	tokens, groups := make([]int32, rows), make([]uint64, rows) // four responses to each of four prompts
	for row := range rows {
		tokens[row], groups[row] = int32(3+row/4), uint64(row/4)
	}
	prompts, err := host.NewBatch(keel.BatchPrompts, rows)
	if err != nil {
		return err
	}
	defer prompts.Close()
	if err := keel.Set(prompts, "prompt", tokens); err != nil {
		return err
	}
	for round := 1; round <= rounds; round++ {
		even, sampled, err := practise(session, prompts, groups, round)
		if err != nil {
			return err
		}
		state, err := update(session)
		if err != nil {
			return err
		}
		fmt.Printf("alignment %d: %d of %d tokens even, state %d\n", round, even, sampled, state)
	}
	return nil
}

// practise samples a response to each prompt and pushes them with their rewards: how many of their tokens are even.
func practise(session *keel.Session, prompts *keel.Batch, groups []uint64, seed int) (even, sampled int, err error) {
	job, err := session.Generate(prompts, fmt.Sprintf(`{"max_new_tokens": 8, "seed": %d}`, seed))
	if err != nil {
		return 0, 0, err
	}
	defer job.Close()
	if err := finish(job); err != nil {
		return 0, 0, err
	}
	rollouts, err := job.Batch()
	if err != nil {
		return 0, 0, err
	}
	defer rollouts.Close()

	rewards := make([]float32, rows)
	err = keel.View(rollouts, "response", func(responses keel.Column[int32]) error {
		for row := range rewards {
			for _, token := range responses.Row(row) {
				if token%2 == 0 {
					rewards[row]++
				}
			}
			even += int(rewards[row])
		}
		sampled = len(responses.Values)
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	if err := keel.Set(rollouts, "reward", rewards); err != nil {
		return 0, 0, err
	}
	if err := keel.Set(rollouts, "group", groups); err != nil {
		return 0, 0, err
	}
	_, err = session.Push(rollouts)
	return even, sampled, err
}

// walker is on a line of places: at its right end there is a reward, at its left end nothing, and both end the episode.
type walker struct {
	place, age int
}

// walk takes a step, and begins anew where the episode ends.
func (w *walker) walk(way int32) (reached int, status keel.EpisodeStatus, last float32) {
	w.place += 2*int(way) - 1
	w.age++
	last = float32(w.place) / places
	switch {
	case w.place == places || w.place == 0:
		reached, status = w.place/places, keel.EpisodeTerminated
	case w.age == longest:
		status = keel.EpisodeTruncated
	default:
		return 0, keel.EpisodeRunning, last
	}
	*w = walker{place: 4}
	return reached, status, last
}

// control has walkers learn their way.
func control(host *keel.Runtime) error {
	session, err := sessionOf(host, `{
		"config": {
			"model_type": "control", "hidden": [16],
			"observations": [{"type": "vector", "name": "place", "size": 1}],
			"actions": [{"type": "discrete", "name": "way", "choices": 2}]
		}
	}`, `{
		"algorithm": {"type": "control_ppo", "rollout_steps": 240, "minibatches": 4},
		"optimizer": {"learning_rate": 0.01}
	}`)
	if err != nil {
		return err
	}
	defer session.Close()
	actor, err := session.NewActor("")
	if err != nil {
		return err
	}
	defer actor.Close()

	all := [walkers]walker{{place: 4}, {place: 4}, {place: 4}, {place: 4}}
	for round := 1; round <= rounds; round++ {
		goals := 0
		for range steps {
			reached, err := step(actor, all[:])
			if err != nil {
				return err
			}
			goals += reached
		}
		state, err := update(session)
		if err != nil {
			return err
		}
		fmt.Printf("control %d: %d goals, state %d\n", round, goals, state)
	}
	return nil
}

// step has every walker take a step, and returns how many reached the goal.
func step(actor *keel.Actor, all []walker) (goals int, err error) {
	slots := []uint32{0, 1, 2, 3}
	var observations, rewards [walkers]float32
	var ways [walkers]int32
	var status [walkers]keel.EpisodeStatus
	var cut []float32
	for i, walker := range all {
		observations[i] = float32(walker.place) / places
	}
	if err := keel.Act(actor, slots, observations[:], ways[:], 0); err != nil {
		return 0, err
	}
	for i := range all {
		reached, became, last := all[i].walk(ways[i])
		goals += reached
		rewards[i], status[i] = float32(reached), became
		if became == keel.EpisodeTruncated {
			cut = append(cut, last)
		}
	}
	return goals, keel.Observe(actor, slots, rewards[:], status[:], cut)
}

// sessionOf makes a session with a policy of its own.
func sessionOf(host *keel.Runtime, modelJSON, sessionJSON string) (*keel.Session, error) {
	policy, err := host.NewModel(modelJSON)
	if err != nil {
		return nil, err
	}
	defer policy.Close()
	session, err := host.NewSession(sessionJSON)
	if err != nil {
		return nil, err
	}
	return session, session.SetModel(keel.RolePolicy, policy)
}

func update(session *keel.Session) (state uint64, err error) {
	job, ok, err := session.Update()
	if err != nil || !ok {
		return 0, err
	}
	defer job.Close()
	if err := finish(job); err != nil {
		return 0, err
	}
	return session.StateHash()
}

// finish drives a job. A game would draw a frame between two calls of Pump; each takes 2 ms of it.
func finish(job *keel.Job) error {
	for {
		report, err := job.Pump(2 * time.Millisecond)
		if err != nil || !report.Pending() {
			return err
		}
	}
}
