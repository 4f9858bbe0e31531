// Bench asks what the Go binding costs above bare cgo: the same functions of keel, idiomatic and bare, in turn in one run.
//
// The last line is JSON: go_ratio, the largest ratio of their times (the median of the rounds' ratios), and how many
// allocations an idiomatic call makes.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"testing"
	"time"

	"keel"
)

const (
	rounds = 201
	budget = 2 * time.Millisecond
)

type observation struct{ place [8]float32 }

type action struct{ way int32 }

// call is one function of keel in both ways.
type call struct {
	name            string
	idiomatic, bare func(times int)
}

func main() {
	log.SetFlags(0)
	host := must(keel.NewRuntime(""))
	defer host.Close()
	worst, allocations := 0.0, 0.0
	for _, one := range calls(host) {
		idiomatic, bare, ratio := measured(one)
		allocated := testing.AllocsPerRun(1000, func() { one.idiomatic(1) })
		fmt.Printf("%-12s idiomatic %6.1f ns, bare %6.1f ns, ratio %.3f, %v allocations\n", one.name, idiomatic, bare, ratio, allocated)
		worst, allocations = max(worst, ratio), max(allocations, allocated)
	}
	check(json.NewEncoder(os.Stdout).Encode(map[string]float64{"go_ratio": worst, "allocations": allocations}))
}

// measured is the medians of both, in ns a call, and of their ratio. Each round begins with the other one.
func measured(one call) (idiomatic, bare, ratio float64) {
	times := 1
	for took(one.bare, times) < budget {
		times *= 2
	}
	var all [3][]float64
	for round := range rounds {
		var both [2]float64
		for turn := range 2 {
			which := (round + turn) % 2
			both[which] = float64(took([]func(int){one.idiomatic, one.bare}[which], times)) / float64(times)
		}
		all[0], all[1], all[2] = append(all[0], both[0]), append(all[1], both[1]), append(all[2], both[0]/both[1])
	}
	return median(all[0]), median(all[1]), median(all[2])
}

func took(run func(times int), times int) time.Duration {
	begin := time.Now()
	run(times)
	return time.Since(begin)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func calls(host *keel.Runtime) []call {
	batch := must(host.NewBatch(keel.BatchPrompts, 16))
	session := must(host.NewSession(`{"algorithm": {"type": "control_ppo"}}`))
	check(session.SetModel(keel.RolePolicy, must(host.NewModel(`{"config": {"model_type": "control", "hidden": [64, 64],
		"observations": [{"type": "vector", "name": "place", "size": 8}],
		"actions": [{"type": "discrete", "name": "way", "choices": 2}]}}`))))
	job := must(session.Publish())
	actor := must(session.NewActor(""))
	tokens := make([]int32, 16)
	found := []call{
		{"Batch.Rows",
			func(times int) {
				for range times {
					must(batch.Rows())
				}
			},
			func(times int) {
				for range times {
					_, status := bareRows(batch.ID())
					sound(status)
				}
			}},
		{"Set",
			func(times int) {
				for range times {
					check(keel.Set(batch, "prompt", tokens))
				}
			},
			func(times int) {
				for range times {
					sound(bareSet(batch.ID(), tokens))
				}
			}},
		{"Job.Poll",
			func(times int) {
				for range times {
					must(job.Poll())
				}
			},
			func(times int) {
				for range times {
					_, status := barePoll(job.ID())
					sound(status)
				}
			}},
	}
	for _, count := range []int{1, 16} {
		slots, observations, actions := make([]uint32, count), make([]observation, count), make([]action, count)
		for slot := range slots {
			slots[slot] = uint32(slot)
		}
		found = append(found, call{fmt.Sprintf("Act %d", count),
			func(times int) {
				for range times {
					check(keel.Act(actor, slots, observations, actions, keel.ActUnrecorded))
				}
			},
			func(times int) {
				for range times {
					sound(bareAct(actor.ID(), slots, observations, actions))
				}
			}})
	}
	return found
}

func sound[Status ~int32](status Status) {
	if status < 0 {
		log.Fatal(status)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}
