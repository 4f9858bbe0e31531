//! The bounds of the demo, in one table.
#include "result.hpp"

#include <cmath>
#include <cstdio>

namespace npc {
namespace {

struct Bound {
  std::string name;
  double value;
  bool at_least;
  double limit;
  bool holds() const { return at_least ? value >= limit : value <= limit; }
  std::string goal() const { return (at_least ? "≥ " : "≤ ") + number(limit, 2); }
};

struct Bounds {
  Bound accuracy, preferred, fluent_dpo, fluent_ppo, reward_before, reward_gain, kl;
  std::vector<Bound> all() const {
    return {accuracy, preferred, fluent_dpo, fluent_ppo, reward_before, reward_gain, kl};
  }
};

Bounds bounds(const Result &r) {
  return {{"preference accuracy on held-out pairs", r.preference_accuracy, true, 0.9},
          {"share of held-out prompts answered strictly better than before DPO", r.preferred_share, true, 0.8},
          {"share of fluent answers after DPO", r.fluent_dpo, true, 0.85},
          {"share of fluent answers after PPO", r.fluent_ppo, true, 0.75},
          {"mean reward before PPO", r.reward_before, false, 0.6},
          {"gain of mean reward by PPO", r.reward_after - r.reward_before, true, 0.3},
          {"KL per sequence of PPO in nats", r.kl_per_sequence, false, 15}};
}

std::string percent(double share) { return number(100 * share, 0) + " %"; }

}  // namespace

std::string demo_line(const Result &r) {
  char line[512];
  std::snprintf(
      line, sizeof line,
      "DEMO {\"sft_loss\":%.4f,\"preference_accuracy\":%.4f,\"preferred_share\":%.4f,\"fluent_dpo\":%.4f,"
      "\"fluent_ppo\":%.4f,\"reward_before\":%.4f,\"reward_after\":%.4f,\"kl_per_sequence\":%.4f,\"seconds\":%.1f}",
      r.sft_loss, r.preference_accuracy, r.preferred_share, r.fluent_dpo, r.fluent_ppo, r.reward_before, r.reward_after,
      r.kl_per_sequence, r.seconds);
  return line;
}

std::vector<std::string> missed_bounds(const Result &result) {
  std::vector<std::string> sentences;
  for (const Bound &bound : bounds(result).all())
    if (!bound.holds())
      sentences.push_back("the " + bound.name + " is " + number(bound.value, 4) + ", wanted " + bound.goal());
  return sentences;
}

std::vector<std::string> impossible_numbers(const Result &r) {
  std::vector<std::string> sentences;
  const auto expect = [&](const char *name, double value, double low, double high) {
    if (!(value >= low && value <= high))
      sentences.push_back(std::string(name) + " is impossible: " + number(value, 6));
  };
  expect("sft_loss", r.sft_loss, 0, 100);
  expect("preference_accuracy", r.preference_accuracy, 0, 1);
  expect("preferred_share", r.preferred_share, 0, 1);
  expect("fluent_dpo", r.fluent_dpo, 0, 1);
  expect("fluent_ppo", r.fluent_ppo, 0, 1);
  expect("reward_before", r.reward_before, 0, 1);
  expect("reward_after", r.reward_after, 0, 1);
  expect("kl_per_sequence", r.kl_per_sequence, -100, 1000);
  return sentences;
}

std::vector<Tile> tiles(const Result &r) {
  const Bounds b = bounds(r);
  return {
      {percent(r.preferred_share), "of prompts answered strictly better than before DPO", "goal ≥ 80 %",
       b.preferred.holds()},
      {number(r.preference_accuracy, 3), "preference accuracy on held-out pairs", "goal ≥ 0.9", b.accuracy.holds()},
      {number(r.reward_before, 2) + " → " + number(r.reward_after, 2), "mean reward before and after PPO",
       "goal at most 0.6, then + 0.3", b.reward_before.holds() && b.reward_gain.holds()},
      {number(r.kl_per_sequence, 1) + " nats", "KL per answer, after PPO from before it", "goal ≤ 15", b.kl.holds()},
      {percent(r.fluent_dpo), "fluent after DPO", "goal ≥ 85 %", b.fluent_dpo.holds()},
      {percent(r.fluent_ppo), "fluent after PPO", "goal ≥ 75 %", b.fluent_ppo.holds()},
      {number(r.sft_loss, 2), "loss after SFT, nats per token", "on held-out dialogues"},
      {number(r.seconds, 0) + " s", "from noise to here", "training and evaluation, one process"}};
}

}  // namespace npc
