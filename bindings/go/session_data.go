package keel

import (
	"runtime"
	"unsafe"
)

// Push adds the rows of a batch, all of them or none, and returns the id of the first; the others follow one by one. Rows
// that are pushed while an update runs belong to the next one. Errors: [ErrData], [ErrShape], [ErrState]; [ErrFull], they would
// be more than "queue_capacity" allows.
func (s *Session) Push(batch *Batch) (firstID uint64, err error) {
	err = failure(rawSessionPush(s.id(), batch.id(), &firstID))
	runtime.KeepAlive(s)
	runtime.KeepAlive(batch)
	return firstID, err
}

// Reward sets the rewards of rows that wait for an update: for each id of Push as many as the algorithm has rewards, one
// unless configured. Errors: [ErrShape], [ErrNonFinite], [ErrState]; [ErrData], an id that is not waiting, or twice.
func (s *Session) Reward(ids []uint64, rewards []float32) error {
	err := failure(rawSessionReward(s.id(), unsafe.SliceData(ids), len(ids), unsafe.SliceData(rewards), len(rewards)))
	runtime.KeepAlive(s)
	return err
}

// TakeQueries returns rollouts that wait for their rewards, each with its id in the column "id"; ok is false where nothing is
// needed. A rollout is asked about once. Errors: [ErrState], the algorithm takes no rewards.
func (s *Session) TakeQueries() (queries *Batch, ok bool, err error) {
	var id uint64
	result := rawSessionTakeQueries(s.id(), &id)
	runtime.KeepAlive(s)
	if result.status > 0 {
		return nil, false, nil
	}
	queries, err = madeBatch(result, id)
	return queries, err == nil, err
}

// Answer answers queries: ids from their column "id", and the rewards as of Reward. Errors as of Reward.
func (s *Session) Answer(ids []uint64, rewards []float32) error {
	err := failure(rawSessionAnswer(s.id(), unsafe.SliceData(ids), len(ids), unsafe.SliceData(rewards), len(rewards)))
	runtime.KeepAlive(s)
	return err
}

// Clear drops all rows that no update has taken; of a control policy the finished steps, and episodes go on.
func (s *Session) Clear() error {
	err := failure(rawSessionClear(s.id()))
	runtime.KeepAlive(s)
	return err
}

// Import puts the session into the state that Export gave. Errors: [ErrFormat], [ErrInUse], [ErrState].
func (s *Session) Import(bytes []byte) error {
	err := failure(rawSessionImport(s.id(), unsafe.Pointer(unsafe.SliceData(bytes)), len(bytes)))
	runtime.KeepAlive(s)
	return err
}
