#include <cmath>
#include <cstdio>

#include "parts.hpp"
#include "timing.hpp"

namespace bench {
namespace {

constexpr int limit = 500;

// Gymnasium's CartPole-v1.
struct Cart {
  float place, speed, angle, turn;  // m, m/s, rad, rad/s: the observation record

  explicit Cart(Random &random)
      : place(0.05f * random.next()), speed(0.05f * random.next()), angle(0.05f * random.next()),
        turn(0.05f * random.next()) {}

  // 20 ms with a push to the left (0) or right (1); whether the cart is lost.
  bool move(int32_t push) {
    const float sine = std::sin(angle), cosine = std::cos(angle);
    const float pushed = ((push ? 10.0f : -10.0f) + 0.05f * turn * turn * sine) / 1.1f;
    const float bend = (9.8f * sine - cosine * pushed) / (0.5f * (4.0f / 3.0f - 0.1f * cosine * cosine / 1.1f));
    place += 0.02f * speed;
    speed += 0.02f * (pushed - 0.05f * bend * cosine / 1.1f);
    angle += 0.02f * turn;
    turn += 0.02f * bend;
    return std::fabs(place) > 2.4f || std::fabs(angle) > 0.20943951f;
  }
};

}  // namespace

void cartpole(int carts, int updates) {
  const int rollout = 2048 * carts;
  const Host host(cart, session_json(R"(, "rollout_steps": )" + std::to_string(rollout) + R"(, "minibatches": )" +
                                         std::to_string(rollout / 64), 1));
  const auto slots = first_slots(carts);
  Random random;
  std::vector<Cart> state, final;
  for (int i = 0; i < carts; ++i) state.emplace_back(random);
  std::vector<int> age(carts, 0);
  std::vector<int32_t> pushes(carts), status(carts);
  const std::vector<float> rewards(carts, 1);
  double learning = 0;  // s
  long steps = 0, episodes = 0, held = 0;  // the episodes of the last rollout
  const Spent whole = spent([&] {
    for (int done = 0; done < updates;) {
      host.actor.act(slots, state, pushes);
      if (const auto job = host.session.update()) {  // once each cart's step is followed by another
        learning += spent([&] { job->run(); }).wall;
        if (++done == updates) break;
        episodes = held = 0;
      }
      final.clear();
      for (int i = 0; i < carts; ++i, ++steps) {
        const bool lost = state[i].move(pushes[i]);
        status[i] = lost ? KEEL_EPISODE_TERMINATED : ++age[i] == limit ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING;
        if (status[i] == KEEL_EPISODE_RUNNING) continue;
        if (!lost) final.push_back(state[i]);
        ++episodes, held += age[i] + lost;
        state[i] = Cart(random), age[i] = 0;
      }
      host.actor.observe(slots, rewards, status, final);
    }
  });
  std::printf("{\"part\": \"cartpole\", \"who\": \"keel\", \"slots\": %d, \"steps\": %ld, \"wall\": %.4f, \"cpu\": %.4f, "
              "\"learning\": %.4f, \"return\": %.1f}\n",
              carts, steps, whole.wall, whole.cpu, learning, static_cast<double>(held) / static_cast<double>(episodes));
}

}  // namespace bench
