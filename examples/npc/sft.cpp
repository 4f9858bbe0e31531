//! Phase 1, supervised fine-tuning: from noise to the grammar, good and bad answers alike.
#include "phases.hpp"

namespace npc {
namespace {

void push(const Inn &inn, const keel::Session &session, const std::vector<Question> &questions, Dice &dice,
          std::int32_t split) {
  std::vector<std::string> answers;
  for (const Question &question : questions) answers.push_back(answer(question, draw_answer(question, dice)));
  keel::Batch rows = keel::Batch::create(inn.runtime, KEEL_BATCH_DEMONSTRATIONS, questions.size());
  rows.set("prompt", prompts(questions));
  rows.set("response", answers);
  rows.set("split", std::vector<std::int32_t>(questions.size(), split));
  session.push(rows);
}

std::string configuration(const Inn &inn) {
  const std::string steps = std::to_string(inn.recipe.sft_steps);
  const std::string warm_up = std::to_string(inn.recipe.full ? 20 : 2);
  return R"({"algorithm": {"type": "sft", "batch_size": )" + std::to_string(inn.recipe.sft_batch) + R"(}, "seed": )" +
         std::to_string(inn.options.seed) + ", " +
         optimizer(3e-3, R"(, "schedule": {"type": "linear", "warmup_steps": )" + warm_up + R"(, "total_steps": )" +
                             steps + R"(, "final_ratio": 0.1})") +
         "}";
}

double held_out_loss(const keel::Session &session) {
  session.evaluate()->run();
  return metric(session, "evaluation/loss_nll");
}

}  // namespace

PhaseCurves learn_from_examples(Inn &inn, double &loss) {
  const int steps = inn.recipe.sft_steps, batch = inn.recipe.sft_batch, often = inn.recipe.full ? 25 : 2;
  const keel::Session session = inn.open_session(configuration(inn));
  Dice dice(inn.options.seed, SFT_ROWS), test(inn.options.seed, SFT_TEST);
  std::vector<Question> questions;
  for (int row = 0; row < steps * batch; ++row) questions.push_back(inn.world.training_question(dice));
  push(inn, session, questions, dice, KEEL_SPLIT_TRAINING);
  push(inn, session, inn.held_out, test, KEEL_SPLIT_EVALUATION);

  Progress progress("SFT  learns to speak        ", steps);
  Series training{"training", {}, {}}, held_out{"held out", {}, {}, false};
  for (int step = 1; step <= steps; ++step) {
    session.step();
    record(training, step, metric(session, "loss/nll"));
    if (step % often == 0) record(held_out, step, held_out_loss(session));
    progress.step(step, "loss " + number(training.y.back(), 3));
  }
  loss = held_out_loss(session);
  return {
      "Learns to speak",
      "SFT",
      "From noise: " + std::to_string(steps) + " steps on " + std::to_string(batch) +
          " dialogues each. Under half of the innkeepers in them are polite, under half are right, so a good student "
          "of these examples is rude and evasive as often as they are.",
      progress.seconds(),
      {{"Loss, nats per token of the answer", "optimiser step", {training, held_out}, 0.0}}};
}

}  // namespace npc
