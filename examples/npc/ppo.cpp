//! Phase 3, proximal policy optimisation: the host samples answers, scores them itself, and updates.
#include <algorithm>

#include "phases.hpp"

namespace npc {
namespace {

constexpr double KL_LIMIT = 12;  ///< nats per answer of one update's rollouts; past it PPO only loses language
constexpr std::uint64_t SAMPLING_SEED = 1000, DIVERGENCE_SEED = 60;

// a zero value head, gae_lambda below 1 or advantages divided by their deviation make a constant reward look like a
// lesson: answers shrink, or language breaks (npc --control shows that this configuration stays still)
std::string configuration(const Inn &inn, int warm_up) {
  return R"({"algorithm": {"type": "ppo", "epochs": 2, "minibatches": 2, "kl": {"type": "fixed", "coef": 0.05},
               "discount": 1, "gae_lambda": 1, "advantages": "center", "clip_range": 0.2, "value_coef": 0.1,
               "value_warmup": {"updates": )" +
         std::to_string(warm_up) + R"(, "learning_rate": 0.01}}, "seed": )" + std::to_string(inn.options.seed) + ", " +
         optimizer(2e-4) + "}";
}

std::vector<Verdict> score_rollouts(keel::Batch &rollouts, const std::vector<Question> &questions, std::size_t samples,
                                    double (*reward)(const Verdict &)) {
  std::vector<Verdict> verdicts;
  std::vector<float> rewards;
  for (const auto &answers : judge_rollouts(rollouts, questions, samples))
    for (const Verdict &verdict : answers) {
      verdicts.push_back(verdict);
      rewards.push_back(static_cast<float>(reward(verdict)));
    }
  rollouts.set("reward", rewards);
  return verdicts;
}

double zero(const Verdict &) { return 0; }

}  // namespace

PhaseCurves learn_from_reward(Inn &inn, double (*reward)(const Verdict &)) {
  const int updates = inn.recipe.ppo_updates, warm_up = inn.recipe.ppo_warm_up;
  const keel::Session session = inn.open_session(configuration(inn, warm_up));
  Dice dice(inn.options.seed, PPO_PROMPTS);
  Progress progress("PPO  learns about the fire  ", updates);
  Series mean_reward{"reward", {}, {}, false}, fluent{"fluent", {}, {}, false}, kl{"KL", {}, {}, false};
  Series policy_loss{"policy", {}, {}, false}, value_loss{"value", {}, {}, false};
  for (int update = 1; update <= updates; ++update) {
    std::vector<Question> questions;
    for (int row = 0; row < inn.recipe.ppo_rollouts; ++row) questions.push_back(inn.world.training_question(dice));
    keel::Batch rollouts = inn.sample(session, questions, 1, SAMPLING_SEED * (inn.options.seed + 1) + update);
    const Visit visit{{score_rollouts(rollouts, questions, 1, reward)}};
    session.push(rollouts);
    session.step();
    record(mean_reward, update, visit.mean(reward));
    record(fluent, update, visit.mean(is_fluent));
    record(kl, update, metric(session, "kl/sequence"));
    record(policy_loss, update, metric(session, "loss/policy"));
    record(value_loss, update, metric(session, "loss/value"));
    progress.step(update, "reward " + number(mean_reward.y.back(), 3) + "  KL " + number(kl.y.back(), 2));
    if (kl.y.back() > KL_LIMIT) break;
  }
  Chart rewards{"Reward of the sampled answers", "update", {mean_reward, fluent}, 0.0, 1.0};
  Chart divergences{"KL to the start, nats per answer", "update", {kl}, 0.0};
  Chart losses{"Loss", "update", {policy_loss, value_loss}};
  for (Chart *chart : {&rewards, &divergences, &losses}) chart->shaded_until = warm_up;
  rewards.shaded_note = "value head only";
  return {
      "Learns what the host rewards",
      "PPO",
      std::to_string(updates) + " updates on " + std::to_string(inn.recipe.ppo_rollouts) +
          " sampled answers each. The host pays 1 for an answer that is right and mentions the fire, 0 for any other; "
          "no preference ever asked for the fire.",
      progress.seconds(),
      {rewards, divergences, losses}};
}

// an update of the value head alone measures its rollouts against the reference and leaves the policy as it is
double divergence(Inn &inn, const std::string &reference) {
  const keel::Session session = inn.open_session(configuration(inn, 1));
  const keel::Job load = keel::Model::load(inn.runtime, inn.path(reference));
  load.run();
  session.set_model(KEEL_ROLE_REFERENCE, load.model());
  keel::Batch rollouts = inn.sample(session, inn.held_out, inn.recipe.samples, DIVERGENCE_SEED + inn.options.seed);
  score_rollouts(rollouts, inn.held_out, inn.recipe.samples, zero);
  session.push(rollouts);
  session.step();
  return metric(session, "kl/sequence");
}

}  // namespace npc
