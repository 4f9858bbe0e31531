#include "world.hpp"

#include <gtest/gtest.h>

#define MADE(call)                                                 \
  do {                                                             \
    Caught caught;                                                 \
    const keel_status made = (call);                               \
    EXPECT_EQ(made, KEEL_OK) << #call << ": " << caught.message(); \
  } while (false)

namespace {

const char *const TOKENIZER = R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [
  {"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
  {"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
  "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
  "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "b": 4, "c": 5,
  "d": 6, "e": 7, "f": 8, "g": 9, "h": 10, "i": 11, "j": 12, "k": 13, "l": 14, "m": 15}}})";

}  // namespace

std::string tiny_model(uint64_t seed, int layers, int hidden) {
  return R"({"config": {"model_type": "llama", "vocab_size": 16, "hidden_size": )" + std::to_string(hidden) +
         R"(, "intermediate_size": )" + std::to_string(2 * hidden) + R"(, "num_hidden_layers": )" +
         std::to_string(layers) +
         R"(, "num_attention_heads": 2, "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 1},
         "initialization": "fan_in", "seed": )" +
         std::to_string(seed) + R"(, "tokenizer": )" + TOKENIZER + "}";
}

keel_runtime make_runtime() {
  const std::string json = R"({"cuda": "cpu"})";
  keel_runtime runtime = 0;
  MADE(keel_runtime_create(KEEL_ABI_VERSION, json.data(), json.size(), &runtime, caught));
  return runtime;
}

keel_model make_model(keel_runtime runtime, uint64_t seed, int layers, int hidden) {
  const std::string json = tiny_model(seed, layers, hidden);
  keel_model model = 0;
  MADE(keel_model_create(runtime, json.data(), json.size(), &model, caught));
  return model;
}

keel_session make_session(keel_runtime runtime, const std::string &json) {
  keel_session session = 0;
  MADE(keel_session_create(runtime, json.data(), json.size(), &session, caught));
  return session;
}

keel_session make_control_session(keel_runtime runtime) {
  const std::string network = R"({"config": {"model_type": "control", "hidden": [4],
    "observations": [{"type": "vector", "name": "place", "size": 1}],
    "actions": [{"type": "discrete", "name": "way", "choices": 2}]}})";
  keel_model model = 0;
  MADE(keel_model_create(runtime, network.data(), network.size(), &model, caught));
  const keel_session session =
      make_session(runtime, R"({"algorithm": {"type": "control_ppo", "rollout_steps": 4, "minibatches": 2}})");
  MADE(keel_session_set_model(session, KEEL_ROLE_POLICY, nullptr, 0, model, caught));
  keel_model_destroy(model);
  return session;
}

keel_status set_texts(keel_batch batch, const std::string &column, const std::vector<std::string> &texts,
                      keel_error *error) {
  std::string all;
  std::vector<uint64_t> offsets{0};
  for (const std::string &text : texts) {
    all += text;
    offsets.push_back(all.size());
  }
  return keel_batch_set(batch, column.data(), column.size(), KEEL_TYPE_UTF8, all.data(), all.size(), offsets.data(),
                        error);
}

keel_batch make_prompts(keel_runtime runtime, const std::vector<std::string> &prompts) {
  keel_batch batch = 0;
  MADE(keel_batch_create(runtime, KEEL_BATCH_PROMPTS, prompts.size(), &batch, caught));
  MADE(set_texts(batch, "prompt", prompts, caught));
  return batch;
}

keel_batch make_demonstrations(keel_runtime runtime, uint64_t rows) {
  keel_batch batch = 0;
  MADE(keel_batch_create(runtime, KEEL_BATCH_DEMONSTRATIONS, rows, &batch, caught));
  std::vector<std::string> prompts, responses;
  for (uint64_t row = 0; row < rows; ++row) {
    prompts.push_back(row % 2 ? "a b" : "c d e");
    responses.push_back(row % 3 ? "f g h" : "i j");
  }
  MADE(set_texts(batch, "prompt", prompts, caught));
  MADE(set_texts(batch, "response", responses, caught));
  return batch;
}

keel_status finish(keel_job job, keel_error *error) {
  const keel_status status = keel_job_run(job, nullptr, error);
  keel_job_destroy(job);
  return status;
}

std::string text_of(keel_status (*function)(uint64_t, char *, size_t, size_t *, keel_error *), uint64_t handle) {
  size_t needed = 0;
  EXPECT_EQ(function(handle, nullptr, 0, &needed, nullptr), KEEL_E_CAPACITY);
  std::string text(needed, '\0');
  MADE(function(handle, text.data(), text.size(), &needed, caught));
  EXPECT_EQ(needed, text.size());
  return text;
}

World::World(const std::string &json)
    : runtime(make_runtime()), model(make_model(runtime)), session(make_session(runtime, json)) {
  MADE(keel_session_set_model(session, KEEL_ROLE_POLICY, nullptr, 0, model, caught));
}

World::~World() {
  keel_session_destroy(session);
  keel_model_destroy(model);
  keel_runtime_destroy(runtime);
}
