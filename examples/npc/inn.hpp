//! What the whole demo shares: the keel runtime, the innkeeper's model, the world, the recipe; and how answers are
//! sampled and judged. Owns the run's sizes and seeds. Refuses to train: the phases do (phases.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#define KEEL_EXCEPTIONS
#include <keel/keel.hpp>

#include "judge.hpp"
#include "world.hpp"

namespace npc {

/// How big everything is. The defaults are the recipe; `smoke()` is a run of seconds that learns nothing.
struct Recipe {
  int hidden = 128, layers = 5, heads = 4, feed_forward = 352;
  int sft_steps = 300, sft_batch = 32;
  int dpo_steps = 50, dpo_batch = 32;
  int ppo_updates = 20, ppo_warm_up = 3, ppo_rollouts = 64;
  std::size_t held_out_prompts = 200, samples = 4, shown = 8;
  std::size_t control_samples = 12;  ///< answers per held-out prompt on each side of the control run
  bool full = true;

  static Recipe smoke();
};

struct Options {
  std::uint64_t seed = 0;
  bool control = false, assert_bounds = false;
  std::string output = "target/demo";
  Recipe recipe;
};

/// Sampled and judged answers: [question][sample].
struct Visit {
  std::vector<std::vector<Verdict>> verdicts;

  double mean(double (*measure)(const Verdict &)) const;
};

double is_polite(const Verdict &verdict);
double is_right(const Verdict &verdict);
double is_fluent(const Verdict &verdict);
double mentions_fire(const Verdict &verdict);
double score(const Verdict &verdict);
double reward(const Verdict &verdict);

/// The share of questions whose answers after have a strictly higher mean score than before; a tie is not a win.
double preferred_share(const Visit &before, const Visit &after);

class Inn {
 public:
  explicit Inn(const Options &options);

  /// Gives the innkeeper a new, untrained model.
  void create_model();
  /// Gives the innkeeper a saved model: `name` under the output folder.
  void load_model(const std::string &name);
  void save_model(const std::string &name) const;

  /// A session of this configuration whose policy is the innkeeper.
  keel::Session open_session(const std::string &json) const;

  /// Answers to the held-out questions, as texts, from a session's policy; prompt-major.
  keel::Batch sample(const keel::Session &session, const std::vector<Question> &questions, std::size_t samples,
                     std::uint64_t seed) const;

  /// Samples answers to every held-out question, judges them, and prints a few.
  Visit visit(const std::string &stage, std::size_t samples) const;

  std::string path(const std::string &name) const { return options.output + "/" + name; }

  Options options;
  Recipe recipe;
  World world;
  std::vector<Question> held_out;
  keel::Runtime runtime;
  keel::Model model;
};

/// One number of a session's metrics; throws std::runtime_error if the session has none of this name.
double metric(const keel::Session &session, const std::string &name);

/// Judges a batch of rollouts whose rows are `samples` answers to each question.
std::vector<std::vector<Verdict>> judge_rollouts(const keel::Batch &rollouts, const std::vector<Question> &questions,
                                                 std::size_t samples);

/// The prompts of these questions.
std::vector<std::string> prompts(const std::vector<Question> &questions);

}  // namespace npc
