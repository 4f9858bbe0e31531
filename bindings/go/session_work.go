package keel

import "runtime"

// Update makes a job that updates the policy from the rows that were pushed, or from what actors did; ok is false where rows
// or rewards are missing. Errors: [ErrInUse], an update is unfinished; [ErrState], [ErrPoisoned].
func (s *Session) Update() (job *Job, ok bool, err error) {
	var id uint64
	result := rawSessionUpdate(s.id(), &id)
	runtime.KeepAlive(s)
	return madeJobIfAny(result, id, s)
}

// Evaluate makes a job that measures the model in training on the rows of SplitEvaluation; ok is false where there are none.
// Its numbers appear in Metrics and as an event. Errors: [ErrState].
func (s *Session) Evaluate() (job *Job, ok bool, err error) {
	var id uint64
	result := rawSessionEvaluate(s.id(), &id)
	runtime.KeepAlive(s)
	return madeJobIfAny(result, id, s)
}

// Step is Update and [Job.Run] in one, without a context; the report says whether it was done or needs data.
func (s *Session) Step() (Report, error) {
	reported := rawSessionStep(s.id())
	runtime.KeepAlive(s)
	return told(&reported.report), explained(failure(reported.result), s, new(cause))
}

// Generate makes a job that samples responses to a batch of BatchPrompts; the finished job has the rollouts, [Job.Batch]. Json
// is the configuration "generate". Errors: [ErrConfig], [ErrData], [ErrState].
func (s *Session) Generate(prompts *Batch, json string) (*Job, error) {
	var id uint64
	result := rawSessionGenerate(s.id(), prompts.id(), json, &id)
	runtime.KeepAlive(s)
	runtime.KeepAlive(prompts)
	return madeJob(result, id, s)
}

// Save makes a job that writes the whole session to one file: models, optimiser, rows, random streams. Errors: [ErrState],
// [ErrPoisoned]; the job fails with [ErrFile].
func (s *Session) Save(path string) (*Job, error) {
	var id uint64
	result := rawSessionSave(s.id(), path, &id)
	runtime.KeepAlive(s)
	return madeJob(result, id, s)
}

// Restore makes a job that puts the session into the state of a file of Save; a poisoned session is sound again. Errors:
// [ErrInUse], [ErrState]; the job fails with [ErrFile], [ErrFormat].
func (s *Session) Restore(path string) (*Job, error) {
	var id uint64
	result := rawSessionRestore(s.id(), path, &id)
	runtime.KeepAlive(s)
	return madeJob(result, id, s)
}

// Configure makes a job that changes settings, also while an update runs: from the next optimiser step on. Json is some keys
// of the configuration "session". Errors: [ErrConfig], a setting that cannot change; the message tells which can.
func (s *Session) Configure(json string) (*Job, error) {
	var id uint64
	result := rawSessionConfigure(s.id(), json, &id)
	runtime.KeepAlive(s)
	return madeJob(result, id, s)
}

// Publish makes a job that publishes what was learned up to the last optimiser step, also while an update runs. Errors:
// [ErrState], no model; [ErrPoisoned].
func (s *Session) Publish() (*Job, error) {
	var id uint64
	result := rawSessionPublish(s.id(), &id)
	runtime.KeepAlive(s)
	return madeJob(result, id, s)
}

// RollBack makes a job that lets training go on from a version that was published and is kept. Errors:
// [ErrInvalidArgument], a version that is not kept; [ErrInUse], an update is unfinished; [ErrState], [ErrPoisoned].
func (s *Session) RollBack(version uint64) (*Job, error) {
	var id uint64
	result := rawSessionRollBack(s.id(), version, &id)
	runtime.KeepAlive(s)
	return madeJob(result, id, s)
}

// Pause lets the updates, generations and evaluations of the session do no further slice until Resume. It waits for nothing.
func (s *Session) Pause() error {
	err := failure(rawSessionPause(s.id()))
	runtime.KeepAlive(s)
	return err
}

// Resume lets the jobs of the session go on.
func (s *Session) Resume() error {
	err := failure(rawSessionResume(s.id()))
	runtime.KeepAlive(s)
	return err
}
