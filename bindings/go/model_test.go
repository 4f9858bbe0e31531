package keel_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"keel"
)

// words is a tokenizer of four words.
const words = `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
	"pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
	"model": {"type": "WordLevel", "vocab": {"?": 0, "good": 1, "morning": 2, "ünï": 3}, "unk_token": "?"}}`

func TestAModelIsSavedAndLoaded(t *testing.T) {
	host := newRuntime(t)
	path := t.TempDir()
	made := must(host.NewModel(language))(t)
	defer made.Close()
	check(t, made.Save(path))
	_, err := made.Encode("good", 0)
	refused(t, err, keel.ErrState)
	_, err = made.Decode([]int32{1}, 0)
	refused(t, err, keel.ErrState)

	check(t, os.WriteFile(filepath.Join(path, "tokenizer.json"), []byte(words), 0o644))
	job := must(host.LoadModel(path, ""))(t)
	defer job.Close()
	_, err = job.Model()
	refused(t, err, keel.ErrState)
	must(job.Run(context.Background()))(t)
	model := must(job.Model())(t)
	defer model.Close()

	tokens := must(model.Encode("good ünï morning", keel.EncodeSpecial))(t)
	if !slices.Equal(tokens, []int32{1, 3, 2}) {
		t.Fatal(tokens)
	}
	equal(t, "decoded", must(model.Decode(tokens, keel.DecodeSkipSpecial))(t), "good ünï morning")
	equal(t, "nothing decoded", must(model.Decode(nil, 0))(t), "")
	equal(t, "nothing encoded", len(must(model.Encode("", 0))(t)), 0)
	_, err = model.Encode("\xff", 0)
	refused(t, err, keel.ErrInvalidText)

	session := must(host.NewSession(grpo))(t)
	defer session.Close()
	check(t, session.SetModel(keel.RolePolicy, model))
	texts := must(sampledText(t, host, session))(t)
	equal(t, "texts", len(texts), 2)
}

// sampledText generates from prompts of text.
func sampledText(t *testing.T, host *keel.Runtime, session *keel.Session) ([]string, error) {
	prompts := must(host.NewBatch(keel.BatchPrompts, 2))(t)
	defer prompts.Close()
	check(t, prompts.SetText("prompt", []string{"good", "good morning"}))
	job := must(session.Generate(prompts, `{"max_new_tokens": 3}`))(t)
	defer job.Close()
	must(job.Run(context.Background()))(t)
	rollouts := must(job.Batch())(t)
	defer rollouts.Close()
	return rollouts.Text("response")
}
