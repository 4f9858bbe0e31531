// What it costs to act: a call for 1, 64 or 1024 slots, against the same network in eager libtorch.
#include <cstdio>

#include "allocations.hpp"
#include "eager.hpp"
#include "parts.hpp"
#include "timing.hpp"

namespace bench {
namespace {

constexpr int rounds = 20;

// One way to act, called many times.
class Measured {
 public:
  explicit Measured(std::size_t calls) : times_(calls) {}
  template <class Work>
  void add(Work &&work) {
    const uint64_t before = allocations();
    const double time = microseconds(std::forward<Work>(work));
    allocations_ += allocations() - before;
    times_.add(time);
  }
  void print(const char *name) {
    std::printf(", \"%s\": {\"p50\": %.3f, \"p99\": %.3f, \"min\": %.3f, \"allocations\": %llu}", name,
                times_.quantile(0.5), times_.quantile(0.99), times_.quantile(0),
                static_cast<unsigned long long>(allocations_));
  }

 private:
  Times times_;
  uint64_t allocations_ = 0;
};

void measure(const Shape &shape, int slots) {
  const int calls = slots == 1 ? 4096 : slots == 64 ? 512 : 64;
  const Host host(shape, session_json(R"(, "rollout_steps": 1, "epochs": 1, "minibatches": 1)", 1));
  const Eager eager(shape, slots);
  Random random;
  const auto all = first_slots(slots);
  const std::vector<float> observations = random.many(slots * shape.inputs), rewards = random.many(slots), none;
  const std::vector<int32_t> running(slots, KEEL_EPISODE_RUNNING);
  std::vector<float> actions(slots * shape.numbers());
  Measured unrecorded(calls * rounds), recorded(calls * rounds), observed(calls * rounds), peer(calls * rounds);
  const auto free_act = [&] { host.actor.act(all, observations, actions, KEEL_ACT_UNRECORDED); };
  const auto act = [&] { host.actor.act(all, observations, actions); };
  const auto observe = [&] { host.actor.observe(all, rewards, running, none); };
  const auto eager_act = [&] { eager.act(observations.data(), actions.data()); };
  for (int call = 0; call < 2 * calls; ++call) free_act(), act(), observe(), eager_act();
  for (int round = 0; round < rounds; ++round) {
    host.update();
    free_act();  // takes the new policy
    for (int call = 0; call < calls; ++call) unrecorded.add(free_act);
    for (int call = 0; call < calls; ++call) recorded.add(act), observed.add(observe);
    for (int call = 0; call < calls; ++call) peer.add(eager_act);
  }
  std::printf("{\"part\": \"act\", \"shape\": \"%s\", \"slots\": %d", shape.name, slots);
  unrecorded.print("unrecorded");
  recorded.print("recorded");
  observed.print("observe");
  peer.print("eager");
  std::printf("}\n");
}

}  // namespace

void act() {
  for (const Shape *shape : {&walker, &cart})
    for (const int slots : {1, 64, 1024}) measure(*shape, slots);
}

}  // namespace bench
