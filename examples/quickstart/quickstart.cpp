// Two tiny runs in this process: a language model is aligned, then a walker learns its way. The numbers are those of
// quickstart.c beside this file.
#define KEEL_EXCEPTIONS
#include <keel/keel.hpp>

#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace {

constexpr int kRows = 16, kRounds = 4, kWalkers = 4, kPlaces = 8, kLongest = 16, kSteps = 64;

// A game would draw a frame between two calls of this loop; each takes 2 ms of it.
void finish(const keel::Job &job) {
  while (job.pump(std::chrono::milliseconds(2)).pending()) {
  }
}

keel::Session session_of(const keel::Runtime &runtime, const char *model, const char *session) {
  const keel::Model policy = keel::Model::create(runtime, model);
  keel::Session made = keel::Session::create(runtime, session);
  made.set_model(KEEL_ROLE_POLICY, policy);
  return made;
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
  std::vector<int32_t> tokens;
  std::vector<uint64_t> groups;  // four responses to each of four prompts
  for (int row = 0; row < kRows; ++row) tokens.push_back(3 + row / 4), groups.push_back(row / 4);
  keel::Batch prompts = keel::Batch::create(runtime, KEEL_BATCH_PROMPTS, kRows);
  prompts.set("prompt", tokens);

  for (int round = 1; round <= kRounds; ++round) {
    const keel::Job job = session.generate(prompts, R"({"max_new_tokens": 8, "seed": )" + std::to_string(round) + "}");
    finish(job);
    keel::Batch rollouts = job.batch();
    const keel::Column<int32_t> responses = rollouts.tokens("response");
    std::vector<float> rewards;
    int even = 0;
    const int count = static_cast<int>(responses.values.size());
    for (int row = 0; row < kRows; ++row) {
      int reward = 0;
      for (const int32_t token : responses.row(row)) reward += token % 2 == 0;
      rewards.push_back(static_cast<float>(reward)), even += reward;
    }
    rollouts.set("reward", rewards);
    rollouts.set("group", groups);
    session.push(rollouts);
    const unsigned long long state = update(session);
    std::printf("alignment %d: %d of %d tokens even, state %llu\n", round, even, count, state);
  }
}

// Walkers on a line of places: at its right end there is a reward, at its left end nothing, and both end the episode.
void control(const keel::Runtime &runtime) {
  const keel::Session session = session_of(runtime,
      R"({"config": {"model_type": "control", "hidden": [16],
          "observations": [{"type": "vector", "name": "place", "size": 1}],
          "actions": [{"type": "discrete", "name": "way", "choices": 2}]}})",
      R"({"algorithm": {"type": "control_ppo", "rollout_steps": 240, "minibatches": 4},
          "optimizer": {"learning_rate": 0.01}})");
  const uint32_t slots[kWalkers] = {0, 1, 2, 3};
  int places[kWalkers] = {4, 4, 4, 4}, ages[kWalkers] = {0};
  const keel::Actor actor = keel::Actor::create(session);

  for (int round = 1; round <= kRounds; ++round) {
    int goals = 0;
    for (int step = 0; step < kSteps; ++step) {
      std::vector<float> observations, last;
      std::vector<int32_t> ways(kWalkers);
      float rewards[kWalkers];
      int32_t status[kWalkers];
      for (const int place : places) observations.push_back(static_cast<float>(place) / kPlaces);
      actor.act(slots, observations, ways);
      for (int i = 0; i < kWalkers; ++i) {
        places[i] += ways[i] == 1 ? 1 : -1;
        const bool there = places[i] == kPlaces, ended = there || places[i] == 0;
        goals += there;
        rewards[i] = there ? 1.0f : 0.0f;
        status[i] = ended ? KEEL_EPISODE_TERMINATED : ++ages[i] == kLongest ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING;
        if (status[i] == KEEL_EPISODE_TRUNCATED) last.push_back(static_cast<float>(places[i]) / kPlaces);
        if (status[i] != KEEL_EPISODE_RUNNING) places[i] = 4, ages[i] = 0;
      }
      actor.observe(slots, rewards, status, last);
    }
    const unsigned long long state = update(session);
    std::printf("control %d: %d goals, state %llu\n", round, goals, state);
  }
}

}  // namespace

int main() {
  try {
    const keel::Runtime runtime = keel::Runtime::create();
    align(runtime);
    control(runtime);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::printf("%llu handles left\n", static_cast<unsigned long long>(keel::live_handles()));
}
