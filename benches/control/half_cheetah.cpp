#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>

#include "parts.hpp"
#include "task.h"
#include "timing.hpp"

namespace bench {
namespace {

struct Close {
  void operator()(Simulation *simulation) const { simulation_close(simulation); }
};

std::unique_ptr<Simulation, Close> open_half_cheetah() {
  char message[1024] = "";
  std::unique_ptr<Simulation, Close> simulation(
      simulation_open(task_named("half_cheetah"), MUJOCO_MODELS, message, sizeof message));
  if (!simulation) throw std::runtime_error(message);
  return simulation;
}

}  // namespace

void half_cheetah(int updates) {
  const Host host(walker, session_json("", 1));
  const auto simulation = open_half_cheetah();
  const auto slot = first_slots(1);
  Dice dice = {1};
  std::vector<float> record(walker.inputs), action(walker.dimensions), reward(1), final;
  std::vector<int32_t> status(1);
  double learning = 0, sum = 0, total = 0;  // s; returns of the episode, of all that ended
  long steps = 0, episodes = 0;
  const Spent whole = spent([&] {
    simulation_reset(simulation.get(), &dice);
    simulation_record(simulation.get(), record.data());
    for (int done = 0; done < updates; ++steps) {
      host.actor.act(slot, record, action);
      if (const auto job = host.session.update()) {  // once the last step is followed by another
        learning += spent([&] { job->run(); }).wall;
        if (++done == updates) break;
      }
      for (float &torque : action) torque = std::clamp(torque, -1.0f, 1.0f);
      const Outcome outcome = simulation_step(simulation.get(), action.data());
      simulation_record(simulation.get(), record.data());
      reward[0] = static_cast<float>(outcome.reward);
      status[0] = outcome.truncated ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING;
      if (outcome.truncated) final = record; else final.clear();
      host.actor.observe(slot, reward, status, final);
      sum += outcome.reward;
      if (!outcome.truncated) continue;
      ++episodes, total += sum, sum = 0;
      simulation_reset(simulation.get(), &dice);
      simulation_record(simulation.get(), record.data());
    }
  });
  std::printf("{\"part\": \"half_cheetah\", \"who\": \"keel\", \"slots\": 1, \"steps\": %ld, \"wall\": %.4f, "
              "\"cpu\": %.4f, \"learning\": %.4f, \"return\": %.1f}\n",
              steps, whole.wall, whole.cpu, learning, total / static_cast<double>(episodes));
}

}  // namespace bench
