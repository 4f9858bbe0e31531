//! The numbers that a run ends with, the bounds they should hold, and the table and lines that report them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace rlhf {

/// The policy after a round, on held-out questions; round 0 is what SFT left.
struct Row {
  double gold = 0;                  ///< mean grade of the gold judge, 0 .. 1
  double score = 0;                 ///< mean score of the reward model, in its deviations above SFT's answers
  std::optional<double> accuracy;   ///< share of pairs that the reward model of the round ranks as gold does
  std::optional<double> refreshed;  ///< the same, once it has learned from other answers of this policy
  double kl = 0, kl_target = 0;     ///< from what SFT left, nats per answer
  double length = 0, ended = 0;     ///< tokens of an answer, share of answers that end by themselves
};

/// The rows as a table for people.
std::string table(const std::vector<Row> &rows);

/// `RLHF {...}`, the last line of a run.
std::string machine_line(const std::vector<Row> &rows, double seconds);

/// One sentence for each bound that the rows do not hold; empty when all hold.
std::vector<std::string> missed_bounds(const std::vector<Row> &rows);

/// One sentence for each number that is not a number of its kind (a share outside 0 .. 1, not finite).
std::vector<std::string> impossible_numbers(const std::vector<Row> &rows);

}  // namespace rlhf
