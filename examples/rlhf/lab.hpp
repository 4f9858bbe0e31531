//! What the whole run shares: keel's runtime, the models, the world, the recipe; how answers are sampled and graded.
//! Owns the run's sizes and seeds. Refuses to train: the stages do (stages.hpp).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#define KEEL_EXCEPTIONS
#include <keel/keel.hpp>

#include "gold.hpp"
#include "world.hpp"

namespace rlhf {

/// How big everything is. The defaults are the recipe; `smoke()` is a run of seconds that learns nothing.
struct Recipe {
  int hidden = 96, layers = 3, heads = 4, feed_forward = 256;
  int sft_steps = 220, sft_batch = 32, sft_warm_up = 20;
  int lists = 128, answers = 4;  ///< ranked lists of one round, answers of one list
  int reward_batch = 32, reward_passes = 2;
  int rounds = 3, value_updates = 3, rollouts = 64;
  int policy_updates = 6, more_updates = 3;  ///< of the first round, and of each round more than the one before
  int demonstrations = 1024;  ///< of SFT's, which PPO goes on learning from
  int held_out = 130;
  bool full = true;

  static Recipe smoke();
};

struct Options {
  std::uint64_t seed = 0;
  bool assert_bounds = false;
  Recipe recipe;
};

/// Answers as texts to learn from, one to a prompt.
struct Demonstrations {
  std::vector<std::string> prompts, answers;
};

/// Sampled answers, prompt-major, and what the gold judge thinks of each.
struct Answers {
  keel::Batch rollouts;
  std::vector<double> grades;
};

class Lab {
 public:
  explicit Lab(const Options &options);

  /// A session of this configuration (the members inside the braces), with the run's seed.
  keel::Session open_session(const std::string &members) const;

  /// `count` training questions of the run's own dice.
  std::vector<npc::Question> draw_questions(int count, npc::Dice &dice);

  /// The policy's answers, as it is published now. `occasion`: no two have the same random numbers.
  Answers answer(const keel::Session &session, const std::vector<npc::Question> &questions, int each);

  Options options;
  Recipe recipe;
  npc::World world;
  std::vector<npc::Question> held_out;
  Demonstrations demonstrations;
  keel::Runtime runtime;
  keel::Model policy, sft;  ///< the model in training, and a frozen copy of it as SFT left it
  keel::Session judge;      ///< the last that trained the reward model
  double kl_price = 0.2;    ///< of the KL from SFT, as the last round's controller left it

  /// Since the run began.
  double seconds() const;

 private:
  std::uint64_t occasions_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// One number of a session's metrics; throws std::runtime_error if the session has none of this name.
double metric(const keel::Session &session, const std::string &name);

/// The "optimizer" member of a session's configuration; `schedule` is further members or empty.
std::string optimizer(double learning_rate, const std::string &schedule = {});

std::vector<std::string> prompts(const std::vector<npc::Question> &questions);

/// The streams of dice, one for each kind of drawing, so that changing one stage leaves the others' data alone.
enum Stream : std::uint64_t { SFT_ROWS = 2, LISTS = 3, NOISY = 4, ROLLOUTS = 5 };

}  // namespace rlhf
