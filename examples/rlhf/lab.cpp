//! Sampling and grading; nothing here changes a weight.
#include "lab.hpp"

#include <cstdlib>
#include <stdexcept>

#include "report.hpp"
#include "tokenizer.hpp"

namespace rlhf {
namespace {

/// The longest answer of the grammar has 29 tokens with its end.
constexpr int MOST_TOKENS = 32;
constexpr std::uint64_t HELD_OUT_SEED = 20, SAMPLING_SEED = 100000;

}  // namespace

Recipe Recipe::smoke() {
  Recipe tiny;
  tiny.hidden = 32;
  tiny.layers = 2;
  tiny.heads = 2;
  tiny.feed_forward = 64;
  tiny.sft_steps = 6;
  tiny.sft_warm_up = 2;
  tiny.sft_batch = tiny.rollouts = 8;
  tiny.lists = 4;
  tiny.reward_batch = 8;
  tiny.value_updates = 1;
  tiny.policy_updates = 2;
  tiny.more_updates = 0;
  tiny.demonstrations = 48;
  tiny.held_out = 12;
  tiny.full = false;
  return tiny;
}

Lab::Lab(const Options &given)
    : options(given),
      recipe(given.recipe),
      held_out(npc::held_out_questions(static_cast<std::size_t>(recipe.held_out), HELD_OUT_SEED + given.seed)),
      runtime(keel::Runtime::create()) {
  const std::string llama = npc::llama_json(recipe.hidden, recipe.layers, recipe.heads, recipe.feed_forward);
  policy = keel::Model::create(runtime, R"({"initialization": "fan_in", "seed": )" + std::to_string(options.seed) +
                                            R"(, "config": )" + llama + R"(, "tokenizer": )" + npc::tokenizer_json() +
                                            "}");
}

double Lab::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

keel::Session Lab::open_session(const std::string &members) const {
  return keel::Session::create(runtime, "{" + members + R"(, "seed": )" + std::to_string(options.seed) + "}");
}

std::vector<npc::Question> Lab::draw_questions(int count, npc::Dice &dice) {
  std::vector<npc::Question> questions;
  for (int i = 0; i < count; ++i) questions.push_back(world.training_question(dice));
  return questions;
}

Answers Lab::answer(const keel::Session &session, const std::vector<npc::Question> &questions, int each) {
  const std::uint64_t seed = SAMPLING_SEED * (options.seed + 1) + ++occasions_;
  const keel::Job job = session.generate(prompts(questions), R"({"max_new_tokens": )" + std::to_string(MOST_TOKENS) +
                                                                 R"(, "samples": )" + std::to_string(each) +
                                                                 R"(, "seed": )" + std::to_string(seed) + "}");
  job.run();
  Answers answers{job.batch(), {}};
  const keel::Texts texts = answers.rollouts.texts("response");
  for (std::size_t row = 0; row < texts.size(); ++row)
    answers.grades.push_back(gold(questions[row / static_cast<std::size_t>(each)], std::string(texts[row])));
  return answers;
}

double metric(const keel::Session &session, const std::string &name) {
  const std::string json = session.metrics(), key = "\"" + name + "\":";
  const std::size_t at = json.find(key);
  if (at == std::string::npos) throw std::runtime_error("the session has no metric " + name + ": " + json);
  return std::strtod(json.c_str() + at + key.size(), nullptr);
}

std::string optimizer(double learning_rate, const std::string &schedule) {
  return R"("optimizer": {"learning_rate": )" + npc::number(learning_rate, 6) + R"(, "betas": [0.9, 0.95])" + schedule +
         "}";
}

std::vector<std::string> prompts(const std::vector<npc::Question> &questions) {
  std::vector<std::string> list;
  for (const npc::Question &question : questions) list.push_back(npc::prompt(question));
  return list;
}

}  // namespace rlhf
