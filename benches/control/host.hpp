// A host of control sessions: the networks that are measured, and what a slot tells of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "keel/keel.hpp"

namespace bench {

// Observation → 64 → 64 → action, tanh, with a value network of the same widths.
struct Shape {
  const char *name;
  int inputs;
  int choices;     // of the one discrete action, or
  int dimensions;  // of the continuous one
  int numbers() const { return choices ? 1 : dimensions; }
};

constexpr Shape walker{"17-64-64-6", 17, 0, 6}, cart{"4-64-64-2", 4, 2, 0};

// The shape of that name; throws std::runtime_error where there is none.
const Shape &shape_named(const std::string &name);

// Stable-Baselines3's PPO: its learning rate, its Adam; and the rest of "algorithm", which begins with a comma.
std::string session_json(const std::string &algorithm, int threads);

struct Host {
  Host(const Shape &shape, const std::string &json, const std::string &runtime_json = {});
  // One update of all that was recorded.
  void update() const;

  keel::Runtime runtime;
  keel::Model policy;
  keel::Session session;
  keel::Actor actor;
};

// Numbers in [-1, 1), the same in every run.
class Random {
 public:
  float next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<float>(state_ >> 40) / 8388608.0f - 1.0f;
  }
  std::vector<float> many(std::size_t count) {
    std::vector<float> all(count);
    for (float &number : all) number = next();
    return all;
  }

 private:
  uint64_t state_ = 1;
};

// The slots 0, 1, …
std::vector<uint32_t> first_slots(std::size_t count);

}  // namespace bench
