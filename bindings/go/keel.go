// Package keel hosts keel, an embeddable alignment-training runtime: a process loads or makes a model, pushes what
// happened (texts, rollouts, rewards, preferences, the steps of actors) and updates the model in process, in pieces of
// its own frame if it likes.
//
// The nouns are those of keel.h: [Runtime], [Model], [Batch], [Session], [Job], [Actor], [Blob]. What a call does is
// what the function of the same name does there.
//
//	host, err := keel.NewRuntime("")
//	policy, err := host.NewModel(`{"config": {"model_type": "llama", ...}}`)
//	session, err := host.NewSession(`{"algorithm": {"type": "grpo"}}`)
//	err = session.SetModel(keel.RolePolicy, policy)
//	job, err := session.Generate(prompts, `{"max_new_tokens": 32}`)
//	report, err := job.Run(ctx)
//
// # Errors
//
// A call that fails returns an [*Error] with keel's [Status] and its sentence: what argument, what was expected, what was
// found. Each status is itself an error to compare with: errors.Is(err, keel.ErrConfig). What is no failure is no error:
// that a job has more to do stands in its [Report], that there is nothing to take is a false ok.
//
// # Lifetimes
//
// Close ends an object; it waits for nothing but a session's reward function, may be called again, and what others still use
// lives on. A call on a closed object returns [ErrInvalidHandle]. The garbage collector closes what was forgotten, some time: a net, not a plan.
//
// # Memory
//
// keel reads the slices that it is given in place, during the call, and keeps none. [Set], [Act] and [Observe] copy nothing
// on their way. [Get] and [Batch.Text] return copies; [View], [Batch.ViewText] and [Blob.View] lend keel's own memory to a
// function until it returns. Built with the tag keeldebug, what they lend is write-protected, and unmapped when the
// function returns, so that a program that breaks the rule stops there; and the collector runs whenever a handle is read,
// so that an object that is not kept alive fails at once.
//
// # Goroutines
//
// Any goroutine may call anything, unless a second one is inside a call on the same job, actor or batch that admits one at
// a time: that returns [ErrConcurrent], and nothing was done. A call of keel holds an operating system thread while it runs.
//
// # Configurations
//
// Configurations are JSON, read strictly; "" stands for the defaults. [ConfigSchema] tells every key.
package keel

// Version returns the version of the loaded library, such as "0.1.0".
func Version() string {
	return rawVersion()
}

// ABIVersion returns the ABI that the loaded library speaks: major<<16 | minor.
func ABIVersion() uint32 {
	return rawAbiVersion()
}

// BuildInfo returns what was loaded, as JSON: versions, the build's profile, optional parts, devices, paths.
func BuildInfo() (string, error) {
	return readText(rawBuildInfo)
}

// ConfigSchema returns the JSON Schema of a configuration: names, types, ranges, defaults, meanings. Kind is "runtime",
// "load", "create", "control", "control_reward", "generate", "session", or "columns" for the columns of a batch.
func ConfigSchema(kind string) (string, error) {
	return readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawConfigSchema(kind, buffer, needed)
	})
}

// LiveHandles returns how many objects of all kinds the process has made and not yet closed.
func LiveHandles() uint64 {
	return rawLiveHandles()
}
