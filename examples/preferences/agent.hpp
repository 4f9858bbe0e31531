//! A policy that learns by PPO, and the trace of what its pendulums did.
#pragma once

#include <functional>
#include <string>
#include <vector>

#define KEEL_EXCEPTIONS
#include <keel/keel.hpp>
#include "pendulum.hpp"

namespace preferences {

constexpr std::size_t PENDULUMS = 4;
constexpr std::size_t TURNS = 1024;  // of each pendulum between two updates, 4 096 in all

// What one pendulum did, step after step.
struct Trace {
  std::vector<View> views;
  std::vector<float> torques;
  std::vector<double> rewards;
};

class Agent {
 public:
  Agent(const keel::Runtime &runtime, std::uint64_t seed);
  // Learns from so many rollouts; `between` sees each one before the update that learns from it.
  void learn(int updates, const std::function<void(const std::vector<Trace> &, int)> &between);
  // Mean return of greedy episodes.
  double play(std::uint64_t seed, std::size_t episodes) const;
  void reward_by(const keel::Model &model) const { session_.set_model(KEEL_ROLE_REWARD, model); }

 private:
  keel::Model policy_;
  keel::Session session_;
  keel::Actor actor_;
  Dice dice_;
};

// The return of torques that are drawn evenly.
double play_random(std::uint64_t seed, std::size_t episodes);

inline const char *const RECORDS =
    R"("observations": [{"type": "vector", "name": "view", "size": 3}],)"
    R"( "actions": [{"type": "continuous", "name": "torque", "size": 1, "low": -2.0, "high": 2.0}])";

}  // namespace preferences
