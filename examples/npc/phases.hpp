//! The three phases of the method, one session each. Each trains the inn's model in place and returns its curves.
#pragma once

#include <chrono>
#include <string>

#include "inn.hpp"
#include "report.hpp"

namespace npc {

/// Supervised fine-tuning on the grammar's mix of good and bad answers. `loss`: nats per held-out answer token.
PhaseCurves learn_from_examples(Inn &inn, double &loss);

/// Direct preference optimisation on fresh pairs. `accuracy`: share of held-out pairs ranked as the judge does.
PhaseCurves learn_from_preferences(Inn &inn, double &accuracy);

/// Proximal policy optimisation of this reward (0 .. 1) of each sampled answer.
PhaseCurves learn_from_reward(Inn &inn, double (*reward)(const Verdict &));

/// KL of the innkeeper from the model saved as `reference`, nats per answer, estimated on freshly sampled answers to
/// the held-out prompts: the mean of the summed log ratios.
double divergence(Inn &inn, const std::string &reference);

/// A line on stdout that says how far a phase is (rewritten in place on a terminal), and how long it took.
class Progress {
 public:
  Progress(std::string phase, int steps);
  void step(int done, const std::string &numbers);
  double seconds() const;

 private:
  std::string phase_;
  int steps_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The "optimizer" member of a session's configuration; `schedule` is further members or empty.
std::string optimizer(double learning_rate, const std::string &schedule = {});

/// Appends one point.
void record(Series &series, int step, double value);

/// The streams of dice, one for each kind of drawing, so that changing one phase leaves the others' data alone.
enum Stream : std::uint64_t { SFT_ROWS = 2, SFT_TEST = 3, DPO_ROWS = 4, DPO_TEST = 5, PPO_PROMPTS = 6 };

}  // namespace npc
