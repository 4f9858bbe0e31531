package keel

import "runtime"

// Session is one policy being aligned: its method, its rows, its optimiser.
type Session struct {
	handle
	judge *judge
}

// Role is what a model is to a session: RolePolicy and the others.
type Role int32

func madeSession(result rawResult, id uint64) (*Session, error) {
	if err := failure(result); err != nil {
		return nil, err
	}
	made := &Session{judge: newJudge()}
	made.value.Store(id)
	made.net = runtime.AddCleanup(made, endSession, ended{id, made.judge})
	return made, nil
}

// ended is what is left to end of a session.
type ended struct {
	id    uint64
	judge *judge
}

// endSession ends the session and its reward function, which an update that still runs will not call any more.
func endSession(session ended) {
	session.judge.dismiss(session.id)
	rawSessionDestroy(session.id)
}

// NewSession makes a session from the configuration "session", which names the algorithm: {"algorithm": {"type": "sft"}}. Give
// it its policy with SetModel. Errors: [ErrConfig], [ErrDevice].
func (r *Runtime) NewSession(json string) (*Session, error) {
	var id uint64
	result := rawSessionCreate(r.id(), json, &id)
	runtime.KeepAlive(r)
	return madeSession(result, id)
}

// OpenSession makes a session from a file of [Session.Save], with its models, its optimiser and its rows. Errors: [ErrFile],
// [ErrFormat], [ErrDevice], [ErrUnsupported].
func (r *Runtime) OpenSession(path string) (*Session, error) {
	var id uint64
	result := rawSessionOpen(r.id(), path, &id)
	runtime.KeepAlive(r)
	return madeSession(result, id)
}

// Close ends the session and its reward function; it waits for a call of that on another goroutine. Jobs of the session that
// are still driven go on to their end.
func (s *Session) Close() {
	if id := s.release(); id != 0 {
		endSession(ended{id, s.judge})
	}
	runtime.KeepAlive(s)
}

// ID returns the number that keel has for the session, the source of its events; 0 if it was closed.
func (s *Session) ID() uint64 { return s.value.Load() }

// SetModel gives the session a model for a role. The weights of the model in training belong to the session from then on;
// every other use of that model reads the last published ones. Errors: [ErrInUse], another session trains it, or an update
// is unfinished; [ErrState], [ErrShape], [ErrDevice].
func (s *Session) SetModel(role Role, model *Model) error {
	err := failure(rawSessionSetModel(s.id(), int32(role), "", model.id()))
	runtime.KeepAlive(s)
	runtime.KeepAlive(model)
	return err
}

// Model returns the model of a role. Errors: [ErrState], the role has none.
func (s *Session) Model(role Role) (*Model, error) {
	var id uint64
	err := failure(rawSessionModel(s.id(), int32(role), "", &id))
	runtime.KeepAlive(s)
	if err != nil {
		return nil, err
	}
	return ownModel(id), nil
}

// Config returns the whole configuration of the session as JSON, with every default filled in.
func (s *Session) Config() (string, error) {
	text, err := readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawSessionConfig(s.id(), buffer, needed)
	})
	runtime.KeepAlive(s)
	return text, err
}

// Layout returns where each group of the observation and action records of a control policy lies, as JSON: what the structs
// given to [Act] must look like. Errors: [ErrState], no policy, or none of control.
func (s *Session) Layout() (string, error) {
	text, err := readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawSessionLayout(s.id(), buffer, needed)
	})
	runtime.KeepAlive(s)
	return text, err
}

// Metrics returns the numbers of the last finished update and evaluation as JSON. It may be called while a job runs.
func (s *Session) Metrics() (string, error) {
	text, err := readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawSessionMetrics(s.id(), buffer, needed)
	})
	runtime.KeepAlive(s)
	return text, err
}

// StateHash returns a number that is equal for equal states: weights, optimiser, rows, random streams. It waits for the slice
// that a job of the session runs.
func (s *Session) StateHash() (uint64, error) {
	var hash uint64
	err := failure(rawSessionStateHash(s.id(), &hash))
	runtime.KeepAlive(s)
	return hash, err
}

// Export returns what Save would write, in memory. Errors: [ErrState], [ErrPoisoned].
func (s *Session) Export() (*Blob, error) {
	var id uint64
	err := failure(rawSessionExport(s.id(), &id))
	runtime.KeepAlive(s)
	if err != nil {
		return nil, err
	}
	made := new(Blob)
	return own(made, &made.handle, id, rawBlobDestroy), nil
}
