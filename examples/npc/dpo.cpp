//! Phase 2, direct preference optimisation: from pairs that the judge ranked to polite and right answers.
#include "phases.hpp"

namespace npc {
namespace {

constexpr int PAIRS_A_HELD_OUT_PROMPT = 2;

void push(const Inn &inn, const keel::Session &session, const std::vector<Pair> &pairs, std::int32_t split) {
  std::vector<std::string> prompts, chosen, rejected;
  for (const Pair &pair : pairs) {
    prompts.push_back(pair.prompt);
    chosen.push_back(pair.chosen);
    rejected.push_back(pair.rejected);
  }
  keel::Batch rows = keel::Batch::create(inn.runtime, KEEL_BATCH_PREFERENCES, pairs.size());
  rows.set("prompt", prompts);
  rows.set("chosen", chosen);
  rows.set("rejected", rejected);
  rows.set("split", std::vector<std::int32_t>(pairs.size(), split));
  session.push(rows);
}

// without the likelihood of the chosen answer (nll_coef) the pairs are ranked just as well, but sampled answers break
std::string configuration(const Inn &inn) {
  return R"({"algorithm": {"type": "dpo", "beta": 0.3, "nll_coef": 1, "batch_size": )" +
         std::to_string(inn.recipe.dpo_batch) + R"(}, "seed": )" + std::to_string(inn.options.seed) + ", " +
         optimizer(3e-4) + "}";
}

double held_out_accuracy(const keel::Session &session) {
  session.evaluate()->run();
  return metric(session, "evaluation/preference_accuracy");
}

}  // namespace

PhaseCurves learn_from_preferences(Inn &inn, double &accuracy) {
  const int steps = inn.recipe.dpo_steps, batch = inn.recipe.dpo_batch, often = inn.recipe.full ? 10 : 2;
  const keel::Session session = inn.open_session(configuration(inn));
  Dice dice(inn.options.seed, DPO_ROWS), test(inn.options.seed, DPO_TEST);
  std::vector<Pair> pairs, held_out;
  for (int row = 0; row < steps * batch; ++row) pairs.push_back(inn.world.training_pair(dice));
  for (const Question &question : inn.held_out)
    for (int i = 0; i < PAIRS_A_HELD_OUT_PROMPT; ++i) held_out.push_back(draw_pair(question, test));
  push(inn, session, pairs, KEEL_SPLIT_TRAINING);
  push(inn, session, held_out, KEEL_SPLIT_EVALUATION);

  Progress progress("DPO  learns manners         ", steps);
  Series loss{"loss", {}, {}}, training{"training pairs", {}, {}}, unseen{"held-out pairs", {}, {}, false},
      margin{"margin", {}, {}};
  for (int step = 1; step <= steps; ++step) {
    session.step();
    record(loss, step, metric(session, "loss/preference"));
    record(training, step, metric(session, "preference/accuracy"));
    record(margin, step, metric(session, "preference/margin"));
    if (step % often == 0) record(unseen, step, held_out_accuracy(session));
    progress.step(step, "loss " + number(loss.y.back(), 3) + "  accuracy " + number(training.y.back(), 2));
  }
  accuracy = held_out_accuracy(session);
  return {"Learns manners",
          "DPO",
          std::to_string(steps) + " steps on " + std::to_string(batch) +
              " fresh pairs each. Of two answers the judge prefers the one that is more of polite, right and fluent; "
              "length and small talk are never preferred.",
          progress.seconds(),
          {{"Preference loss, nats per pair", "optimiser step", {loss}, 0.0},
           {"Preference accuracy", "optimiser step", {training, unseen}, 0.0, 1.0},
           {"Margin of implied rewards, nats", "optimiser step", {margin}}}};
}

}  // namespace npc
