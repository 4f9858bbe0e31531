package keel

import (
	"reflect"
	"runtime"
	"sync"
	"unsafe"
)

// Actor acts for slots of a session that trains a control policy; one for each goroutine that acts.
type Actor struct{ handle }

// ActFlags are ActGreedy and the others, or 0.
type ActFlags uint32

// EpisodeStatus is what became of a slot's episode: EpisodeRunning and the others.
type EpisodeStatus int32

// NewActor makes an actor; with {"recorded": false} it leaves nothing to updates. Errors: [ErrConfig]; [ErrState], no policy,
// or none of control.
func (s *Session) NewActor(json string) (*Actor, error) {
	var id uint64
	err := failure(rawActorCreate(s.id(), json, &id))
	runtime.KeepAlive(s)
	if err != nil {
		return nil, err
	}
	made := new(Actor)
	return own(made, &made.handle, id, rawActorDestroy), nil
}

// Close ends the actor. What its slots did stays with the session.
func (a *Actor) Close() {
	rawActorDestroy(a.release())
	runtime.KeepAlive(a)
}

// ID returns the number that keel has for the actor; 0 if it was closed.
func (a *Actor) ID() uint64 { return a.value.Load() }

// Act chooses an action for each of some slots, all at once: a record of observations for each slot in, a record of actions
// for each slot out, or with ActGiven in. A record is a struct, an array or a number without pointers, laid out as
// [Session.Layout] says, which is how Go lays out a struct of these members. Nothing is copied or allocated.
//
// A slot begins an episode with its first act and after each that has ended; until then it acts and is observed in turn.
// Errors: [ErrShape], [ErrNonFinite], [ErrData]; [ErrInvalidArgument], a record with pointers; [ErrState], a slot that acted
// was not observed; [ErrInUse], a slot is another actor's; [ErrFull], more steps than "queue_capacity" allows would wait for an
// update; [ErrConcurrent]. No slot has acted then.
func Act[Observation, Action any](actor *Actor, slots []uint32, observations []Observation, actions []Action, flags ActFlags) error {
	if err := plain[Observation]("observations"); err != nil {
		return err
	}
	if err := plain[Action]("actions"); err != nil {
		return err
	}
	result := rawActorAct(actor.id(), unsafe.SliceData(slots), len(slots),
		unsafe.Pointer(unsafe.SliceData(observations)), size(observations),
		unsafe.Pointer(unsafe.SliceData(actions)), size(actions), uint32(flags), nil)
	runtime.KeepAlive(actor)
	return failure(result)
}

// Observe tells what some slots saw since they acted: a reward and a status for each, and a record of the final observation
// for each that is EpisodeTruncated, in their order; nil where none is. What several calls between two acts of a slot tell
// adds up. Errors: [ErrShape], [ErrNonFinite], [ErrInvalidArgument], [ErrState], [ErrConcurrent]. Nothing was observed then.
func Observe[Observation any](actor *Actor, slots []uint32, rewards []float32, status []EpisodeStatus, final []Observation) error {
	if err := plain[Observation]("final_observations"); err != nil {
		return err
	}
	if len(status) != len(slots) {
		return wrong(ErrShape, "status: expected %d, one for each slot, got %d", len(slots), len(status))
	}
	result := rawActorObserve(actor.id(), unsafe.SliceData(slots), len(slots), unsafe.SliceData(rewards), len(rewards),
		(*int32)(unsafe.SliceData(status)), unsafe.Pointer(unsafe.SliceData(final)), size(final))
	runtime.KeepAlive(actor)
	return failure(result)
}

// size is how many bytes a slice of records has.
func size[Record any](records []Record) int {
	return len(records) * int(unsafe.Sizeof(*new(Record)))
}

// checked holds the types of records that were found to have no pointers.
var checked sync.Map

// plain refuses a type of records that has pointers, which keel would take for numbers.
func plain[Record any](argument string) error {
	record := reflect.TypeFor[Record]()
	if _, known := checked.Load(record); known {
		return nil
	}
	if !isPlain(record) {
		return wrong(ErrInvalidArgument, "%s: expected records without pointers, got %s", argument, record)
	}
	checked.Store(record, nil)
	return nil
}

func isPlain(record reflect.Type) bool {
	switch kind := record.Kind(); kind {
	case reflect.Struct:
		for index := range record.NumField() {
			if !isPlain(record.Field(index).Type) {
				return false
			}
		}
		return true
	case reflect.Array:
		return isPlain(record.Elem())
	default:
		return kind >= reflect.Bool && kind <= reflect.Complex128
	}
}
