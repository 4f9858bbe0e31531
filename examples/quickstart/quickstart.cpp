// Two tiny runs in this process: a language model is aligned, then a walker learns its way. As quickstart.c, with the same
// numbers; errors are exceptions.
#define KEEL_EXCEPTIONS
#include <keel/keel.hpp>

#include <cstdio>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr int ROUNDS = 4;

// A game would draw a frame between two calls of this loop; each takes 2 ms of it.
void finish(const keel::Job &job) {
  while (!job.pump(2ms).done()) {
  }
}

keel::Session session_of(const keel::Runtime &runtime, const char *model, const char *config) {
  keel::Session session = keel::Session::create(runtime, config);
  session.set_model(KEEL_ROLE_POLICY, keel::Model::create(runtime, model));
  return session;
}

unsigned long long update(const keel::Session &session) {
  finish(session.update().value());
  return session.state_hash();
}

// Responses are sampled, those with more even tokens are rewarded more, and GRPO makes them likelier.
void align(const keel::Runtime &runtime) {
  const keel::Session session = session_of(runtime,
      R"({"config": {"model_type": "llama", "vocab_size": 32, "hidden_size": 32, "intermediate_size": 64,
          "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64}, "initialization": "fan_in"})",
      R"({"algorithm": {"type": "grpo"}, "optimizer": {"learning_rate": 0.01}, "threads": 1})");
  constexpr int ROWS = 16;
  std::vector<int32_t> tokens;
  std::vector<uint64_t> groups;  // four responses to each of four prompts
  for (int row = 0; row < ROWS; ++row) {
    groups.push_back(row / 4);
    tokens.push_back(3 + row / 4);
  }
  keel::Batch prompts = keel::Batch::create(runtime, KEEL_BATCH_PROMPTS, ROWS);
  prompts.set("prompt", tokens);

  for (int round = 1; round <= ROUNDS; ++round) {
    const keel::Job job = session.generate(prompts, R"({"max_new_tokens": 8, "seed": )" + std::to_string(round) + "}");
    finish(job);
    keel::Batch rollouts = job.batch();
    const auto responses = rollouts.tokens("response");
    const size_t count = responses.values.size();
    std::vector<float> rewards(ROWS);
    int even = 0;
    for (size_t row = 0; row < ROWS; ++row) {
      for (const int32_t token : responses.row(row)) rewards[row] += token % 2 == 0 ? 1.0f : 0.0f;
      even += static_cast<int>(rewards[row]);
    }
    rollouts.set("reward", rewards);
    rollouts.set("group", groups);
    session.push(rollouts);
    const auto state = update(session);
    std::printf("alignment %d: %d of %zu tokens even, state %llu\n", round, even, count, state);
  }
}

// Walkers on a line of places: at its right end there is a reward, at its left end nothing, and both end the episode.
void control(const keel::Runtime &runtime) {
  const keel::Session session = session_of(runtime,
      R"({"config": {"model_type": "control", "hidden": [16],
          "observations": [{"type": "vector", "name": "place", "size": 1}],
          "actions": [{"type": "discrete", "name": "way", "choices": 2}]}})",
      R"({"algorithm": {"type": "control_ppo", "rollout_steps": 240, "minibatches": 4}, "optimizer": {"learning_rate": 0.01}})");
  constexpr int PLACES = 8, LONGEST = 16, STEPS = 64;
  struct Walker {
    int place = 4, age = 0;
  };
  struct Observation {
    float place;
  };
  const std::vector<uint32_t> slots{0, 1, 2, 3};
  std::vector<Walker> walkers(slots.size());
  const keel::Actor actor = keel::Actor::create(session);
  const auto seen = [](const Walker &walker) { return Observation{static_cast<float>(walker.place) / PLACES}; };

  for (int round = 1; round <= ROUNDS; ++round) {
    int goals = 0;
    for (int step = 0; step < STEPS; ++step) {
      std::vector<Observation> observations, last;
      std::vector<int32_t> ways(slots.size()), status;
      std::vector<float> rewards;
      for (const Walker &walker : walkers) observations.push_back(seen(walker));
      actor.act(slots, observations, ways);
      for (size_t i = 0; i < walkers.size(); ++i) {
        Walker &walker = walkers[i];
        walker.place += ways[i] == 1 ? 1 : -1;
        const bool there = walker.place == PLACES, ended = there || walker.place == 0;
        const bool cut = !ended && ++walker.age == LONGEST;
        goals += there ? 1 : 0;
        rewards.push_back(there ? 1.0f : 0.0f);
        status.push_back(ended ? KEEL_EPISODE_TERMINATED : cut ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING);
        if (cut) last.push_back(seen(walker));
        if (ended || cut) walker = Walker{};
      }
      actor.observe(slots, rewards, status, last);
    }
    const auto state = update(session);
    std::printf("control %d: %d goals, state %llu\n", round, goals, state);
  }
}

}  // namespace

int main() try {
  {
    const keel::Runtime runtime = keel::Runtime::create();
    align(runtime);
    control(runtime);
  }
  std::printf("%llu handles left\n", static_cast<unsigned long long>(keel::live_handles()));
} catch (const keel::Exception &exception) {
  std::fprintf(stderr, "%s: %s\n", keel_status_name(exception.status()), exception.what());
  return 1;
}
