//! PPO with the settings of RL Baselines3 Zoo for Pendulum-v1, without its exploration by state.
#include "agent.hpp"

#include <numeric>

namespace preferences {
namespace {

const std::string METHOD =
    R"({"algorithm": {"type": "control_ppo", "rollout_steps": 4096, "epochs": 10, "minibatches": 64, "discount": 0.9},)"
    R"( "optimizer": {"learning_rate": 1e-3}, "seed": )";
const std::string NETWORK = std::string(R"({"config": {"model_type": "control", )") + RECORDS + "}, \"seed\": ";

}  // namespace

Agent::Agent(const keel::Runtime &runtime, std::uint64_t seed)
    : policy_(keel::Model::create(runtime, NETWORK + std::to_string(seed) + "}")),
      session_(keel::Session::create(runtime, METHOD + std::to_string(seed) + "}")),
      dice_(seed + 100) {
  session_.set_model(KEEL_ROLE_POLICY, policy_);
  actor_ = keel::Actor::create(session_);
}

void Agent::learn(int updates, const std::function<void(const std::vector<Trace> &, int)> &between) {
  std::vector<std::uint32_t> slots(PENDULUMS);
  std::iota(slots.begin(), slots.end(), 0u);
  std::vector<Pendulum> pendulums;
  for (std::size_t i = 0; i < PENDULUMS; ++i) pendulums.emplace_back(dice_);
  std::vector<View> views(PENDULUMS);
  std::vector<float> torques(PENDULUMS), rewards(PENDULUMS);
  std::vector<std::int32_t> status(PENDULUMS);
  std::vector<Trace> traces(PENDULUMS);
  for (int update = 0; update < updates;) {
    for (std::size_t i = 0; i < PENDULUMS; ++i) views[i] = pendulums[i].view();
    actor_.act(slots, views, torques);
    if (traces[0].rewards.size() == TURNS) {  // all steps are finished: the pendulums have acted again
      between(traces, update++);
      session_.step();
      traces.assign(PENDULUMS, Trace());
    }
    std::vector<View> finals;
    for (std::size_t i = 0; i < PENDULUMS; ++i) {
      const double reward = pendulums[i].turn(torques[i]);
      traces[i].views.push_back(views[i]);
      traces[i].torques.push_back(torques[i]);
      traces[i].rewards.push_back(reward);
      rewards[i] = static_cast<float>(reward);
      status[i] = pendulums[i].age == EPISODE ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING;
      if (status[i] == KEEL_EPISODE_RUNNING) continue;
      finals.push_back(pendulums[i].view());
      pendulums[i] = Pendulum(dice_);
    }
    actor_.observe(slots, rewards, status, finals);
  }
}

double Agent::play(std::uint64_t seed, std::size_t episodes) const {
  Dice dice(seed);
  std::vector<Pendulum> pendulums;
  for (std::size_t i = 0; i < episodes; ++i) pendulums.emplace_back(dice);
  std::vector<std::uint32_t> slots(episodes);
  std::iota(slots.begin(), slots.end(), 0u);
  std::vector<View> views(episodes);
  std::vector<float> torques(episodes);
  double total = 0;
  for (int step = 0; step < EPISODE; ++step) {
    for (std::size_t i = 0; i < episodes; ++i) views[i] = pendulums[i].view();
    actor_.act(slots, views, torques, KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED);
    for (std::size_t i = 0; i < episodes; ++i) total += pendulums[i].turn(torques[i]);
  }
  return total / static_cast<double>(episodes);
}

double play_random(std::uint64_t seed, std::size_t episodes) {
  Dice dice(seed);
  double total = 0;
  for (std::size_t i = 0; i < episodes; ++i) {
    Pendulum pendulum(dice);
    while (pendulum.age < EPISODE) total += pendulum.turn(4 * dice.roll() - 2);
  }
  return total / static_cast<double>(episodes);
}

}  // namespace preferences
