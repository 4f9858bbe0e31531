//! Supervised fine-tuning: from noise to the grammar, good and bad answers alike.
#include <cstdio>

#include "stages.hpp"

namespace rlhf {
namespace {

std::string configuration(const Recipe &recipe) {
  return R"("algorithm": {"type": "sft", "batch_size": )" + std::to_string(recipe.sft_batch) + "}, " +
         optimizer(4e-3, R"(, "schedule": {"type": "linear", "warmup_steps": )" + std::to_string(recipe.sft_warm_up) +
                             R"(, "total_steps": )" + std::to_string(recipe.sft_steps) + R"(, "final_ratio": 0.1})");
}

Demonstrations draw(Lab &lab) {
  npc::Dice dice(lab.options.seed, SFT_ROWS);
  const auto questions = lab.draw_questions(lab.recipe.sft_steps * lab.recipe.sft_batch, dice);
  Demonstrations drawn{prompts(questions), {}};
  for (const npc::Question &question : questions)
    drawn.answers.push_back(npc::answer(question, npc::draw_answer(question, dice)));
  return drawn;
}

// PPO's own reference is such a copy
keel::Model frozen(const Lab &lab) {
  const keel::Session session = lab.open_session(R"("algorithm": {"type": "ppo"})");
  session.set_model(KEEL_ROLE_POLICY, lab.policy);
  return session.model(KEEL_ROLE_REFERENCE);
}

}  // namespace

keel::Batch batch(const Lab &lab, const Demonstrations &demonstrations) {
  keel::Batch rows = keel::Batch::create(lab.runtime, KEEL_BATCH_DEMONSTRATIONS, demonstrations.prompts.size());
  rows.set("prompt", demonstrations.prompts);
  rows.set("response", demonstrations.answers);
  return rows;
}

void learn_from_demonstrations(Lab &lab) {
  lab.demonstrations = draw(lab);
  {
    const keel::Session session = lab.open_session(configuration(lab.recipe));
    session.set_model(KEEL_ROLE_POLICY, lab.policy);
    session.push(batch(lab, lab.demonstrations));
    while (session.step().state == KEEL_JOB_DONE) {
    }
    std::printf("%4.0f s  SFT: %d steps, loss %.3f nats a token\n", lab.seconds(), lab.recipe.sft_steps,
                metric(session, "loss/nll"));
    std::fflush(stdout);
  }
  lab.sft = frozen(lab);
}

}  // namespace rlhf
