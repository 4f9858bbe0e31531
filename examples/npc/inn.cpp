//! Sampling and judging; nothing here changes a weight.
#include "inn.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "report.hpp"
#include "tokenizer.hpp"

namespace npc {
namespace {

/// The longest answer of the grammar has 29 tokens with its end.
constexpr int MOST_TOKENS = 32;
constexpr std::uint64_t HELD_OUT_SEED = 20, VISIT_SEED = 40;

std::string without_end(std::string text) {
  const std::size_t end = text.find("</s>");
  if (end != std::string::npos) text.resize(end);
  return text;
}

}  // namespace

Recipe Recipe::smoke() {
  Recipe tiny;
  tiny.hidden = 32;
  tiny.layers = 2;
  tiny.heads = 2;
  tiny.feed_forward = 64;
  tiny.sft_steps = 6;
  tiny.sft_batch = tiny.dpo_batch = tiny.ppo_rollouts = 8;
  tiny.dpo_steps = 3;
  tiny.ppo_updates = 3;
  tiny.ppo_warm_up = 1;
  tiny.held_out_prompts = 12;
  tiny.samples = tiny.control_samples = 2;
  tiny.shown = 3;
  tiny.full = false;
  return tiny;
}

double Visit::mean(double (*measure)(const Verdict &)) const {
  double sum = 0;
  std::size_t count = 0;
  for (const auto &answers : verdicts)
    for (const Verdict &verdict : answers) sum += measure(verdict), ++count;
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

double is_polite(const Verdict &verdict) { return verdict.polite; }
double is_right(const Verdict &verdict) { return verdict.right; }
double is_fluent(const Verdict &verdict) { return verdict.fluent; }
double mentions_fire(const Verdict &verdict) { return verdict.fire; }
double score(const Verdict &verdict) { return verdict.score(); }
double reward(const Verdict &verdict) { return verdict.reward(); }

double preferred_share(const Visit &before, const Visit &after) {
  std::size_t wins = 0;
  for (std::size_t i = 0; i < after.verdicts.size(); ++i)
    wins += Visit{{after.verdicts[i]}}.mean(score) > Visit{{before.verdicts[i]}}.mean(score) + 1e-9;
  return static_cast<double>(wins) / static_cast<double>(after.verdicts.size());
}

Inn::Inn(const Options &given)
    : options(given),
      recipe(given.recipe),
      held_out(held_out_questions(recipe.held_out_prompts, HELD_OUT_SEED + given.seed)),
      runtime(keel::Runtime::create()) {}

void Inn::create_model() {
  const std::string llama = llama_json(recipe.hidden, recipe.layers, recipe.heads, recipe.feed_forward);
  model = keel::Model::create(runtime, R"({"initialization": "fan_in", "seed": )" + std::to_string(options.seed) +
                                           R"(, "config": )" + llama + R"(, "tokenizer": )" + tokenizer_json() + "}");
}

void Inn::load_model(const std::string &name) {
  const keel::Job job = keel::Model::load(runtime, path(name));
  job.run();
  model = job.model();
}

void Inn::save_model(const std::string &name) const { model.save(path(name)); }

keel::Session Inn::open_session(const std::string &json) const {
  keel::Session session = keel::Session::create(runtime, json);
  session.set_model(KEEL_ROLE_POLICY, model);
  return session;
}

keel::Batch Inn::sample(const keel::Session &session, const std::vector<Question> &questions, std::size_t samples,
                        std::uint64_t seed) const {
  const std::string config = R"({"max_new_tokens": )" + std::to_string(MOST_TOKENS) + R"(, "samples": )" +
                             std::to_string(samples) + R"(, "seed": )" + std::to_string(seed) + "}";
  const keel::Job job = session.generate(prompts(questions), config);
  job.run();
  return job.batch();
}

Visit Inn::visit(const std::string &stage, std::size_t samples) const {
  world.require_unseen(held_out);
  const keel::Session session = open_session(R"({"algorithm": {"type": "sft"}})");
  const keel::Batch rollouts = sample(session, held_out, samples, VISIT_SEED + options.seed);
  const Visit visit{judge_rollouts(rollouts, held_out, samples)};
  std::printf("\n%s: polite %.2f, right %.2f, fluent %.2f, fire %.2f of %zu answers to held-out prompts\n",
              stage.c_str(), visit.mean(is_polite), visit.mean(is_right), visit.mean(is_fluent),
              visit.mean(mentions_fire), held_out.size() * samples);
  for (std::size_t i = 0; i < 3 && i < held_out.size(); ++i) {
    std::string answer;
    for (const Span &span : visit.verdicts[i][0].spans) answer += readable(span.text) + " ";
    std::printf("  %-8s  %s\n            > %s\n", grammar().roles[held_out[i].role].c_str(),
                readable(spoken(held_out[i])).c_str(), answer.c_str());
  }
  std::fflush(stdout);
  return visit;
}

double metric(const keel::Session &session, const std::string &name) {
  const std::string json = session.metrics(), key = "\"" + name + "\":";
  const std::size_t at = json.find(key);
  if (at == std::string::npos) throw std::runtime_error("the session has no metric " + name + ": " + json);
  return std::strtod(json.c_str() + at + key.size(), nullptr);
}

std::vector<std::vector<Verdict>> judge_rollouts(const keel::Batch &rollouts, const std::vector<Question> &questions,
                                                 std::size_t samples) {
  const keel::Texts texts = rollouts.texts("response");
  std::vector<std::vector<Verdict>> verdicts(questions.size());
  for (std::size_t row = 0; row < texts.size(); ++row) {
    const std::size_t i = row / samples;
    verdicts[i].push_back(judge(questions[i], without_end(std::string(texts[row]))));
  }
  return verdicts;
}

std::vector<std::string> prompts(const std::vector<Question> &questions) {
  std::vector<std::string> list;
  for (const Question &question : questions) list.push_back(prompt(question));
  return list;
}

}  // namespace npc
