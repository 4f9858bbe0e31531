//! rlhf: a full run of reinforcement learning from human feedback in one process. A model learns from noise by SFT,
//! then in three rounds from a reward model that is trained on ranked answers and refreshed each round. See usage().
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "stages.hpp"

namespace rlhf {
namespace {

int usage() {
  std::puts(
      "rlhf [--seed N] [--assert]\n"
      "  --assert   exit with 1 if the gold score does not rise each round, or another number misses its bound\n"
      "  SIZE=smoke in the environment makes everything tiny: a run of seconds that learns nothing");
  return 2;
}

std::vector<Row> align(Lab &lab) {
  learn_from_demonstrations(lab);
  Rankings lists;
  std::vector<Rankings> answers(1);
  std::vector<Row> rows{measure(lab, answers[0])};
  for (int round = 1; round <= lab.recipe.rounds; ++round) {
    learn_from_rankings(lab, lists);
    rows.back().refreshed = opinion(lab, answers.back()).accuracy;
    const double target = learn_from_judge(lab, round);
    rows.push_back(measure(lab, answers.emplace_back()));
    const Opinion before = opinion(lab, answers.front()), now = opinion(lab, answers.back());
    rows.back().kl_target = target;
    rows.back().accuracy = now.accuracy;
    rows.back().score = (now.mean - before.mean) / before.deviation;
    std::printf("%4.0f s  round %d: gold %.3f, before it %.3f\n", lab.seconds(), round, rows.back().gold,
                rows[rows.size() - 2].gold);
  }
  return rows;
}

int run(const Options &options) {
  Lab lab(options);
  const std::vector<Row> rows = align(lab);

  std::vector<std::string> complaints = impossible_numbers(rows);
  if (options.assert_bounds && options.recipe.full)
    for (const std::string &sentence : missed_bounds(rows)) complaints.push_back(sentence);
  std::printf("\n%s\n", table(rows).c_str());
  for (const std::string &sentence : complaints) std::printf("%s\n", sentence.c_str());
  std::printf("%s\n", machine_line(rows, lab.seconds()).c_str());
  return complaints.empty() ? 0 : 1;
}

bool parse(int count, char **arguments, Options &options) {
  const char *size = std::getenv("SIZE");
  if (size != nullptr && std::strcmp(size, "smoke") == 0) options.recipe = Recipe::smoke();
  for (int i = 1; i < count; ++i) {
    const std::string option = arguments[i];
    if (option == "--assert")
      options.assert_bounds = true;
    else if (option == "--seed" && i + 1 < count)
      options.seed = std::strtoull(arguments[++i], nullptr, 10);
    else
      return false;
  }
  return true;
}

}  // namespace
}  // namespace rlhf

int main(int count, char **arguments) {
  rlhf::Options options;
  if (!rlhf::parse(count, arguments, options)) return rlhf::usage();
  try {
    return rlhf::run(options);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "rlhf: %s\n", error.what());
    return 1;
  }
}
