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
