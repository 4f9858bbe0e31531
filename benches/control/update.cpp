#include <cstdio>

#include "parts.hpp"
#include "timing.hpp"

namespace bench {

void update(const Shape &shape, const std::string &learner, int times) {
  constexpr int steps = 2048, episode = 128;
  const Host host(shape, session_json(R"(, "learner": ")" + learner + R"(")", 1));
  const auto slot = first_slots(1);
  Random random;
  std::vector<float> action(shape.numbers());
  std::printf("{\"part\": \"update\", \"shape\": \"%s\", \"learner\": \"keel %s\", \"times\": [", shape.name,
              learner.c_str());
  for (int time = 0; time <= times; ++time) {  // the first is not counted
    for (int step = 1; step <= steps; ++step) {
      host.actor.act(slot, random.many(shape.inputs), action);
      const int32_t status = step % episode ? KEEL_EPISODE_RUNNING : KEEL_EPISODE_TERMINATED;
      host.actor.observe(slot, random.many(1), std::vector<int32_t>{status}, std::vector<float>{});
    }
    const Spent update = spent([&] { host.update(); });
    if (time) std::printf("%s{\"wall\": %.5f, \"cpu\": %.5f}", time > 1 ? ", " : "", update.wall, update.cpu);
  }
  std::printf("]}\n");
}

}  // namespace bench
