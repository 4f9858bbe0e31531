// What the program measures; each part prints lines of JSON.
#pragma once

#include <string>

#include "host.hpp"

namespace bench {

void act();
// Some updates of Stable-Baselines3's default shape: 2048 steps of one slot, 10 epochs, minibatches of 64.
void update(const Shape &shape, const std::string &learner, int times);
// Carts that learn in Stable-Baselines3's default configuration, for so many updates.
void cartpole(int carts, int updates);
// A HalfCheetah (examples/mujoco) that learns in the same configuration, for so many updates.
void half_cheetah(int updates);

}  // namespace bench
