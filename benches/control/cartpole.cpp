#include <cstdio>

#include "carts.hpp"
#include "parts.hpp"
#include "timing.hpp"

namespace bench {

void cartpole(int carts, int updates) {
  const int rollout = 2048 * carts;
  const Host host(cart, session_json(R"(, "rollout_steps": )" + std::to_string(rollout) + R"(, "minibatches": )" +
                                         std::to_string(rollout / 64), 1));
  Carts all(carts);
  double learning = 0;  // s
  long steps = 0;
  const Spent whole = spent([&] {
    for (int done = 0; done < updates; steps += carts) {
      all.act(host.actor);
      if (const auto job = host.session.update()) {  // once each cart's step is followed by another
        learning += spent([&] { job->run(); }).wall;
        if (++done == updates) break;
        all.episodes = all.held = 0;
      }
      all.move(host.actor);
    }
  });
  std::printf("{\"part\": \"cartpole\", \"who\": \"keel\", \"slots\": %d, \"steps\": %ld, \"wall\": %.4f, \"cpu\": %.4f, "
              "\"learning\": %.4f, \"return\": %.1f}\n",
              carts, steps, whole.wall, whole.cpu, learning,
              static_cast<double>(all.held) / static_cast<double>(all.episodes));
}

}  // namespace bench
