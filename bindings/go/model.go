package keel

import (
	"runtime"
	"unsafe"
)

// Model is weights, architecture and, of a language model, its tokenizer.
type Model struct{ handle }

// EncodeFlags are EncodeSpecial or 0.
type EncodeFlags uint32

// DecodeFlags are DecodeSkipSpecial or 0.
type DecodeFlags uint32

func ownModel(id uint64) *Model {
	made := new(Model)
	return own(made, &made.handle, id, rawModelDestroy)
}

// LoadModel makes a job that loads a directory in the Hugging Face layout; the finished job has the model, [Job.Model]. Json
// is the configuration "load". Errors: [ErrConfig], [ErrDevice]; the job fails with [ErrFile], [ErrFormat], [ErrUnsupported].
func (r *Runtime) LoadModel(path, json string) (*Job, error) {
	var id uint64
	result := rawModelLoad(r.id(), path, json, &id)
	runtime.KeepAlive(r)
	return madeJob(result, id, nil)
}

// NewModel makes a model with random weights from the configuration "create": a language model, or with "model_type":
// "control" in its config a control network. Errors: [ErrConfig], [ErrDevice], [ErrUnsupported], and those of a script.
func (r *Runtime) NewModel(json string) (*Model, error) {
	var id uint64
	err := failure(rawModelCreate(r.id(), json, &id))
	runtime.KeepAlive(r)
	if err != nil {
		return nil, err
	}
	return ownModel(id), nil
}

// Close ends the model. Sessions that use it keep it alive.
func (m *Model) Close() {
	rawModelDestroy(m.release())
	runtime.KeepAlive(m)
}

// ID returns the number that keel has for the model; 0 if it was closed.
func (m *Model) ID() uint64 { return m.value.Load() }

// Save writes the last published weights as a directory that [Runtime.LoadModel] and, of a language model, transformers
// read. Errors: [ErrFile].
func (m *Model) Save(path string) error {
	err := failure(rawModelSave(m.id(), path))
	runtime.KeepAlive(m)
	return err
}

// Info returns what the model is, as JSON: architecture, sizes, dtype, device, version of its weights, special tokens.
func (m *Model) Info() (string, error) {
	text, err := readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawModelInfo(m.id(), buffer, needed)
	})
	runtime.KeepAlive(m)
	return text, err
}

// Encode turns text into tokens. Errors: [ErrState], the model has no tokenizer.
func (m *Model) Encode(text string, flags EncodeFlags) ([]int32, error) {
	tokens := make([]int32, len(text)+8)
	for {
		var needed rawSize
		result := rawModelEncode(m.id(), text, uint32(flags), unsafe.SliceData(tokens), len(tokens), &needed)
		runtime.KeepAlive(m)
		if Status(result.status) == ErrCapacity && int(needed) > len(tokens) {
			rawFree(result.message)
			tokens = make([]int32, needed)
			continue
		}
		if err := failure(result); err != nil {
			return nil, err
		}
		return tokens[:needed], nil
	}
}

// Decode turns tokens into text. Errors: [ErrState], the model has no tokenizer.
func (m *Model) Decode(tokens []int32, flags DecodeFlags) (string, error) {
	text, err := readText(func(buffer []byte, needed *rawSize) rawResult {
		return rawModelDecode(m.id(), unsafe.SliceData(tokens), len(tokens), uint32(flags), buffer, needed)
	})
	runtime.KeepAlive(m)
	return text, err
}
