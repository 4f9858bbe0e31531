// Gymnasium's CartPole-v1: carts in the slots 0, 1, …, each held upright for at most 500 steps.
#pragma once

#include "host.hpp"

namespace bench {

struct Cart {
  float place, speed, angle, turn;  // m, m/s, rad, rad/s: the observation record
};

class Carts {
 public:
  explicit Carts(int count);
  // Asks the actor which way to push each.
  void act(const keel::Actor &actor);
  // Moves all for 20 ms, tells the actor, and puts new carts in the place of those that are done. `running` is what the actor
  // hears of the others: a KEEL_EPISODE_….
  void move(const keel::Actor &actor, int32_t running = KEEL_EPISODE_RUNNING);

  long episodes = 0, held = 0;  // that have ended, and their steps together

 private:
  std::vector<uint32_t> slots_;
  Random random_;
  std::vector<Cart> carts_, final_;
  std::vector<int> age_;
  std::vector<int32_t> pushes_, status_;
  std::vector<float> rewards_;
};

}  // namespace bench
