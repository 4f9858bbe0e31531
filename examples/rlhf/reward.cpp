//! The reward model: from ranked lists of the policy's own answers to scores, on the trunk that SFT left.
#include <cstdio>

#include "stages.hpp"

namespace rlhf {
namespace {

constexpr double NOISE = 0.08;

std::string configuration(const Recipe &recipe, std::size_t rows) {
  const std::size_t steps = rows * static_cast<std::size_t>(recipe.reward_passes) / recipe.reward_batch;
  return R"("algorithm": {"type": "reward", "learns": "rankings", "center_coef": 0.01, "batch_size": )" +
         std::to_string(recipe.reward_batch) + R"(, "epochs": )" + std::to_string(recipe.reward_passes) + "}, " +
         optimizer(1e-3, R"(, "schedule": {"type": "linear", "warmup_steps": 4, "total_steps": )" +
                             std::to_string(steps) + R"(, "final_ratio": 0.1})");
}

void sample(Lab &lab, Rankings &all) {
  const std::uint64_t stream = 16 * all.ranks.size();
  npc::Dice dice(lab.options.seed, LISTS + stream), noise(lab.options.seed, NOISY + stream);
  const keel::Session session = lab.open_session(R"("algorithm": {"type": "sft"})");
  session.set_model(KEEL_ROLE_POLICY, lab.policy);
  const auto questions = lab.draw_questions(lab.recipe.lists, dice);
  all.add(lab.answer(session, questions, lab.recipe.answers), lab.recipe.answers, &noise);
}

}  // namespace

void Rankings::add(const Answers &answers, int each, npc::Dice *noise) {
  const auto tokens = [&](const char *name, std::vector<std::vector<std::int32_t>> &rows) {
    const keel::Column<std::int32_t> column = answers.rollouts.tokens(name);
    for (std::size_t row = 0; row < column.rows; ++row) rows.push_back(column.row(row).to_vector());
  };
  tokens("prompt", prompts);
  tokens("response", responses);
  for (std::size_t first = 0; first < answers.grades.size(); first += static_cast<std::size_t>(each)) {
    const auto begin = answers.grades.begin() + static_cast<std::ptrdiff_t>(first);
    const std::vector<double> grades(begin, begin + each);
    const std::uint64_t group = groups.empty() ? 0 : groups.back() + 1;
    for (std::int32_t rank : noise ? noisy_ranks(grades, NOISE, *noise) : rlhf::ranks(grades)) {
      ranks.push_back(rank);
      groups.push_back(group);
    }
  }
}

keel::Batch Rankings::batch(const keel::Runtime &runtime, std::int32_t split) const {
  keel::Batch rows = keel::Batch::create(runtime, KEEL_BATCH_RANKINGS, ranks.size());
  rows.set("prompt", prompts);
  rows.set("response", responses);
  rows.set("rank", ranks);
  rows.set("group", groups);
  rows.set("split", std::vector<std::int32_t>(ranks.size(), split));
  return rows;
}

void learn_from_rankings(Lab &lab, Rankings &all) {
  sample(lab, all);
  const keel::Model model = lab.judge ? lab.judge.model(KEEL_ROLE_REWARD) : keel::Model();
  lab.judge = keel::Session();
  lab.judge = lab.open_session(configuration(lab.recipe, all.ranks.size()));
  lab.judge.set_model(KEEL_ROLE_REWARD, model ? model : lab.sft);
  lab.judge.push(all.batch(lab.runtime, KEEL_SPLIT_TRAINING));
  while (lab.judge.step().state == KEEL_JOB_DONE) {
  }
  std::printf("%4.0f s  reward model: %zu ranked answers, loss %.3f, accuracy in training %.2f\n", lab.seconds(),
              all.ranks.size(), metric(lab.judge, "loss/preference"), metric(lab.judge, "preference/accuracy"));
  std::fflush(stdout);
}

Opinion opinion(Lab &lab, const Rankings &ranked) {
  lab.judge.clear();
  lab.judge.push(ranked.batch(lab.runtime, KEEL_SPLIT_EVALUATION));
  lab.judge.evaluate()->run();
  return {metric(lab.judge, "evaluation/preference_accuracy"), metric(lab.judge, "evaluation/score_mean"),
          metric(lab.judge, "evaluation/score_std")};
}

}  // namespace rlhf
