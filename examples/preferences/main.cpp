//! Preferences in the place of a reward (Christiano et al. 2017), on Pendulum-v1 with a scripted judge.
//! Usage: preferences [--assert] [--updates N] [SEED]
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "judge.hpp"

namespace preferences {
namespace {

constexpr int UPDATES = 24;  // of 4 096 steps
constexpr std::size_t EPISODES = 100;
// Labels before each update; none where there is no entry.
constexpr std::size_t LABELS[] = {150, 50, 50, 0, 50, 0, 50, 0, 50, 0, 50, 0, 50};

double by_true_reward(const keel::Runtime &runtime, std::uint64_t seed, int updates) {
  Agent agent(runtime, seed);
  agent.learn(updates, [](const std::vector<Trace> &, int) {});
  return agent.play(seed + 1000, EPISODES);
}

double by_preferences(const keel::Runtime &runtime, std::uint64_t seed, int updates, bool shuffled, std::size_t &labels) {
  Agent agent(runtime, seed);
  Judge judge(runtime, seed, shuffled);
  agent.learn(updates, [&](const std::vector<Trace> &traces, int update) {
    const std::size_t pairs = update < static_cast<int>(std::size(LABELS)) ? LABELS[update] : 0;
    if (pairs == 0) return;
    judge.label(traces, pairs);
    agent.reward_by(judge.model());
    std::printf("update %2d: %3zu labels%s\n", update, judge.labels(), shuffled ? ", shuffled" : "");
    std::fflush(stdout);
  });
  labels = judge.labels();
  return agent.play(seed + 1000, EPISODES);
}

}  // namespace
}  // namespace preferences

int main(int count, char **arguments) {
  using namespace preferences;
  bool asserted = false;
  int updates = UPDATES;
  std::uint64_t seed = 0;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--assert") == 0) {
      asserted = true;
    } else if (std::strcmp(arguments[i], "--updates") == 0 && i + 1 < count) {
      updates = std::atoi(arguments[++i]);
    } else {
      seed = std::strtoull(arguments[i], nullptr, 10);
    }
  }
  const keel::Runtime runtime = keel::Runtime::create();
  std::size_t labels = 0;
  const double random = play_random(seed + 1000, EPISODES);
  const double known = by_true_reward(runtime, seed, updates);
  const double shuffled = by_preferences(runtime, seed, updates, true, labels);
  const double learned = by_preferences(runtime, seed, updates, false, labels);
  const double closed = (learned - random) / (known - random), by_chance = (shuffled - random) / (known - random);
  std::printf("PREFERENCES {\"seed\": %llu, \"random\": %.1f, \"true\": %.1f, \"learned\": %.1f, \"shuffled\": %.1f, \"closed\": "
              "%.3f, \"closed_shuffled\": %.3f, \"labels\": %zu}\n",
              static_cast<unsigned long long>(seed), random, known, learned, shuffled, closed, by_chance, labels);
  return asserted && !(labels <= 500 && known > random + 200 && closed >= 0.8 && by_chance < 0.3) ? 1 : 0;
}
