//! A round of PPO: the reward model scores what the policy samples, first the value head learns, then the policy.
#include <algorithm>
#include <cstdio>

#include "report.hpp"
#include "stages.hpp"

namespace rlhf {
namespace {

constexpr double KL_A_ROUND = 1.25, ENOUGH_EXPLAINED = 0.3;

// scores are measured with the round's first rollouts, so that a refreshed reward model's own scale does not matter
std::string configuration(const Recipe &recipe, double kl_price, double kl_target) {
  return R"("algorithm": {"type": "ppo", "epochs": 2, "minibatches": 2, "gae_lambda": 1, "advantages": "center",
               "kl": {"type": "adaptive", "coef": )" +
         npc::number(kl_price, 4) + R"(, "target": )" + npc::number(kl_target, 3) + R"(, "horizon": 250, "unit": "sequence"},
               "reward_normalization": "first_update", "reward_clip": 5, "missing_eos_penalty": 1,
               "demonstrations": {"coef": 0.1, "batch_size": 16, "mix": "joint"},
               "value_warmup": {"updates": )" +
         std::to_string(recipe.value_updates) + R"(, "learning_rate": 0.01, "explained_variance": )" +
         npc::number(ENOUGH_EXPLAINED, 2) + "}}, " + optimizer(2.5e-4);
}

Demonstrations first(const Demonstrations &all, int count) {
  const auto some = [&](const std::vector<std::string> &texts) {
    return std::vector<std::string>(texts.begin(), texts.begin() + std::min<std::ptrdiff_t>(count, texts.size()));
  };
  return {some(all.prompts), some(all.answers)};
}

keel::Session open(const Lab &lab, double kl_target) {
  keel::Session session = lab.open_session(configuration(lab.recipe, lab.kl_price, kl_target));
  session.set_model(KEEL_ROLE_REFERENCE, lab.sft);
  session.set_model(KEEL_ROLE_REWARD, lab.judge.model(KEEL_ROLE_REWARD));
  session.set_model(KEEL_ROLE_POLICY, lab.policy);
  session.push(batch(lab, first(lab.demonstrations, lab.recipe.demonstrations)));
  return session;
}

}  // namespace

double learn_from_judge(Lab &lab, int round) {
  const double target = KL_A_ROUND * round;
  const keel::Session session = open(lab, target);
  npc::Dice dice(lab.options.seed, ROLLOUTS + 16 * static_cast<std::uint64_t>(round));
  const auto update = [&] {
    const auto questions = lab.draw_questions(lab.recipe.rollouts, dice);
    session.push(lab.answer(session, questions, 1).rollouts);
    session.step();
  };
  int pretrained = 0;
  double explained = 0;
  while (pretrained < lab.recipe.value_updates && explained < ENOUGH_EXPLAINED) {
    update();
    ++pretrained;
    explained = metric(session, "value/explained_variance");
  }
  std::printf("%4.0f s  round %d: the value head explains %.2f of the variance after %d updates\n", lab.seconds(), round,
              explained, pretrained);
  const int updates = lab.recipe.policy_updates + lab.recipe.more_updates * (round - 1);
  for (int i = 1; i <= updates; ++i) {
    update();
    std::printf("%4.0f s    update %d: rm score %.2f, KL %.2f, its price %.3f, demonstrations %.3f nats a token\n",
                lab.seconds(), i, metric(session, "reward/mean"), metric(session, "kl/sequence"), metric(session, "kl/coef"),
                metric(session, "loss/demonstrations"));
    std::fflush(stdout);
  }
  lab.kl_price = metric(session, "kl/coef");
  return target;
}

}  // namespace rlhf
