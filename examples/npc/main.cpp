//! npc: a C++ host that aligns a language model in its own process. It makes a small world, trains an innkeeper from
//! noise by SFT, DPO and PPO, saves it, and writes a report. See usage() for its options.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "control.hpp"
#include "phases.hpp"
#include "result.hpp"
#include "tokenizer.hpp"

namespace npc {
namespace {

int usage() {
  std::puts(
      "npc [--seed N] [--output DIR] [--assert] [--control]\n"
      "  --assert   exit with 1 if a number misses its bound\n"
      "  --control  run PPO with a constant reward on the model saved after DPO; exit with 1 if its score moves\n"
      "  SIZE=smoke in the environment makes everything tiny: a run of seconds that learns nothing");
  return 2;
}

std::vector<Exchange> exchanges(const Inn &inn, const std::vector<Visit> &visits) {
  std::vector<Exchange> list;
  for (std::size_t i = 0; i < inn.recipe.shown; ++i) {
    Exchange exchange{inn.held_out[i], {}};
    for (const Visit &visit : visits) exchange.answers.push_back(visit.verdicts[i][0]);
    list.push_back(exchange);
  }
  return list;
}

Trait trait(const std::string &name, const std::string &meaning, double (*measure)(const Verdict &),
            const std::vector<Visit> &visits) {
  Trait result{name, meaning, {}};
  for (const Visit &visit : visits) result.shares.push_back(visit.mean(measure));
  return result;
}

Page page(const Inn &inn, const Result &result, const std::vector<Visit> &visits,
          const std::vector<PhaseCurves> &phases) {
  Page page;
  page.tiles = tiles(result);
  page.stages = {"untrained", "after SFT", "after DPO", "after PPO"};
  page.traits = {trait("Polite", "greets this traveller kindly", is_polite, visits),
                 trait("Right", "true price, or secret kept", is_right, visits),
                 trait("Fluent", "the whole answer parses", is_fluent, visits),
                 trait("Mentions the fire", "what only the reward asks for", mentions_fire, visits)};
  page.phases = phases;
  page.exchanges = exchanges(inn, visits);
  page.footnote =
      "Llama, " + std::to_string(inn.recipe.layers) + " layers of " + std::to_string(inn.recipe.hidden) + ", " +
      std::to_string(vocabulary().size()) + " words, seed " + std::to_string(inn.options.seed) + ". Shares are of " +
      std::to_string(inn.held_out.size()) + " held-out prompts with " + std::to_string(inn.recipe.samples) +
      " answers each, sampled at temperature 1; a prompt counts as answered better only if the mean judgement of its " +
      "answers is strictly higher. KL is measured on freshly sampled answers to the same prompts. Bold lines are " +
      "moving means of the faint ones. Written by examples/npc of keel " + std::string(keel::version()) + ".";
  return page;
}

Result align(Inn &inn, std::vector<Visit> &visits, std::vector<PhaseCurves> &phases) {
  Result result;
  const std::size_t samples = inn.recipe.samples;

  inn.create_model();
  visits.push_back(inn.visit("untrained", samples));
  phases.push_back(learn_from_examples(inn, result.sft_loss));
  visits.push_back(inn.visit("after SFT", samples));
  phases.push_back(learn_from_preferences(inn, result.preference_accuracy));
  visits.push_back(inn.visit("after DPO", samples));
  inn.save_model("after-dpo");
  phases.push_back(learn_from_reward(inn, reward));
  visits.push_back(inn.visit("after PPO", samples));
  inn.save_model("innkeeper");

  result.preferred_share = preferred_share(visits[1], visits[2]);
  result.fluent_dpo = visits[2].mean(is_fluent);
  result.fluent_ppo = visits[3].mean(is_fluent);
  result.reward_before = visits[2].mean(reward);
  result.reward_after = visits[3].mean(reward);
  result.kl_per_sequence = divergence(inn, "after-dpo");
  return result;
}

int run_demo(const Options &options) {
  const auto start = std::chrono::steady_clock::now();
  Inn inn(options);
  std::vector<Visit> visits;
  std::vector<PhaseCurves> phases;
  Result result = align(inn, visits, phases);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  write_file(inn.path("report.html"), render(page(inn, result, visits, phases)));
  std::printf("\nsaved %s, wrote %s\n", inn.path("innkeeper").c_str(), inn.path("report.html").c_str());

  std::vector<std::string> complaints = impossible_numbers(result);
  if (options.assert_bounds && options.recipe.full)
    for (const std::string &sentence : missed_bounds(result)) complaints.push_back(sentence);
  for (const std::string &sentence : complaints) std::printf("%s\n", sentence.c_str());
  std::printf("%s\n", demo_line(result).c_str());
  return complaints.empty() ? 0 : 1;
}

bool parse(int count, char **arguments, Options &options) {
  const char *size = std::getenv("SIZE");
  if (size != nullptr && std::strcmp(size, "smoke") == 0) {
    options.recipe = Recipe::smoke();
    options.output = "target/demo-smoke";
  }
  for (int i = 1; i < count; ++i) {
    const std::string option = arguments[i];
    if (option == "--control")
      options.control = true;
    else if (option == "--assert")
      options.assert_bounds = true;
    else if (option == "--seed" && i + 1 < count)
      options.seed = std::strtoull(arguments[++i], nullptr, 10);
    else if (option == "--output" && i + 1 < count)
      options.output = arguments[++i];
    else
      return false;
  }
  return true;
}

}  // namespace
}  // namespace npc

int main(int count, char **arguments) {
  npc::Options options;
  if (!npc::parse(count, arguments, options)) return npc::usage();
  try {
    return options.control ? npc::run_control(options) : npc::run_demo(options);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "npc: %s\n", error.what());
    return 1;
  }
}
