//! Measures the demo's reward before and after PPO updates whose reward is always one half.
#include "control.hpp"

#include <cmath>
#include <cstdio>

#include "phases.hpp"

namespace npc {
namespace {

constexpr double MOST_MOVED = 0.05;
constexpr std::size_t FEWEST_SAMPLES = 2000;

double one_half(const Verdict &) { return 0.5; }

}  // namespace

int run_control(const Options &options) {
  Inn inn(options);
  inn.load_model("after-dpo");
  const std::size_t samples = inn.recipe.control_samples, count = samples * inn.held_out.size();
  const Visit before = inn.visit("before the control", samples);
  const PhaseCurves curves = learn_from_reward(inn, one_half);
  const Visit after = inn.visit("after the control", samples);
  const double moved = after.mean(reward) - before.mean(reward);
  const bool still = std::abs(moved) < MOST_MOVED;
  const bool counts = inn.recipe.full && count >= FEWEST_SAMPLES;
  if (!still && counts)
    std::printf("a constant reward moved the score by %.4f, wanted less than %.2f either way\n", moved, MOST_MOVED);
  std::printf(
      "CONTROL {\"reward_before\":%.4f,\"reward_after\":%.4f,\"moved\":%.4f,\"samples\":%zu,\"fluent_after\":%.4f,"
      "\"seconds\":%.1f}\n",
      before.mean(reward), after.mean(reward), moved, count, after.mean(is_fluent), curves.seconds);
  return counts && !still ? 1 : 0;
}

}  // namespace npc
