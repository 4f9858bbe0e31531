// What the GPU tests and benchmarks share: a model per device, data, and reading a metric.
#pragma once

#define KEEL_EXCEPTIONS
#include <keel/keel.hpp>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpu {

// The value of "name" in the session's metrics.
inline double metric(const keel::Session &session, const std::string &name) {
  const std::string metrics = session.metrics();
  const size_t at = metrics.find("\"" + name + "\":");
  if (at == std::string::npos) throw std::runtime_error("no metric " + name + " in " + metrics);
  return std::strtod(metrics.c_str() + at + name.size() + 3, nullptr);
}

inline bool has_device(const keel::Runtime &runtime) {
  return std::string(runtime.devices()).find("cuda:0") != std::string::npos;
}

// A llama with the same random weights on every device.
inline keel::Model llama(const keel::Runtime &runtime, const std::string &device, int hidden, int layers, int vocabulary) {
  return keel::Model::create(
      runtime, R"({"config": {"model_type": "llama", "vocab_size": )" + std::to_string(vocabulary) +
                   R"(, "hidden_size": )" + std::to_string(hidden) + R"(, "intermediate_size": )" +
                   std::to_string(3 * hidden) + R"(, "num_hidden_layers": )" + std::to_string(layers) +
                   R"(, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
                       "eos_token_id": 2}, "initialization": "fan_in", "seed": 1, "device": ")" +
                   device + R"("})");
}

// Token rows of varied lengths.
inline std::vector<std::vector<int32_t>> rows(size_t count, size_t shortest, size_t spread, int salt) {
  std::vector<std::vector<int32_t>> rows(count);
  for (size_t row = 0; row < count; ++row) {
    const size_t length = shortest + (spread == 0 ? 0 : (row * 5 + static_cast<size_t>(salt)) % spread);
    for (size_t at = 0; at < length; ++at) {
      rows[row].push_back(static_cast<int32_t>(3 + (row * 7 + at * 5 + static_cast<size_t>(salt) * 11) % 20));
    }
  }
  return rows;
}

inline keel::Batch prompts(const keel::Runtime &runtime, size_t count, size_t shortest, size_t spread) {
  keel::Batch batch = keel::Batch::create(runtime, KEEL_BATCH_PROMPTS, count);
  batch.set("prompt", rows(count, shortest, spread, 0));
  return batch;
}

// A cart: it is pushed left or right, and is rewarded while it stays near the middle. The same for all slots and devices.
struct Cart {
  float place = 0, speed = 0, target = 0, time = 0;
};

inline float push(Cart &cart, int32_t right) {
  cart.speed = 0.9f * cart.speed + (right ? 0.1f : -0.1f);
  cart.place += cart.speed;
  cart.time += 1;
  return 1.0f - cart.place * cart.place;
}

inline keel::Session control(const keel::Runtime &runtime, const std::string &device, int hidden, size_t slots, size_t steps,
                             const std::string &more = "") {
  const std::string width = std::to_string(hidden);
  const keel::Model policy = keel::Model::create(
      runtime, R"({"seed": 1, "config": {"model_type": "control", "normalize_observations": true, "hidden": [)" + width + ", " + width + R"(],
          "observations": [{"type": "vector", "name": "cart", "size": 4}],
          "actions": [{"type": "discrete", "name": "right", "choices": 2}]}})");
  keel::Session session = keel::Session::create(
      runtime, R"({"algorithm": {"type": "control_ppo", "learner": "libtorch", "epochs": 4, "minibatches": 4, "rollout_steps": )" +
                   std::to_string(slots * steps) + more + R"(}, "optimizer": {"learning_rate": 0.0003}, "device": ")" + device +
                   "\"}");
  session.set_model(KEEL_ROLE_POLICY, policy);
  return session;
}

// One more step of all carts than the steps that are wanted finished.
inline void drive(const keel::Actor &actor, std::vector<Cart> &carts, size_t steps) {
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < carts.size(); ++slot) slots.push_back(slot);
  const std::vector<int32_t> status(carts.size(), KEEL_EPISODE_RUNNING);
  std::vector<int32_t> actions(carts.size());
  for (size_t step = 0; step < steps; ++step) {
    actor.act(slots, carts, actions);
    std::vector<float> rewards;
    for (size_t slot = 0; slot < carts.size(); ++slot) rewards.push_back(push(carts[slot], actions[slot]));
    actor.observe(slots, rewards, status, std::vector<Cart>{});
  }
}

// Half of a response's tokens being even is worth a half.
inline std::vector<float> even_share(const keel::Batch &rollouts) {
  const auto responses = rollouts.tokens("response");
  std::vector<float> rewards;
  for (size_t row = 0; row < responses.rows; ++row) {
    float even = 0;
    for (const int32_t token : responses.row(row)) even += token % 2 == 0 ? 1.0f : 0.0f;
    rewards.push_back(even / static_cast<float>(responses.row(row).size()));
  }
  return rewards;
}

}  // namespace gpu
