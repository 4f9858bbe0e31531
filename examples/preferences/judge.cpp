//! Queries are pairs of segments, drawn evenly from what the policy did last.
#include "judge.hpp"

namespace preferences {
namespace {

constexpr std::size_t SEGMENT = 25;
constexpr int PASSES = 30;
constexpr std::size_t BATCH = 32;

struct Query {
  std::vector<float> views, torques;
  double worth = 0;
};

Query draw(const std::vector<Trace> &traces, Dice &dice) {
  const Trace &trace = traces[dice.below(traces.size())];
  const std::size_t first = dice.below(trace.rewards.size() - SEGMENT + 1);
  Query query;
  for (std::size_t step = first; step < first + SEGMENT; ++step) {
    const View &view = trace.views[step];
    query.views.insert(query.views.end(), {view.cosine, view.sine, view.speed});
    query.torques.push_back(trace.torques[step]);
    query.worth += trace.rewards[step];
  }
  return query;
}

}  // namespace

Judge::Judge(const keel::Runtime &runtime, std::uint64_t seed, bool shuffled)
    : runtime_(runtime), shuffled_(shuffled), dice_(seed + 200) {
  const std::string kind = R"({"config": {"model_type": "control_reward", "normalize_observations": true, )";
  model_ = keel::Model::create(runtime, kind + RECORDS + "}, \"seed\": " + std::to_string(seed) + "}");
  session_ = keel::Session::create(runtime, R"({"algorithm": {"type": "control_reward", "epochs": 0, "batch_size": )" +
                                                std::to_string(BATCH) + R"(}, "seed": )" + std::to_string(seed) + "}");
  session_.set_model(KEEL_ROLE_REWARD, model_);
}

void Judge::label(const std::vector<Trace> &traces, std::size_t pairs) {
  std::vector<Query> queries;
  for (std::size_t i = 0; i < 2 * pairs; ++i) queries.push_back(draw(traces, dice_));
  std::vector<char> first_is_better;
  for (std::size_t i = 0; i < pairs; ++i) first_is_better.push_back(queries[2 * i].worth > queries[2 * i + 1].worth);
  if (shuffled_) {
    for (std::size_t i = pairs; i > 1; --i) std::swap(first_is_better[i - 1], first_is_better[dice_.below(i)]);
  }
  keel::Batch batch = keel::Batch::create(runtime_, KEEL_BATCH_PREFERENCES, pairs);
  for (const char better : {1, 0}) {
    std::vector<std::vector<float>> views, torques;
    for (std::size_t i = 0; i < pairs; ++i) {
      const Query &query = queries[2 * i + (first_is_better[i] == better ? 0 : 1)];
      views.push_back(query.views);
      torques.push_back(query.torques);
    }
    batch.set(better ? "chosen_observation" : "rejected_observation", views);
    batch.set(better ? "chosen_action" : "rejected_action", torques);
  }
  session_.push(batch);
  labels_ += pairs;
  for (std::size_t step = 0; step < PASSES * labels_ / BATCH; ++step) session_.step();
}

}  // namespace preferences
