//! What the policy has become, on questions that no stage has seen; no weight of its own changes.
#include "stages.hpp"

namespace rlhf {

// an update of the value head alone measures its rollouts against the reference and leaves the policy as it is
Row measure(Lab &lab, Rankings &ranked) {
  lab.world.require_unseen(lab.held_out);
  const keel::Session session = lab.open_session(
      R"("algorithm": {"type": "ppo", "epochs": 1, "value_warmup": {"updates": 1}})");
  session.set_model(KEEL_ROLE_REFERENCE, lab.sft);
  session.set_model(KEEL_ROLE_POLICY, lab.policy);
  Answers answers = lab.answer(session, lab.held_out, lab.recipe.answers);
  ranked.add(answers, lab.recipe.answers);
  answers.rollouts.set("reward", std::vector<float>(answers.grades.begin(), answers.grades.end()));
  session.push(answers.rollouts);
  session.step();

  Row row;
  row.gold = metric(session, "reward/mean");
  row.kl = metric(session, "kl/sequence");
  row.length = metric(session, "rollout/length");
  row.ended = metric(session, "rollout/eos_fraction");
  return row;
}

}  // namespace rlhf
