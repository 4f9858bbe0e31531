// A small world to test in: a runtime, a tiny model with words for tokens, a session, rows.
#ifndef KEEL_TESTS_WORLD_HPP
#define KEEL_TESTS_WORLD_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "keel/keel.h"

// The message of the last failed call, and a way to say what a call was meant to do.
struct Caught {
  keel_error error = KEEL_ERROR_INIT;
  operator keel_error *() { return &error; }
  std::string message() const { return error.message; }
};

// The configuration "create" of a llama with 16 words: <s> </s> <unk> and a to m.
std::string tiny_model(uint64_t seed = 0, int layers = 1, int hidden = 16);

// A runtime on the CPU.
keel_runtime make_runtime();
keel_model make_model(keel_runtime runtime, uint64_t seed = 0, int layers = 1, int hidden = 16);
keel_session make_session(keel_runtime runtime, const std::string &json);
// A session with a control policy that reads one number and chooses between two.
keel_session make_control_session(keel_runtime runtime);
// Sets a text column, one text a row.
keel_status set_texts(keel_batch batch, const std::string &column, const std::vector<std::string> &texts,
                      keel_error *error);
keel_batch make_prompts(keel_runtime runtime, const std::vector<std::string> &prompts);
keel_batch make_demonstrations(keel_runtime runtime, uint64_t rows);
// Runs the job to its end and destroys it.
keel_status finish(keel_job job, keel_error *error);
// What a function with a buffer as its last parameters writes.
std::string text_of(keel_status (*function)(uint64_t, char *, size_t, size_t *, keel_error *), uint64_t handle);

// All of the above at once; everything is destroyed with it.
struct World {
  explicit World(const std::string &json = R"({"algorithm": {"type": "sft", "batch_size": 2, "epochs": 0}})");
  World(const World &) = delete;
  World &operator=(const World &) = delete;
  ~World();

  keel_runtime runtime = 0;
  keel_model model = 0;
  keel_session session = 0;
};

#endif
