//! The numbers that a run ends with, the bounds they should hold, and the lines that report them.
#pragma once

#include <string>
#include <vector>

#include "report.hpp"

namespace npc {

struct Result {
  double sft_loss = 0, preference_accuracy = 0, preferred_share = 0, fluent_dpo = 0, fluent_ppo = 0;
  double reward_before = 0, reward_after = 0, kl_per_sequence = 0, seconds = 0;
};

/// `DEMO {...}`, the last line of a run.
std::string demo_line(const Result &result);

/// One sentence for each bound that the numbers do not hold; empty when all hold.
std::vector<std::string> missed_bounds(const Result &result);

/// One sentence for each number that is not a number of its kind (a share outside 0 .. 1, not finite).
std::vector<std::string> impossible_numbers(const Result &result);

std::vector<Tile> tiles(const Result &result);

}  // namespace npc
