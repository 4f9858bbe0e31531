//! The stages of the method. Each trains one model of the lab in place.
#pragma once

#include "lab.hpp"
#include "outcome.hpp"

namespace rlhf {

/// Tokens of answers with their ranks, `answers` rows a question.
struct Rankings {
  std::vector<std::vector<std::int32_t>> prompts, responses;
  std::vector<std::int32_t> ranks;
  std::vector<std::uint64_t> groups;

  /// Adds lists of `each` answers, ranked as gold does, or with dice as people do.
  void add(const Answers &answers, int each, npc::Dice *noise = nullptr);
  keel::Batch batch(const keel::Runtime &runtime, std::int32_t split) const;
};

/// Supervised fine-tuning from noise on demonstrations of middling quality; leaves a frozen copy in `lab.sft`.
void learn_from_demonstrations(Lab &lab);

/// The rows as a batch to push.
keel::Batch batch(const Lab &lab, const Demonstrations &demonstrations);

/// Samples lists of answers from the policy, has them ranked, adds them to `all`, and trains the reward model on these.
void learn_from_rankings(Lab &lab, Rankings &all);

/// One round of PPO under the reward model as it is now; the KL from SFT that the round steers to.
double learn_from_judge(Lab &lab, int round);

/// How a reward model judges answers that it has not learned from.
struct Opinion {
  double accuracy = 0, mean = 0, deviation = 0;
};
Opinion opinion(Lab &lab, const Rankings &ranked);

/// The policy on held-out questions, without what only a reward model can say; the same answers go to `ranked`.
Row measure(Lab &lab, Rankings &ranked);

}  // namespace rlhf
