//! The gold judge, which the program alone knows, and the people who rank by it and err. Owns the grades and the noise.
//! Refuses to reward: the policy hears of a grade only through the reward model that learns from rankings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dice.hpp"
#include "world.hpp"

namespace rlhf {

/// How good an answer is, 0 .. 1: right 0.40, polite 0.25, a seat by the fire 0.20, well formed to its end 0.15.
double gold(const npc::Question &question, const std::string &answer);

/// The rank of each answer to one question, 1 the best; equal grades share one.
std::vector<std::int32_t> ranks(const std::vector<double> &grades);

/// The same as people rank: each two neighbouring ranks are taken for each other with probability `noise`.
std::vector<std::int32_t> noisy_ranks(const std::vector<double> &grades, double noise, npc::Dice &dice);

}  // namespace rlhf
