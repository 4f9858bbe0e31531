// Small learners of both kinds for the hosts that tests start, with throwing calls: what fails ends the host.
#ifndef KEEL_TESTS_LEARNING_HPP
#define KEEL_TESTS_LEARNING_HPP

#ifndef KEEL_EXCEPTIONS
#define KEEL_EXCEPTIONS
#endif

#include <string>
#include <vector>

#include "keel/keel.hpp"

namespace learning {

inline std::string llama(int hidden, int layers) {
  return R"({"config": {"model_type": "llama", "vocab_size": 256, "hidden_size": )" + std::to_string(hidden) +
         R"(, "intermediate_size": )" + std::to_string(2 * hidden) + R"(, "num_hidden_layers": )" +
         std::to_string(layers) + R"(, "num_attention_heads": 4, "max_position_embeddings": 512}})";
}

inline keel::Session language(const keel::Runtime &runtime, const keel::Model &model, int threads) {
  keel::Session session = keel::Session::create(
      runtime, R"({"algorithm": {"type": "sft", "batch_size": 16, "epochs": 0}, "threads": )" + std::to_string(threads) + "}");
  session.set_model(KEEL_ROLE_POLICY, model);
  return session;
}

inline keel::Batch rows(const keel::Runtime &runtime, int32_t kind, const char *column, size_t length) {
  const std::vector<std::vector<int32_t>> tokens(16, std::vector<int32_t>(length, 3));
  keel::Batch batch = keel::Batch::create(runtime, kind, tokens.size());
  batch.set(column, tokens);
  return batch;
}

// A session whose network has `hidden` units, and which updates from `steps` steps, `epochs` times.
inline keel::Session control(const keel::Runtime &runtime, int hidden, int steps, int epochs) {
  const keel::Model network = keel::Model::create(
      runtime, R"({"config": {"model_type": "control", "hidden": [)" + std::to_string(hidden) +
                   R"(], "observations": [{"type": "vector", "name": "place", "size": 2}],
                   "actions": [{"type": "discrete", "name": "way", "choices": 2}]}})");
  keel::Session session = keel::Session::create(
      runtime, R"({"algorithm": {"type": "control_ppo", "rollout_steps": )" + std::to_string(steps) +
                   R"(, "minibatches": 2, "epochs": )" + std::to_string(epochs) + "}}");
  session.set_model(KEEL_ROLE_POLICY, network);
  return session;
}

// Acts and observes until the session has the steps of an update.
inline void play(const keel::Session &session, int steps) {
  const keel::Actor actor = keel::Actor::create(session);
  const std::vector<uint32_t> slots{0, 1, 2, 3};
  const std::vector<float> places(2 * slots.size(), 0.5f), rewards(slots.size(), 1.0f);
  const std::vector<int32_t> status(slots.size(), KEEL_EPISODE_RUNNING);
  std::vector<int32_t> ways(slots.size());
  for (int step = 0; step < steps + 4; step += static_cast<int>(slots.size())) {
    actor.act(slots, places, ways);
    actor.observe(slots, rewards, status, std::vector<float>{});
  }
}

}  // namespace learning

#endif
