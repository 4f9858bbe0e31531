//! One episode: a flight with chance, its rewards and its end.
//! Refuses to choose actions and to know how one learns from it.
#pragma once

#include "dice.hpp"
#include "flight.hpp"

namespace lander {

class Episode {
 public:
  /// Draws terrain, push and, step by step, noise from `dice`, which outlives it.
  explicit Episode(Dice &dice);

  /// What follows the action: the reward of this one step.
  double step(const Thrust &thrust);

  Observation seen() const { return observation(state_); }
  Fate fate() const { return flight_.fate(); }
  /// Whether the limit of steps ends what would go on.
  bool cut() const { return steps_ == STEP_LIMIT && fate() == Fate::FLIES; }
  bool over() const { return steps_ == STEP_LIMIT || fate() != Fate::FLIES; }

  double total() const { return total_; }  ///< of the rewards so far
  int steps() const { return steps_; }
  const Terrain &terrain() const { return terrain_; }
  const Flight &flight() const { return flight_; }

 private:
  Dice *dice_;
  Terrain terrain_;
  Flight flight_;
  State state_;
  double total_ = 0;
  int steps_ = 0;
};

}  // namespace lander
